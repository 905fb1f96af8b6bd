//! Where jobs stand in traces. What is done for an order is a part of the order's trace, in whichever process; what a process
//! does of itself has a trace of its own, as often as the settings say.

use std::{sync::Arc, time::Instant};

use tracing::{Instrument, Span, field::Empty, info_span};

use super::{Claimed, Outcome};
use crate::{
    config,
    metrics::Metrics,
    telemetry::{self, Sampler, TraceContext, Work, span},
};

/// Kinds of job that may have a trace of their own. Their rates are apart, as those of routes are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Own {
    /// A mail that belongs to no order's trace.
    Send,
    /// A round of the relay.
    Relay,
    /// A look of the scheduler.
    Look,
}

/// How many they are.
const KINDS: usize = 3;

/// Begins the traces of jobs. Clones are the same. By default only what belongs to an order's trace has one.
#[derive(Debug, Clone, Default)]
pub struct Traces(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    off: bool,
    sampler: Option<Sampler>,
}

impl Traces {
    /// As the settings say.
    pub fn new(settings: &config::Telemetry, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner { off: !settings.traces, sampler: Some(Sampler::new(settings, KINDS, metrics)) }))
    }

    /// A job that the process does of itself. Only one that is `worth` it may be traced: looks that find nothing would push
    /// everything else out of what is kept.
    pub(crate) fn own(&self, kind: Own, name: &'static str, worth: bool) -> (Work, Span) {
        span::job(name, worth && self.begin(kind).sampled)
    }

    fn begin(&self, kind: Own) -> TraceContext {
        let sampler = self.0.sampler.as_ref();
        sampler.map_or_else(|| TraceContext::root(false), |sampler| sampler.begin(None, kind as usize, Instant::now()))
    }

    /// One attempt to send a notification, which was taken up by way of that system.
    pub(super) fn sending(&self, claimed: &Claimed, system: &'static str) -> (Work, Span) {
        let parent = claimed.trace.map(|trace| TraceContext { sampled: trace.sampled && !self.0.off, ..trace });
        let context = parent.map_or_else(|| self.begin(Own::Send), TraceContext::child);
        let work = Work::new(context, None);
        if !context.sampled {
            return (work, Span::none());
        }
        let span = info_span!(
            target: "orderflow::trace",
            parent: None,
            "send a notification",
            otel.kind = "consumer",
            messaging.system = system,
            notification = claimed.id.0,
            kind = claimed.kind.as_str(),
            attempt = claimed.attempt,
            outcome = Empty,
        );
        let span = span::begin(span, context, parent);
        (work, span)
    }
}

/// Says in the current span what became of a notification.
pub(super) fn ended(outcome: &Outcome) {
    if telemetry::sampled() {
        let span = Span::current();
        span.record("outcome", outcome.word());
        if matches!(outcome, Outcome::Retry(_) | Outcome::Dead(_)) {
            span::failed(&span);
        }
    }
}

/// Giving a notification to a broker, in the trace of its order. Whoever takes it goes on where this stands.
pub(super) fn publishing(parent: TraceContext) -> (Work, Span) {
    if !parent.sampled {
        return (Work::new(parent, None), Span::none());
    }
    let work = Work::new(parent.child(), None);
    let span = info_span!(
        target: "orderflow::trace",
        parent: None,
        "publish a notification",
        otel.kind = "producer",
        messaging.system = "rabbitmq",
    );
    let span = span::begin(span, work.trace(), Some(parent));
    (work, span)
}

/// Taking up a notification that a message names, in the trace that the message names too.
pub(super) async fn taking_up<T>(parent: TraceContext, doing: impl Future<Output = T>) -> T {
    let work = Work::new(parent.child(), None);
    let span = if parent.sampled {
        let span = info_span!(target: "orderflow::trace", parent: None, "take up a notification");
        span::begin(span, work.trace(), Some(parent))
    } else {
        Span::none()
    };
    work.scope(doing.instrument(span)).await
}

/// Shows in the trace of an order when it became a notification. It took no time of its own: a round of the relay takes many.
pub(super) fn relayed(parent: TraceContext) {
    if parent.sampled {
        let span = info_span!(target: "orderflow::trace", parent: None, "relay an order");
        drop(span::begin(span, parent.child(), Some(parent)));
    }
}
