//! budgets.toml: what is measured, and what it must keep. `budgets.schema.json` says the same to editors.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::stop::Stop;

pub(super) const FILE: &str = "budgets.toml";
/// What a share is at most, and everything that is a share.
const SHARES: [Figure; 3] = [Figure::ErrorRate, Figure::CacheHits, Figure::DatabaseCache];

/// What can be measured of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    P95Ms,
    P99Ms,
    ErrorRate,
    Throughput,
    CacheHits,
    DatabaseCache,
}

impl Figure {
    /// As budgets.toml names it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::P95Ms => "p95_ms",
            Self::P99Ms => "p99_ms",
            Self::ErrorRate => "error_rate",
            Self::Throughput => "throughput",
            Self::CacheHits => "cache_hits",
            Self::DatabaseCache => "database_cache",
        }
    }

    pub(super) fn higher_is_better(self) -> bool {
        matches!(self, Self::Throughput | Self::CacheHits | Self::DatabaseCache)
    }

    /// Whether a ratio to earlier measurements says something: errors are few or none, and of none there is no ratio.
    pub(super) fn has_ratio(self) -> bool {
        self != Self::ErrorRate
    }

    /// Whether `value` is on the right side of `level`.
    pub(super) fn keeps(self, value: f64, level: f64) -> bool {
        if self.higher_is_better() { value >= level } else { value <= level }
    }
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) scenario: BTreeMap<String, Shape>,
    pub(super) budget: BTreeMap<Figure, Levels>,
    pub(super) history: History,
}

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) runs: u32,
    pub(super) seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) peak_rate: Option<f64>,
}

/// What a figure is to keep.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Levels {
    pub(super) target: f64,
    pub(super) warn: Option<f64>,
    pub(super) fail: Option<f64>,
    #[serde(default)]
    pub(super) scenarios: Vec<String>,
}

impl Levels {
    pub(super) fn judge_in(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|named| named == scenario)
    }
}

/// How this run is compared with earlier ones.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    pub(super) warn: f64,
    pub(super) fail: f64,
    pub(super) runs: u32,
    pub(super) enough: u32,
}

impl Limits {
    pub(super) fn read(root: &Path) -> Result<Self, Stop> {
        let text = fs::read_to_string(root.join(FILE)).map_err(|error| {
            Stop::usage(format!("{FILE} cannot be read: {error}"), "Restore it from the repository.")
        })?;
        Self::parse(&text)
    }

    /// Everything that is wrong with it at once, unless it is no TOML of the right shape.
    pub(super) fn parse(text: &str) -> Result<Self, Stop> {
        let limits: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().trim_end().replace('\n', " ");
            Stop::usage(format!("{FILE}, line {line}: {message}"), "The comments in it say what it may hold.")
        })?;
        let problems = limits.problems();
        if problems.is_empty() {
            return Ok(limits);
        }
        Err(Stop::usage(format!("{FILE} does not make sense"), problems.join("\n")))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.scenario.is_empty() {
            problems.push("scenario: name at least one".to_owned());
        }
        for (name, shape) in &self.scenario {
            if !(1..=99).contains(&shape.runs) {
                problems.push(format!("scenario.{name}.runs is {}; give it 1 to 99", shape.runs));
            }
            if !(1.0..=3_600.0).contains(&shape.seconds) {
                problems.push(format!("scenario.{name}.seconds is {}; give it 1 to 3600", shape.seconds));
            }
            if shape.peak_rate.is_some_and(|rate| !(rate > 0.0 && rate <= 100_000.0)) {
                problems.push(format!("scenario.{name}.peak_rate: give it more than 0 and at most 100000"));
            }
        }
        if self.budget.is_empty() {
            problems.push("budget: set at least one".to_owned());
        }
        for (figure, levels) in &self.budget {
            self.levels(*figure, levels, &mut problems);
        }
        let History { warn, fail, runs, enough } = self.history;
        if !(warn > 1.0 && warn <= fail && fail <= 100.0) {
            problems.push(format!("history: warn is {warn} and fail {fail}; both are above 1, and fail is no less"));
        }
        if !(1..=100).contains(&runs) || !(1..=runs).contains(&enough) {
            problems
                .push(format!("history: runs is {runs} and enough {enough}; give 1 to 100, and no more for enough"));
        }
        problems
    }

    fn levels(&self, figure: Figure, levels: &Levels, problems: &mut Vec<String>) {
        let key = figure.key();
        let set = [("target", Some(levels.target)), ("warn", levels.warn), ("fail", levels.fail)];
        let set: Vec<_> = set.into_iter().filter_map(|(name, level)| Some((name, level?))).collect();
        let most = if SHARES.contains(&figure) { 1.0 } else { f64::MAX };
        for (name, level) in &set {
            if !(0.0..=most).contains(level) {
                let range = if most == 1.0 { "0 to 1" } else { "0 or more" };
                problems.push(format!("budget.{key}.{name} is {level}; give it {range}"));
            }
        }
        for pair in set.windows(2) {
            let [(strict, stricter), (lax, laxer)] = [pair[0], pair[1]];
            // What keeps the stricter level must keep the laxer one.
            if !figure.keeps(stricter, laxer) {
                let side = if figure.higher_is_better() { "above" } else { "below" };
                problems.push(format!("budget.{key}.{lax} is {laxer}, which is {side} its {strict} of {stricter}"));
            }
        }
        for name in levels.scenarios.iter().filter(|name| !self.scenario.contains_key(*name)) {
            problems.push(format!("budget.{key}.scenarios names {name}, and there is no [scenario.{name}]"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(FILE)).unwrap()
    }

    fn schema() -> jsonschema::Validator {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("budgets.schema.json");
        let schema = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    }

    fn as_json(text: &str) -> serde_json::Value {
        serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap()
    }

    #[test]
    fn ours_has_the_levels_that_the_course_promises() {
        let limits = Limits::parse(&ours()).unwrap();
        let levels = |figure| {
            let Levels { target, warn, fail, .. } = limits.budget[&figure].clone();
            (target, warn, fail)
        };
        assert_eq!(levels(Figure::P95Ms), (300.0, None, Some(500.0)));
        assert_eq!(levels(Figure::P99Ms), (500.0, Some(1_000.0), None));
        assert_eq!(levels(Figure::ErrorRate), (0.01, None, Some(0.05)));
        assert_eq!(levels(Figure::Throughput), (1_000.0, Some(500.0), None));
        assert_eq!(levels(Figure::CacheHits), (0.85, Some(0.7), None));
        assert_eq!(levels(Figure::DatabaseCache), (0.95, None, None));
        assert_eq!(limits.scenario.keys().collect::<Vec<_>>(), ["load", "smoke"]);
    }

    #[test]
    fn the_schema_takes_ours_and_refuses_what_the_program_refuses() {
        let schema = schema();
        assert!(schema.is_valid(&as_json(&ours())));
        for (from, to) in [
            ("target = 300", "target = \"300\""),
            ("target = 300", "goal = 300"),
            ("target = 0.85", "target = 85"),
            ("[budget.p95_ms]", "[budget.p96_ms]"),
            ("runs = 3\nseconds = 5", "runs = 0\nseconds = 5"),
            ("runs = 3\nseconds = 5", "runs = 3"),
            ("warn = 1.25", "warn = 1"),
            ("[history]", "[past]"),
        ] {
            let text = ours().replacen(from, to, 1);
            assert_ne!(text, ours(), "{from} is in it");
            assert!(Limits::parse(&text).is_err() && !schema.is_valid(&as_json(&text)), "{to}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_all_at_once() {
        let text = ours()
            .replace("fail = 500", "fail = 200")
            .replace("warn = 0.70", "warn = 0.9")
            .replace("scenarios = [\"load\"]", "scenarios = [\"laod\"]")
            .replace("enough = 3", "enough = 11");
        let next = Limits::parse(&text).unwrap_err().next;
        for part in [
            "budget.p95_ms.fail is 200, which is below its target of 300",
            "budget.cache_hits.warn is 0.9, which is above its target of 0.85",
            "budget.throughput.scenarios names laod",
            "history: runs is 10 and enough 11",
        ] {
            assert!(next.contains(part), "{part} is not in:\n{next}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let what = Limits::parse("[scenario.smoke]\nruns = 3\nsecs = 5\n").unwrap_err().what;
        assert!(what.starts_with("budgets.toml, line 3: unknown field `secs`"), "{what}");
    }
}
