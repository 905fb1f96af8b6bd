//! A value as it was given, before anybody knows what it should be: from a file with its lines, or as a bare word from the
//! environment or the command line.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

/// A value and where in its file it stands.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// Counted from 1. None outside files.
    pub(super) line: Option<usize>,
    pub(super) value: Shape,
}

/// What was given.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// From the environment or the command line, where everything is text: read as whatever is asked for.
    Word(String),
    Text(String),
    Number(i64),
    Fraction(f64),
    Switch(bool),
    List(Vec<Given>),
    Table(BTreeMap<String, Given>),
    /// What no setting is: a date, an integer beyond 64 bits.
    Other(&'static str),
}

impl Given {
    pub(super) fn word(text: impl Into<String>) -> Self {
        Self { line: None, value: Shape::Word(text.into()) }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Result<&str, String> {
        match &self.value {
            Shape::Word(text) | Shape::Text(text) => Ok(text),
            _ => Err(self.is_a()),
        }
    }

    /// The whole number, if it is one.
    pub(super) fn number(&self) -> Result<i64, String> {
        match &self.value {
            Shape::Number(number) => Ok(*number),
            Shape::Word(text) => text.replace('_', "").parse().map_err(|_| format!("is {text:?}")),
            _ => Err(self.is_a()),
        }
    }

    /// What it is, for whoever expected something else.
    pub(super) fn is_a(&self) -> String {
        match &self.value {
            Shape::Word(text) => format!("is {text:?}"),
            Shape::Text(text) => format!("is the text {text:?}"),
            Shape::Number(number) => format!("is the number {number}"),
            Shape::Fraction(number) => format!("is the number {number:?}"),
            Shape::Switch(on) => format!("is {on}"),
            Shape::List(_) => "is a list".to_owned(),
            Shape::Table(_) => "is a table".to_owned(),
            Shape::Other(what) => format!("is {what}"),
        }
    }

    /// The same for a value that must not be shown.
    pub(super) fn is_a_secret(&self) -> String {
        match &self.value {
            Shape::Word(_) | Shape::Text(_) => "is wrong (its value is not shown)".to_owned(),
            Shape::Number(_) | Shape::Fraction(_) => "is a number".to_owned(),
            _ => self.is_a(),
        }
    }

    /// From a parsed file, or a value in its notation. `text` is what it was parsed from.
    pub(super) fn from_toml(parsed: &Spanned<DeValue<'_>>, text: &str) -> Self {
        Self { line: Some(line(text, parsed.span().start)), value: Shape::from_toml(parsed.get_ref(), text) }
    }
}

impl Shape {
    pub(super) fn from_toml(parsed: &DeValue<'_>, text: &str) -> Self {
        match parsed {
            DeValue::String(value) => Self::Text(value.to_string()),
            DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
                .map_or(Self::Other("a number beyond 64 bits"), Self::Number),
            DeValue::Float(value) => {
                value.as_str().parse().map_or(Self::Other("a number that is none"), Self::Fraction)
            }
            DeValue::Boolean(on) => Self::Switch(*on),
            DeValue::Datetime(_) => Self::Other("a date or a time"),
            DeValue::Array(items) => Self::List(items.iter().map(|item| Given::from_toml(item, text)).collect()),
            DeValue::Table(entries) => Self::Table(
                entries
                    .iter()
                    .map(|(name, entry)| {
                        let mut given = Given::from_toml(entry, text);
                        given.line = Some(line(text, name.span().start));
                        (name.get_ref().to_string(), given)
                    })
                    .collect(),
            ),
        }
    }
}

/// The line of a byte, counted from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
