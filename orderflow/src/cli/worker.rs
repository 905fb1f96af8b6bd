//! `orderflow worker`: sends notifications, as a process of its own.

use std::process::ExitCode;

use anyhow::Result;

use orderflow::{jobs, server};

use super::Started;

/// Works until a signal says to end.
pub(super) fn run(started: Started) -> Result<ExitCode> {
    super::serve::until_told(started, |config, telemetry, shutdown| {
        let start = |bench: server::Bench<'_>| {
            let server::Bench { config, backend, metrics, wake, health, background } = bench;
            let finish = config.http.drain_timeout;
            health.show_broker(jobs::start(config, backend.jobs(), metrics, wake, finish, background)?);
            Ok(format!("worker     sends {} notifications at once", config.worker.concurrency))
        };
        server::work(config, telemetry, start, shutdown)
    })
}
