//! What the process shows of itself while tests run: spans as they would be sent, statements as the driver counts them, and
//! warnings.

use std::{
    fmt::{Debug, Write as _},
    sync::{
        Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::{
    Context as TracedContext, SpanId, Value,
    trace::{TraceId, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use orderflow::telemetry::{Answered, TARGET, TraceContext, Work};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, prelude::*};

/// Far more than passes between an answer and the end of the task that it came from.
const A_MOMENT: Duration = Duration::from_millis(100);

static SPANS: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());
static WARNINGS: Mutex<Vec<Warning>> = Mutex::new(Vec::new());
static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

/// A line that would be logged.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    /// The trace of what the task worked for.
    pub(crate) trace: Option<TraceId>,
    /// Message and fields.
    pub(crate) text: String,
}

/// Records from now on, for the whole process.
pub(crate) fn record() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let provider = SdkTracerProvider::builder().with_span_processor(Ended).build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_context_activation(false);
        tracing_subscriber::registry()
            .with(spans.with_filter(Targets::new().with_target(TARGET, Level::INFO)))
            .with(Driver.with_filter(Targets::new().with_target("sqlx::query", Level::DEBUG)))
            .with(Warnings.with_filter(Targets::new().with_target("orderflow", Level::WARN)))
            .init();
    });
}

/// How many statements the driver has sent.
pub(crate) fn statements() -> usize {
    STATEMENTS.load(Ordering::SeqCst)
}

/// The warnings that were given while this trace was worked for.
pub(crate) fn warnings(trace: TraceId) -> Vec<String> {
    let warnings = WARNINGS.lock().unwrap();
    warnings.iter().filter(|warning| warning.trace == Some(trace)).map(|warning| warning.text.clone()).collect()
}

/// A request that is traced, or not, as the edge would begin it. The name tells it from all others.
pub(crate) fn work(request: &str, sampled: bool) -> Work {
    record();
    Work::new(TraceContext::root(sampled), Some(request))
}

/// Does something for a request.
pub(crate) async fn answer<T>(work: &Work, answering: impl Future<Output = T>) -> T {
    let (started, began) = (SystemTime::now(), Instant::now());
    let answer = work.clone().scope(answering).await;
    if work.trace().sampled {
        let (name, method, route, status, took) = ("GET /test", "GET", "/test", 200, began.elapsed());
        let request = Answered { work, parent: None, name, method, route, status, started, took };
        SPANS.lock().unwrap().push(request.span());
    }
    answer
}

/// The spans of a traced request, once it is answered and nothing more of it ends for a moment: a task that it has waited
/// for ends its own span just after it has told what it found.
pub(crate) async fn spans(request: &str) -> Vec<SpanData> {
    spans_when(request, 1).await
}

/// The same once there are so many: what is begun in the background ends later than the request.
pub(crate) async fn spans_when(request: &str, count: usize) -> Vec<SpanData> {
    let start = Instant::now();
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let ended = SPANS.lock().unwrap().clone();
        let root = ended.iter().find(|span| text(span, "orderflow.request_id").as_deref() == Some(request));
        if let Some(trace) = root.map(|root| root.span_context.trace_id()) {
            let of: Vec<_> = ended.into_iter().filter(|span| span.span_context.trace_id() == trace).collect();
            if of.len() != seen {
                (seen, since) = (of.len(), Instant::now());
            }
            let known = |id| id == SpanId::INVALID || of.iter().any(|span| span.span_context.span_id() == id);
            let whole = of.len() >= count && of.iter().all(|span| known(span.parent_span_id));
            if whole && since.elapsed() >= A_MOMENT {
                return of;
            }
        }
        assert!(start.elapsed() < Duration::from_mins(1), "waited a minute for the span of {request}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An attribute of a span, as text.
pub(crate) fn text(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
    Some(match &found.value {
        Value::String(text) => text.as_str().to_owned(),
        other => other.to_string(),
    })
}

/// What a span is about.
pub(crate) fn name(span: &SpanData) -> String {
    let about = text(span, "db.query.name").or_else(|| text(span, "db.operation.name"));
    about.map_or_else(|| span.name.to_string(), |about| format!("{}: {about}", span.name))
}

/// The spans as a tree: a line each, in the order of their beginnings, two spaces further in than its parent. Connections that
/// are opened on the way are left out: that depends on what others did before.
pub(crate) fn tree(spans: &[SpanData]) -> String {
    let mut spans: Vec<_> = spans.iter().filter(|span| span.name != "open a connection").collect();
    spans.sort_by_key(|span| span.start_time);
    let mut tree = String::new();
    branch(&spans, SpanId::INVALID, 0, &mut tree);
    assert_eq!(tree.lines().count(), spans.len(), "a span has no parent among {spans:#?}");
    tree
}

fn branch(spans: &[&SpanData], parent: SpanId, depth: usize, tree: &mut String) {
    for span in spans.iter().filter(|span| span.parent_span_id == parent) {
        writeln!(tree, "{}{}", "  ".repeat(depth), name(span)).unwrap();
        branch(spans, span.span_context.span_id(), depth + 1, tree);
    }
}

/// Everything that was recorded so far, as one text.
pub(crate) fn everything() -> String {
    format!("{:?} {:?}", SPANS.lock().unwrap(), WARNINGS.lock().unwrap())
}

#[derive(Debug)]
struct Ended;

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &TracedContext) {}

    fn on_end(&self, span: SpanData) {
        SPANS.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Driver;

impl<S: Subscriber> Layer<S> for Driver {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        STATEMENTS.fetch_add(1, Ordering::SeqCst);
    }
}

struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| write!(text, "{field}={value:?} ").unwrap());
        let trace = Work::with(|work| work.trace().trace);
        WARNINGS.lock().unwrap().push(Warning { trace, text });
    }
}
