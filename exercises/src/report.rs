//! The verdict on a submission, in the one shape that every printer, file and page shares.

use serde::{Deserialize, Serialize};

use crate::{CheckSpec, Exercise, Gate, Kind, exercise::number};

/// What became of a check or of a whole exercise. Only [`Status::Pass`] scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As required.
    Pass,
    /// Not as required.
    Fail,
    /// The submission panicked, ended the process, does not compile, or left no report that can be trusted.
    Error,
    /// It exceeded the time, memory or output that it is allowed.
    Limit,
    /// A server or program that the check needs is missing here.
    Blocked,
    /// The machine was too noisy for a verdict within the time allowed.
    Inconclusive,
    /// Not run, because a check that guards it did not pass.
    Skipped,
}

impl Status {
    /// The word that every format uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Limit => "limit",
            Self::Blocked => "blocked",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found, before it is joined with what the catalogue says of that check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The verdict.
    pub status: Status,
    /// What it was based on and, unless it passed, what to learn from it.
    #[serde(default)]
    pub message: String,
    /// The figure that was compared with the gate, in the gate's unit.
    #[serde(default)]
    pub measured: Option<f64>,
    /// For a timed figure, its 99.9 % confidence interval.
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
}

impl Finding {
    /// A finding without a figure.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), measured: None, interval: None }
    }

    /// The verdict on an exact figure: what it is, what the gate asks, and what to do when it is missed.
    pub fn exact(figure: f64, gate: &Gate, advice: &str) -> Self {
        let status = if gate.admits(figure) { Status::Pass } else { Status::Fail };
        let mut message = format!("{} {}; the gate is {}.", number(figure), gate.unit, gate.bound_in_words());
        if status != Status::Pass && !advice.is_empty() {
            message = format!("{message} {advice}");
        }
        Self { status, message, measured: Some(figure), interval: None }
    }

    /// The verdict on a figure that is only known to lie within `interval`: [`Status::Inconclusive`] when the gate does.
    pub fn estimated(figure: f64, interval: [f64; 2], gate: &Gate, advice: &str) -> Self {
        let status = match interval.map(|end| gate.admits(end)) {
            [true, true] => Status::Pass,
            [false, false] => Status::Fail,
            _ => Status::Inconclusive,
        };
        let [low, high] = interval.map(number);
        let mut message = format!(
            "{} {} (with 99.9 % confidence {low} to {high}); the gate is {}.",
            number(figure),
            gate.unit,
            gate.bound_in_words()
        );
        match status {
            Status::Pass => {}
            Status::Fail => message = format!("{message} {advice}"),
            _ => message
                .push_str(" The gate lies within what this machine can tell apart: let it be idle, and check again."),
        }
        Self { status, message, measured: Some(figure), interval: Some(interval) }
    }
}

/// One check of a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// The check's name in the catalogue.
    pub name: String,
    /// What a passing answer does.
    pub title: String,
    /// How it was decided.
    pub kind: Kind,
    /// The verdict.
    pub status: Status,
    /// What it scored.
    pub points: u32,
    /// What it is worth.
    pub max_points: u32,
    /// What the verdict is based on and, unless it passed, what to learn from it.
    pub message: String,
    /// The figure that was compared with the gate, in the gate's unit.
    pub measured: Option<f64>,
    /// For a timed figure, its 99.9 % confidence interval.
    pub interval: Option<[f64; 2]>,
    /// What the figure was held to.
    pub gate: Option<Gate>,
}

impl CheckReport {
    /// Joins a finding with what the catalogue says of the check.
    pub fn new(spec: &CheckSpec, finding: Finding) -> Self {
        Self {
            name: spec.name.clone(),
            title: spec.title.clone(),
            kind: spec.kind,
            points: if finding.status == Status::Pass { spec.points } else { 0 },
            max_points: spec.points,
            status: finding.status,
            message: finding.message,
            measured: finding.measured,
            interval: finding.interval,
            gate: spec.gate.clone(),
        }
    }
}

/// The verdict on one exercise of one submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Which exercise.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Whose answer: `working copy`, or the tree or archive it came from.
    pub submission: String,
    /// [`Status::Pass`] when every check passed, otherwise the first other status among the checks.
    pub status: Status,
    /// Points scored.
    pub points: u32,
    /// Points that a full solution scores.
    pub max_points: u32,
    /// Every check that the catalogue lists, in its order.
    pub checks: Vec<CheckReport>,
    /// The compiler's first errors, when the submission does not compile; may hold terminal colours.
    pub build_error: Option<String>,
    /// What the submission printed, shortened.
    pub output: String,
    /// Seconds from the start of grading to the verdict.
    pub seconds: f64,
    /// Seconds of that during which the graded programs ran.
    pub run_seconds: f64,
    /// Seed of every random input, as a decimal number in text, because JSON numbers do not hold 64 bits everywhere.
    pub seed: String,
    /// SHA-256 over the editable files and everything of the course that they were graded with, in hexadecimal.
    pub sources: String,
}

impl Report {
    /// A report on `exercise` from what each of its checks found; `finding` is asked for every check of the catalogue.
    pub fn new(exercise: &Exercise, submission: &str, mut finding: impl FnMut(&CheckSpec) -> Finding) -> Self {
        let checks: Vec<_> = exercise.spec.checks.iter().map(|check| CheckReport::new(check, finding(check))).collect();
        Self {
            slug: exercise.slug.clone(),
            title: exercise.spec.title.clone(),
            submission: submission.into(),
            status: checks.iter().map(|check| check.status).find(|s| *s != Status::Pass).unwrap_or(Status::Pass),
            points: checks.iter().map(|check| check.points).sum(),
            max_points: exercise.spec.max_points(),
            checks,
            build_error: None,
            output: String::new(),
            seconds: 0.0,
            run_seconds: 0.0,
            seed: String::new(),
            sources: String::new(),
        }
    }

    /// A report that gives every check the same finding: nothing could be run.
    pub fn uniform(exercise: &Exercise, submission: &str, finding: &Finding) -> Self {
        Self::new(exercise, submission, |_| finding.clone())
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.status == Status::Pass
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&CheckReport> {
        self.checks.iter().find(|check| check.name == name)
    }
}

/// What `check` and `grade` print as JSON: every report of one invocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// Version of this format.
    pub version: u32,
    /// Points scored in all.
    pub points: u32,
    /// Points that could be scored in all.
    pub max_points: u32,
    /// One report for each exercise and submission.
    pub reports: Vec<Report>,
}

impl Run {
    /// The reports of one invocation, added up.
    pub fn new(reports: Vec<Report>) -> Self {
        Self {
            version: 1,
            points: reports.iter().map(|report| report.points).sum(),
            max_points: reports.iter().map(|report| report.max_points).sum(),
            reports,
        }
    }
}
