//! What a run must keep, and whether it did.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// The limits of a scenario; those that are absent are not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Most milliseconds that half of the requests may take.
    pub p50_ms: Option<f64>,
    /// Most milliseconds that 90 % of the requests may take.
    pub p90_ms: Option<f64>,
    /// Most milliseconds that 95 % of the requests may take.
    pub p95_ms: Option<f64>,
    /// Most milliseconds that 99 % of the requests may take.
    pub p99_ms: Option<f64>,
    /// Most milliseconds that 99.9 % of the requests may take.
    pub p99_9_ms: Option<f64>,
    /// Most milliseconds that any request may take.
    pub max_ms: Option<f64>,
    /// Largest share of arrivals that may be errors or dropped, 0 to 1.
    pub error_rate: Option<f64>,
    /// Fewest expected answers a second.
    pub min_rate: Option<f64>,
}

impl Thresholds {
    /// The limits that are set, by the names that files use.
    pub(crate) fn set(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("p50_ms", self.p50_ms),
            ("p90_ms", self.p90_ms),
            ("p95_ms", self.p95_ms),
            ("p99_ms", self.p99_ms),
            ("p99_9_ms", self.p99_9_ms),
            ("max_ms", self.max_ms),
            ("error_rate", self.error_rate),
            ("min_rate", self.min_rate),
        ]
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
    }
}

/// One threshold and how the run stands to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its key in the scenario, or `answers`: that anything was answered as expected, which is asked of every run.
    pub name: String,
    /// The limit, in the unit that the name says.
    pub limit: f64,
    /// What was measured; `None` when there was nothing to measure.
    pub measured: Option<f64>,
    /// Whether the limit is kept. Nothing measured keeps no limit.
    pub passed: bool,
}

/// Holds `outcome` to `thresholds`.
pub(crate) fn judge(thresholds: &Thresholds, outcome: &Outcome) -> Vec<Judged> {
    let answered = outcome.counts.ok as f64;
    let mut judged =
        vec![Judged { name: "answers".into(), limit: 1.0, measured: Some(answered), passed: answered >= 1.0 }];
    judged.extend(thresholds.set().map(|(name, limit)| {
        let latency = &outcome.latency;
        let any = |figure: f64| (latency.count > 0).then_some(figure);
        let measured = match name {
            "p50_ms" => any(latency.p50_ms),
            "p90_ms" => any(latency.p90_ms),
            "p95_ms" => any(latency.p95_ms),
            "p99_ms" => any(latency.p99_ms),
            "p99_9_ms" => any(latency.p99_9_ms),
            "max_ms" => any(latency.max_ms),
            "error_rate" => outcome.error_rate,
            _ => Some(outcome.ok_per_second),
        };
        let passed = measured.is_some_and(|it| if name == "min_rate" { it >= limit } else { it <= limit });
        Judged { name: name.into(), limit, measured, passed }
    }));
    judged
}
