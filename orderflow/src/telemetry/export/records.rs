//! What the SDK of OpenTelemetry hands over: ended spans and log records, which are bounded in size, given their place in a
//! trace, and put where they wait.

use std::{cell::Cell, sync::Arc, time::Duration};

use opentelemetry::{
    Array, InstrumentationScope, KeyValue, StringValue, Value,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
    trace::TraceFlags,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider},
    trace::{Span, SpanData, SpanProcessor},
};

use super::{otlp::Log, queue::Queue};
use crate::telemetry::{Answered, Recent, Work, bounds::shortened};

/// The most bytes of a text that leaves the process: an attribute's, and a log message.
const TEXT: usize = 1_024;
const MESSAGE: usize = 8_192;

thread_local! {
    /// Whether this thread sends what others have said. What it says itself stays here, or it would go on for ever.
    pub(super) static SENDS: Cell<bool> = const { Cell::new(false) };
}

/// Keeps every span that has ended, and has it sent where there is a collector. Clones are the same. The default sends
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    pub(super) recent: Recent,
    pub(super) queue: Option<Arc<Queue<SpanData>>>,
}

impl Spans {
    /// Takes the span of a request. It is sent if it is traced, and kept if that is wanted.
    pub fn answered(&self, request: &Answered<'_>, kept: bool) {
        let queue = self.queue.as_ref().filter(|_| request.work.trace().sampled);
        if !kept && queue.is_none() {
            return;
        }
        let span = request.span();
        if kept {
            self.recent.ended(&span);
        }
        if let Some(queue) = queue {
            queue.push(span);
        }
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, mut span: SpanData) {
        self.recent.ended(&span);
        if let Some(queue) = &self.queue {
            span.attributes.iter_mut().for_each(bound);
            queue.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _within: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn bound(attribute: &mut KeyValue) {
    let long = |text: &StringValue| text.as_str().len() > TEXT;
    let cut = |text: &StringValue| StringValue::from(shortened(text.as_str(), TEXT).to_owned());
    match &mut attribute.value {
        Value::String(text) if long(text) => *text = cut(text),
        Value::Array(Array::String(texts)) => {
            texts.iter_mut().filter(|text| long(text)).for_each(|text| *text = cut(text));
        }
        _ => {}
    }
}

/// Has every log record sent, with the trace and the request that it is of.
#[derive(Debug)]
pub(in crate::telemetry) struct Logs {
    queue: Arc<Queue<Log>>,
    /// Makes empty records.
    blank: SdkLogger,
}

impl Logs {
    pub(super) fn into(queue: Arc<Queue<Log>>) -> Self {
        Self { queue, blank: SdkLoggerProvider::builder().build().logger("") }
    }

    /// The same record with shorter texts.
    fn bounded(&self, record: &SdkLogRecord) -> SdkLogRecord {
        let mut bounded = self.blank.create_log_record();
        if let Some(name) = record.event_name() {
            bounded.set_event_name(name);
        }
        if let Some(target) = record.target() {
            bounded.set_target(target.clone());
        }
        if let Some(moment) = record.observed_timestamp() {
            // It is told as soon as it happens.
            bounded.set_timestamp(moment);
            bounded.set_observed_timestamp(moment);
        }
        if let (Some(text), Some(number)) = (record.severity_text(), record.severity_number()) {
            bounded.set_severity_text(text);
            bounded.set_severity_number(number);
        }
        if let Some(body) = record.body() {
            bounded.set_body(cut(body, MESSAGE));
        }
        bounded.add_attributes(record.attributes_iter().map(|(key, value)| (key.clone(), cut(value, TEXT))));
        bounded
    }
}

impl LogProcessor for Logs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let mut record = self.bounded(record);
        Work::with(|work| {
            let trace = work.trace();
            let flags = if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
            record.set_trace_context(trace.trace, trace.span, Some(flags));
            if let Some(request) = work.request() {
                record.add_attribute("request_id", shortened(request, TEXT).to_owned());
            }
        });
        self.queue.push(Box::new((record, scope.clone())));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _within: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn event_enabled(&self, _level: Severity, _target: &str, _name: Option<&str>) -> bool {
        !SENDS.get()
    }
}

fn cut(value: &AnyValue, most: usize) -> AnyValue {
    match value {
        AnyValue::String(text) => shortened(text.as_str(), most).to_owned().into(),
        other => other.clone(),
    }
}
