//! What the service counts and times. Each family is declared once, in the table below; its doc comment is its help.
//!
//! A [`Metrics`] belongs to a process, and whatever counts is given a clone of it. `/metrics` of the operators' listener
//! shows it in the `OpenMetrics` text format.

use std::sync::Arc;

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{
        counter::Counter,
        exemplar::HistogramWithExemplars,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::telemetry::TraceLabel;

/// The values of a family's labels, in the sequence of its names. Each value is one of a few words of this program's own:
/// nothing that a client or a row can choose.
pub type Labels<const N: usize> = [(&'static str, &'static str); N];

/// How long something takes, in seconds: from a tenth of a millisecond to ten seconds. One bound is 0.3, which requests are
/// promised to stay under: whether they did can be counted only at a bound.
#[derive(Debug, Clone, Copy)]
pub struct Seconds;

const BUCKETS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0];

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

impl MetricConstructor<Traced> for Seconds {
    fn new_metric(&self) -> Traced {
        Traced::new(BUCKETS.into_iter())
    }
}

/// A few of something: statements of a request, members of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Few;

impl MetricConstructor<Histogram> for Few {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
    }
}

/// A histogram of durations in which a bucket names a trace that fell into it.
pub type Traced = HistogramWithExemplars<TraceLabel>;

/// A family of histograms of durations.
type Durations<const N: usize> = Family<Labels<N>, Histogram, Seconds>;

/// A family of such histograms with exemplars.
type TracedDurations<const N: usize> = Family<Labels<N>, Traced, Seconds>;

macro_rules! metrics {
    ($($(#[doc = $help:literal])* $name:ident: $kind:ty = $new:expr $(, $unit:expr)?;)*) => {
        /// Every family.
        #[derive(Debug)]
        pub struct Families {
            registry: Registry,
            $($(#[doc = $help])* pub $name: $kind,)*
        }

        impl Families {
            fn new() -> Self {
                let mut registry = Registry::default();
                $(
                    let $name: $kind = $new;
                    metrics!(@register registry, stringify!($name), concat!($($help),*).trim(), $name $(, $unit)?);
                )*
                Self { registry, $($name,)* }
            }
        }
    };
    (@register $registry:ident, $name:expr, $help:expr, $metric:ident) => {
        $registry.register($name, $help.trim_end_matches('.'), $metric.clone());
    };
    (@register $registry:ident, $name:expr, $help:expr, $metric:ident, $unit:expr) => {
        $registry.register_with_unit($name, $help.trim_end_matches('.'), $unit, $metric.clone());
    };
}

// A name here is without the endings that the format adds: `_total` for a counter, `_seconds` for a unit.
metrics! {
    /// Requests by method, route and the status of their answer; `gone` are those whose client left before there was one.
    http_requests: Family<Labels<3>, Counter> = Family::default();
    /// How long requests took from their head to the last of their handler, by method and route. Those whose client left
    /// count with what they had taken until then.
    http_request_duration: TracedDurations<2> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Requests that are worked on, by route.
    http_requests_in_flight: Family<Labels<1>, Gauge> = Family::default();
    /// Statements that a request asked the database for, by route. One that was shared counts for one of those who shared it.
    http_request_statements: Family<Labels<1>, Histogram, Few> = Family::new_with_constructor(Few);
    /// Connections that are open, by listener: public or ops.
    active_connections: Family<Labels<1>, Gauge> = Family::default();
    /// Statements, by name and by how they ended: ok, error, timeout, or abandoned by whoever asked.
    db_queries: Family<Labels<2>, Counter> = Family::default();
    /// How long statements took, by name, without the wait for a connection.
    db_query_duration: TracedDurations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Statements that took longer than `database.slow_statement`, by name.
    db_slow_statements: Family<Labels<1>, Counter> = Family::default();
    /// How long calls waited for a connection, by pool.
    db_pool_wait: Durations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Calls that got no connection in time, by pool.
    db_pool_timeouts: Family<Labels<1>, Counter> = Family::default();
    /// How many keys a statement of point reads asked for, by what was read.
    db_batch_size: Family<Labels<1>, Histogram, Few> = Family::new_with_constructor(Few);
    /// Traces that were begun here, by why: the caller keeps it (parent), the ratio, or the rate of its route.
    traces_begun: Family<Labels<1>, Counter> = Family::default();
    /// What was to leave the process, by kind (span, log or report for Sentry) and outcome: exported, dropped since the queue was
    /// full, failed, or limited, which is a report that was made often of late.
    telemetry_records: Family<Labels<2>, Counter> = Family::default();
    /// How long attempts to export took, by kind.
    telemetry_export_duration: Durations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Lines that were logged, by level.
    log_lines: Family<Labels<1>, Counter> = Family::default();
    /// Profiles that were asked for, by kind and by what came of it: done, busy with another, refused since it was asked for
    /// wrongly or cannot be taken, abandoned by its client, or failed.
    profiles: Family<Labels<2>, Counter> = Family::default();
    /// How late a task runs after the moment for which it asked to be woken: a thread that is blocked makes all others late.
    tokio_scheduling_delay: Histogram = Seconds.new_metric(), Unit::Seconds;
    /// What the console of a browser said of itself, in seconds, by vital: LCP, INP, FCP or TTFB.
    console_vitals: Durations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Operations on Redis, by what they are for and how they ended.
    redis_operations: Family<Labels<2>, Counter> = Family::default();
    /// How long operations on Redis took.
    redis_operation_duration: Durations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Answers given from a cache, by its level: memory or redis.
    cache_hits: Family<Labels<1>, Counter> = Family::default();
    /// Answers that no cache had.
    cache_misses: Counter = Counter::default();
    /// Reads by who answered them: a replica or the primary.
    replica_reads: Family<Labels<1>, Counter> = Family::default();
    /// Reads that went to the primary instead of a replica, by why.
    replica_fallbacks: Family<Labels<1>, Counter> = Family::default();
    /// Requests refused because too many of their kind were under way, by kind.
    bulkhead_refusals: Family<Labels<1>, Counter> = Family::default();
    /// State of a circuit breaker: 0 closed, 1 half open, 2 open.
    circuit_state: Family<Labels<1>, Gauge> = Family::default();
    /// Calls that a circuit breaker refused.
    circuit_refusals: Family<Labels<1>, Counter> = Family::default();
    /// Retries, by what was tried again.
    retries: Family<Labels<1>, Counter> = Family::default();
    /// Retries that were not made because the budget was used up.
    retries_denied: Family<Labels<1>, Counter> = Family::default();
    /// Events that the relay has turned into notifications.
    outbox_relayed: Counter = Counter::default();
    /// Notifications found due by the scheduler, by kind.
    jobs_enqueued: Family<Labels<1>, Counter> = Family::default();
    /// Notifications that a worker is done with for now, by outcome: sent, retried, dead, dropped since its customer is gone,
    /// returned unsent, or lost to another that took it over.
    jobs_processed: Family<Labels<1>, Counter> = Family::default();
    /// How long sending a notification took.
    jobs_duration: Durations<1> = Family::new_with_constructor(Seconds), Unit::Seconds;
    /// Notifications that wait to be sent.
    jobs_queued: Gauge = Gauge::default();
    /// Dead letters.
    jobs_dead: Gauge = Gauge::default();
    /// Notifications taken up again after a worker had begun to send them and recorded nothing, so that their customer may
    /// have them twice.
    mail_repeats_possible: Counter = Counter::default();
    /// Messages given to the broker, by whether it confirmed or refused them, or that is unknown.
    broker_published: Family<Labels<1>, Counter> = Family::default();
    /// Messages from the broker that name no notification.
    broker_rejected: Counter = Counter::default();
    /// Connections to the broker that were made anew.
    broker_reconnects: Counter = Counter::default();
    /// Whether this process is the scheduler that works: 1 if it is.
    scheduler_leader: Gauge = Gauge::default();
    /// Clients that listen to events.
    event_streams: Gauge = Gauge::default();
    /// Streams that were ended by the service, by why.
    event_streams_dropped: Family<Labels<1>, Counter> = Family::default();
    /// Events sent to clients.
    events_sent: Counter = Counter::default();
}

/// The metrics of a process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Families::new()))
    }
}

impl std::ops::Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

impl Metrics {
    /// Everything, in the `OpenMetrics` text format.
    pub fn text(&self) -> String {
        self.text_with(&Registry::default())
    }

    /// The same, and behind it what else there is to tell at this moment.
    pub fn text_with(&self, now: &Registry) -> String {
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.registry).and_then(|()| encode_registry(&mut text, now));
        written.and_then(|()| encode_eof(&mut text)).expect("a String takes everything");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_name_unit_and_help() {
        let metrics = Metrics::default();
        metrics.cache_hits.get_or_create(&[("level", "redis")]).inc();
        metrics.redis_operation_duration.get_or_create(&[("operation", "get")]).observe(0.002);
        let text = metrics.text();
        for line in [
            "# HELP cache_hits Answers given from a cache, by its level: memory or redis.",
            "cache_hits_total{level=\"redis\"} 1",
            "# UNIT redis_operation_duration_seconds seconds",
            "redis_operation_duration_seconds_bucket{le=\"0.0025\",operation=\"get\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
