//! What a run came to, in the one shape that tables, JSON and pages share.
//!
//! Times are milliseconds, rates are a second, shares are 0 to 1. Counts leave the warm-up out, except in [`Series`].
//! In the open loop every arrival is accounted for: without journeys,
//! `arrivals = ok + errors + dropped + unfinished`.

mod gather;

use std::collections::BTreeMap;

pub(crate) use gather::gather;
use serde::{Deserialize, Serialize};

use crate::{client::ErrorKind, scenario::Model, schedule::Arrivals, threshold::Judged};

/// The version of this format.
pub const VERSION: u32 = 1;

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`VERSION`].
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What it is for.
    pub description: String,
    /// `open` or `closed`.
    pub model: Model,
    /// The model in words: what latency counts from.
    pub model_in_words: String,
    /// How arrivals were spread; `None` in the closed loop.
    pub arrivals: Option<Arrivals>,
    /// Where the load went.
    pub target: String,
    /// The scenario's seed, as a decimal number in text, because JSON numbers do not hold 64 bits everywhere.
    pub seed: String,
    /// When it was started, in seconds since 1970.
    pub started_unix: u64,
    /// Threads of the generator.
    pub threads: u32,
    /// Most connections, or users.
    pub connections: u32,
    /// Seconds that requests were to be started for, warm-up included.
    pub planned_seconds: f64,
    /// Seconds of it that were warm-up.
    pub warmup_seconds: f64,
    /// Seconds that the figures cover: from the end of the warm-up to the end of the plan or to the last answer, whichever
    /// came later; to the last answer if it was interrupted.
    pub seconds: f64,
    /// Whether someone ended it early.
    pub interrupted: bool,
    /// How often what happened.
    pub counts: Counts,
    /// Arrivals due a second, over [`Self::planned_seconds`] without the warm-up; `None` in the closed loop.
    pub offered_per_second: Option<f64>,
    /// Expected answers a second.
    pub ok_per_second: f64,
    /// Share of requests that failed, were dropped, or were given up at the end; `None` when there was none.
    pub error_rate: Option<f64>,
    /// Of expected answers and time-outs: from the due time in the open loop, from the send in the closed one.
    pub latency: Latency,
    /// The same from the send, in the open loop: what a generator with coordinated omission would have shown.
    pub service: Option<Latency>,
    /// Each row of the scenario.
    pub routes: Vec<Route>,
    /// How it went over time.
    pub series: Series,
    /// What was asked of the run.
    pub thresholds: Vec<Judged>,
    /// How the generator itself did.
    pub generator: Generator,
    /// What a reader should know before believing the figures.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// Whether every threshold was kept.
    pub fn passed(&self) -> bool {
        self.thresholds.iter().all(|judged| judged.passed)
    }
}

/// How often what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Arrivals that were due; a journey is one. 0 in the closed loop.
    pub arrivals: u64,
    /// Requests sent.
    pub sent: u64,
    /// Expected answers.
    pub ok: u64,
    /// Errors, by kind; kinds that did not occur are 0.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals that found the backlog full and were never sent.
    pub dropped: u64,
    /// Arrivals and requests that had not ended when the run did.
    pub unfinished: u64,
    /// Times over 60 s, which the histograms hold as 60 s.
    pub over_range: u64,
    /// Connections opened, warm-up included and those left out that nothing was sent on.
    pub connects: u64,
    /// Requests sent once more because a kept-alive connection had been closed, warm-up included.
    pub retries: u64,
    /// Bytes of answers, warm-up included.
    pub bytes: u64,
}

impl Counts {
    /// Errors of all kinds.
    pub fn errors_in_all(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Errors of one kind.
    pub fn error(&self, kind: ErrorKind) -> u64 {
        self.errors.get(&kind).copied().unwrap_or(0)
    }
}

/// A distribution of times. All 0 when `count` is. Times hold three significant digits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many times there are.
    pub count: u64,
    /// Their mean.
    pub mean_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// 90 % took at most this.
    pub p90_ms: f64,
    /// 95 % took at most this.
    pub p95_ms: f64,
    /// 99 % took at most this.
    pub p99_ms: f64,
    /// 99.9 % took at most this.
    pub p99_9_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Points of the distribution, ever closer to 1: the share of times, and the time that they took at most.
    pub distribution: Vec<[f64; 2]>,
}

/// One row of the scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Requests sent.
    pub sent: u64,
    /// Expected answers.
    pub ok: u64,
    /// Errors, by kind; kinds that did not occur are 0.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, u64>,
    /// As in [`Outcome::latency`].
    pub latency: Latency,
    /// As in [`Outcome::service`].
    pub service: Option<Latency>,
}

/// How a run went over time, warm-up included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// How long each point is: 1 s unless the run was longer than an hour.
    pub point_seconds: u64,
    /// The points, from the start of the run, without a gap.
    pub points: Vec<Point>,
}

/// One point of a [`Series`]. Counts are of events within it; an answer belongs to the second in which it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds from the start of the run to the start of the point.
    pub at: u64,
    /// Arrivals due.
    pub due: u64,
    /// Requests sent.
    pub sent: u64,
    /// Expected answers.
    pub ok: u64,
    /// Errors, by kind; kinds that did not occur are absent.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals dropped, at their due time.
    pub dropped: u64,
    /// The median latency; `None` when nothing was answered.
    pub p50_ms: Option<f64>,
    /// The 99th percentile.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

/// How the generator did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Open loop: how much later than due a request was sent although a connection was free, or was noticed to be due
    /// when none was. The median; `None` in the closed loop.
    pub lateness_p50_ms: Option<f64>,
    /// The 99th percentile of it.
    pub lateness_p99_ms: Option<f64>,
    /// The longest.
    pub lateness_max_ms: Option<f64>,
    /// Share of a processor that the busiest thread used, where the system tells.
    pub cpu: Option<f64>,
    /// The first error of each kind, in words.
    pub examples: BTreeMap<ErrorKind, String>,
}
