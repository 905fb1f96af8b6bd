//! What the process counts, for Prometheus: what was counted as it happened, and what is looked up when somebody asks.

use std::{fmt, io::Write, sync::Arc};

use axum::{
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{classic::classic, process::Process, runtime::Runtime};
use crate::{
    http::{App, Kind, Problem, weigh},
    store::PoolUse,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers scrapes.
#[derive(Clone)]
pub(super) struct Scrape(Arc<Inner>);

struct Inner {
    app: App,
    /// What is looked up.
    now: Registry,
}

impl Scrape {
    pub(super) fn new(app: App) -> Self {
        let mut now = Registry::default();
        now.register_collector(Box::new(Process::this()));
        if let Some(runtime) = Runtime::current() {
            now.register_collector(Box::new(runtime));
        }
        now.register_collector(Box::new(Kept(app.clone())));
        Self(Arc::new(Inner { app, now }))
    }

    /// Every family, in the format and encoding that suit the client. Writing some hundred lines takes about as long as
    /// answering ten requests, so that it is done on a thread for such things.
    pub(super) async fn answer(self, headers: HeaderMap) -> Response {
        let open_metrics = prefers_open_metrics(&headers);
        let gzip = weigh::gzip(&headers);
        let Self(inner) = self;
        inner.app.cache.take_stock().await;
        let written = tokio::task::spawn_blocking(move || {
            let text = inner.app.metrics.text_with(&inner.now);
            let text = if open_metrics { text } else { classic(&text) };
            if gzip { compressed(text.as_bytes()) } else { text.into_bytes() }
        });
        let Ok(body) = written.await else {
            return Problem::new(Kind::Internal).into_response();
        };
        let kind = HeaderValue::from_static(if open_metrics { OPEN_METRICS } else { CLASSIC });
        let mut response = ([(CONTENT_TYPE, kind)], body).into_response();
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if gzip {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// As fast as can be: it is for one client, and soon outdated.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 6), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory takes what is written")
}

/// Whether the client takes `OpenMetrics` at least as well as the older format, which has no exemplars. (RFC 9110, 12.5.1)
fn prefers_open_metrics(headers: &HeaderMap) -> bool {
    let ranges: Vec<_> = weigh::ranges(headers, &ACCEPT).collect();
    // The most specific range that fits a type speaks for it. One type may come in several versions.
    let weight = |names: [&str; 3]| {
        let of = |name: &str| ranges.iter().filter(|(range, _)| range == name).map(|(_, q)| *q).reduce(f32::max);
        names.into_iter().find_map(of).unwrap_or(0.0)
    };
    let open_metrics = weight(["application/openmetrics-text", "application/*", "*/*"]);
    ranges.is_empty() || open_metrics >= weight(["text/plain", "text/*", "*/*"])
}

/// How full pools and caches are, and how far replicas are behind.
struct Kept(App);

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Kept")
    }
}

impl Collector for Kept {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Self(app) = self;
        let pools = app.store.pools();
        let help = "Connections to the database that are open, by pool and by whether they are used or idle.";
        let mut family = encoder.encode_descriptor("db_pool_connections", help, None, MetricType::Gauge)?;
        for (pool, PoolUse { open, idle, .. }) in &pools {
            for (state, count) in [("idle", *idle), ("used", open.saturating_sub(*idle))] {
                let labels = [("pool", *pool), ("state", state)];
                ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "The most connections that may be open, by pool.";
        let mut family = encoder.encode_descriptor("db_pool_max", help, None, MetricType::Gauge)?;
        for (pool, PoolUse { max, .. }) in &pools {
            ConstGauge::new(*max).encode(family.encode_family(&[("pool", *pool)])?)?;
        }
        let replicas = app.store.replicas();
        if !replicas.is_empty() {
            let help = "How far replicas are behind, by their place in replicas.urls. Nothing where that is not known.";
            let seconds = Some(&Unit::Seconds);
            let mut family = encoder.encode_descriptor("replica_lag", help, seconds, MetricType::Gauge)?;
            for (number, replica) in replicas.iter().enumerate() {
                let Some(lag) = replica.lag else { continue };
                ConstGauge::new(lag.as_secs_f64()).encode(family.encode_family(&[("replica", number)])?)?;
            }
        }
        let (entries, bytes) = app.cache.size();
        let (entries, bytes) = (ConstGauge::new(entries), ConstGauge::new(bytes));
        let help = "Answers that are kept in memory.";
        entries.encode(encoder.encode_descriptor("cache_entries", help, None, MetricType::Gauge)?)?;
        let help = "What they take, of the most that cache.max_bytes allows.";
        bytes.encode(encoder.encode_descriptor("cache", help, Some(&Unit::Bytes), MetricType::Gauge)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_format() {
        let prefers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            prefers_open_metrics(&headers)
        };
        assert!(prefers_open_metrics(&HeaderMap::new()));
        assert!(prefers("*/*") && prefers("text/html, */*;q=0.8") && prefers("application/json"));
        assert!(prefers(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ));
        assert!(!prefers("text/plain") && !prefers("text/plain;version=0.0.4, */*;q=0.1"));
        assert!(!prefers("application/openmetrics-text;q=0.2, text/*") && !prefers("Text/Plain;q=1"));
    }
}
