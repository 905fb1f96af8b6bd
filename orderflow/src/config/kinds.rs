//! What a setting may be: how it is read, how it is shown, and what is allowed, in words.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use toml::Value;

use super::{
    Secret, database,
    given::{Given, Shape},
    units,
};

/// Why a value was refused: what is wrong with it, and with which part of it.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Which part, such as `[1].sha256`; empty for the whole.
    pub(super) part: String,
    /// The rest of a sentence that begins with the key.
    pub(super) what: String,
    /// What is allowed, where it differs from what is of the whole.
    pub(super) allowed: Option<String>,
    /// The line of the part.
    pub(super) line: Option<usize>,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { part: String::new(), what, allowed: None, line: None }
    }
}

/// A kind of setting, whose value in the configuration is a `T`.
pub(super) trait Kind<T> {
    /// What it may be, to follow "must be".
    fn allowed(&self) -> String;

    /// The value, or everything that is wrong with it.
    fn read(&self, given: &Given) -> Result<T, Vec<Wrong>> {
        self.parse(given).map_err(|what| vec![what.into()])
    }

    /// The value, or the one thing that is wrong with it.
    fn parse(&self, given: &Given) -> Result<T, String>;

    /// What [`Kind::read`] takes back, unless it is masked.
    fn show(&self, value: &T) -> Value;

    /// Whether [`Kind::show`] leaves something secret out.
    fn masks(&self, _value: &T) -> bool {
        false
    }
}

/// A directory.
pub(super) struct Folder;

impl Kind<PathBuf> for Folder {
    fn allowed(&self) -> String {
        "a directory; one that does not exist is made".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<PathBuf, String> {
        match given.text()? {
            "" => Err("is empty".to_owned()),
            path => Ok(path.into()),
        }
    }

    fn show(&self, value: &PathBuf) -> Value {
        Value::String(value.to_string_lossy().into_owned())
    }
}

/// An IP address and a port.
pub(super) struct Listen;

impl Kind<SocketAddr> for Listen {
    fn allowed(&self) -> String {
        "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080; port 0 takes any free one".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<SocketAddr, String> {
        given.text()?.parse().map_err(|_| given.is_a())
    }

    fn show(&self, value: &SocketAddr) -> Value {
        Value::String(value.to_string())
    }
}

/// A duration within bounds, which are in milliseconds.
pub(super) struct Time(pub(super) RangeInclusive<u64>);

impl Kind<Duration> for Time {
    fn allowed(&self) -> String {
        let [least, most] = [self.0.start(), self.0.end()].map(|end| units::show_duration(Duration::from_millis(*end)));
        format!("a duration from {least} to {most}, such as 250ms, 10s or 2m")
    }

    fn parse(&self, given: &Given) -> Result<Duration, String> {
        if let Shape::Number(number) = given.value {
            return Err(format!("is the number {number}, without a unit; \"{number}s\" or \"{number}ms\"?"));
        }
        let text = given.text()?;
        let duration = units::duration(text).map_err(|why| format!("is {text:?}, which {why}"))?;
        if self.0.contains(&(duration.as_millis() as u64)) { Ok(duration) } else { Err(given.is_a()) }
    }

    fn show(&self, value: &Duration) -> Value {
        Value::String(units::show_duration(*value))
    }
}

/// A number of bytes within bounds.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Kind<T> for Size {
    fn allowed(&self) -> String {
        let [least, most] = [self.0.start(), self.0.end()].map(|end| units::show_size(*end));
        format!("a size from {least} to {most}, as a number of bytes or such as 64KiB or 32MiB")
    }

    fn parse(&self, given: &Given) -> Result<T, String> {
        let bytes = if let Shape::Number(number) = given.value {
            u64::try_from(number).map_err(|_| given.is_a())?
        } else {
            let text = given.text()?;
            units::size(text).map_err(|why| format!("is {text:?}, which {why}"))?
        };
        let bytes = Some(bytes).filter(|bytes| self.0.contains(bytes)).ok_or_else(|| given.is_a())?;
        bytes.try_into().map_err(|_| given.is_a())
    }

    fn show(&self, value: &T) -> Value {
        Value::String(units::show_size((*value).try_into().unwrap_or(u64::MAX)))
    }
}

/// A whole number within bounds.
pub(super) struct Count(pub(super) RangeInclusive<u32>);

impl<T: TryFrom<i64> + TryInto<i64> + Copy> Kind<T> for Count {
    fn allowed(&self) -> String {
        let [least, most] = [self.0.start(), self.0.end()].map(|end| thousands(*end));
        format!("a whole number from {least} to {most}")
    }

    fn parse(&self, given: &Given) -> Result<T, String> {
        let number = given.number()?;
        if !u32::try_from(number).is_ok_and(|number| self.0.contains(&number)) {
            return Err(format!("is {number}"));
        }
        number.try_into().map_err(|_| given.is_a())
    }

    fn show(&self, value: &T) -> Value {
        Value::Integer((*value).try_into().unwrap_or(i64::MAX))
    }
}

/// On or off.
pub(super) struct Switch;

impl Kind<bool> for Switch {
    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<bool, String> {
        match &given.value {
            Shape::Switch(on) => Ok(*on),
            Shape::Word(text) => text.parse().map_err(|_| given.is_a()),
            _ => Err(given.is_a()),
        }
    }

    fn show(&self, value: &bool) -> Value {
        Value::Boolean(*value)
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind<T> for Choice<T> {
    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }

    fn parse(&self, given: &Given) -> Result<T, String> {
        let text = given.text()?;
        self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| given.is_a())
    }

    fn show(&self, value: &T) -> Value {
        let word = self.0.iter().find(|(_, other)| other == value).map_or("", |(word, _)| word);
        Value::String(word.to_owned())
    }
}

/// The address of a database, or nothing.
pub(super) struct DatabaseUrl;

impl Kind<Secret> for DatabaseUrl {
    fn allowed(&self) -> String {
        "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME, or empty for the embedded database".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<Secret, String> {
        let text = given.text().map_err(|_| given.is_a_secret())?;
        database::check(text)?;
        Ok(Secret::from(text.to_owned()))
    }

    fn show(&self, value: &Secret) -> Value {
        Value::String(database::mask(value.expose()))
    }

    fn masks(&self, value: &Secret) -> bool {
        database::mask(value.expose()) != value.expose()
    }
}

/// What is logged, in the notation of `RUST_LOG`.
pub(super) struct Filter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Kind<String> for Filter {
    fn allowed(&self) -> String {
        "levels, and levels of targets, joined by commas, such as info,orderflow=debug; \
         the levels are off, error, warn, info, debug and trace"
            .to_owned()
    }

    fn parse(&self, given: &Given) -> Result<String, String> {
        let text = given.text()?;
        // The parser (tracing-subscriber 0.3.23) counts from the first character that is no space and cuts the text as it
        // was: after a space of more than one byte that is within a character, where it panics.
        if let Some(odd) = text.chars().find(|letter| !letter.is_ascii()) {
            return Err(format!("is {text:?}, in which {odd:?} is not ASCII"));
        }
        // A lone word that is no level is the name of a target to the parser: a slip would log nothing at all.
        for part in text.split(',').map(str::trim) {
            let word = !part.contains(['=', '[', ']', ':']);
            if word && !LEVELS.contains(&part.to_lowercase().as_str()) {
                return Err(format!("is {text:?}, in which {part:?} is no level"));
            }
        }
        match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!("is {text:?}: {}", innermost(&error))),
        }
    }

    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
}

/// The cause at the end of the chain, which says the most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A whole number with commas between its thousands.
fn thousands(number: impl Display) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
