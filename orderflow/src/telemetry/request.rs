//! The span of a request. It is made when the request is answered, from what is known then, and never known to `tracing`: to
//! begin and end it there would take a fifth of the time that an answer from the cache takes. What is below it finds it by
//! the [`Work`] of its task.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{SpanId, SpanKind, Status, TraceContextExt},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::Span;

use super::{TraceContext, Work};

/// Who says that a span is.
pub(super) const SCOPE: &str = "orderflow";

/// A request that is answered, or whose client has left.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// What answered it worked for this.
    pub work: &'a Work,
    /// What its caller said of its trace.
    pub parent: Option<TraceContext>,
    /// Method and route.
    pub name: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its route.
    pub route: &'static str,
    /// The status of its answer.
    pub status: u16,
    /// When it came.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
}

impl Answered<'_> {
    /// As it is kept and sent.
    pub fn span(&self) -> SpanData {
        let Self { work, parent, name, method, route, status, started, took } = *self;
        let mut attributes = Vec::with_capacity(5);
        attributes.push(KeyValue::new("http.request.method", method));
        attributes.push(KeyValue::new("http.route", route));
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(request) = work.request() {
            attributes.push(KeyValue::new("orderflow.request_id", request.to_owned()));
        }
        if work.had_it_in_memory() {
            attributes.push(KeyValue::new("cache.hit", true));
        }
        SpanData {
            span_context: work.trace().span_context(false),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| parent.span),
            parent_span_is_remote: parent.is_some(),
            span_kind: SpanKind::Server,
            name: name.into(),
            start_time: started,
            end_time: started + took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if status >= 500 { Status::error("") } else { Status::Unset },
            instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
        }
    }
}

/// Begins a step of what the current task works for. It is a part of the step that it is taken in; where that is none, of the
/// request.
pub fn step(begin: impl FnOnce() -> Span) -> Span {
    let request = Work::with(|work| work.request().is_some().then(|| work.trace().span_context(false))).flatten();
    let _below = request.map(|request| Context::new().with_remote_span_context(request).attach());
    begin()
}

#[cfg(test)]
mod tests {
    use tracing::Instrument;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{
        step,
        telemetry::{Recent, Search, export::Exporter, span, start},
    };

    #[tokio::test]
    async fn a_request_is_what_its_work_says_and_its_steps_are_below_it() {
        let (parent, root) = (TraceContext::root(true), TraceContext::root(true));
        let ours = parent.child();
        let recent = Recent::new(10, Duration::from_hours(1));
        let spans = Exporter::spans(None, recent.clone());
        let subscriber = tracing_subscriber::registry().with(vec![start::traces_kept(recent.clone())]);
        let _until_then = tracing::subscriber::set_default(subscriber);
        for (context, parent, status, kept) in [
            (ours, Some(parent), 503, true),
            (root, None, 200, true),
            (TraceContext::root(true), None, 200, false),
            (TraceContext::root(false), None, 503, true),
        ] {
            let work = Work::new(context, Some("r-1"));
            let steps = async {
                step!("a step").in_scope(|| step!("a step of that").in_scope(|| ()));
                Work::with(Work::found_in_memory).unwrap();
            };
            work.clone().scope(steps).await;
            let (name, method, route) = ("GET /api/stats", "GET", "/api/stats");
            let (started, took) = (SystemTime::now(), Duration::from_millis(3));
            spans.answered(&Answered { work: &work, parent, name, method, route, status, started, took }, kept);
        }
        let found = recent.traces(&Search { limit: 10, ..Search::default() });
        assert_eq!(found.len(), 3, "what is not wanted is not there");
        for (context, parent, status) in [(ours, Some(parent.span), 503), (root, None, 200)] {
            let of = found.iter().find(|found| found.id == context.trace).unwrap();
            let steps: Vec<_> = of.trace.spans.iter().map(|step| (&*step.name, step.parent, step.kind)).collect();
            let first = of.trace.spans[1].span;
            let expected = [
                ("a step of that", Some(first), "internal"),
                ("a step", Some(context.span), "internal"),
                ("GET /api/stats", parent, "server"),
            ];
            assert_eq!(steps, expected);
            assert_eq!(of.trace.spans[2].span, context.span);
            let hit =
                of.trace.spans[2].attributes.iter().any(|(key, value)| key.as_str() == "cache.hit" && value == true);
            assert!(hit && of.trace.sampled);
            assert_eq!((of.trace.status(), of.trace.route()), (Some(status), Some("/api/stats")));
            let root = of.trace.root.as_ref().unwrap();
            assert!(root.failed == (status == 503) && root.request.as_deref() == Some("r-1"));
        }
        let outline = found.iter().find(|found| !found.trace.sampled).unwrap();
        assert_eq!(outline.trace.spans.len(), 1, "it has no steps");
    }

    #[tokio::test]
    async fn a_step_of_a_job_is_below_the_job() {
        let recent = Recent::new(10, Duration::from_hours(1));
        let subscriber = tracing_subscriber::registry().with(vec![start::traces_kept(recent.clone())]);
        let _until_then = tracing::subscriber::set_default(subscriber);
        let (work, span) = span::job("relay events", true);
        let context = work.trace();
        work.scope(async { step!("a step").in_scope(|| ()) }.instrument(span)).await;
        let found = recent.traces(&Search { limit: 10, ..Search::default() });
        let parents: Vec<_> = found[0].trace.spans.iter().map(|step| step.parent).collect();
        assert_eq!(parents, [Some(context.span), None]);
    }
}
