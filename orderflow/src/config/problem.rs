//! What is wrong with a configuration: every fault of it, each with where it stands and what would be right.

use std::{fmt, path::PathBuf};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of a file, counted from 1; the whole file without one.
    File(PathBuf, Option<usize>),
    /// An environment variable, by its name.
    Env(String),
    /// A flag of the command line, as it was written: `--listen`, `--set http.listen`.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, such as `http.listen`; empty when the fault is of a whole file.
    pub key: String,
    /// What is wrong, as the rest of a sentence that begins with the key. Never holds a secret.
    pub wrong: String,
    /// What would be right.
    pub allowed: String,
    /// Where the value comes from.
    pub source: Source,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.source)?;
        let sentence = format!("{} {}", self.key, self.wrong);
        writeln!(f, "  {}", sentence.trim_start().replace('\n', "\n  "))?;
        write!(f, "  {}", self.allowed)
    }
}

/// Every fault that was found: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a fault")?,
            count => write!(f, "the configuration has {count} faults")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n\n{problem}"))
    }
}

impl std::error::Error for Problems {}

/// The one of `known` that `given` is most likely a slip of, if any is near.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let near = known.map(|name| (distance(&given, name), name)).min()?;
    (near.0 <= 1 + near.1.len() / 5).then_some(near.1)
}

/// How many letters to insert, delete or replace to make one of the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let known = || ["http.listen", "http.rate_limit", "ops.listen"].into_iter();
        assert_eq!(nearest("http.lisen", known()), Some("http.listen"));
        assert_eq!(nearest("HTTP.rate_limits", known()), Some("http.rate_limit"));
        assert_eq!(nearest("telemetry.endpoint", known()), None);
    }
}
