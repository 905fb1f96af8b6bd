//! Every setting of the service, what it means and what it is unless somebody says otherwise.

mod database;
mod given;
mod keys;
mod kinds;
mod load;
mod problem;
mod rules;
mod secret;
mod show;
mod table;
mod units;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use load::{Flag, Loaded, Sources};
pub use problem::{Problem, Problems, Source};
pub use secret::Secret;
pub use show::{example, json, toml};
pub use table::{Effective, Setting};

use keys::Keys;
use kinds::{Choice, Count, DatabaseUrl, Filter, Folder, Listen, Size, Switch, Time};

const HOUR: u64 = 3_600_000;

// A line is: what it means, the field and its type, what it may be, the default. Times are bounded in milliseconds.
table::settings! {
    /// The whole configuration, checked: whoever holds one can start a service with it.
    Config {
        /// Where the embedded database and the development key are kept.
        data_dir: PathBuf = Folder, ".orderflow";
    }
    /// The public listener and the limits of a request.
    // ANCHOR: http
    http: Http {
        /// Address and port. Port 0 takes any free one.
        listen: SocketAddr = Listen, "127.0.0.1:8080";
        /// How long a request may take from its head to the last byte of its answer.
        request_timeout: Duration = Time(1..=HOUR), "10s";
        /// How long a connection may be idle, take to send a request's head, or take nothing of an answer. A proxy in front must
        /// give idle connections up before.
        idle_timeout: Duration = Time(1..=HOUR), "75s";
        /// The largest body of a request, in bytes.
        max_body_bytes: usize = Size(1..=16 << 20), "64KiB";
        /// The most connections that are open at once; others wait in the kernel's queue.
        max_connections: usize = Count(1..=1_000_000), "20000";
        /// The most requests that are worked on at once; others are refused instantly with 503.
        max_in_flight: usize = Count(1..=1_000_000), "1024";
        /// How long connections are still taken after a shutdown began, so that a balancer notices.
        drain_notice: Duration = Time(0..=HOUR), "1s";
        /// How long requests that were accepted may take to end after a shutdown began.
        drain_timeout: Duration = Time(0..=HOUR), "20s";
        /// How many requests a second one client may make in the long run; 0 takes the limit away.
        rate_limit: u32 = Count(0..=1_000_000), "1000";
        /// How many requests a client may make at once after a pause.
        rate_burst: u32 = Count(0..=1_000_000), "2000";
        /// Whether `X-Forwarded-For` names the client. Only behind a proxy that sets it: anybody can send one.
        trust_forwarded_for: bool = Switch, "false";
    }
    // ANCHOR_END: http
    /// The listener for operators.
    ops: Ops {
        /// Address and port. Port 0 takes any free one.
        listen: SocketAddr = Listen, "127.0.0.1:9464";
    }
    /// Where orders are kept.
    database: Database {
        /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/NAME`. Empty, it is `orderflow.db` in the data directory, which the
        /// service creates, migrates and fills by itself. Secret.
        url: Secret = DatabaseUrl, "";
        /// The most connections that are open at once.
        max_connections: u32 = Count(1..=1_000), "16";
        /// How long a request may wait for a connection.
        acquire_timeout: Duration = Time(1..=HOUR), "2s";
        /// How long one statement may run.
        statement_timeout: Duration = Time(1..=HOUR), "5s";
        /// Whether point reads that meet go out as one statement.
        coalesce_reads: bool = Switch, "true";
        /// How many orders an empty embedded database is filled with, and products and customers in proportion; 0 leaves it
        /// empty. A database that is named in `url` is never filled by itself: see `orderflow seed`.
        seed_orders: u64 = Count(0..=10_000_000), "10000";
    }
    /// What is kept in memory.
    cache: Cache {
        /// Whether anything is.
        enabled: bool = Switch, "true";
        /// The most that is kept, in bytes of answers.
        max_bytes: u64 = Size(1..=1 << 40), "64MiB";
        /// How long a product or a list of products is kept. Each entry's time varies by a tenth either way.
        ttl: Duration = Time(1..=24 * HOUR), "1m";
        /// How long the totals are kept.
        stats_ttl: Duration = Time(1..=24 * HOUR), "10s";
    }
    /// Who may write.
    auth: Auth {
        /// The keys that are accepted. None at all makes the embedded service generate one of its own.
        keys: Vec<ApiKey> = Keys { most: 100 }, "";
    }
    /// How the service logs.
    log: Log {
        /// The form of a line: for people, as JSON, or whichever suits where standard error goes.
        format: LogFormat = Choice(LogFormat::WORDS), "auto";
        /// What is logged, in the notation of `RUST_LOG`, such as `info,orderflow=debug`.
        filter: String = Filter, "info";
    }
}

/// A key that is accepted.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Whose it is, for logs.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The SHA-256 of the key, as 64 hexadecimal digits. The key itself is kept nowhere.
    pub sha256: [u8; 32],
}

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To place orders, and to create and change customers.
    Writer,
    /// All of that, and to delete customers.
    Admin,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// [`LogFormat::Pretty`] when standard error is a terminal, and else [`LogFormat::Json`].
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    const WORDS: &[(&str, Self)] = &[("auto", Self::Auto), ("pretty", Self::Pretty), ("json", Self::Json)];
}
