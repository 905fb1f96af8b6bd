//! Text with placeholders: `/api/products/{product}`. A brace that does not enclose a name stands for itself, so JSON can
//! be written as it is; names are lower-case letters, digits and underscores, and begin with a letter.

use crate::values::{Draw, Value};

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Splits `text` into what stands for itself and the names between braces.
pub(crate) fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut rest, mut search) = (text, 0);
    while let Some(open) = rest[search..].find('{').map(|at| at + search) {
        let inner = &rest[open + 1..];
        let length = inner.find('}').unwrap_or(0);
        if is_name(&inner[..length]) {
            if open > 0 {
                parts.push(Part::Text(&rest[..open]));
            }
            parts.push(Part::Name(&inner[..length]));
            (rest, search) = (&inner[length + 1..], 0);
        } else {
            search = open + 1;
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Whether `text` may name a value.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// One of the scenario's values.
    Value(usize),
    /// What an earlier step of the journey captured, in that order.
    Captured(usize),
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<[u8]>),
    Fill(Source),
}

/// A template whose names are resolved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    /// Resolves the names in `text`; the error is the name that `resolve` does not know.
    pub(crate) fn new(text: &str, mut resolve: impl FnMut(&str) -> Option<Source>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        for part in split(text) {
            pieces.push(match part {
                Part::Text(text) => Piece::Text(text.as_bytes().into()),
                Part::Name(name) => Piece::Fill(resolve(name).ok_or(name)?),
            });
        }
        Ok(Self(pieces))
    }

    /// Appends the text with every placeholder filled. Each placeholder draws anew.
    pub(crate) fn write(&self, values: &[Value], captured: &[Vec<u8>], draw: &mut Draw, to: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => to.extend_from_slice(text),
                Piece::Fill(Source::Value(at)) => values[*at].write(draw, to),
                // Steps run in order and a journey ends with the first that fails, so it has been captured.
                Piece::Fill(Source::Captured(at)) => to.extend_from_slice(&captured[*at]),
            }
        }
    }

    /// Appends `text` as it is.
    pub(crate) fn push_text(&mut self, text: &str) {
        self.0.push(Piece::Text(text.as_bytes().into()));
    }

    /// Appends another template.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_braces_around_a_name_are_placeholders() {
        let body = r#"{"a":{id},"b":[{"c":{}}],"d":"{Not}","e":{x_2}}"#;
        let names: Vec<_> = split(body)
            .into_iter()
            .filter_map(|part| if let Part::Name(name) = part { Some(name) } else { None })
            .collect();
        assert_eq!(names, ["id", "x_2"]);
        assert_eq!(split("{a}{b}"), [Part::Name("a"), Part::Name("b")]);
        assert_eq!(split("{{a}"), [Part::Text("{"), Part::Name("a")]);
        assert_eq!(split("{a"), [Part::Text("{a")]);
        assert_eq!(split(""), []);
    }

    #[test]
    fn pieces_put_together_are_the_text_again() {
        for text in ["{\"a\":{id}}", "}{", "/p/{a}/{b}?x={c}", "{é}{a}é"] {
            let joined: String = split(text)
                .iter()
                .map(|part| match part {
                    Part::Text(text) => (*text).to_owned(),
                    Part::Name(name) => format!("{{{name}}}"),
                })
                .collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn values_and_captures_are_filled_in() {
        let resolve = |name: &str| match name {
            "id" => Some(Source::Value(0)),
            "mine" => Some(Source::Captured(0)),
            _ => None,
        };
        let template = Template::new("/{id}/{mine}", resolve).unwrap();
        let mut text = Vec::new();
        template.write(&[Value::Uniform(3..=3)], &[b"x9".to_vec()], &mut Draw::new(1, 1, 1), &mut text);
        assert_eq!(text, b"/3/x9");
        assert_eq!(Template::new("/{other}", resolve).unwrap_err(), "other");
    }
}
