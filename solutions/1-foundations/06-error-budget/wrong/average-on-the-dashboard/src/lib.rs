//! How much of its error budget a service has used, how fast it uses it, and whether to wake somebody.
//!
//! The alert adds counts up. What the dashboard shows is the average of the minutes, as it always was.

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
const FEWEST: u128 = 10;

/// When to alert: minutes of the long window, of which the short one is a twelfth, and ten times the factor, which makes
/// it a whole number.
const RULES: [(u64, u128, Severity); 4] = [
    (60, 144, Severity::Page),
    (6 * 60, 60, Severity::Page),
    (24 * 60, 30, Severity::Ticket),
    (3 * 24 * 60, 10, Severity::Ticket),
];

/// What was recorded for one minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    number: u64,
    good: u64,
    bad: u64,
}

impl Minute {
    fn bad_share(&self) -> f64 {
        self.bad as f64 / (self.good + self.bad) as f64
    }
}

/// The outcomes of a service's requests, held against its objective.
#[derive(Debug, Clone)]
pub struct ErrorBudget {
    objective: Objective,
    latest: u64,
    /// The minute `n` is at `n % len`, unless another is there that left the same place to it.
    ring: Vec<Minute>,
}

/// The requests of a window.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    bad: u128,
    all: u128,
}

impl ErrorBudget {
    pub fn new(objective: Objective) -> Self {
        let minutes = objective.days as usize * 24 * 60;
        Self { objective, latest: 0, ring: vec![Minute::default(); minutes] }
    }

    /// Adds the outcomes of some requests of the minute that `at` is in. None at all is fine: the minute was idle. A record
    /// may come late, after those of later minutes. One for a minute before the objective's days, which end with the latest
    /// minute, changes nothing.
    ///
    /// All that is recorded for one minute fits into a `u64`; what is recorded for many need not.
    pub fn record(&mut self, at: u64, good: u64, bad: u64) {
        let number = at / 60;
        self.latest = self.latest.max(number);
        let places = self.ring.len() as u64;
        if self.latest - number >= places {
            return;
        }
        let minute = &mut self.ring[(number % places) as usize];
        if minute.number != number {
            // What is here is older by all the days, or more.
            *minute = Minute { number, good: 0, bad: 0 };
        }
        minute.good += good;
        minute.bad += bad;
    }

    /// The minutes of the `minutes` that end `now` which have any requests.
    fn busy(&self, now: u64, minutes: u64) -> impl Iterator<Item = &Minute> {
        let last = self.latest.max(now / 60);
        let first = (last + 1).saturating_sub(minutes);
        let here = move |number| {
            let minute = &self.ring[(number % self.ring.len() as u64) as usize];
            (minute.number == number && minute.good + minute.bad > 0).then_some(minute)
        };
        (first..=last).filter_map(here)
    }

    /// The requests of the `minutes` that end `now`.
    fn sums(&self, now: u64, minutes: u64) -> Sums {
        let mut sums = Sums::default();
        for minute in self.busy(now, minutes) {
            sums.bad += u128::from(minute.bad);
            sums.all += u128::from(minute.good) + u128::from(minute.bad);
        }
        sums
    }

    /// The share of the good among all requests of the `minutes` that end `now`, from 0 to 1: the service level indicator.
    /// From 1 minute to the objective's days may be asked for. `None` when there was no request.
    pub fn sli(&self, now: u64, minutes: u64) -> Option<f64> {
        let ratios: Vec<f64> = self.busy(now, minutes).map(|minute| 1.0 - minute.bad_share()).collect();
        (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
    }

    /// How many times faster than allowed the budget was spent in the `minutes` that end `now`: the share of the bad among
    /// their requests, divided by the share that the objective allows. At 1 the budget lasts exactly for the objective's
    /// days. `None` when there was no request. With an objective of 100 %, it is 0 while nothing is bad, else infinite.
    pub fn burn_rate(&self, now: u64, minutes: u64) -> Option<f64> {
        let bad = 1.0 - self.sli(now, minutes)?;
        Some(if bad <= 0.0 { 0.0 } else { bad / (self.allowed() as f64 / 1e6) })
    }

    /// The share of the error budget that is left of the objective's days that end `now`: 1 when nothing was bad, 0 when as
    /// many requests were bad as the objective allows among so many, and less than 0 when more were. 1 when there was no
    /// request. With an objective of 100 %, it is 1 while nothing is bad, else infinitely below 0.
    pub fn left(&self, now: u64) -> f64 {
        1.0 - self.burn_rate(now, self.ring.len() as u64).unwrap_or(0.0)
    }

    /// Whether to alert `now`: the most urgent of the rules that apply.
    ///
    /// A rule applies while the burn rates of its long and of its short window are both above its factor, and at least ten
    /// requests of the long window were bad. Exactly the factor is not above it.
    pub fn alert(&self, now: u64) -> Option<Severity> {
        let burns = |(long, tenths, _): &&(u64, u128, Severity)| {
            let [long, short] = [*long, long / 12].map(|minutes| self.sums(now, minutes));
            long.bad >= FEWEST && self.above(long, *tenths) && self.above(short, *tenths)
        };
        RULES.iter().filter(burns).map(|(_, _, severity)| *severity).max()
    }

    /// Whether the burn rate of these requests is above so many tenths:
    /// `(bad / all) / (allowed / 1,000,000) > tenths / 10`, without the divisions.
    fn above(&self, Sums { bad, all }: Sums, tenths: u128) -> bool {
        bad * 10_000_000 > tenths * self.allowed() * all
    }

    /// How many of a million requests may be bad.
    fn allowed(&self) -> u128 {
        1_000_000 - u128::from(self.objective.good_per_million)
    }
}
