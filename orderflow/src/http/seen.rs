//! What is counted, timed and kept of a request, from its head to its answer or until its client leaves.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use axum::http::{HeaderMap, HeaderName};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

use super::route::Route;
use crate::{
    config,
    metrics::{Metrics, Traced},
    telemetry::{Answered, PerSecond, Sampler, Spans, TraceContext, TraceLabel, Work},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest `traceparent` that is read: later versions may have more than this one's 55 bytes.
const LONGEST_PARENT: usize = 128;
/// What stands in traces, which know numbers only, for a client that left; nginx began it.
const GONE: u16 = 499;
const GONE_WORD: &str = "gone";

/// The statuses that the service answers with. Others, which it should not have, are counted by their first digit.
const STATUSES: [(u16, &str); 29] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (206, "206"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (416, "416"),
    (421, "421"),
    (422, "422"),
    (429, "429"),
    (GONE, GONE_WORD),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (1, "1xx"),
    (2, "2xx"),
    (3, "3xx"),
    (4, "4xx"),
    (5, "5xx"),
    (0, "other"),
];

fn status_index(status: u16) -> usize {
    let at = |status| STATUSES.iter().position(|(other, _)| *other == status);
    at(status).or_else(|| at(status / 100)).unwrap_or(STATUSES.len() - 1)
}

/// What sees requests.
pub(super) struct Eye {
    metrics: Option<Metrics>,
    routes: Box<[OnceLock<Numbers>]>,
    traces: bool,
    sampler: Sampler,
    slow: Duration,
    /// Of those that failed or were slow, and of the others. A second brings no more of a route than are kept of all, so that
    /// neither a flood of refusals nor tracing everything costs more for it.
    kept: [PerSecond; 2],
    spans: Spans,
}

/// The numbers of one route. They are looked up once, since that takes longer than counting.
struct Numbers {
    requests: [OnceLock<Counter>; STATUSES.len()],
    duration: Traced,
    in_flight: Gauge,
    statements: Histogram,
}

impl Numbers {
    fn new(route: Route, metrics: &Metrics) -> Self {
        let (method, path) = (("method", route.method()), ("route", route.path()));
        Self {
            requests: [const { OnceLock::new() }; STATUSES.len()],
            duration: metrics.http_request_duration.get_or_create_owned(&[method, path]),
            in_flight: metrics.http_requests_in_flight.get_or_create_owned(&[path]),
            statements: metrics.http_request_statements.get_or_create_owned(&[path]),
        }
    }

    fn count(&self, route: Route, status: usize, metrics: &Metrics) {
        let find = || {
            let labels = [("method", route.method()), ("route", route.path()), ("status", STATUSES[status].1)];
            metrics.http_requests.get_or_create_owned(&labels)
        };
        self.requests[status].get_or_init(find).inc();
    }
}

impl Eye {
    pub(super) fn new(settings: &config::Telemetry, metrics: &Metrics, spans: &Spans) -> Self {
        let kept = u32::try_from(settings.traces_kept).unwrap_or(u32::MAX);
        Self {
            metrics: settings.metrics.then(|| metrics.clone()),
            routes: (0..Route::COUNT).map(|_| OnceLock::new()).collect(),
            traces: settings.traces,
            sampler: Sampler::new(settings, Route::COUNT, metrics),
            slow: settings.slow_request,
            kept: [(); 2].map(|()| PerSecond::new(kept, Route::COUNT)),
            spans: spans.clone(),
        }
    }

    /// A request has come. It is seen until it is answered, or until what this gives is dropped.
    pub(super) fn begin(&self, route: Route, headers: &HeaderMap, request: Option<&str>) -> Seen<'_> {
        let came = Instant::now();
        let parent = parent(headers);
        let work = Work::new(self.sampler.begin(parent, route.index(), came), request);
        let numbers = self.metrics.as_ref().map(|metrics| {
            let numbers = self.routes[route.index()].get_or_init(|| Numbers::new(route, metrics));
            numbers.in_flight.inc();
            (numbers, metrics)
        });
        Seen { eye: self, numbers, route, came, parent, work, status: GONE }
    }
}

/// Where the caller's trace stands. What is malformed, too long or there twice is as good as nothing, as the standard has it,
/// and nothing else that a caller says of its trace is read at all.
fn parent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let only = values.next().filter(|value| value.len() <= LONGEST_PARENT)?;
    if values.next().is_some() {
        return None;
    }
    only.to_str().ok()?.parse().ok()
}

/// A request that is under way.
pub(super) struct Seen<'a> {
    eye: &'a Eye,
    numbers: Option<(&'a Numbers, &'a Metrics)>,
    route: Route,
    came: Instant,
    parent: Option<TraceContext>,
    work: Work,
    status: u16,
}

impl Seen<'_> {
    /// What answers it works for this.
    pub(super) fn work(&self) -> Work {
        self.work.clone()
    }

    /// It is answered.
    pub(super) fn answered(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        let Self { eye, route, status, parent, ref work, .. } = *self;
        let (took, trace) = (self.came.elapsed(), work.trace());
        if let Some((numbers, metrics)) = self.numbers {
            numbers.count(route, status_index(status), metrics);
            let exemplar = trace.sampled.then(|| TraceLabel { trace_id: trace.trace.to_string() });
            numbers.duration.observe(took.as_secs_f64(), exemplar, None);
            numbers.statements.observe(f64::from(work.statements()));
            // Last: what is under way no more has been counted.
            numbers.in_flight.dec();
        }
        let remarkable = status >= 500 || took >= eye.slow;
        if trace.sampled || eye.traces && remarkable {
            let kept = eye.kept[usize::from(!remarkable)].admit(route.index(), self.came + took);
            let (name, method, route) = (route.name(), route.method(), route.path());
            let started = SystemTime::now() - took;
            eye.spans.answered(&Answered { work, parent, name, method, route, status, started, took }, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word_and_those_of_our_problems_their_own() {
        let word = |status| STATUSES[status_index(status)].1;
        for kind in crate::http::Kind::ALL {
            assert_eq!(word(kind.status().as_u16()), kind.status().as_str());
        }
        for (status, expected) in
            [(200, "200"), (499, "gone"), (418, "4xx"), (599, "5xx"), (101, "1xx"), (999, "other")]
        {
            assert_eq!(word(status), expected);
        }
    }

    #[test]
    fn a_parent_is_read_once_and_within_bounds() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACEPARENT, value.parse().unwrap());
            }
            parent(&headers)
        };
        assert_eq!(of(&[PARENT]), PARENT.parse().ok());
        let later = PARENT.replacen("00", "cc", 1);
        assert_eq!(of(&[&format!("{later}-{}", "x".repeat(60))]), PARENT.parse().ok());
        for bad in [&[][..], &[PARENT, PARENT], &[""], &[&format!("{later}-{}", "x".repeat(100))], &["caf\u{e9}"]] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
