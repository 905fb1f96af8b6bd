//! The figures of the chapter: three designs of an alert, each run minute by minute against the same incidents.

use error_budget::{ErrorBudget, Objective, Severity};
use harness::evidence::{Axis, Figure, Series};

const OBJECTIVE: Objective = Objective { good_per_million: 999_000, days: 30 };
const DAY: u64 = 1_440;
const DAYS: u64 = 30 * DAY;

/// What the designs are called, in the order in which [`Watch::minute`] answers for them.
const DESIGNS: [&str; 3] = ["more than 1 % for 5 minutes", "long windows alone", "both windows"];

/// A service that is watched by all three designs, after 30 good days.
struct Watch {
    budget: ErrorBudget,
    now: u64,
    /// For how many minutes on end more than 1 % was bad.
    above: u64,
}

impl Watch {
    fn new(requests: u64) -> Self {
        let mut watch = Self { budget: ErrorBudget::new(OBJECTIVE), now: 0, above: 0 };
        for _ in 0..DAYS {
            watch.record(requests, 0);
        }
        watch
    }

    fn record(&mut self, requests: u64, bad: u64) {
        self.now += 60;
        self.budget.record(self.now, requests - bad, bad);
    }

    /// One more minute, and what each design says after it.
    fn minute(&mut self, requests: u64, bad: u64) -> [Option<Severity>; 3] {
        self.record(requests, bad);
        self.above = if bad * 100 > requests { self.above + 1 } else { 0 };
        let burns = |minutes, factor| self.budget.burn_rate(self.now, minutes).is_some_and(|rate| rate > factor);
        let long_alone = if burns(60, 14.4) || burns(6 * 60, 6.0) {
            Some(Severity::Page)
        } else {
            (burns(DAY, 3.0) || burns(3 * DAY, 1.0)).then_some(Severity::Ticket)
        };
        [(self.above >= 5).then_some(Severity::Page), long_alone, self.budget.alert(self.now)]
    }

    /// The share of the budget that is spent, in per cent.
    fn spent(&self) -> f64 {
        100.0 * (1.0 - self.budget.left(self.now))
    }
}

/// When the first alerts come if a share of the requests fails from now on: the series' name, and for each share the
/// minutes and what is spent by then.
fn first_alerts() -> [(&'static str, Vec<[f64; 3]>); 3] {
    const REQUESTS: u64 = 100_000;
    let mut series = [DESIGNS[0], "both windows: page", "both windows: ticket"].map(|name| (name, Vec::new()));
    // Eight steps for each factor of ten, and the first just above what the budget allows.
    for step in 0..=24 {
        let bad = (REQUESTS as f64 * 0.00103_f64.powf(1.0 - f64::from(step) / 24.0)).round() as u64;
        let mut watch = Watch::new(REQUESTS);
        let mut found = [false; 3];
        for minute in 1..=3 * DAY {
            let [fixed, _, both] = watch.minute(REQUESTS, bad);
            let says = [fixed.is_some(), both == Some(Severity::Page), both == Some(Severity::Ticket)];
            for (i, says) in says.into_iter().enumerate() {
                // A ticket after the page tells nobody anything.
                if says && !found[i] && !(i == 2 && found[1]) {
                    found[i] = true;
                    series[i].1.push([100.0 * bad as f64 / REQUESTS as f64, minute as f64, watch.spent()]);
                }
            }
            // The fixed alert has had its five minutes too.
            if found[1] && minute >= 5 {
                break;
            }
        }
    }
    series
}

fn lines(y: usize, label: &str) -> Figure {
    let series = first_alerts().map(|(name, points)| Series {
        label: name.into(),
        points: points.into_iter().map(|point| [point[0], point[y]]).collect(),
    });
    Figure::Lines {
        x: Axis { label: "requests that fail, %".into(), log: true },
        y: Axis { label: label.into(), log: true },
        series: series.into(),
    }
}

/// How long until an alert comes.
pub(crate) fn detection() -> Figure {
    lines(1, "minutes until the alert")
}

/// What is spent of the budget when it comes.
pub(crate) fn spent() -> Figure {
    lines(2, "spent of the budget of 30 days, %")
}

/// Requests a minute; the bad ones of minute `n`, counted from 0; how many minutes it lasts.
type Incident = (&'static str, u64, fn(u64) -> u64, u64);

const INCIDENTS: [Incident; 5] = [
    ("a quiet night: for 10 minutes, 1 of 20 requests fails in each", 20, |_| 1, 10),
    ("for 10 minutes, everything fails", 1_000, |_| 1_000, 10),
    ("for an hour, 1 in 10 fails", 1_000, |_| 100, 60),
    (
        "for 3 hours, 1 in 10 fails in every third minute, none between",
        1_000,
        |minute| if minute.is_multiple_of(3) { 100 } else { 0 },
        180,
    ),
    ("for 3 days, 1 in 200 fails", 1_000, |_| 5, 3 * DAY),
];

/// What each design makes of each incident.
pub(crate) fn incidents() -> Figure {
    let columns = ["what happens"].into_iter().chain(DESIGNS).chain(["spent of the budget"]);
    let rows = INCIDENTS.map(|(name, requests, bad, lasts)| {
        let mut watch = Watch::new(requests);
        let mut said: [Vec<(u64, Severity)>; 3] = Default::default();
        let mut spent = 0.0;
        for minute in 0..lasts + 4 * DAY {
            let bad = if minute < lasts { bad(minute) } else { 0 };
            let says = watch.minute(requests, bad);
            for (said, severity) in said.iter_mut().zip(says) {
                said.extend(severity.map(|severity| (minute + 1, severity)));
            }
            if minute + 1 == lasts {
                spent = watch.spent();
            }
        }
        let cells = said.map(|said| cell(&said, lasts));
        [name.to_owned()].into_iter().chain(cells).chain([format!("{spent:.1} %")]).collect()
    });
    Figure::Table { columns: columns.map(String::from).collect(), rows: rows.into() }
}

/// The most urgent that a design said, when it began, and when it ended.
fn cell(said: &[(u64, Severity)], lasts: u64) -> String {
    let Some(most) = said.iter().map(|(_, severity)| *severity).max() else { return "silent".into() };
    let mut minutes = said.iter().filter(|(_, severity)| *severity == most).map(|(minute, _)| *minute);
    let first = minutes.next().unwrap_or(0);
    let last = minutes.next_back().unwrap_or(first);
    let word = if most == Severity::Page { "page" } else { "ticket" };
    let end = match last.checked_sub(lasts) {
        Some(0) => "ends at once".into(),
        Some(after) => format!("ends {} after it is over", span(after + 1)),
        None => "ends before it is over".into(),
    };
    format!("{word} after {}, {end}", span(first))
}

fn span(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The bad requests of minute `n`, of 1,000.
type History = (&'static str, fn(u64) -> u64);

/// What is left day by day, for an outage and for two slow burns.
pub(crate) fn left() -> Figure {
    let histories: [History; 3] = [
        (
            "everything fails for 20 minutes on day 5",
            |minute| {
                if (5 * DAY..5 * DAY + 20).contains(&minute) { 1_000 } else { 0 }
            },
        ),
        ("1 in 200 fails from day 10 to day 13", |minute| if (10 * DAY..13 * DAY).contains(&minute) { 5 } else { 0 }),
        ("1 in 500 fails from day 15 on", |minute| if minute >= 15 * DAY { 2 } else { 0 }),
    ];
    let series = histories.map(|(label, bad)| {
        let mut watch = Watch::new(1_000);
        let mut points = vec![[0.0, 100.0]];
        for minute in 0..45 * DAY {
            watch.record(1_000, bad(minute));
            if (minute + 1).is_multiple_of(DAY / 4) {
                points.push([(minute + 1) as f64 / DAY as f64, 100.0 - watch.spent()]);
            }
        }
        Series { label: label.into(), points }
    });
    Figure::Lines {
        x: Axis { label: "day".into(), log: false },
        y: Axis { label: "left of the budget of 30 days, %".into(), log: false },
        series: series.into(),
    }
}
