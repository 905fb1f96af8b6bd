//! Counting, timing and tracing of operations on Redis.

use std::time::Instant;

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use tracing::{Span, field::Empty};

use crate::{metrics::Metrics, step};

macro_rules! operations {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal,)*) => {
        /// What an operation is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $($(#[doc = $doc])* $name,)*
        }

        impl Operation {
            const LABELS: &[&str] = &[$($label),*];
        }
    };
}

operations! {
    /// Asking whether Redis answers.
    Ping = "ping",
    /// Telling who listens.
    Publish = "publish",
    /// Beginning to listen.
    Subscribe = "subscribe",
    /// Looking for a cached answer.
    Lookup = "lookup",
    /// Keeping an answer.
    Store = "store",
    /// Letting others load an answer that was not found.
    Release = "release",
    /// Saying that something has changed.
    Invalidate = "invalidate",
    /// Beginning to use the cache on a new connection.
    Join = "join",
    /// Counting a client's request.
    Rate = "rate",
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Error,
    Timeout,
    Refused,
}

impl Outcome {
    const LABELS: [&str; 4] = ["ok", "error", "timeout", "refused"];
}

/// The metrics of each operation, looked up once.
pub(super) struct Meter(Vec<Meters>);

struct Meters {
    outcomes: [Counter; Outcome::LABELS.len()],
    duration: Histogram,
}

impl Meter {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let meters = |operation: &&'static str| Meters {
            outcomes: Outcome::LABELS.map(|outcome| {
                metrics.redis_operations.get_or_create_owned(&[("operation", *operation), ("outcome", outcome)])
            }),
            duration: metrics.redis_operation_duration.get_or_create_owned(&[("operation", *operation)]),
        };
        Self(Operation::LABELS.iter().map(meters).collect())
    }

    pub(super) fn start(&self, operation: Operation) -> Timer<'_> {
        let name = Operation::LABELS[operation as usize];
        Timer { meters: &self.0[operation as usize], name, began: None, span: Span::none() }
    }
}

/// One operation. Dropped before its end it was given up by whoever had asked, which counts as nothing.
pub(super) struct Timer<'a> {
    meters: &'a Meters,
    name: &'static str,
    began: Option<Instant>,
    span: Span,
}

impl Timer<'_> {
    /// From now on it takes time, which is spent in this span. What is refused takes none.
    pub(super) fn begins(&mut self) -> Span {
        self.span = step!(
            "redis",
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "redis",
            db.operation.name = self.name,
            error.type = Empty,
        );
        self.began = Some(Instant::now());
        self.span.clone()
    }

    /// Counts it, and gives its result.
    pub(super) fn end<T>(self, outcome: Outcome, result: T) -> T {
        self.meters.outcomes[outcome as usize].inc();
        if outcome != Outcome::Ok {
            self.span.record("otel.status_code", "ERROR").record("error.type", Outcome::LABELS[outcome as usize]);
        }
        if let Some(began) = self.began {
            self.meters.duration.observe(began.elapsed().as_secs_f64());
        }
        result
    }
}
