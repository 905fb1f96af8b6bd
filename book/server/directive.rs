//! Finds `{{#name argument}}` in the text of a page. A backslash before it makes it text; mdBook's own `links`
//! preprocessor takes that backslash away later.

use std::ops::Range;

/// One `{{#name argument}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive<'a> {
    /// The word after `#`.
    pub name: &'a str,
    /// What follows the name, without the space around it.
    pub argument: &'a str,
    /// Where it stands in the text, braces included.
    pub range: Range<usize>,
    /// Whether a backslash before it makes it text.
    pub escaped: bool,
}

impl Directive<'_> {
    /// Whether nothing else is on its line.
    pub fn alone_on_line(&self, text: &str) -> bool {
        let before = text[..self.range.start].rsplit('\n').next().unwrap_or_default();
        let after = text[self.range.end..].split('\n').next().unwrap_or_default();
        before.is_empty() && after.trim().is_empty()
    }
}

/// Every directive of `text`, in order. One that is not closed on its own line is no directive.
pub fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("{{") {
        let start = from + at;
        from = start + 2;
        let rest = &text[start + 2..];
        let line = rest.split('\n').next().unwrap_or_default();
        let Some(end) = line.find("}}") else { continue };
        // mdBook allows a space before the `#`, so that has to count here too.
        let Some(body) = line[..end].trim_start().strip_prefix('#') else { continue };
        let (name, argument) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        from = start + 2 + end + 2;
        found.push(Directive {
            name: name.trim(),
            argument: argument.trim(),
            range: start..from,
            escaped: text[..start].ends_with('\\'),
        });
    }
    found
}

/// The line, counted from 1, on which the byte at `offset` stands.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset].bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(&str, &str, bool)> {
        directives(text).into_iter().map(|found| (found.name, found.argument, found.escaped)).collect()
    }

    #[test]
    fn finds_name_and_argument() {
        assert_eq!(
            names("a\n{{#exercise one}}\n{{ #evidence  two }} x"),
            [("exercise", "one", false), ("evidence", "two", false)]
        );
    }

    #[test]
    fn a_backslash_makes_it_text() {
        assert_eq!(names(r"\{{#exercise one}}"), [("exercise", "one", true)]);
    }

    #[test]
    fn other_braces_and_unclosed_ones_are_text() {
        assert_eq!(names("{{closure}} {{#exercise one\n}} {{#exercises 1}}"), [("exercises", "1", false)]);
    }

    #[test]
    fn knows_its_line_and_its_company() {
        let text = "å\nb {{#x y}}\n{{#x z}} \n";
        let found = directives(text);
        assert_eq!(found.iter().map(|d| line_of(text, d.range.start)).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(found.iter().map(|d| d.alone_on_line(text)).collect::<Vec<_>>(), [false, true]);
    }
}
