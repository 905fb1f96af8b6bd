//! What the terminal can do: colours, width, progress.

use std::{
    io::{IsTerminal, stderr, stdout},
    time::Duration,
};

use catalogue::Status;
use indicatif::{ProgressBar, ProgressStyle};

/// Colours, when there is somebody to see them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours for standard output, unless it is no terminal or `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn stdout() -> Self {
        Self { on: stdout().is_terminal() && wanted() }
    }

    /// The same for standard error.
    pub(crate) fn stderr() -> Self {
        Self { on: stderr().is_terminal() && wanted() }
    }

    /// None.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { on: false }
    }

    pub(crate) fn on(self) -> bool {
        self.on
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.code("1;32", text)
    }

    /// `text` in the colour of a status.
    pub(crate) fn status(self, status: Status, text: &str) -> String {
        match status {
            Status::Pass => self.green(text),
            Status::Fail | Status::Error | Status::Limit => self.red(text),
            Status::Blocked | Status::Inconclusive => self.code("1;33", text),
            Status::Skipped => self.dim(text),
        }
    }
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of the terminal, or as many as a page has.
pub(crate) fn width() -> usize {
    match crossterm::terminal::size() {
        Ok((columns, _)) if stdout().is_terminal() => usize::from(columns).clamp(40, 120),
        _ => 100,
    }
}

/// Breaks `text` between words so that no line is longer than `width`; later lines begin with `indent` spaces. Line breaks
/// stay where they are, and a line that begins with a space, such as a row of a table, stays as it is.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> String {
    let lines = text
        .trim()
        .lines()
        .map(|line| if line.starts_with(' ') { line.trim_end().to_owned() } else { wrap_line(line, width, indent) });
    lines.collect::<Vec<_>>().join(&format!("\n{:indent$}", ""))
}

fn wrap_line(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out
}

/// A spinner for work of unknown length. Nothing is drawn where standard error is no terminal.
pub(crate) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a constant template");
    bar.set_style(style.tick_chars("|/-\\ "));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar for `steps` steps.
pub(crate) fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {msg}").expect("a constant template");
    bar.set_style(style.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// `3 of 10` as a bar of characters, for a screen that stays.
pub(crate) fn meter(done: u32, all: u32, width: usize) -> String {
    let filled = width * done as usize / (all.max(1) as usize);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_breaks_between_words_and_keeps_them_all() {
        assert_eq!(wrap("one two three four", 9, 0), "one two\nthree\nfour");
        assert_eq!(wrap("one two three", 11, 4), "one two\n    three");
        assert_eq!(wrap("unbreakable", 4, 0), "unbreakable");
        assert_eq!(wrap("one\n  two   three four\nfive six\n", 8, 1), "one\n   two   three four\n five\n six");
    }

    #[test]
    fn a_meter_is_full_only_at_the_end() {
        assert_eq!(meter(0, 10, 5), "[.....]");
        assert_eq!(meter(9, 10, 5), "[####.]");
        assert_eq!(meter(10, 10, 5), "[#####]");
        assert_eq!(meter(0, 0, 2), "[..]");
    }
}
