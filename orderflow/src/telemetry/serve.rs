//! Recent traces and slow statements, for operators.

use std::{
    collections::HashMap,
    str::FromStr,
    time::{Duration, SystemTime},
};

use axum::{Router, extract::State, http::request::Parts, response::Response, routing::get};
use opentelemetry::trace::TraceId;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Found, KeptAs, Search, SlowStatement, Step};
use crate::{
    domain::{Invalid, Timestamp},
    http::{App, Caching, Problem, Query, Representation},
};

/// How many traces are told, unless somebody asks for another number, and the most.
const TRACES: usize = 50;
const MOST: usize = 200;

/// `/debug/traces` and `/debug/statements`.
pub fn routes() -> Router<App> {
    Router::new().route("/debug/traces", get(traces)).route("/debug/statements", get(statements))
}

async fn traces(State(app): State<App>, parts: Parts) -> Result<Response, Problem> {
    let search = search(&parts)?;
    let found: Vec<_> = app.recent.traces(&search).iter().map(shown).collect();
    Ok(answer(&parts, &json!({ "traces": found, "kept": app.recent.counts() })))
}

async fn statements(State(app): State<App>, parts: Parts) -> Result<Response, Problem> {
    Query::of(&parts, &[]).done()?;
    let shown = |SlowStatement { at, name, took, context }: SlowStatement| {
        let trace = context.map(|context| context.trace.to_string());
        json!({ "at": moment(at), "statement": name, "duration_ms": milliseconds(took), "trace_id": trace })
    };
    let slow: Vec<_> = app.recent.slow_statements().into_iter().map(shown).collect();
    Ok(answer(&parts, &json!({ "slow": slow })))
}

fn answer(parts: &Parts, body: &impl Serialize) -> Response {
    Representation::json(body).answer(&parts.headers, Caching::Never)
}

/// What a query asks for.
fn search(parts: &Parts) -> Result<Search, Problem> {
    let mut query = Query::of(parts, &["route", "status", "min_ms", "kept", "trace", "limit"]);
    let status = query.get("status");
    let mut kept: Vec<KeptAs> = query.get("kept").into_iter().map(|Kept(why)| why).collect();
    if matches!(status, Some(Status::Failed)) {
        kept.push(KeptAs::Failed);
    }
    let search = Search {
        trace: query.get("trace").map(|Trace(trace)| trace),
        route: query.get("route").map(|Route(route)| route),
        status: status.and_then(|status| if let Status::Is(status) = status { Some(status) } else { None }),
        longer: query.get("min_ms").map(|Milliseconds(least)| least),
        kept,
        limit: query.get("limit").map_or(TRACES, |Limit(limit)| limit),
    };
    query.done()?;
    Ok(search)
}

struct Trace(TraceId);

impl FromStr for Trace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let trace = digits.then(|| TraceId::from_hex(text).ok()).flatten();
        trace.map(Self).ok_or_else(|| Invalid::new("must be the 32 hexadecimal digits of a trace"))
    }
}

struct Route(String);

impl FromStr for Route {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            Err(Invalid::new("must be a route, such as /api/products/{id}"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

enum Status {
    Failed,
    Is(u16),
}

impl FromStr for Status {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "failed" {
            return Ok(Self::Failed);
        }
        let number = text.parse().ok().filter(|number| (100..=599).contains(number));
        number.map(Self::Is).ok_or_else(|| Invalid::new("must be a status from 100 to 599, or failed"))
    }
}

struct Milliseconds(Duration);

impl FromStr for Milliseconds {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let number = text.parse().ok().filter(|number: &f64| (0.0..=1e9).contains(number));
        let least = number.map(|number| Self(Duration::from_secs_f64(number / 1e3)));
        least.ok_or_else(|| Invalid::new("must be a number of milliseconds from 0 to 1000000000"))
    }
}

struct Kept(KeptAs);

impl FromStr for Kept {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let why = KeptAs::ALL.into_iter().find(|why| why.word() == text);
        why.map(Self).ok_or_else(|| Invalid::new("must be recent, slow or failed"))
    }
}

struct Limit(usize);

impl FromStr for Limit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number.map(Self).ok_or_else(|| Invalid::new("must be a number from 1 to 200"))
    }
}

/// A trace as it is told.
fn shown(found: &Found) -> Value {
    let Found { id, kept, trace } = found;
    let Some(root) = &trace.root else { return Value::Null };
    let kept: Vec<_> = kept.iter().map(|why| why.word()).collect();
    let spans: Vec<_> = trace.spans.iter().map(|step| shown_step(step, root.started)).collect();
    let mut shown = json!({
        "trace_id": id.to_string(),
        "request_id": root.request,
        "name": root.name,
        "route": root.route,
        "status": root.status,
        "started": moment(root.started),
        "duration_ms": milliseconds(root.took),
        "kept": kept,
        "sampled": trace.sampled,
        "spans": spans,
    });
    if trace.dropped > 0 {
        shown["spans_dropped"] = json!(trace.dropped);
    }
    shown
}

fn shown_step(step: &Step, from: SystemTime) -> Value {
    // What began before the trace's first request in this process is told as before it.
    let offset = match step.started.duration_since(from) {
        Ok(after) => milliseconds(after),
        Err(before) => -milliseconds(before.duration()),
    };
    let attributes: HashMap<_, _> = step.attributes.iter().map(|(key, value)| (key.as_str(), value)).collect();
    json!({
        "span_id": step.span.to_string(),
        "parent_id": step.parent.map(|parent| parent.to_string()),
        "name": step.name,
        "kind": step.kind,
        "offset_ms": offset,
        "duration_ms": milliseconds(step.took),
        "error": step.error,
        "attributes": attributes,
    })
}

fn moment(moment: SystemTime) -> Timestamp {
    OffsetDateTime::from(moment).into()
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
