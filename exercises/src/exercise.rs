//! `exercise.toml` as types. Unknown keys are refused, so that a misspelt one cannot be silently without effect.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Problem;

/// One exercise: where it stands in the course and what its `exercise.toml` says.
#[derive(Debug, Clone)]
pub struct Exercise {
    /// The name that every command takes, for example `allocation-budget`; also the package's name.
    pub slug: String,
    /// Part of the course, from 1.
    pub part: u32,
    /// Place within the part, from 1.
    pub number: u32,
    /// Directory, relative to the course root: `exercises/1-foundations/03-allocation-budget`.
    pub dir: PathBuf,
    /// The content of its `exercise.toml`.
    pub spec: Spec,
}

/// The content of an `exercise.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What the book and the command line call the exercise.
    pub title: String,
    /// The one lesson, in a sentence.
    pub lesson: String,
    /// The chapter that leads to it, relative to `book/src`.
    pub chapter: String,
    /// How long a learner needs in all: for the chapter, at 200 words a minute, and for the exercise.
    pub minutes: u32,
    /// Files a learner edits, relative to the exercise's directory; all of them under `src/`.
    #[serde(default = "only_lib")]
    pub editable: Vec<String>,
    /// Servers and programs that the checks need; where one is missing, the verdict is `blocked`.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Bounds for each process that runs the learner's code.
    #[serde(default)]
    pub limits: Limits,
    /// Every check that the exercise has, in the order in which they are shown.
    pub checks: Vec<CheckSpec>,
    /// Three hints, from vague to plain.
    pub hints: Vec<String>,
}

fn only_lib() -> Vec<String> {
    vec!["src/lib.rs".into()]
}

/// A server or program that an exercise needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A `PostgreSQL` server.
    Postgresql,
    /// A Redis server.
    Redis,
    /// A `RabbitMQ` server.
    Rabbitmq,
    /// The Prometheus server and promtool.
    Prometheus,
}

impl Need {
    /// The program whose presence on `PATH` says that the need is met.
    pub fn program(self) -> &'static str {
        match self {
            Self::Postgresql => "postgres",
            Self::Redis => "redis-server",
            Self::Rabbitmq => "rabbitmq-server",
            Self::Prometheus => "prometheus",
        }
    }
}

/// Bounds for one process that runs a submission.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Wall time of one check, in seconds.
    pub seconds: u32,
    /// Address space of the process, in MiB.
    pub memory_mib: u32,
    /// What the process may print, in KiB.
    pub output_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seconds: 10, memory_mib: 1024, output_kib: 1024 }
    }
}

/// One check of an exercise: the name by which `checks.rs` or `bench.rs` defines it, and what it is worth.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// Name, in kebab case, unique within the exercise.
    pub name: String,
    /// What a passing answer does, as a sentence a learner can act on.
    pub title: String,
    /// How it is decided.
    pub kind: Kind,
    /// What it is worth.
    pub points: u32,
    /// Whether the lesson is about it: the starter must fail it. A check of kind `correctness` that the lesson is not
    /// about guards the others: when it fails, they are skipped.
    #[serde(default)]
    pub lesson: bool,
    /// The bound that a measuring check holds its figure to.
    #[serde(default)]
    pub gate: Option<Gate>,
}

impl CheckSpec {
    /// Whether its failure makes the other checks pointless.
    pub fn guards(&self) -> bool {
        self.kind == Kind::Correctness && !self.lesson
    }
}

/// How a check comes to its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Behaviour: the answer is right or it is not.
    Correctness,
    /// A claim the learner wrote down, compared with the truth.
    Answer,
    /// An exact count of heap allocations or bytes.
    Allocations,
    /// The paired ratio of the frozen baseline's time to the submission's.
    Speed,
    /// The ratio of the cost at ten times the size to the cost at the size.
    Growth,
    /// Times that the learner wrote down, compared with measuring again.
    Measurements,
    /// How far from the truth a measurement is that the submission itself makes.
    Accuracy,
}

impl Kind {
    /// Whether the bench binary, which has no allocation counter in it, decides it.
    pub fn timed(self) -> bool {
        matches!(self, Self::Speed | Self::Growth | Self::Measurements | Self::Accuracy)
    }

    /// Whether the check compares a figure with a gate.
    pub fn measures(self) -> bool {
        matches!(self, Self::Allocations | Self::Speed | Self::Growth | Self::Accuracy)
    }
}

/// A bound on a measured figure: `{ at_least = 5, unit = "x" }`. Exactly one of the two bounds is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The figure must reach this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The figure must not exceed this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// What the figure counts, for example `allocations` or `x the baseline's speed`.
    pub unit: String,
}

impl Gate {
    /// The bound, whichever side it is on.
    pub fn bound(&self) -> f64 {
        self.at_least.or(self.at_most).unwrap_or(f64::NAN)
    }

    /// `at most 20`, for a sentence that has said the unit already.
    pub fn bound_in_words(&self) -> String {
        let side = if self.at_least.is_some() { "at least" } else { "at most" };
        format!("{side} {}", number(self.bound()))
    }

    /// Whether `figure` is on the passing side.
    pub fn admits(&self, figure: f64) -> bool {
        match (self.at_least, self.at_most) {
            (Some(bound), None) => figure >= bound,
            (None, Some(bound)) => figure <= bound,
            _ => false,
        }
    }

    /// How far `figure` is on the passing side, as a factor: 1 is on the gate, 2 twice as good, 0.5 half as good.
    pub fn clearance(&self, figure: f64) -> f64 {
        match self.at_most {
            // A figure of nothing clears any bound; dividing by it would say so with an infinity that JSON cannot hold.
            Some(bound) => bound / figure.max(bound * 1e-6).max(f64::MIN_POSITIVE),
            None => figure / self.bound(),
        }
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.bound_in_words(), self.unit)
    }
}

/// A figure as a person reads it, to three digits or so: `23,169`, `15`, `15.0`, `9.47`, `1.5`, `0.031`.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if magnitude >= 999.5 || value.fract() == 0.0 {
        let digits = format!("{magnitude:.0}");
        let mut out = String::from(if value < 0.0 { "-" } else { "" });
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        return out;
    }
    let text = match magnitude {
        m if m >= 100.0 => format!("{value:.0}"),
        m if m >= 10.0 => format!("{value:.1}"),
        m if m >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    // `1.50` is `1.5`, but `1.00` is `1.0`: it was measured, and is not the whole number.
    match text.trim_end_matches('0') {
        short if short.ends_with('.') => format!("{short}0"),
        short if short.contains('.') => short.into(),
        _ => text,
    }
}

impl Spec {
    /// Reads the text of an `exercise.toml`.
    ///
    /// # Errors
    /// The first syntax error, unknown key or wrong type, with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Problem> {
        toml::from_str(text).map_err(|error| Problem {
            file: file.into(),
            line: error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count()),
            what: error.message().replace('\n', " "),
        })
    }

    /// Everything wrong with the spec that can be seen without looking at other files.
    pub(crate) fn problems(&self, file: &Path) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |what: String| found.push(Problem::new(file, what));
        if self.hints.len() != 3 {
            say(format!("`hints` has {} entries; write three, from vague to plain", self.hints.len()));
        }
        if self.minutes == 0 {
            say("`minutes` is 0; say how long a learner needs".into());
        }
        if self.checks.is_empty() || self.max_points() == 0 {
            say("the checks are worth nothing; give at least one check points".into());
        }
        if !self.checks.iter().any(|check| check.lesson) {
            say("no check has `lesson = true`; mark those that the starter must fail".into());
        }
        for (i, check) in self.checks.iter().enumerate() {
            let name = &check.name;
            if !is_slug(name) {
                say(format!("check `{name}`: a name is lower-case letters, digits and single hyphens"));
            }
            if self.checks[..i].iter().any(|other| other.name == *name) {
                say(format!("check `{name}` is listed twice; names are unique"));
            }
            match (&check.gate, check.kind.measures()) {
                (None, true) => say(format!("check `{name}` measures a figure; give it a `gate`")),
                (Some(_), false) => say(format!("check `{name}` measures no figure; take its `gate` away")),
                (Some(gate), true) => {
                    let bounds = [gate.at_least, gate.at_most];
                    if bounds.iter().flatten().count() != 1
                        || bounds.iter().flatten().any(|b| !b.is_finite() || *b < 0.0)
                    {
                        say(format!("check `{name}`: a gate has either `at_least` or `at_most`, a number from 0"));
                    }
                }
                (None, false) => {}
            }
        }
        let Limits { seconds, memory_mib, output_kib } = self.limits;
        if !(1..=300).contains(&seconds) || !(64..=8192).contains(&memory_mib) || !(1..=16_384).contains(&output_kib) {
            say("`limits`: seconds 1 to 300, memory_mib 64 to 8192, output_kib 1 to 16384".into());
        }
        if !self.editable.iter().any(|path| path == "src/lib.rs") {
            say("`editable` lacks src/lib.rs, which is what a learner edits".into());
        }
        for path in &self.editable {
            if !path.starts_with("src/") || path.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
                say(format!("`editable`: {path} is not a plain path under src/"));
            }
        }
        found
    }

    /// What a full solution scores.
    pub fn max_points(&self) -> u32 {
        self.checks.iter().map(|check| check.points).sum()
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&CheckSpec> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl Exercise {
    /// Where the frozen starter of an editable file is kept, relative to the exercise's directory: `baseline.rs` for
    /// `src/lib.rs`, because the bench runs it beside the learner's code; `starter/` for any other.
    pub fn starter(editable: &str) -> PathBuf {
        match editable {
            "src/lib.rs" => "baseline.rs".into(),
            other => Path::new("starter").join(other.strip_prefix("src/").unwrap_or(other)),
        }
    }

    /// The reference solution's directory, relative to the course root.
    pub fn solution_dir(&self) -> PathBuf {
        Path::new("solutions").join(self.dir.strip_prefix("exercises").unwrap_or(&self.dir))
    }
}

/// Lower-case letters and digits in words joined by single hyphens.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.split('-').all(|word| {
            !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        })
}
