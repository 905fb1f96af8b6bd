//! Scenarios: what is sent, when, and what must hold. [`Draft`] is what someone wrote; [`Scenario`] is what passed every check.

mod builtin;
mod check;
mod draft;
mod load;

use std::{fmt, time::Duration};

pub use builtin::{BUILT_IN, built_in};
pub(crate) use check::plain;
pub use draft::{CaptureDraft, Draft, JourneyDraft, Model, RequestDraft, Size, StageDraft, Think, ValueDraft};

use crate::{schedule::Schedule, template::Template, threshold::Thresholds, values::Value};

/// A scenario that can be run. Made by [`Draft::check`].
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) seed: u64,
    pub(crate) warmup: Duration,
    pub(crate) pace: Pace,
    pub(crate) values: Vec<Value>,
    pub(crate) routes: Vec<String>,
    pub(crate) mix: Mix,
    pub(crate) thresholds: Thresholds,
}

/// Who sets the pace.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    Open { schedule: Schedule, connections: u32, backlog: u32 },
    Closed { users: u32, duration: Duration, think: Option<Think> },
}

/// What an arrival may turn out to be.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    /// Each entry with the sum of the weights up to and including its own.
    pub(crate) entries: Vec<(u64, Vec<Step>)>,
}

impl Mix {
    /// The entry that a draw of the mix chooses.
    pub(crate) fn choose(&self, rng: &mut fastrand::Rng) -> usize {
        let total = self.entries.last().map_or(1, |(sum, _)| *sum);
        let at = rng.u64(0..total);
        self.entries.partition_point(|(sum, _)| *sum <= at)
    }
}

/// A request whose templates are resolved.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) route: usize,
    pub(crate) method: &'static str,
    pub(crate) path: Template,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) body: Option<Template>,
    pub(crate) auth: bool,
    /// Empty stands for any of 2xx.
    pub(crate) expect: Vec<u16>,
    pub(crate) capture: Option<Capture>,
}

/// Where an id is taken from.
#[derive(Debug, Clone)]
pub(crate) enum Capture {
    Json(String),
    Location,
}

impl Scenario {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rows of its report, in the order of the file.
    pub fn routes(&self) -> Vec<&str> {
        self.routes.iter().map(String::as_str).collect()
    }

    /// How long it goes on starting requests, warm-up included.
    pub fn duration(&self) -> Duration {
        match &self.pace {
            Pace::Open { schedule, .. } => schedule.duration(),
            Pace::Closed { duration, .. } => *duration,
        }
    }

    /// Whether some request needs the key.
    pub fn needs_key(&self) -> bool {
        self.mix.entries.iter().any(|(_, steps)| steps.iter().any(|step| step.auth))
    }

    /// The model in words, as every report says it.
    pub fn model_in_words(&self) -> String {
        match &self.pace {
            Pace::Open { connections, backlog, .. } => format!(
                "open loop: requests are due by a schedule, latency counts from the due time; at most {connections} at \
                 once, at most {backlog} waiting"
            ),
            Pace::Closed { users, think, .. } => {
                let think = match think {
                    None | Some(Think::Fixed(0) | Think::Exponential(0)) => "no think time".into(),
                    Some(Think::Fixed(ms)) => format!("a think time of {ms} ms"),
                    Some(Think::Exponential(ms)) => format!("an exponential think time of {ms} ms on average"),
                };
                format!(
                    "closed loop: {users} users, each waits for its answer, then {think}; latency counts from the send, \
                     so requests that a stall keeps from being sent are not in it"
                )
            }
        }
    }
}

/// Everything that is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, or the built-in's name.
    pub file: String,
    /// One line each: the key, what is wrong with it, what to do.
    pub problems: Vec<String>,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{}: {only}", self.file),
            many => {
                write!(f, "{}: {} problems", self.file, many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ScenarioError {}
