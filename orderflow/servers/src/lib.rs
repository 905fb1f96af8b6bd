//! Real servers for tests and measurements: found among the installed programs, started on a free port of 127.0.0.1 in a
//! directory of their own, gone afterwards. Unix only.
//!
//! [`Postgres`] is PostgreSQL, 13 or newer, with a [`Replica`] beside it and a [`PgBouncer`] before it where a test wants
//! them; [`Redis`] is a cache, [`RabbitMq`] a broker; [`Nginx`] and [`HaProxy`] run the configuration that they are given.
//! [`Prometheus`] and [`Alertmanager`] do too, and [`promtool`] and [`amtool`] check it.
//! Each can be stopped, started again on its port, and paused. A [`Link`] in front of any server is a network that is slow,
//! silent or broken; a [`Sink`], in this process, is a mail server with its faults, and a [`Collector`] takes traces and logs.
//!
//! ```no_run
//! # fn migrate(_: &str) {}
//! # fn orders(_: &str) -> Vec<u64> { vec![] }
//! #[test]
//! fn a_new_shop_has_no_orders() {
//!     let Some(postgres) = orderflow_servers::postgres() else { return };
//!     let database = postgres.database().unwrap();
//!     migrate(database.url());
//!     assert_eq!(orders(database.url()), []);
//! }
//! ```
//!
//! [`postgres`] starts one server for all tests of a process, at the first call; a test has a [`Database`] of its own in it.
//! A test that stops or pauses a server takes one of its own: `needs(Postgres::own(&Settings::default()))`. So it is with
//! other servers: `needs(Redis::shared())`, `needs(Redis::own())`.
//!
//! To try something by hand, `cargo run -p orderflow-servers` prints the address of a database to throw away and keeps it
//! until Ctrl-C.
//!
//! # Where a server is missing
//! A test that cannot run has not passed. [`needs`] says so: on continuous integration (where the variable `CI` is set) it
//! fails the test; elsewhere it prints `blocked: …` past the test harness, which would hide what a passing test prints, and
//! gives `None`, so that the test returns.
//!
//! # How servers end
//! Each server is kept by a shell process of its own that holds one end of a pipe. When the handle is dropped, or when the
//! process ends by itself, by a panic, by Ctrl-C or by SIGKILL, the pipe closes, and the keeper stops the server and removes
//! its directory.

mod bounded;
mod freeze;
mod keeper;
mod link;
mod otlp;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod programs;
mod prometheus;
mod proxy;
mod rabbitmq;
mod redis;
mod smtp;
mod user;

use std::{io::Write, panic::Location, thread};

use anyhow::Result;

pub use link::Link;
pub use otlp::{Collected, CollectedLog, CollectedSpan, Collector, Collects};
pub use pgbouncer::PgBouncer;
pub use ports::free_port;
pub use postgres::{Database, Postgres, Replica, Settings, Stop};
pub use programs::Missing;
pub use prometheus::{Alertmanager, Prometheus, amtool, promtool};
pub use proxy::{HaProxy, Nginx, Proxy};
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use smtp::{Behaviour, Mail, Sink};

/// The PostgreSQL server that all tests of this process share, started at the first call; `None` where the test cannot run.
///
/// # Panics
/// When PostgreSQL is missing on continuous integration, and when it is there and does not start.
#[track_caller]
pub fn postgres() -> Option<Postgres> {
    needs(Postgres::shared())
}

/// What a test needs, or `None` where this machine lacks the programs for it: then the test is blocked, which has been
/// said, and returns.
///
/// # Panics
/// When a program is [`Missing`] on continuous integration, and upon any other error anywhere: a server that is installed
/// and does not start is a fault, not a lack.
#[track_caller]
pub fn needs<T>(server: Result<T>) -> Option<T> {
    let error = match server {
        Ok(server) => return Some(server),
        Err(error) => error,
    };
    let Some(missing) = error.downcast_ref::<Missing>() else { panic!("a server cannot be had: {error:#}") };
    assert!(std::env::var_os("CI").is_none(), "BLOCKED: {missing}");
    let thread = thread::current();
    let (test, place) = (thread.name().unwrap_or("a test"), Location::caller());
    // Not eprintln!, which the test harness captures; in one piece, so that other tests' lines stay out of it.
    let line = format!("blocked: {test} ({place}): {missing}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}
