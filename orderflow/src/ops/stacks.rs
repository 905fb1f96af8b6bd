//! What a profile found: stacks of functions, and how much each accounts for. It is shown as a flamegraph, or written in the
//! format of `pprof` for tools that can do more with it.

use std::{
    collections::HashMap,
    io::Write,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use pprof::flamegraph::{self, Options};

use super::protobuf::Message;

/// A function, and where in it something was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) function: String,
    /// Empty where it is not known.
    pub(super) file: String,
    /// 0 where it is not known.
    pub(super) number: u32,
}

/// What was counted at one place.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    /// Where the place was, from the innermost function to the outermost.
    pub(super) lines: Vec<Rc<Line>>,
    /// The thread, where that is known.
    pub(super) thread: Option<String>,
}

/// A kind of number, and its unit.
type Measure = (&'static str, &'static str);

/// A profile.
#[derive(Debug)]
pub(super) struct Stacks {
    /// In a few words what was found, and how; words of ours, which XML takes as they are.
    pub(super) title: String,
    /// What the numbers of the stacks are.
    pub(super) measure: Measure,
    /// What each of them stands for: so much of that.
    pub(super) period: (Measure, i64),
    pub(super) started: SystemTime,
    pub(super) took: Duration,
    pub(super) found: HashMap<Stack, i64>,
}

impl Stacks {
    /// Adds to a stack.
    pub(super) fn add(&mut self, stack: Stack, number: i64) {
        *self.found.entry(stack).or_default() += number;
    }

    /// A flamegraph, as SVG. If nothing was found, a picture that says so.
    ///
    /// # Errors
    /// If the flamegraph cannot be drawn.
    pub(super) fn svg(&self) -> std::io::Result<Vec<u8>> {
        let mut lines: Vec<_> = self.found.iter().map(|(stack, number)| folded(stack, *number)).collect();
        if lines.is_empty() {
            return Ok(self.nothing().into_bytes());
        }
        // Stacks with the same beginning must be neighbours.
        lines.sort_unstable();
        let mut options = Options::default();
        options.title.clone_from(&self.title);
        self.measure.1.clone_into(&mut options.count_name);
        let mut picture = Vec::new();
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut picture)
            .map_err(std::io::Error::other)?;
        Ok(picture)
    }

    fn nothing(&self) -> String {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='1200' height='80' viewBox='0 0 1200 80'>\
             <rect width='1200' height='80' fill='#eee'/><text x='600' y='46' text-anchor='middle' \
             font-family='sans-serif' font-size='16'>{}</text></svg>",
            self.title
        )
    }

    /// The profile in the format of `pprof`: a message of `profile.proto`, compressed.
    pub(super) fn pprof(&self) -> Vec<u8> {
        let mut profile = Message::default();
        let mut strings = Strings::default();
        // The first string of the table is empty.
        strings.number("");
        let measure = |strings: &mut Strings, (kind, unit): Measure| {
            let mut message = Message::default();
            message.number(1, strings.number(kind)).number(2, strings.number(unit));
            message
        };
        profile.message(1, &measure(&mut strings, self.measure));
        let thread = strings.number("thread");
        let (mut functions, mut locations) = (HashMap::new(), HashMap::new());
        for (stack, number) in &self.found {
            let places = stack.lines.iter().map(|line| {
                let next = locations.len() as u64 + 1;
                *locations.entry(line).or_insert_with(|| {
                    let unknown = functions.len() as u64 + 1;
                    let function = (line.function.as_str(), line.file.as_str());
                    (next, *functions.entry(function).or_insert(unknown))
                })
            });
            let places: Vec<_> = places.map(|(place, _)| place).collect();
            let mut sample = Message::default();
            sample.packed(1, &places).packed(2, &[*number as u64]);
            if let Some(name) = &stack.thread {
                let mut label = Message::default();
                label.number(1, thread).number(2, strings.number(name));
                sample.message(3, &label);
            }
            profile.message(2, &sample);
        }
        for (line, (place, function)) in locations {
            let (mut location, mut at) = (Message::default(), Message::default());
            at.number(1, function).number(2, u64::from(line.number));
            location.number(1, place).message(4, &at);
            profile.message(4, &location);
        }
        for ((name, file), function) in functions {
            let (name, file) = (strings.number(name), strings.number(file));
            let mut message = Message::default();
            // Without a system's name: where that is the same, tools take it for one that is still to be made readable.
            message.number(1, function).number(2, name).number(4, file);
            profile.message(5, &message);
        }
        let (period, every) = self.period;
        let (period, comment) = (measure(&mut strings, period), strings.number(&self.title));
        for string in strings.all {
            profile.bytes(6, string.as_bytes());
        }
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        profile.number(9, started.as_nanos() as u64).number(10, self.took.as_nanos() as u64);
        profile.message(11, &period).number(12, every as u64).packed(13, &[comment]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(4));
        encoder.write_all(profile.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes what is written")
    }
}

/// The table of strings, each once.
#[derive(Default)]
struct Strings {
    numbers: HashMap<String, u64>,
    all: Vec<String>,
}

impl Strings {
    fn number(&mut self, string: &str) -> u64 {
        if let Some(number) = self.numbers.get(string) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.numbers.insert(string.to_owned(), number);
        self.all.push(string.to_owned());
        number
    }
}

/// A stack as a line, the outermost function first. The semicolon between functions is also part of names: `[u8; 4]`.
fn folded(stack: &Stack, number: i64) -> String {
    let functions = stack.lines.iter().rev().map(|line| line.function.as_str());
    let frames: Vec<_> =
        stack.thread.as_deref().into_iter().chain(functions).map(|name| name.replace(';', ",")).collect();
    format!("{} {number}", frames.join(";"))
}
