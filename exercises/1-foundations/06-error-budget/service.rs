//! A service whose records go to the submission and to the oracle alike, and how the answers of the two are compared.

use std::collections::BTreeMap;

use error_budget::{ErrorBudget, Objective, Severity};
use harness::{Failed, Outcome, Rng};

use crate::oracle::{Oracle, Record};

pub(crate) struct Service {
    pub(crate) truth: Oracle,
    pub(crate) yours: ErrorBudget,
    /// In the latest minute, unless a check moved it.
    pub(crate) now: u64,
}

/// One of the usual objectives, over a few days.
pub(crate) fn objective(rng: &mut Rng) -> Objective {
    let allowed = [100, 500, 1_000, 5_000, 10_000, 50_000];
    Objective { good_per_million: 1_000_000 - allowed[rng.usize(..allowed.len())], days: rng.u32(3..6) }
}

impl Service {
    pub(crate) fn new(objective: Objective, rng: &mut Rng) -> Self {
        let now = rng.u64(1_000_000_000..2_000_000_000);
        Self { truth: Oracle::new(objective), yours: ErrorBudget::new(objective), now }
    }

    /// Begins the next minute and records its outcomes.
    pub(crate) fn minute(&mut self, good: u64, bad: u64) {
        self.now += 60;
        self.record(self.now, good, bad);
    }

    pub(crate) fn record(&mut self, at: u64, good: u64, bad: u64) {
        self.truth.records.push(Record { at, good, bad });
        self.yours.record(at, good, bad);
    }

    /// Its SLI and burn rate in a window, and what is left, are the oracle's.
    pub(crate) fn agrees(&self, what: &str, window: u64) -> Outcome {
        self.agrees_on_shares(what, window)?;
        let [expected, got] = [self.truth.burn_rate(self.now, window), self.yours.burn_rate(self.now, window)];
        if near(got, expected) {
            return Ok(());
        }
        let advice = if not_a_number(got) {
            NOT_A_NUMBER
        } else {
            "It is the share of the bad among the requests of this window, over the share that is allowed. How many \
             requests other windows had does not come into it."
        };
        Err(differs(what, &format!("the burn rate of {}", span(window)), expected, got, advice))
    }

    /// Its SLI in a window, and what is left, are the oracle's.
    pub(crate) fn agrees_on_shares(&self, what: &str, window: u64) -> Outcome {
        let [expected, got] = [self.truth.sli(self.now, window), self.yours.sli(self.now, window)];
        if !near(got, expected) {
            let advice = self.why(window, got);
            return Err(differs(what, &format!("the SLI of {}", span(window)), expected, got, advice));
        }
        let [expected, got] = [self.truth.left(self.now), self.yours.left(self.now)].map(Some);
        if !near(got, expected) {
            let advice = if not_a_number(got) {
                NOT_A_NUMBER
            } else {
                "It is 1 less the burn rate of all the objective's days."
            };
            return Err(differs(what, "what is left of the budget", expected, got, advice));
        }
        Ok(())
    }

    pub(crate) fn agrees_on_the_alert(&self, what: &str) -> Outcome {
        let [expected, got] = [self.truth.alert(self.now), self.yours.alert(self.now)];
        if got == expected {
            return Ok(());
        }
        let bad = self.truth.sums(self.now, 4_320).0;
        Err(Failed::because(format!(
            "{what}: expected {}, got {}. The burn rates are {}, and {} requests of the 3 days were bad; fewer than ten \
             alert nobody. {}",
            word(expected),
            word(got),
            self.truth.rates(self.now),
            grouped(bad),
            if not_a_number(self.yours.burn_rate(self.now, 60)) { NOT_A_NUMBER } else { "" },
        )))
    }

    /// What may have made this SLI of a window.
    fn why(&self, window: u64, got: Option<f64>) -> &'static str {
        let mut minutes: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut records = Vec::new();
        for record in self.truth.window(self.now, window).filter(|record| record.good + record.bad > 0) {
            let minute = minutes.entry(record.at / 60).or_default();
            *minute = (minute.0 + record.good, minute.1 + record.bad);
            records.push((record.good, record.bad));
        }
        let average = |counts: Vec<(u64, u64)>| {
            let ratios = counts.iter().map(|(good, bad)| *good as f64 / (good + bad) as f64);
            Some(ratios.sum::<f64>() / counts.len() as f64)
        };
        if not_a_number(got) {
            NOT_A_NUMBER
        } else if near(got, average(minutes.into_values().collect())) || near(got, average(records)) {
            "That is the average of the shares, in which a minute with two requests counts for as much as one with a \
             million. Add up the counts of the window first, and divide once."
        } else {
            "It is the sum of the good over the sum of all, of the window's minutes and of no others."
        }
    }
}

const NOT_A_NUMBER: &str = "Nothing divided by nothing is NaN. Whatever it is added to is NaN too, and it is never above a \
                            factor: an alert that is made of it stays silent, whatever fails.";

fn not_a_number(got: Option<f64>) -> bool {
    got.is_some_and(f64::is_nan)
}

/// Equal but for the rounding of a few steps.
fn near(got: Option<f64>, expected: Option<f64>) -> bool {
    match (got, expected) {
        (Some(got), Some(expected)) => got == expected || (got - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        (got, expected) => got == expected,
    }
}

fn differs(what: &str, which: &str, expected: Option<f64>, got: Option<f64>, advice: &str) -> Failed {
    let show = |value: Option<f64>| value.map_or("None".into(), |value| format!("{value}"));
    Failed::because(format!("{what}: {which} is {}, and the answer {}. {advice}", show(expected), show(got)))
}

/// How a table and a message name an alert.
pub(crate) fn word(alert: Option<Severity>) -> &'static str {
    match alert {
        None => "none",
        Some(Severity::Ticket) => "ticket",
        Some(Severity::Page) => "page",
    }
}

/// Minutes as a person says them: `90 minutes`, `3 hours`, `2 days`.
pub(crate) fn span(minutes: u64) -> String {
    let (count, unit) = match minutes {
        _ if minutes > 0 && minutes.is_multiple_of(1_440) => (minutes / 1_440, "day"),
        _ if minutes > 0 && minutes.is_multiple_of(60) => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    format!("{} {unit}{}", grouped(count.into()), if count == 1 { "" } else { "s" })
}

/// 1234567 is 1,234,567.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
