//! What the service says while it runs: lines for people or for programs, on standard error.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::{
    config::{Log, LogFormat},
    metrics::Metrics,
    telemetry::log::{Form, Lines},
};

/// What the configured filter is added to: statements are too many to log one and all, and hold what customers sent; and
/// the broker's client calls every connection that breaks several errors, which are told once by whoever makes the next. A
/// filter that names their target has its way.
const QUIET: &str = "sqlx::query=warn,lapin=off";

/// Writes every event that the configuration asks for to standard error, and counts it.
///
/// # Errors
/// If the filter is malformed, which that of a checked configuration is not.
pub fn layer(log: &Log, metrics: &Metrics) -> Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let terminal = io::stderr().is_terminal();
    let people = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let form = if people { Form::Pretty { colours } } else { Form::Json };
    Ok(Lines::new(form, io::stderr, metrics).with_filter(filter(&log.filter)?).boxed())
}

/// What is logged, as the configuration says it.
///
/// # Errors
/// If that is malformed.
pub fn filter(configured: &str) -> Result<EnvFilter> {
    EnvFilter::builder().parse(format!("{QUIET},{configured}")).context("log.filter")
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn statements_are_logged_only_if_they_are_named() {
        let enabled = |configured: &str, level| {
            let subscriber = tracing_subscriber::registry().with(filter(configured).unwrap());
            tracing::subscriber::with_default(subscriber, || match level {
                Level::DEBUG => tracing::enabled!(target: "sqlx::query", Level::DEBUG),
                _ => tracing::enabled!(target: "sqlx::query", Level::WARN),
            })
        };
        assert!(!enabled("debug", Level::DEBUG));
        assert!(enabled("debug", Level::WARN));
        assert!(enabled("info,sqlx::query=debug", Level::DEBUG));
        assert!(!enabled("info,sqlx::query=off", Level::WARN));
    }
}
