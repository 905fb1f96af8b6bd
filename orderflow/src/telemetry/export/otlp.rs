//! Spans and log records as a collector takes them: OTLP, over gRPC or HTTP. Headers that it wants, such as a key, are taken
//! from the variable `OTEL_EXPORTER_OTLP_HEADERS`, as every exporter does.

use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{LogExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    logs::{LogBatch, LogExporter as _, SdkLogRecord},
    trace::{SpanData, SpanExporter as _},
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::{client::Client, drain::Carrier};
use crate::{
    config::{OtlpProtocol, Telemetry},
    telemetry::bounds::shortened,
};

/// How long a connection may be silent before it is asked for a sign of life, and how long that may take.
const ALIVE: Duration = Duration::from_secs(10);
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

/// A connection. It is made when it is first needed, and anew when the other end was silent for long: one
/// that vanished would otherwise take batches until the system gives up, after a quarter of an hour.
fn channel(config: &Telemetry) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(config.otlp_endpoint.clone())?
        .connect_timeout(config.otlp_timeout)
        .timeout(config.otlp_timeout)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE);
    // The roots that browsers trust, where TLS is asked for.
    let tls = endpoint.uri().scheme_str() == Some("https");
    let endpoint = if tls { endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots())? } else { endpoint };
    Ok(endpoint.connect_lazy())
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
            OtlpProtocol::Grpc => builder
                .with_tonic()
                .with_channel(channel(config).context("telemetry.otlp_endpoint")?)
                .with_timeout(config.otlp_timeout)
                .with_retry_policy(retries())
                .build(),
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
            OtlpProtocol::Grpc => builder
                .with_tonic()
                .with_channel(channel(config).context("telemetry.otlp_endpoint")?)
                .with_timeout(config.otlp_timeout)
                .with_retry_policy(retries())
                .build(),
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

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener, thread};

    use super::*;
    use crate::config::{Config, Flag, Sources};

    fn config(settings: &[(&str, &str)]) -> Telemetry {
        let flags = settings.iter().map(|(key, value)| Flag::set(*key, *value)).collect();
        Config::load(&Sources { flags, ..Sources::default() }).unwrap().telemetry
    }

    #[tokio::test]
    async fn tls_is_spoken_where_it_is_asked_for() {
        for protocol in ["grpc", "http"] {
            for (scheme, expected) in [("https", true), ("http", false)] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
                // A connection that ends after its first byte, and a listener that ends with it.
                let first = thread::spawn(move || {
                    let mut byte = [0];
                    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
                    byte[0]
                });
                let config = config(&[("telemetry.otlp_endpoint", &url), ("telemetry.otlp_protocol", protocol)]);
                let spans = Spans::to(&config, &resource(&config)).unwrap();
                assert!(spans.carry(Vec::new()).await.is_err());
                let handshake = 0x16;
                assert_eq!(first.join().unwrap() == handshake, expected, "{protocol} {scheme}");
            }
        }
    }

    #[test]
    fn a_signal_has_its_path_below_that_of_the_collector() {
        for (endpoint, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://collector/otlp/", "https://collector/otlp/v1/traces"),
        ] {
            assert_eq!(url(&config(&[("telemetry.otlp_endpoint", endpoint)]), "traces"), expected);
        }
    }
}
