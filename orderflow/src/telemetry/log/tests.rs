//! Lines as they come out.

use std::{
    io,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use serde_json::{Map, Value};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::telemetry::TraceContext;

/// What was written, in pieces as it was.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line that `say` makes.
fn line(form: Form, say: impl FnOnce()) -> String {
    let kept = Kept::default();
    let writer = kept.clone();
    let lines = Lines::new(form, move || writer.clone(), &Metrics::default());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
    let mut pieces = kept.0.lock().unwrap();
    assert_eq!(pieces.len(), 1, "a line is written in one piece");
    let line = String::from_utf8(pieces.remove(0)).unwrap();
    let (line, rest) = line.split_once('\n').expect("a line");
    assert!(rest.is_empty(), "one line was broken into more: {line:?} {rest:?}");
    assert!(!line.contains(is_harmful), "{line:?}");
    line.to_owned()
}

/// The members of a JSON line. No key is there twice.
fn members(line: &str) -> Map<String, Value> {
    let members: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    for key in members.keys() {
        let written = format!("{}:", serde_json::to_string(key).unwrap());
        assert_eq!(line.matches(&written).count(), 1, "{key} in {line}");
    }
    members
}

async fn within(work: Work, say: impl FnOnce()) {
    work.scope(async { say() }).await;
}

#[tokio::test]
async fn a_line_names_the_work_that_it_is_about_and_else_nothing() {
    let work = Work::new(TraceContext::root(false), Some("r-1"));
    let (trace, job) = (work.trace().trace.to_string(), Work::new(TraceContext::root(true), None));
    let say = || tracing::warn!(count = 3, "something happened");
    let mut of_request = String::new();
    within(work.clone(), || of_request = line(Form::Json, say)).await;
    let found = members(&of_request);
    assert_eq!((&found["trace_id"], &found["request_id"]), (&Value::from(&*trace), &Value::from("r-1")));
    let mut of_job = String::new();
    within(job, || of_job = line(Form::Json, say)).await;
    let found = members(&of_job);
    assert!(found.contains_key("trace_id") && !found.contains_key("request_id"), "{of_job}");
    let found = members(&line(Form::Json, say));
    assert!(!found.contains_key("trace_id") && !found.contains_key("request_id"));

    let form = Form::Pretty { colours: false };
    let mut told = String::new();
    within(work, || told = line(form, say)).await;
    let end = format!("something happened count=3 trace_id={trace} request_id=r-1");
    assert!(told.ends_with(&end), "{told}");
    assert!(line(form, say).ends_with("WARN orderflow::telemetry::log::tests: something happened count=3"));
}

#[test]
fn a_json_line_has_the_fields_of_its_event_beside_ours_in_a_fixed_sequence() {
    let error: &dyn Error = &io::Error::other("broken");
    let line = line(Form::Json, || {
        tracing::error!(
            target: "here", word = "a", number = -1, big = u64::MAX, part = 0.5, none = f64::NAN, yes = true, error,
            shown = %"plain", debugged = ?"quoted", "it is {}", "so"
        );
    });
    let found = members(&line);
    let moment = found["timestamp"].as_str().unwrap();
    assert!(moment.len() == 27 && moment.ends_with('Z'), "to the microsecond: {moment}");
    assert!(OffsetDateTime::parse(moment, &time::format_description::well_known::Rfc3339).is_ok(), "{moment}");
    let rest = format!(
        "{}{}",
        r#","level":"ERROR","target":"here","message":"it is so","word":"a","number":-1,"big":18446744073709551615,"#,
        r#""part":0.5,"none":"NaN","yes":true,"error":"broken","shown":"plain","debugged":"\"quoted\""}"#
    );
    assert_eq!(line, format!(r#"{{"timestamp":"{moment}"{rest}"#));
}

#[test]
fn a_field_that_is_called_like_one_of_ours_gets_another_name() {
    let found = members(&line(Form::Json, || {
        tracing::info!(level = 9, timestamp = "then", trace_id = "x", request_id = "y", target = "z", a = 1, "told");
    }));
    assert_eq!((&found["level"], &found["event.level"]), (&Value::from("INFO"), &Value::from(9)));
    for (key, value) in [("timestamp", "then"), ("trace_id", "x"), ("request_id", "y"), ("target", "z")] {
        assert_eq!(found[&format!("event.{key}")], value);
    }
    assert_eq!((&found["message"], &found["a"]), (&Value::from("told"), &Value::from(1)));
}

#[test]
fn lines_are_counted_by_level() {
    let (metrics, lines) = (Metrics::default(), Kept::default());
    let layer = Lines::new(Form::Json, move || lines.clone(), &metrics);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::warn!("one");
        tracing::warn!("two");
        tracing::info!("three");
    });
    let text = metrics.text();
    for (level, count) in [("error", 0), ("warn", 2), ("info", 1)] {
        assert!(text.contains(&format!("log_lines_total{{level=\"{level}\"}} {count}\n")), "{text}");
    }
}

#[test]
fn colours_are_there_only_where_a_terminal_shows_them() {
    let kept = Kept::default();
    let writer = kept.clone();
    let lines = Lines::new(Form::Pretty { colours: true }, move || writer.clone(), &Metrics::default());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        tracing::error!(text = "\x1b[2J", "red");
    });
    let line = String::from_utf8(kept.0.lock().unwrap().concat()).unwrap();
    assert!(line.contains("\x1b[31mERROR\x1b[0m") && line.ends_with('\n'), "{line:?}");
    assert!(!line.contains("\x1b[2J"), "what a value holds is not what the terminal is told: {line:?}");
}

proptest! {
    #[test]
    fn no_value_breaks_a_line(
        text in prop_oneof![".{0,40}", "[\\x00-\\x1f\\x7f-\\x9f\u{2028}\u{2029}\u{202e}\\\\\"{}:,a]{0,40}"],
    ) {
        let error: &dyn Error = &io::Error::other(text.clone());
        let say = || tracing::warn!(text = text.as_str(), shown = %text, debugged = ?text, error, "{text}");
        let found = members(&line(Form::Json, say));
        for key in ["text", "shown", "message", "error"] {
            prop_assert_eq!(found[key].as_str(), Some(text.as_str()), "and nothing of it is lost");
        }
        line(Form::Pretty { colours: false }, say);
    }
}
