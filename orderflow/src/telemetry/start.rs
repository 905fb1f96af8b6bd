//! Everything that is seen of a process, from its start to its end.

use std::time::Duration;

use anyhow::{Context, Result};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use super::Recent;
use crate::{config::Config, log, metrics::Metrics};

/// What a process counts and keeps. Clones are the same. The default counts, and sends nothing anywhere.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// What it counts.
    pub metrics: Metrics,
    /// What it keeps of traces and statements.
    pub recent: Recent,
}

impl Telemetry {
    /// Logs, and traces, as the configuration says, from now on and for the whole process.
    ///
    /// # Errors
    /// If that was begun before, or a setting turns out to be impossible.
    pub fn start(config: &Config) -> Result<Self> {
        let telemetry = Self::default();
        let logs = log::layer(&config.log, &telemetry.metrics)?;
        tracing_subscriber::registry().with(logs).try_init().context("logging was set up before")?;
        Ok(telemetry)
    }

    /// Sends what is left, and waits so long for it. To be called outside a runtime. False if something was lost.
    pub fn end(&self, _within: Duration) -> bool {
        true
    }
}
