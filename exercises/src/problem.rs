//! One thing that is wrong with the course's own files, said so that an author can mend it.

use std::{fmt, path::PathBuf};

/// Something wrong in the course itself: which file, which line where one is known, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path relative to the course root.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// What is wrong and what to do about it.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

impl std::error::Error for Problem {}
