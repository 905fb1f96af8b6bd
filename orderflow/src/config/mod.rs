//! Every setting of the service, what it means and what it is unless somebody says otherwise.

mod database;
mod given;
mod keys;
mod kinds;
mod load;
mod problem;
mod rules;
mod secret;
mod seen;
mod shared;
mod show;
mod table;
mod units;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use time::UtcOffset;

pub use load::{Flag, Loaded, Sources};
pub use problem::{Problem, Problems, Source};
pub use secret::Secret;
pub use show::{example, json, toml};
pub use table::{Effective, Setting};

use keys::Keys;
use kinds::{Choice, Count, DatabaseUrl, Filter, Folder, Listen, Size, Switch, Time};
use seen::{Collector, Hosts, Ratio, SentryDsn};
use shared::{BrokerUrl, Mailbox, MaybeFolder, Name, Offset as OffsetKind, RedisUrl, Replicas as ReplicaUrls, SmtpUrl};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

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
        /// Whether instances count a client's requests together, in Redis. While Redis is away each counts by itself.
        rate_limit_shared: bool = Switch, "false";
        /// The most lists and totals that are worked on at once, of all that `max_in_flight` allows: they must not keep
        /// single reads waiting.
        max_lists_in_flight: usize = Count(1..=1_000_000), "768";
        /// The most writes that are worked on at once, of all that `max_in_flight` allows.
        max_writes_in_flight: usize = Count(1..=1_000_000), "512";
    }
    // ANCHOR_END: http
    /// The listener for operators.
    ops: Ops {
        /// Address and port. Port 0 takes any free one.
        listen: SocketAddr = Listen, "127.0.0.1:9464";
        /// Names under which the listener may be asked beside `localhost` and addresses, with commas between them. Others are
        /// refused, so that no page of a stranger can reach it through a name of its own.
        hosts: Vec<String> = Hosts { most: 16 }, "";
        /// The longest that one profile may take.
        max_profile: Duration = Time(1000..=10 * MINUTE), "1m";
    }
    /// Where orders are kept.
    database: Database {
        /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/NAME`. Empty, it is `orderflow.db` in the data directory, which the
        /// service creates, migrates and fills by itself. Secret.
        url: Secret = DatabaseUrl, "";
        /// The most connections for queries that are open at once. With PostgreSQL a process opens others when it needs
        /// them: one to migrate when it starts, one that hears of events where there is no Redis, one for the scheduler's
        /// lock, and with replicas those that `replicas.urls` tells of.
        max_connections: u32 = Count(1..=1_000), "16";
        /// How long a request may wait for a connection.
        acquire_timeout: Duration = Time(1..=HOUR), "2s";
        /// How long one statement may run.
        statement_timeout: Duration = Time(1..=HOUR), "5s";
        /// How long a statement takes that is logged as slow.
        slow_statement: Duration = Time(1..=HOUR), "500ms";
        /// Whether point reads that meet go out as one statement.
        coalesce_reads: bool = Switch, "true";
        /// What stands between the service and PostgreSQL: nothing (`none`), or a pooler that lends a connection for one
        /// transaction at a time (`transaction`), as PgBouncer does. Then every statement is a transaction that brings its
        /// own limits along, and nothing is prepared.
        pooler: Pooler = Choice(Pooler::WORDS), "none";
        /// The same database past the pooler, for what needs a connection of its own: migrations, the scheduler's lock, and
        /// hearing of events. A pooler needs it; without one it may be empty, and is `url`. Secret.
        direct_url: Secret = DatabaseUrl, "";
        /// How many orders an empty embedded database is filled with, and products and customers in proportion; 0 leaves it
        /// empty. A database that is named in `url` is never filled by itself: see `orderflow seed`.
        seed_orders: u64 = Count(0..=10_000_000), "10000";
    }
    /// Copies of a PostgreSQL database that answer reads.
    replicas: Replicas {
        /// Their addresses, as in `database.url`, with commas between them; each must lead to one server, not to one of
        /// several. A client never reads what is older than its own writes. A process has as many connections to each as
        /// `database.max_connections` says, and one more to each and to the primary, by which it watches them. Secret.
        urls: Vec<Secret> = ReplicaUrls { most: 16 }, "";
        /// How far a replica may be behind before reads go to the primary.
        max_lag: Duration = Time(1..=HOUR), "5s";
        /// How long a replica may take to answer before the primary is asked.
        timeout: Duration = Time(1..=HOUR), "1s";
    }
    /// A Redis server that instances share: a second cache, client rates, and events.
    redis: Redis {
        /// `redis://:PASSWORD@HOST:PORT/DATABASE`. Empty, there is none, and each instance is on its own. Secret.
        url: Secret = RedisUrl, "";
        /// How long one operation may take.
        timeout: Duration = Time(1..=MINUTE), "100ms";
        /// What the name of every key and channel begins with, so that services can share a server.
        prefix: String = Name, "orderflow";
    }
    /// What is kept in memory, and in Redis where there is one.
    cache: Cache {
        /// Whether anything is.
        enabled: bool = Switch, "true";
        /// The most that is kept, in bytes of answers.
        max_bytes: u64 = Size(1..=1 << 40), "64MiB";
        /// How long a product or a list of products is kept. Each entry's time varies by a tenth either way.
        ttl: Duration = Time(1..=24 * HOUR), "1m";
        /// How long the totals are kept.
        stats_ttl: Duration = Time(1..=24 * HOUR), "10s";
        /// The most answers that are kept in Redis. One of more than 64 KiB is kept in memory only.
        redis_entries: u32 = Count(1..=10_000_000), "100000";
        /// How long an answer is kept in Redis; the totals are kept there as long as in memory.
        redis_ttl: Duration = Time(1..=24 * HOUR), "10m";
    }
    /// How work gets from orders to workers.
    queue: Queue {
        /// `amqp://USER:PASSWORD@HOST:PORT/VHOST` of a RabbitMQ server. Empty, the database itself is the queue. Secret.
        broker: Secret = BrokerUrl, "";
        /// The queue's name at the broker.
        name: String = Name, "orderflow.notifications";
        /// How often the database is asked for work when nobody says that there is some.
        poll: Duration = Time(1..=HOUR), "100ms";
        /// How long a worker has for a notification before another may take it over.
        claim: Duration = Time(100..=HOUR), "30s";
        /// After how long a notification that was given to the broker and never came out is given to it again.
        republish: Duration = Time(100..=24 * HOUR), "1m";
    }
    /// What sends notifications.
    worker: Worker {
        /// Whether `serve` sends them too, and looks for due ones: `on`, `off`, or `auto`, which is on for the embedded
        /// database.
        in_process: InProcess = Choice(InProcess::WORDS), "auto";
        /// How many notifications one process sends at once.
        concurrency: u32 = Count(1..=1_000), "10";
        /// How often a notification is tried before it becomes a dead letter.
        max_attempts: u32 = Count(1..=100), "8";
        /// How long the first retry waits. Each further one waits twice as long, give or take a half.
        retry_base: Duration = Time(1..=HOUR), "1s";
        /// The longest that a retry waits.
        retry_max: Duration = Time(1..=24 * HOUR), "10m";
    }
    /// Where mail goes.
    mail: Mail {
        /// `smtp://USER:PASSWORD@HOST:PORT` of a server, with TLS if it offers that, or `smtps://` for TLS from the start. A
        /// password goes over TLS only, or to this machine. A mail comes at least once, and always under the same
        /// Message-ID. Empty, mails are written to the spool directory, each once. Secret.
        smtp_url: Secret = SmtpUrl, "";
        /// Where mails are written that no server takes, a file each. Empty, it is `spool` in the data directory.
        spool: PathBuf = MaybeFolder, "";
        /// Whom mails are from.
        from: String = Mailbox, "OrderFlow <orders@orderflow.example>";
        /// How long one mail may take. It never has longer than three quarters of `queue.claim`.
        timeout: Duration = Time(1..=HOUR), "10s";
    }
    /// What finds due notifications.
    scheduler: Scheduler {
        /// How often it looks.
        interval: Duration = Time(10..=HOUR), "30s";
        /// When its day begins, as the distance from UTC: `+02:00`. There is no summer time.
        utc_offset: UtcOffset = OffsetKind, "+00:00";
        /// How many days that were missed are caught up. A first start begins with today.
        catch_up_days: u32 = Count(0..=366), "7";
        /// How old an order is that nobody has paid when its customer is reminded, once; ten seconds more than a statement
        /// may run at least, since orders can take so long to be seen.
        reminder_after: Duration = Time(1..=31 * 24 * HOUR), "24h";
    }
    /// What is told about orders as they happen.
    events: Events {
        /// The most clients that listen at once.
        max_streams: usize = Count(1..=1_000_000), "1000";
        /// How many events a client may be behind before it is dropped.
        buffer: usize = Count(1..=65_536), "256";
        /// How long events are kept for clients that come back.
        retention: Duration = Time(1000..=31 * 24 * HOUR), "24h";
        /// How often the database is asked for events when nobody says that there are some.
        poll: Duration = Time(1..=HOUR), "1s";
    }
    /// Who may write.
    auth: Auth {
        /// The keys that are accepted. None at all makes the embedded service generate one of its own.
        keys: Vec<ApiKey> = Keys { most: 100 }, "";
    }
    /// What is seen of the service from outside.
    telemetry: Telemetry {
        /// What the service is called in traces, and by a collector.
        service_name: String = Name, "orderflow";
        /// What it is a part of, such as `production`, for a collector and for Sentry.
        environment: String = Name, "development";
        /// Whether requests and statements are counted and timed. What else is counted costs next to nothing.
        metrics: bool = Switch, "true";
        /// Whether requests and jobs are traced.
        traces: bool = Switch, "true";
        /// Which part of them is, from 0 to 1.
        traces_ratio: f64 = Ratio, "0.01";
        /// How many a second of each route and each kind of job are traced beside those, so that what is rare is seen too.
        traces_per_route: u32 = Count(0..=1_000), "1";
        /// Whether a caller that sends a `traceparent` decides for its request. If not, its trace is gone on with, and the ratio
        /// decides.
        follow_parent: bool = Switch, "true";
        /// How many recent traces are kept in memory for `/debug/traces`; as many slow ones, and as many failed ones, again. One
        /// route brings no more than that in a second.
        traces_kept: usize = Count(1..=10_000), "200";
        /// How long a request takes that is kept as slow.
        slow_request: Duration = Time(1..=HOUR), "1s";
        /// `http://HOST:PORT` of an OpenTelemetry collector, or `https://`. Empty, nothing is sent anywhere.
        otlp_endpoint: String = Collector, "";
        /// How it is spoken to: `grpc`, usually at port 4317, or `http`, at 4318.
        otlp_protocol: OtlpProtocol = Choice(OtlpProtocol::WORDS), "grpc";
        /// Whether it gets what is logged too.
        otlp_logs: bool = Switch, "true";
        /// How long one export may take.
        otlp_timeout: Duration = Time(1..=MINUTE), "5s";
        /// How many spans, and how many log records, may wait for it. More are dropped and counted.
        otlp_queue: usize = Count(1..=1_000_000), "4096";
        /// `https://KEY@HOST/PROJECT` of a project at Sentry, which is told of panics and of what is logged as an error. Empty,
        /// nobody is. Secret.
        sentry_dsn: Secret = SentryDsn, "";
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

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protocol buffers.
    Http,
}

impl OtlpProtocol {
    const WORDS: &[(&str, Self)] = &[("grpc", Self::Grpc), ("http", Self::Http)];
}

/// What stands between the service and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing: a connection is a session.
    None,
    /// A pooler that lends a connection for one transaction at a time.
    Transaction,
}

impl Pooler {
    const WORDS: &[(&str, Self)] = &[("none", Self::None), ("transaction", Self::Transaction)];
}

/// Whether a process that serves also finds and sends notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InProcess {
    /// Where the database is the embedded one.
    Auto,
    /// Yes.
    On,
    /// No: processes of their own do.
    Off,
}

impl InProcess {
    const WORDS: &[(&str, Self)] = &[("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];
}
