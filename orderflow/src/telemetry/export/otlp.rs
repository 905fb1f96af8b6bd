//! Spans and log records as a collector takes them: OTLP, over gRPC or HTTP.

use anyhow::{Context, Result};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{LogExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    logs::{LogBatch, LogExporter as _, SdkLogRecord},
    trace::{SpanData, SpanExporter as _},
};
use tonic::transport::ClientTlsConfig;

use super::{client::Client, drain::Carrier};
use crate::{
    config::{OtlpProtocol, Telemetry},
    telemetry::bounds::shortened,
};

/// The most bytes of a resource's attribute.
const NAME: usize = 255;

/// A log record, and who made it.
pub(super) type Log = Box<(SdkLogRecord, InstrumentationScope)>;

/// Which process it is that things are told of.
pub(super) fn resource(config: &Telemetry) -> Resource {
    let instance = format!("{:032x}", fastrand::u128(..));
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", shortened(&config.service_name, NAME).to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("deployment.environment.name", shortened(&config.environment, NAME).to_owned()),
        ])
        .build()
}

/// How often the exporter itself tries again when it is told that it may, waiting for as long as it is told to, all within
/// `telemetry.otlp_timeout`.
fn retries() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(2)
}

/// The roots that browsers trust, where TLS is asked for.
fn tls(config: &Telemetry) -> Option<ClientTlsConfig> {
    config.otlp_endpoint.starts_with("https:").then(|| ClientTlsConfig::new().with_webpki_roots())
}

/// Where a signal is posted to.
fn url(config: &Telemetry, signal: &str) -> String {
    format!("{}/v1/{signal}", config.otlp_endpoint.trim_end_matches('/'))
}

/// Sends spans.
pub(super) struct Spans(SpanExporter);

impl Spans {
    /// To be called inside the runtime that sends them.
    pub(super) fn to(config: &Telemetry, resource: &Resource) -> Result<Self> {
        let builder = SpanExporter::builder();
        let mut exporter = match config.otlp_protocol {
            OtlpProtocol::Grpc => {
                let builder = builder.with_tonic().with_endpoint(&config.otlp_endpoint).with_retry_policy(retries());
                let builder = builder.with_timeout(config.otlp_timeout);
                match tls(config) {
                    Some(tls) => builder.with_tls_config(tls),
                    None => builder,
                }
                .build()
            }
            OtlpProtocol::Http => builder
                .with_http()
                .with_http_client(Client::new(config.otlp_timeout))
                .with_endpoint(url(config, "traces"))
                .with_timeout(config.otlp_timeout)
                .with_retry_policy(retries())
                .build(),
        }
        .context("telemetry.otlp_endpoint")?;
        exporter.set_resource(resource);
        Ok(Self(exporter))
    }
}

impl Carrier<SpanData> for Spans {
    const WHAT: &str = "spans";

    async fn carry(&self, batch: Vec<SpanData>) -> Result<(), String> {
        self.0.export(batch).await.map_err(|error| error.to_string())
    }
}

/// Sends log records.
pub(super) struct Logs(LogExporter);

impl Logs {
    /// To be called inside the runtime that sends them.
    pub(super) fn to(config: &Telemetry, resource: &Resource) -> Result<Self> {
        let builder = LogExporter::builder();
        let mut exporter = match config.otlp_protocol {
            OtlpProtocol::Grpc => {
                let builder = builder.with_tonic().with_endpoint(&config.otlp_endpoint).with_retry_policy(retries());
                let builder = builder.with_timeout(config.otlp_timeout);
                match tls(config) {
                    Some(tls) => builder.with_tls_config(tls),
                    None => builder,
                }
                .build()
            }
            OtlpProtocol::Http => builder
                .with_http()
                .with_http_client(Client::new(config.otlp_timeout))
                .with_endpoint(url(config, "logs"))
                .with_timeout(config.otlp_timeout)
                .with_retry_policy(retries())
                .build(),
        }
        .context("telemetry.otlp_endpoint")?;
        exporter.set_resource(resource);
        Ok(Self(exporter))
    }
}

impl Carrier<Log> for Logs {
    const WHAT: &str = "log records";

    async fn carry(&self, batch: Vec<Log>) -> Result<(), String> {
        let batch: Vec<_> = batch.iter().map(|log| (&log.0, &log.1)).collect();
        self.0.export(LogBatch::new(&batch)).await.map_err(|error| error.to_string())
    }
}
