//! A trace as it is kept: the spans that ended in this process, each bounded in size.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Key, Value,
    trace::{SpanId, SpanKind, Status, TraceId},
};
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;

use crate::telemetry::bounds::shortened;

/// The most spans that are kept of a trace.
pub(super) const SPANS: usize = 200;
/// The most attributes that are kept of a span.
const ATTRIBUTES: usize = 16;
/// The most bytes that are kept of a name or of an attribute's value.
const TEXT: usize = 200;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its identifier.
    pub span: SpanId,
    /// Its parent's, wherever that is.
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: Cow<'static, str>,
    /// `server`, `client`, `consumer`, `producer` or `internal`.
    pub kind: &'static str,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed.
    pub error: bool,
    /// What else is known of it.
    pub attributes: Vec<(Key, serde_json::Value)>,
}

/// What a trace is told apart by: the request or job that it is of in this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The name of its span.
    pub name: Cow<'static, str>,
    /// The request's identifier.
    pub request: Option<String>,
    /// The request's route.
    pub route: Option<String>,
    /// The status of its answer.
    pub status: Option<u16>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed.
    pub failed: bool,
}

/// What is known of a trace.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The first request or job of it. Its spans end before it does, so that it is not there at first.
    pub root: Option<Root>,
    /// Its spans in the sequence of their ends.
    pub spans: Vec<Step>,
    /// How many more there were.
    pub dropped: usize,
    /// Whether it was traced. If not, all that is known is its outline.
    pub sampled: bool,
}

impl Trace {
    /// Adds a span, and how many more there are now: a span that begins a part of the trace in this process pushes another
    /// out where there are too many.
    pub(super) fn add(&mut self, step: Step, root: Option<Root>) -> usize {
        let full = self.spans.len() >= SPANS;
        if full {
            self.dropped += 1;
        }
        if full && root.is_some() {
            self.spans.pop();
        }
        let room = self.spans.len() < SPANS;
        if room {
            self.spans.push(step);
        }
        if let Some(root) = root
            && self.root.as_ref().is_none_or(|first| root.started < first.started)
        {
            self.root = Some(root);
        }
        usize::from(!full && room)
    }

    /// When its first request or job began.
    pub fn started(&self) -> SystemTime {
        self.root.as_ref().map_or(SystemTime::UNIX_EPOCH, |root| root.started)
    }

    /// How long that took.
    pub fn took(&self) -> Duration {
        self.root.as_ref().map_or(Duration::ZERO, |root| root.took)
    }

    /// The request's route, if it is one's.
    pub fn route(&self) -> Option<&str> {
        self.root.as_ref()?.route.as_deref()
    }

    /// The status of the request's answer.
    pub fn status(&self) -> Option<u16> {
        self.root.as_ref()?.status
    }
}

/// Which trace a span belongs to, what is kept of it, and what it says of its trace if it begins a part of it here.
pub(super) fn parts(span: &SpanData) -> (TraceId, Step, Option<Root>) {
    let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let error = matches!(span.status, Status::Error { .. });
    let parent = Some(span.parent_span_id).filter(|parent| *parent != SpanId::INVALID);
    let step = Step {
        span: span.span_context.span_id(),
        parent,
        name: match &span.name {
            Cow::Borrowed(name) => Cow::Borrowed(name),
            Cow::Owned(name) => Cow::Owned(shortened(name, TEXT).to_owned()),
        },
        kind: kind(&span.span_kind),
        started: span.start_time,
        took,
        error,
        attributes: span.attributes.iter().take(ATTRIBUTES).map(|of| (of.key.clone(), json(&of.value))).collect(),
    };
    let begins = parent.is_none() || span.parent_span_is_remote;
    let root = begins.then(|| {
        let find = |name: &str| span.attributes.iter().rev().find(|of| of.key.as_str() == name).map(|of| &of.value);
        let text = |name| find(name).map(|value| shortened(&value.as_str(), TEXT).to_owned());
        let status = match find("http.response.status_code") {
            Some(Value::I64(status)) => u16::try_from(*status).ok(),
            _ => None,
        };
        Root {
            name: step.name.clone(),
            request: text("orderflow.request_id"),
            route: text("http.route"),
            status,
            started: span.start_time,
            took,
            failed: error || status.is_some_and(|status| status >= 500),
        }
    });
    (span.span_context.trace_id(), step, root)
}

fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Consumer => "consumer",
        SpanKind::Producer => "producer",
        SpanKind::Internal => "internal",
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F64(value) => json!(value),
        other => json!(shortened(&other.as_str(), TEXT)),
    }
}
