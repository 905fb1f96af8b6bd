//! How much of its error budget a service has used, how fast it uses it, and whether to wake somebody.
//!
//! OrderFlow counts the requests that were answered well (good) and those that were not (bad), and records both once or
//! more often a minute. The old alert was "more than 1 % of the requests failed for five minutes". It paged at night, when
//! there are few requests, and was silent for the three days in which one request in two hundred failed. This module took
//! its place on Friday. Since then it has paged for an hour after each repair, and once the night's idle minutes were
//! recorded, not at all. Besides, it keeps every record. Make its answers true, its alerts end, and its memory bounded.
//!
//! Time is in seconds since some fixed moment, and is passed in. The second `at` is in the minute `at / 60`, and a window
//! of `n` minutes is the minute that it ends in and the `n - 1` before. Time never goes back: who asks about a moment
//! before the latest minute recorded is answered for that minute.

/// What was promised: of a million requests this many are good, over so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objective {
    /// 999,000 is an objective of 99.9 %; at most 1,000,000, which is 100 %.
    pub good_per_million: u32,
    /// At least 3, so that no alert looks back further.
    pub days: u32,
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the next working day.
    Ticket,
    /// Wakes somebody.
    Page,
}

/// Fewer bad requests than this in the long window of a rule are no reason for an alert.
const FEWEST: u64 = 10;

// ANCHOR: rules
/// When to alert: minutes of the window, and how many times faster than allowed the budget is spent in it.
const RULES: [(u64, f64, Severity); 4] = [
    (60, 14.4, Severity::Page),
    (6 * 60, 6.0, Severity::Page),
    (24 * 60, 3.0, Severity::Ticket),
    (3 * 24 * 60, 1.0, Severity::Ticket),
];
// ANCHOR_END: rules

/// What was recorded at one time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    minute: u64,
    good: u64,
    bad: u64,
}

/// The outcomes of a service's requests, held against its objective.
#[derive(Debug, Clone)]
pub struct ErrorBudget {
    objective: Objective,
    latest: u64,
    entries: Vec<Entry>,
}

impl ErrorBudget {
    pub fn new(objective: Objective) -> Self {
        Self { objective, latest: 0, entries: Vec::new() }
    }

    /// Adds the outcomes of some requests of the minute that `at` is in. None at all is fine: the minute was idle. A record
    /// may come late, after those of later minutes. One for a minute before the objective's days, which end with the latest
    /// minute, changes nothing.
    ///
    /// All that is recorded for one minute fits into a `u64`; what is recorded for many need not.
    pub fn record(&mut self, at: u64, good: u64, bad: u64) {
        let minute = at / 60;
        self.latest = self.latest.max(minute);
        self.entries.push(Entry { minute, good, bad });
    }

    // ANCHOR: sli
    /// The share of the good among all requests of the `minutes` that end `now`, from 0 to 1: the service level indicator.
    /// From 1 minute to the objective's days may be asked for. `None` when there was no request.
    pub fn sli(&self, now: u64, minutes: u64) -> Option<f64> {
        let ratios: Vec<f64> =
            self.window(now, minutes).map(|entry| entry.good as f64 / (entry.good + entry.bad) as f64).collect();
        if ratios.is_empty() {
            return None;
        }
        Some(ratios.iter().sum::<f64>() / ratios.len() as f64)
    }
    // ANCHOR_END: sli

    // ANCHOR: burn_rate
    /// How many times faster than allowed the budget was spent in the `minutes` that end `now`: the share of the bad among
    /// their requests, divided by the share that the objective allows. At 1 the budget lasts exactly for the objective's
    /// days. `None` when there was no request. With an objective of 100 %, it is 0 while nothing is bad, else infinite.
    pub fn burn_rate(&self, now: u64, minutes: u64) -> Option<f64> {
        let days = self.minutes();
        let requests: u64 = self.window(now, days).map(|entry| entry.good + entry.bad).sum();
        // This window's part of what all the days may spend.
        let budget = requests as f64 * self.allowed() * minutes as f64 / days as f64;
        let bad: u64 = self.window(now, minutes).map(|entry| entry.bad).sum();
        (requests > 0).then_some(bad as f64 / budget)
    }
    // ANCHOR_END: burn_rate

    /// The share of the error budget that is left of the objective's days that end `now`: 1 when nothing was bad, 0 when as
    /// many requests were bad as the objective allows among so many, and less than 0 when more were. 1 when there was no
    /// request. With an objective of 100 %, it is 1 while nothing is bad, else infinitely below 0.
    pub fn left(&self, now: u64) -> f64 {
        match self.sli(now, self.minutes()) {
            Some(sli) => 1.0 - (1.0 - sli) / self.allowed(),
            None => 1.0,
        }
    }

    // ANCHOR: alert
    /// Whether to alert `now`: the most urgent of the rules that apply.
    ///
    /// | severity | long window | short window | factor |
    /// |---|---|---|---|
    /// | page | 1 hour | 5 minutes | 14.4 |
    /// | page | 6 hours | 30 minutes | 6 |
    /// | ticket | 1 day | 2 hours | 3 |
    /// | ticket | 3 days | 6 hours | 1 |
    ///
    /// A rule applies while the burn rates of its long and of its short window are both above its factor, and at least ten
    /// requests of the long window were bad. Exactly the factor is not above it.
    pub fn alert(&self, now: u64) -> Option<Severity> {
        let burns = |(minutes, factor, _): &&(u64, f64, Severity)| {
            let bad: u64 = self.window(now, *minutes).map(|entry| entry.bad).sum();
            bad >= FEWEST && self.burn_rate(now, *minutes).is_some_and(|rate| rate > *factor)
        };
        RULES.iter().filter(burns).map(|(_, _, severity)| *severity).max()
    }
    // ANCHOR_END: alert

    /// The entries of the `minutes` that end `now`.
    fn window(&self, now: u64, minutes: u64) -> impl Iterator<Item = &Entry> {
        let last = self.latest.max(now / 60);
        self.entries.iter().filter(move |entry| entry.minute <= last && last - entry.minute < minutes)
    }

    /// The minutes of the objective's days.
    fn minutes(&self) -> u64 {
        u64::from(self.objective.days) * 24 * 60
    }

    /// The share of the requests that may be bad.
    fn allowed(&self) -> f64 {
        1.0 - f64::from(self.objective.good_per_million) / 1e6
    }
}
