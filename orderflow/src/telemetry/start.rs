//! Everything that is seen of a process, from its start to its end.

use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    logs::SdkLoggerProvider,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Metadata;
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt, FilterFn, LevelFilter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    Recent, TARGET,
    export::{Exporter, Logs, Spans},
    request::SCOPE,
    sentry::{self, Reporter},
    span::Ids,
};
use crate::{config::Config, log, metrics::Metrics};

/// A part of what sees spans and events.
type Seen = Box<dyn Layer<Registry> + Send + Sync>;

/// What sends telemetry, and whatever it is made of: what these say must not be sent in turn.
const SENDERS: [&str; 7] = ["opentelemetry", "hyper", "tonic", "h2", "tower", "rustls", "orderflow::telemetry"];

/// What a process counts and keeps. Clones are the same. The default counts, and sends nothing anywhere.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// What it counts.
    pub metrics: Metrics,
    /// What it keeps of traces and statements.
    pub recent: Recent,
    exporter: Option<Exporter>,
}

impl Telemetry {
    /// Logs, and traces, as the configuration says, from now on and for the whole process.
    ///
    /// # Errors
    /// If that was begun before, or a setting turns out to be impossible.
    pub fn start(config: &Config) -> Result<Self> {
        let (metrics, of) = (Metrics::default(), &config.telemetry);
        let recent = Recent::new(of.traces_kept, of.slow_request);
        let exporter = Exporter::start(of, sentry::address(of)?, &metrics)?;
        let mut layers = vec![log::layer(&config.log, &metrics)?];
        if of.traces {
            layers.push(traces(Exporter::spans(exporter.as_ref(), recent.clone())));
        }
        if let Some(exporter) = &exporter {
            if let Some(to) = exporter.logs() {
                layers.push(logs(to, config)?);
            }
            if let Some(reporter) = Reporter::new(of, exporter, &metrics) {
                reporter.watch_panics();
                layers.push(reporter.with_filter(LevelFilter::ERROR).boxed());
            }
        }
        tracing_subscriber::registry().with(layers).try_init().context("logging was set up before")?;
        Ok(Self { metrics, recent, exporter })
    }

    /// Where the spans of requests go.
    pub fn spans(&self) -> Spans {
        Exporter::spans(self.exporter.as_ref(), self.recent.clone())
    }

    /// Sends what is left, and waits so long for it. To be called outside a runtime. False if something was lost.
    pub fn end(&self, within: Duration) -> bool {
        self.exporter.as_ref().is_none_or(|exporter| exporter.end(within))
    }
}

/// Spans of the target [`TARGET`] to where ended ones go. What is traced at all is decided before there is a span.
fn traces(to: Spans) -> Seen {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(Ids::default())
        .with_span_processor(to)
        .build();
    let only = |of: &Metadata<'_>| of.is_span() && of.target() == TARGET;
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        // Parents are known from the spans themselves, and that costs less.
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(FilterFn::new(only).with_max_level_hint(LevelFilter::INFO))
        .boxed()
}

/// Spans to where they are kept, and nowhere else.
#[cfg(test)]
pub(super) fn traces_kept(recent: Recent) -> Seen {
    traces(Exporter::spans(None, recent))
}

/// What is logged, to where log records go.
fn logs(to: Logs, config: &Config) -> Result<Seen> {
    let provider = SdkLoggerProvider::builder().with_log_processor(to).build();
    let others = |of: &Metadata<'_>| of.is_event() && !SENDERS.iter().any(|sender| of.target().starts_with(sender));
    let filter = log::filter(&config.log.filter)?.and(FilterFn::new(others));
    Ok(OpenTelemetryTracingBridge::new(&provider).with_filter(filter).boxed())
}
