//! Lines of the log: for programs a JSON object each, for people a sentence and its fields; both name the trace and the request
//! that the line is about. Whatever a value holds, a line stays one line, and a terminal does what it was told before.

use std::{
    error::Error,
    fmt::{Debug, Display, Write as _},
    io::Write as _,
};

use prometheus_client::metrics::counter::Counter;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::MakeWriter,
    layer::{Context, Layer},
};

use super::Work;
use crate::metrics::Metrics;

/// RFC 3339, to the microsecond.
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
/// The keys of a JSON line that do not come from the event. Nor does `message`, where an event has two.
const OURS: [&str; 6] = ["timestamp", "level", "target", "message", "trace_id", "request_id"];
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON object.
    Json,
    /// For people, in colours or not.
    Pretty {
        /// Whether the terminal shows colours.
        colours: bool,
    },
}

/// Writes and counts every event that it is given. What cannot be written is lost, and nothing else.
pub struct Lines<W> {
    form: Form,
    writer: W,
    counters: [Counter; LEVELS.len()],
}

impl<W> Lines<W> {
    /// In this form, to there, counted in these metrics.
    pub fn new(form: Form, writer: W, metrics: &Metrics) -> Self {
        let counters = ["error", "warn", "info", "debug", "trace"]
            .map(|level| metrics.log_lines.get_or_create_owned(&[("level", level)]));
        Self { form, writer, counters }
    }
}

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if let Some(at) = LEVELS.iter().position(|level| level == metadata.level()) {
            self.counters[at].inc();
        }
        let ids = Work::with(|work| (work.trace().trace.to_string(), work.request().map(str::to_owned)));
        let now = OffsetDateTime::now_utc().format(MOMENT).unwrap_or_default();
        let line = match self.form {
            Form::Json => json(&now, event, ids),
            Form::Pretty { colours } => pretty(&now, event, ids, colours),
        };
        // In one piece, so that lines of several threads and processes stay whole.
        let _ = self.writer.make_writer_for(metadata).write_all(line.as_bytes());
    }
}

/// The trace and the request of a line.
type Ids = Option<(String, Option<String>)>;

fn json(now: &str, event: &Event<'_>, ids: Ids) -> String {
    let metadata = event.metadata();
    let mut line = format!(r#"{{"timestamp":"{now}","level":"{}","target":"#, metadata.level());
    quoted(&mut line, metadata.target());
    let mut fields = JsonFields { line, message: String::new(), taken: OURS.to_vec() };
    let head = fields.line.len();
    event.record(&mut fields);
    let JsonFields { mut line, message, .. } = fields;
    let mut told = r#","message":"#.to_owned();
    quoted(&mut told, &message);
    line.insert_str(head, &told);
    if let Some((trace, request)) = ids {
        line += &format!(r#","trace_id":"{trace}""#);
        if let Some(request) = request {
            line += r#","request_id":"#;
            quoted(&mut line, &request);
        }
    }
    line += "}\n";
    line
}

/// The fields of an event as members of an object that is being written.
struct JsonFields {
    line: String,
    message: String,
    taken: Vec<&'static str>,
}

impl JsonFields {
    /// Begins a member. A name that is taken gets `event.` before it, as often as it is.
    fn key(&mut self, field: &Field) {
        let name = field.name();
        let times = self.taken.iter().filter(|taken| **taken == name).count();
        self.taken.push(name);
        self.line.push(',');
        quoted(&mut self.line, &("event.".repeat(times) + name));
        self.line.push(':');
    }

    fn plain(&mut self, field: &Field, value: impl Display) {
        self.key(field);
        let _ = write!(self.line, "{value}");
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" && self.message.is_empty() {
            value.clone_into(&mut self.message);
        } else {
            self.key(field);
            quoted(&mut self.line, value);
        }
    }
}

impl Visit for JsonFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() { self.plain(field, value) } else { self.text(field, &value.to_string()) }
    }
}

/// A JSON string. Every control character is escaped, and so is what else ends a line or turns one around somewhere.
fn quoted(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' => *line += "\\\"",
            '\\' => *line += "\\\\",
            '\n' => *line += "\\n",
            '\t' => *line += "\\t",
            letter if is_harmful(letter) => {
                let _ = write!(line, "\\u{:04x}", letter as u32);
            }
            letter => line.push(letter),
        }
    }
    line.push('"');
}

/// All of these have four hexadecimal digits at most.
fn is_harmful(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn pretty(now: &str, event: &Event<'_>, ids: Ids, colours: bool) -> String {
    let metadata: &Metadata<'_> = event.metadata();
    let [dim, bold, plain] = if colours { ["\x1b[2m", "\x1b[1m", "\x1b[0m"] } else { [""; 3] };
    let colour = match *metadata.level() {
        _ if !colours => "",
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    };
    let mut fields = PrettyFields { message: String::new(), rest: String::new(), bold, plain };
    event.record(&mut fields);
    let PrettyFields { message, rest, .. } = fields;
    let (level, target) = (metadata.level(), metadata.target());
    let mut line = format!("{dim}{now}{plain} {colour}{level:>5}{plain} {dim}{target}:{plain} {message}{rest}");
    if let Some((trace, request)) = ids {
        line += &format!(" {dim}trace_id={trace}");
        if let Some(request) = request {
            line += " request_id=";
            harmless(&mut line, &request);
        }
        line += plain;
    }
    line.push('\n');
    line
}

/// The message of an event, and its fields as they follow it.
struct PrettyFields {
    message: String,
    rest: String,
    bold: &'static str,
    plain: &'static str,
}

impl Visit for PrettyFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let (name, text) = (field.name(), format!("{value:?}"));
        if name == "message" && self.message.is_empty() {
            harmless(&mut self.message, &text);
        } else {
            let _ = write!(self.rest, " {}{name}{}=", self.bold, self.plain);
            harmless(&mut self.rest, &text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// The same text, with what could break a line or command a terminal written out.
fn harmless(line: &mut String, text: &str) {
    for letter in text.chars() {
        if is_harmful(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

#[cfg(test)]
mod tests;
