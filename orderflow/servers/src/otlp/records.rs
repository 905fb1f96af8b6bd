//! What a collector keeps of spans and log records: what tests look at, in plain words.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};

/// The most records of a kind that are kept; a test that sends more counts on none of them.
const MOST: usize = 200_000;

/// Everything that has come.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// How many requests there were, whatever became of them.
    pub requests: u64,
    /// Spans, in the sequence in which they came.
    pub spans: Vec<CollectedSpan>,
    /// Log records, in the sequence in which they came.
    pub logs: Vec<CollectedLog>,
}

/// A span. Values are texts as `Display` writes them.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// As many, if it has a parent.
    pub parent_id: Option<String>,
    /// What it is called.
    pub name: String,
    /// `server`, `client`, `consumer`, `producer` or `internal`.
    pub kind: &'static str,
    /// Whether it failed.
    pub error: bool,
    /// What else is known of it.
    pub attributes: BTreeMap<String, String>,
    /// What sent it.
    pub resource: BTreeMap<String, String>,
}

/// A log record. Values are texts as `Display` writes them.
#[derive(Debug, Clone)]
pub struct CollectedLog {
    /// 32 hexadecimal digits, if it is of a trace.
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits, if it is of a span.
    pub span_id: Option<String>,
    /// `INFO` and the like.
    pub severity: String,
    /// What it says.
    pub body: String,
    /// What else is known of it.
    pub attributes: BTreeMap<String, String>,
    /// What sent it.
    pub resource: BTreeMap<String, String>,
}

impl Collected {
    pub(super) fn add_spans(&mut self, request: ExportTraceServiceRequest) {
        for of in request.resource_spans {
            let resource = resource(of.resource);
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.extend(spans.map(|span| CollectedSpan::from(span, &resource)));
        }
        self.spans.truncate(MOST);
    }

    pub(super) fn add_logs(&mut self, request: ExportLogsServiceRequest) {
        for of in request.resource_logs {
            let resource = resource(of.resource);
            for record in of.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                self.logs.push(CollectedLog {
                    trace_id: hex(&record.trace_id),
                    span_id: hex(&record.span_id),
                    severity: record.severity_text,
                    body: record.body.map(text).unwrap_or_default(),
                    attributes: texts(record.attributes),
                    resource: resource.clone(),
                });
            }
        }
        self.logs.truncate(MOST);
    }
}

impl CollectedSpan {
    fn from(span: Span, resource: &BTreeMap<String, String>) -> Self {
        let kind = match span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Consumer => "consumer",
            SpanKind::Producer => "producer",
            SpanKind::Internal | SpanKind::Unspecified => "internal",
        };
        Self {
            trace_id: hex(&span.trace_id).unwrap_or_default(),
            span_id: hex(&span.span_id).unwrap_or_default(),
            parent_id: hex(&span.parent_span_id),
            kind,
            error: span.status.is_some_and(|status| status.code() == StatusCode::Error),
            name: span.name,
            attributes: texts(span.attributes),
            resource: resource.clone(),
        }
    }
}

fn resource(resource: Option<Resource>) -> BTreeMap<String, String> {
    texts(resource.map(|resource| resource.attributes).unwrap_or_default())
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|of| (of.key, of.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        None => String::new(),
        Some(other) => format!("{other:?}"),
    }
}

/// An identifier; `None` where there is none.
fn hex(bytes: &[u8]) -> Option<String> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    (!bytes.is_empty()).then(|| digits.collect())
}
