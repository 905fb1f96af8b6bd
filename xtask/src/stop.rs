//! Why a command ends early, with the exit status that says so to a script.

use std::{fmt, process::ExitCode};

/// The exit statuses of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for holds.
    Pass = 0,
    /// It does not: a check failed, an exercise is unfinished, a test is red.
    NotPassed = 1,
    /// The command was asked for something that cannot be done, or the machine does not allow it.
    Usage = 2,
    /// The course's own files are at fault.
    Broken = 3,
    /// Ctrl-C, as shells count it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    pub(crate) fn passed(passed: bool) -> Self {
        if passed { Self::Pass } else { Self::NotPassed }
    }
}

/// An error with an opinion: what happened, and what to do next.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) next: String,
}

impl Stop {
    pub(crate) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), next: next.into() }
    }

    pub(crate) fn broken(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Broken, what: what.into(), next: next.into() }
    }

    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, what: "interrupted".into(), next: String::new() }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Stop {}
