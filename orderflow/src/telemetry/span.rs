//! Spans that begin a part of a trace in this process: of a job, of a message that is worked on. Each begins under the identifiers that its [`Work`] has, so that logs, answers, exemplars and exported spans name the same trace.

use std::cell::Cell;

use opentelemetry::{
    Context,
    trace::{SpanId, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TARGET, TraceContext, Work};

thread_local! {
    /// What the span that is begun just now is to be called.
    static CHOSEN: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// Gives a span the identifiers that [`begin`] has chosen, and random ones to all others.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.get().map_or_else(|| self.0.new_trace_id(), |chosen| chosen.trace)
    }

    fn new_span_id(&self) -> SpanId {
        CHOSEN.get().map_or_else(|| self.0.new_span_id(), |chosen| chosen.span)
    }
}

/// Begins a span of the target [`TARGET`] as `context`, a child of `parent` in the same trace and another process
/// or task, if there is one. It must not have been entered yet.
pub fn begin(span: Span, context: TraceContext, parent: Option<TraceContext>) -> Span {
    let above =
        parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent.span_context(true)));
    // Without the layer there is no span to begin.
    if span.set_parent(above).is_ok() {
        CHOSEN.set(Some(context));
        let _begun = span.context();
        CHOSEN.set(None);
    }
    span
}

/// Work on a message or a row that came from elsewhere, and its span: a child of `parent`, in the same trace.
pub fn consumer(name: &'static str, parent: TraceContext) -> (Work, Span) {
    let work = Work::new(parent.child(), None);
    if !parent.sampled {
        return (work, Span::none());
    }
    let span = info_span!(target: TARGET, parent: None, "consumer", otel.name = name, otel.kind = "consumer");
    let span = begin(span, work.trace(), Some(parent));
    (work, span)
}

/// A job that the process does of itself, in a trace of its own, and its span.
pub fn job(name: &'static str, sampled: bool) -> (Work, Span) {
    let work = Work::new(TraceContext::root(sampled), None);
    if !sampled {
        return (work, Span::none());
    }
    let span = info_span!(target: TARGET, parent: None, "job", otel.name = name);
    let span = begin(span, work.trace(), None);
    (work, span)
}

/// Says something more of a span. The name is a constant of ours, the value nothing personal.
pub fn attribute(span: &Span, name: &'static str, value: impl Into<opentelemetry::Value>) {
    span.set_attribute(name, value);
}

/// Says that a span's work failed.
pub fn failed(span: &Span) {
    span.set_status(opentelemetry::trace::Status::error(""));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::Instrument;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{
        step,
        telemetry::{Found, Recent, Search, start},
    };

    /// What is kept of what is done in this thread.
    fn kept(does: impl Future<Output = ()>) -> Vec<Found> {
        let recent = Recent::new(10, Duration::from_hours(1));
        let subscriber = tracing_subscriber::registry().with(vec![start::traces_kept(recent.clone())]);
        tracing::subscriber::with_default(subscriber, || {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(does);
        });
        recent.traces(&Search { limit: 10, ..Search::default() })
    }

    #[test]
    fn what_comes_from_elsewhere_stays_in_its_trace_and_a_job_begins_one() {
        let parent = TraceContext::root(true);
        let found = kept(async {
            let (work, span) = consumer("send a notification", parent);
            attribute(&span, "attempt", 2);
            work.scope(async { step!("send a mail").in_scope(|| ()) }.instrument(span)).await;
            let (work, span) = job("relay events", true);
            failed(&span);
            work.scope(async {}.instrument(span)).await;
            assert!(consumer("send a notification", TraceContext::root(false)).1.is_none());
            assert!(job("relay events", false).1.is_none());
        });
        let name = |found: &Found| found.trace.root.as_ref().map(|root| (root.name.to_string(), root.failed));
        let sent = found.iter().find(|found| found.id == parent.trace).unwrap();
        assert_eq!(name(sent), Some(("send a notification".to_owned(), false)));
        let (mail, consumed) = (&sent.trace.spans[0], &sent.trace.spans[1]);
        assert_eq!((mail.parent, consumed.parent, consumed.kind), (Some(consumed.span), Some(parent.span), "consumer"));
        assert_eq!(consumed.attributes, [("attempt".into(), 2.into())]);
        let job = found.iter().find(|found| found.id != parent.trace).unwrap();
        assert_eq!((found.len(), name(job)), (2, Some(("relay events".to_owned(), true))));
    }
}
