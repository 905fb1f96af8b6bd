//! Which requests and jobs are traced: those whose caller keeps the trace, a part of all others, and beside that part the first
//! few a second of each kind, so that what is rare is seen too.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use prometheus_client::metrics::counter::Counter;

use super::TraceContext;
use crate::{config, metrics::Metrics};

/// Decides, for kinds of work that are numbered from 0. Takes no lock, and no more memory than a word for each kind.
#[derive(Debug)]
pub struct Sampler {
    on: bool,
    follow_parent: bool,
    ratio: f64,
    first: PerSecond,
    begun: [Counter; Why::ALL.len()],
}

/// Why something is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its caller keeps the trace.
    Parent,
    /// Its draw was within the ratio.
    Ratio,
    /// It was among the first of its kind in this second.
    Rate,
}

impl Why {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Parent, Self::Ratio, Self::Rate];

    /// What it is called in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Ratio => "ratio",
            Self::Rate => "rate",
        }
    }
}

impl Sampler {
    /// For so many kinds of work, as the settings say. What it begins is counted.
    pub fn new(settings: &config::Telemetry, kinds: usize, metrics: &Metrics) -> Self {
        Self {
            on: settings.traces,
            follow_parent: settings.follow_parent,
            ratio: settings.traces_ratio,
            first: PerSecond::new(settings.traces_per_route, kinds),
            begun: Why::ALL.map(|why| metrics.traces_begun.get_or_create_owned(&[("why", why.word())])),
        }
    }

    /// Where work of this kind that begins now stands: in the trace of its caller, if that sent one, else in one of its own.
    pub fn begin(&self, parent: Option<TraceContext>, kind: usize, now: Instant) -> TraceContext {
        let why = self.decide(parent, kind, now, fastrand::f64);
        if let Some(why) = why {
            self.begun[why as usize].inc();
        }
        let sampled = why.is_some();
        match parent {
            Some(parent) => TraceContext { sampled, ..parent.child() },
            None => TraceContext::root(sampled),
        }
    }

    /// Whether work of this kind is traced, and why. `draw` gives a number from 0 to below 1.
    pub fn decide(
        &self,
        parent: Option<TraceContext>,
        kind: usize,
        now: Instant,
        draw: impl FnOnce() -> f64,
    ) -> Option<Why> {
        if !self.on {
            return None;
        }
        if let Some(parent) = parent.filter(|_| self.follow_parent) {
            return parent.sampled.then_some(Why::Parent);
        }
        if draw() < self.ratio {
            return Some(Why::Ratio);
        }
        self.first.admit(kind, now).then_some(Why::Rate)
    }
}

/// Lets the first few of each kind pass in each second since this was made.
#[derive(Debug)]
pub struct PerSecond {
    most: u32,
    began: Instant,
    /// Of each kind: the last second in which one came, above, and how many passed in it, below.
    seen: Box<[AtomicU64]>,
}

impl PerSecond {
    /// So many a second of each of so many kinds.
    pub fn new(most: u32, kinds: usize) -> Self {
        Self { most, began: Instant::now(), seen: (0..kinds).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether one of this kind may pass now.
    pub fn admit(&self, kind: usize, now: Instant) -> bool {
        if self.most == 0 {
            return false;
        }
        let second = now.saturating_duration_since(self.began).as_secs() & u64::from(u32::MAX);
        let word = &self.seen[kind];
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            // Whoever looked at the clock before another got here counts for the second that the other is in.
            let next = if second > seen >> 32 {
                second << 32 | 1
            } else if (seen as u32) < self.most {
                seen + 1
            } else {
                return false;
            };
            match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

    fn sampler(set: impl FnOnce(&mut config::Telemetry)) -> (Sampler, Metrics) {
        let mut settings = config::Config::load(&config::Sources::default()).unwrap().telemetry;
        settings.traces_ratio = 0.0;
        settings.traces_per_route = 0;
        set(&mut settings);
        let metrics = Metrics::default();
        (Sampler::new(&settings, 2, &metrics), metrics)
    }

    fn parent(flag: char) -> TraceContext {
        format!("{PARENT}{flag}").parse().unwrap()
    }

    #[test]
    fn the_caller_decides_where_it_may_and_its_trace_goes_on_in_any_case() {
        let (now, never) = (Instant::now(), || 1.0);
        let (follows, _) = sampler(|settings| settings.traces_ratio = 1.0);
        assert_eq!(follows.decide(Some(parent('1')), 0, now, never), Some(Why::Parent));
        assert_eq!(follows.decide(Some(parent('0')), 0, now, || 0.0), None, "nor does the ratio take it");
        let (other, _) = sampler(|settings| settings.follow_parent = false);
        assert_eq!(other.decide(Some(parent('1')), 0, now, never), None);
        for sampler in [follows, other] {
            let (began, caller) = (sampler.begin(Some(parent('0')), 0, now), parent('0'));
            assert!(began.trace == caller.trace && began.span != caller.span && !began.sampled);
        }
    }

    #[test]
    fn where_nothing_is_traced_nobody_can_change_that() {
        let (off, metrics) = sampler(|settings| {
            (settings.traces, settings.traces_ratio, settings.traces_per_route) = (false, 1.0, 1_000);
        });
        for caller in [None, Some(parent('0')), Some(parent('1'))] {
            assert!(!off.begin(caller, 0, Instant::now()).sampled);
        }
        assert!(metrics.text().contains("traces_begun_total{why=\"parent\"} 0"));
    }

    #[test]
    fn what_begins_is_counted_by_why() {
        let (ratio, metrics) = sampler(|settings| settings.traces_ratio = 1.0);
        for caller in [None, None, Some(parent('1')), Some(parent('0'))] {
            ratio.begin(caller, 0, Instant::now());
        }
        let text = metrics.text();
        for (why, count) in [("parent", 1), ("ratio", 2), ("rate", 0)] {
            assert!(text.contains(&format!("traces_begun_total{{why=\"{why}\"}} {count}\n")), "{text}");
        }
    }

    #[test]
    fn threads_that_come_at_once_are_let_through_exactly_as_often_as_one() {
        let rate = PerSecond::new(100, 1);
        let now = rate.began + Duration::from_millis(3_999);
        let ask = || (0..1_000).filter(|_| rate.admit(0, now)).count();
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 100);
        assert!(rate.admit(0, now + Duration::from_millis(1)), "the next second begins");
        assert_eq!((0..1_000).filter(|_| rate.admit(0, now)).count(), 99, "which whoever is late belongs to");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_ratio_is_what_was_asked_for(ratio in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], seed: u64) {
            const DRAWS: u32 = 20_000;
            let (sampler, _) = sampler(|settings| settings.traces_ratio = ratio);
            let mut random = fastrand::Rng::with_seed(seed);
            let now = Instant::now();
            let taken = (0..DRAWS).filter(|_| sampler.decide(None, 0, now, || random.f64()).is_some()).count();
            // Six standard deviations: one run in a thousand million is further off. At 0 and 1 there are none.
            let (expected, deviation) = (ratio * f64::from(DRAWS), (ratio * (1.0 - ratio) * f64::from(DRAWS)).sqrt());
            prop_assert!((taken as f64 - expected).abs() <= 6.0 * deviation, "{taken} at {ratio}");
        }

        #[test]
        fn the_first_few_of_each_second_pass_and_no_others(
            most in 0_u32..6,
            mut moments in proptest::collection::vec((0_u64..5_000_000_000, 0_usize..2), 0..200),
        ) {
            let rate = PerSecond::new(most, 2);
            moments.extend([(0, 0), (999_999_999, 0), (1_000_000_000, 0), (1_999_999_999, 0), (2_000_000_000, 0)]);
            moments.sort_unstable();
            let (mut came, mut passed) = (BTreeMap::new(), BTreeMap::new());
            for (nanos, kind) in moments {
                let second = (nanos / 1_000_000_000, kind);
                *came.entry(second).or_insert(0) += 1;
                let pass = rate.admit(kind, rate.began + Duration::from_nanos(nanos));
                prop_assert_eq!(pass, came[&second] <= most, "the first ones are those that pass");
                *passed.entry(second).or_insert(0) += u32::from(pass);
            }
            for (second, came) in came {
                prop_assert_eq!(passed[&second], most.min(came));
            }
        }
    }
}
