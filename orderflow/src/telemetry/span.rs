//! Spans that begin a part of a trace in this process: of a request, of a job, of a message that is worked on. Each begins
//! under the identifiers that its [`Work`] has, so that logs, answers, exemplars and exported spans name the same trace.

use std::cell::Cell;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::{Span, field::Empty, info_span};
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
        parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(SpanContext::from(parent)));
    // Without the layer there is no span to begin.
    if span.set_parent(above).is_ok() {
        CHOSEN.set(Some(context));
        let _begun = span.context();
        CHOSEN.set(None);
    }
    span
}

/// The span of a request that this work answers. Nothing where that is not traced. When it is answered, see [`answered`].
pub fn server(work: &Work, parent: Option<TraceContext>, method: &'static str, route: &'static str) -> Span {
    if !work.trace().sampled {
        return Span::none();
    }
    let span = info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        orderflow.request_id = work.request(),
    );
    begin(span, work.trace(), parent)
}

/// Says how a request was answered.
pub fn answered(span: &Span, status: u16) {
    // Unsigned numbers would become texts.
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        failed(span);
    }
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
