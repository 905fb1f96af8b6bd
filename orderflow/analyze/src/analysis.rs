//! What an analysis comes to, in the one shape that its text and its JSON share.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It hurts now, or soon will for certain.
    Critical,
    /// It costs something all the time.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that is not as it should be.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Which check found it.
    pub(crate) check: &'static str,
    pub(crate) severity: Severity,
    /// The table, index, statement or process that it is about.
    pub(crate) subject: String,
    /// The numbers, in a sentence.
    pub(crate) evidence: String,
    /// The same numbers for programs.
    pub(crate) numbers: BTreeMap<&'static str, Value>,
    /// What to do, by name.
    pub(crate) advice: String,
}

impl Finding {
    pub(crate) fn new(check: &'static str, severity: Severity, subject: impl Into<String>) -> Self {
        let (evidence, numbers, advice) = Default::default();
        Self { check, severity, subject: subject.into(), evidence, numbers, advice }
    }

    pub(crate) fn evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = evidence.into();
        self
    }

    pub(crate) fn number(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.numbers.insert(name, value.into());
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

/// Something that was not looked at, and how it could be.
#[derive(Debug, Serialize)]
pub(crate) struct NotChecked {
    pub(crate) check: &'static str,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

/// A statement's share of the time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Statement {
    /// PostgreSQL's number for it, as text, because JSON numbers do not hold 64 bits everywhere.
    pub(crate) id: String,
    /// Masked; what may not be shown is not in the list.
    pub(crate) text: String,
    pub(crate) calls: i64,
    pub(crate) total_ms: f64,
    pub(crate) mean_ms: f64,
    pub(crate) rows: i64,
    /// Of the time of all statements in this database, 0 to 1.
    pub(crate) share: f64,
    /// Pages of 8 KiB that were in the server's memory.
    pub(crate) blocks_hit: i64,
    /// Pages that were not.
    pub(crate) blocks_read: i64,
    /// Pages written to temporary files.
    pub(crate) blocks_temporary: i64,
}

/// How many pages were found in memory.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Pages {
    pub(crate) hit: i64,
    pub(crate) read: i64,
    /// `None` when none was asked for.
    pub(crate) ratio: Option<f64>,
}

impl Pages {
    pub(crate) fn new(hit: i64, read: i64) -> Self {
        Self { hit, read, ratio: (hit + read > 0).then(|| hit as f64 / (hit + read) as f64) }
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Cache {
    pub(crate) tables: Pages,
    pub(crate) indexes: Pages,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Analysis {
    /// Host, port and name.
    pub(crate) database: String,
    /// PostgreSQL's version.
    pub(crate) server: String,
    /// Seconds since the statistics of this database were reset; `None` if they never were.
    pub(crate) statistics_reset_seconds: Option<f64>,
    /// Seconds since the server was started.
    pub(crate) server_up_seconds: f64,
    /// Whether nothing worse than a note was found, and nothing was left out.
    pub(crate) healthy: bool,
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) not_checked: Vec<NotChecked>,
    /// The checks that were made.
    pub(crate) checked: Vec<&'static str>,
    /// How often pages were found in memory, since the statistics began.
    pub(crate) cache: Cache,
    /// Those that took the most time in all; `None` where nobody counts them.
    pub(crate) statements: Option<Vec<Statement>>,
}

impl Analysis {
    /// Whether something was found that should be dealt with.
    pub(crate) fn troubled(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity < Severity::Note)
    }
}
