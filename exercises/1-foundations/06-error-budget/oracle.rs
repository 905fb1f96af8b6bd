//! The truth that answers are compared with: every record is kept, each question looks at all of them, and nothing is
//! rounded before the last step.

use error_budget::{Objective, Severity};

/// A window of a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    pub(crate) minutes: u64,
}

/// A rule, with ten times its factor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) severity: Severity,
    pub(crate) long: Window,
    pub(crate) short: Window,
    pub(crate) tenths: u64,
}

/// The rules, the windows getting longer.
pub(crate) const RULES: [Rule; 4] = [
    rule(Severity::Page, ("1 h", 60), ("5 m", 5), 144),
    rule(Severity::Page, ("6 h", 360), ("30 m", 30), 60),
    rule(Severity::Ticket, ("1 d", 1_440), ("2 h", 120), 30),
    rule(Severity::Ticket, ("3 d", 4_320), ("6 h", 360), 10),
];

const fn rule(severity: Severity, long: (&'static str, u64), short: (&'static str, u64), tenths: u64) -> Rule {
    let [long, short] = [Window { name: long.0, minutes: long.1 }, Window { name: short.0, minutes: short.1 }];
    Rule { severity, long, short, tenths }
}

/// What was recorded at one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) at: u64,
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Oracle {
    pub(crate) objective: Objective,
    pub(crate) records: Vec<Record>,
}

impl Oracle {
    pub(crate) fn new(objective: Objective) -> Self {
        Self { objective, records: Vec::new() }
    }

    /// The minutes of the objective's days.
    pub(crate) fn days(&self) -> u64 {
        u64::from(self.objective.days) * 1_440
    }

    /// The records of a window.
    pub(crate) fn window(&self, now: u64, minutes: u64) -> impl Iterator<Item = &Record> {
        let latest = self.records.iter().map(|record| record.at / 60).max().unwrap_or(0);
        let last = latest.max(now / 60);
        self.records.iter().filter(move |record| (record.at / 60).checked_add(minutes).is_none_or(|end| end > last))
    }

    /// The bad and all requests of a window.
    pub(crate) fn sums(&self, now: u64, minutes: u64) -> (u128, u128) {
        let add = |(bad, all), record: &Record| {
            (bad + u128::from(record.bad), all + u128::from(record.good) + u128::from(record.bad))
        };
        self.window(now, minutes).fold((0, 0), add)
    }

    pub(crate) fn sli(&self, now: u64, minutes: u64) -> Option<f64> {
        let (bad, all) = self.sums(now, minutes);
        (all > 0).then(|| (all - bad) as f64 / all as f64)
    }

    pub(crate) fn burn_rate(&self, now: u64, minutes: u64) -> Option<f64> {
        let (bad, all) = self.sums(now, minutes);
        match (bad, all) {
            (_, 0) => None,
            (0, _) => Some(0.0),
            _ => Some((bad * 1_000_000) as f64 / (all * self.allowed()) as f64),
        }
    }

    /// `(allowed share of all - bad) / allowed share of all`, subtracted in whole numbers.
    pub(crate) fn left(&self, now: u64) -> f64 {
        let (bad, all) = self.sums(now, self.days());
        let budget = all * self.allowed();
        if bad == 0 { 1.0 } else { (budget as i128 - (bad * 1_000_000) as i128) as f64 / budget as f64 }
    }

    pub(crate) fn alert(&self, now: u64) -> Option<Severity> {
        let applies = |rule: &Rule| {
            let above = |(bad, all)| bad * 10_000_000 > u128::from(rule.tenths) * self.allowed() * all;
            let [long, short] = [rule.long, rule.short].map(|window| self.sums(now, window.minutes));
            long.0 >= 10 && above(long) && above(short)
        };
        RULES.iter().filter(|rule| applies(rule)).map(|rule| rule.severity).max()
    }

    /// The burn rates that the rules look at, as the end of a sentence.
    pub(crate) fn rates(&self, now: u64) -> String {
        let rate = |window: Window| match self.burn_rate(now, window.minutes) {
            Some(rate) => format!("{rate:.2} in {}", window.name),
            None => format!("none in {}", window.name),
        };
        let both =
            |rule: Rule| format!("{} and {} (factor {})", rate(rule.long), rate(rule.short), rule.tenths as f64 / 10.0);
        RULES.map(both).join(", ")
    }

    /// How many of a million requests may be bad.
    fn allowed(&self) -> u128 {
        1_000_000 - u128::from(self.objective.good_per_million)
    }
}
