//! When arrivals are due: a rate that changes over time, turned into exact instants before anything is sent.
//!
//! Let r(t) be the rate and N(t) its integral, the number of arrivals expected by t. Evenly spaced arrival n is due when
//! N(t) = n. Poisson arrivals have exponential gaps of mean 1 on the N axis, which makes them a Poisson process of rate
//! r(t) on the time axis, ramps included. A schedule knows nothing of the server, which is the point of an open loop.

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// One stage: the rate goes in a straight line from `from` to `to` arrivals a second, over `seconds`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it lasts.
    pub seconds: f64,
    /// Arrivals a second at its start.
    pub from: f64,
    /// Arrivals a second at its end; equal to `from` when the rate is constant.
    pub to: f64,
}

impl Stage {
    /// A stage of one rate.
    pub fn constant(seconds: f64, rate: f64) -> Self {
        Self { seconds, from: rate, to: rate }
    }

    /// Arrivals expected by `t` seconds into the stage: the area under the rate.
    fn expected(&self, t: f64) -> f64 {
        (self.from + (self.to - self.from) * t / self.seconds / 2.0) * t
    }

    /// The inverse of [`Self::expected`], in the form of the quadratic formula that also holds for a constant rate.
    fn when(&self, n: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * n).max(0.0).sqrt();
        if n <= 0.0 { 0.0 } else { (2.0 * n / (self.from + root)).min(self.seconds) }
    }
}

/// How arrivals are spread at a given rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances: the same load in every second.
    #[default]
    Even,
    /// At random and independent of each other, as those of many users are.
    Poisson,
}

/// The times at which arrivals are due.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    stages: Vec<Stage>,
    arrivals: Arrivals,
    seed: u64,
}

impl Schedule {
    /// A schedule of these stages, one after the other. `seed` decides Poisson arrivals.
    pub fn new(stages: Vec<Stage>, arrivals: Arrivals, seed: u64) -> Self {
        Self { stages, arrivals, seed }
    }

    /// How arrivals are spread.
    pub fn arrivals(&self) -> Arrivals {
        self.arrivals
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.stages.iter().map(|stage| stage.seconds).sum())
    }

    /// Arrivals expected in all: the exact number, rounded up, when they are evenly spaced.
    pub fn expected(&self) -> f64 {
        self.stages.iter().map(|stage| stage.expected(stage.seconds)).sum()
    }

    /// Arrivals a second at `t` seconds; 0 once it is over.
    pub fn rate_at(&self, t: f64) -> f64 {
        let mut start = 0.0;
        for stage in &self.stages {
            if t < start + stage.seconds {
                return stage.from + (stage.to - stage.from) * (t - start) / stage.seconds;
            }
            start += stage.seconds;
        }
        0.0
    }

    /// Every arrival's due time in order.
    pub fn iter(&self) -> Due {
        // A sum of areas may end a rounding error above a whole number, which must not make one arrival more.
        let end = self.expected();
        Due {
            schedule: self.clone(),
            end: end - end.max(1.0) * 1e-12,
            n: None,
            stage: 0,
            n_before: 0.0,
            t_before: 0.0,
            rng: Rng::with_seed(self.seed),
        }
    }
}

impl IntoIterator for &Schedule {
    type Item = Duration;
    type IntoIter = Due;

    fn into_iter(self) -> Due {
        self.iter()
    }
}

/// The due times of a [`Schedule`], counted from its start. Made by [`Schedule::iter`].
#[derive(Debug, Clone)]
pub struct Due {
    schedule: Schedule,
    end: f64,
    /// Where the last arrival was on the N axis.
    n: Option<f64>,
    stage: usize,
    n_before: f64,
    t_before: f64,
    rng: Rng,
}

impl Iterator for Due {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let n = match (self.schedule.arrivals, self.n) {
            (Arrivals::Even, None) => 0.0,
            (Arrivals::Even, Some(n)) => n + 1.0,
            // 1 - f64() is never 0, so the logarithm is finite.
            (Arrivals::Poisson, n) => n.unwrap_or(0.0) - (1.0 - self.rng.f64()).ln(),
        };
        if n >= self.end {
            return None;
        }
        self.n = Some(n);
        loop {
            let stage = &self.schedule.stages[self.stage];
            let within = stage.expected(stage.seconds);
            if n - self.n_before < within || self.stage + 1 == self.schedule.stages.len() {
                let t = self.t_before + stage.when(n - self.n_before);
                return Some(Duration::from_nanos((t * 1e9).round() as u64));
            }
            self.n_before += within;
            self.t_before += stage.seconds;
            self.stage += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(stages: &[Stage]) -> Vec<Duration> {
        Schedule::new(stages.to_vec(), Arrivals::Even, 1).iter().collect()
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced_to_the_nanosecond() {
        let times = due(&[Stage::constant(10.0, 1000.0)]);
        assert_eq!(times.len(), 10_000);
        for (n, time) in times.iter().enumerate() {
            assert_eq!(*time, Duration::from_millis(n as u64));
        }
    }

    #[test]
    fn a_ramp_from_zero_follows_the_square_root() {
        // N(t) = 5 t^2, so arrival n is due at sqrt(n / 5), and 10 s hold 500.
        let times = due(&[Stage { seconds: 10.0, from: 0.0, to: 100.0 }]);
        assert_eq!(times.len(), 500);
        for (n, time) in times.iter().enumerate() {
            assert_eq!(time.as_nanos() as u64, ((n as f64 / 5.0).sqrt() * 1e9).round() as u64);
        }
        assert_eq!(times[5], Duration::from_secs(1));
        assert_eq!(times[320], Duration::from_secs(8));
    }

    #[test]
    fn a_ramp_down_to_zero_mirrors_the_ramp_up() {
        let up = due(&[Stage { seconds: 10.0, from: 0.0, to: 100.0 }]);
        let down = due(&[Stage { seconds: 10.0, from: 100.0, to: 0.0 }]);
        assert_eq!(down.len(), 500);
        for n in 1..500 {
            let mirrored = Duration::from_secs(10).saturating_sub(up[500 - n]);
            assert!(down[n].abs_diff(mirrored) < Duration::from_micros(1), "{n}: {:?} {mirrored:?}", down[n]);
        }
    }

    #[test]
    fn stages_join_without_a_gap() {
        // 2 s at 50, 4 s from 50 to 150, 3 s at 150: 100 + 400 + 450 arrivals.
        let times = due(&[
            Stage::constant(2.0, 50.0),
            Stage { seconds: 4.0, from: 50.0, to: 150.0 },
            Stage::constant(3.0, 150.0),
        ]);
        assert_eq!(times.len(), 950);
        assert_eq!(times[100], Duration::from_secs(2));
        assert_eq!(times[500], Duration::from_secs(6));
        // Half way up the ramp: 50 t + 12.5 t^2 = 150 at t = 2.
        assert_eq!(times[250], Duration::from_secs(4));
        assert!(times.is_sorted());
    }

    #[test]
    fn a_pause_between_stages_holds_no_arrival() {
        let times = due(&[Stage::constant(1.0, 10.0), Stage::constant(5.0, 0.0), Stage::constant(1.0, 10.0)]);
        assert_eq!(times.len(), 20);
        assert_eq!(times[9], Duration::from_millis(900));
        assert_eq!(times[10], Duration::from_secs(6));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_have_exponential_gaps() {
        let schedule = Schedule::new(vec![Stage::constant(100.0, 1000.0)], Arrivals::Poisson, 7);
        let times: Vec<f64> = schedule.iter().map(|due| due.as_secs_f64()).collect();
        // Five standard deviations of a Poisson count of 100,000.
        assert!((times.len() as f64 - 1e5).abs() < 5.0 * 1e5_f64.sqrt(), "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (multiple, share) in [(0.5, 0.3935), (1.0, 0.6321), (2.0, 0.8647)] {
            let below = gaps.iter().filter(|gap| **gap < multiple / 1000.0).count() as f64 / gaps.len() as f64;
            assert!((below - share).abs() < 0.01, "{below} of the gaps are below {multiple} means, not {share}");
        }
        assert_eq!(times, schedule.iter().map(|due| due.as_secs_f64()).collect::<Vec<_>>());
        let other = Schedule::new(vec![Stage::constant(100.0, 1000.0)], Arrivals::Poisson, 8);
        assert_ne!(schedule.iter().next(), other.iter().next());
    }

    proptest! {
        #[test]
        fn any_schedule_is_sorted_within_its_time_and_as_long_as_its_area(
            stages in prop::collection::vec((1_u32..20, 0_u32..300, 0_u32..300), 1..6),
        ) {
            let stages: Vec<Stage> = stages
                .iter()
                .map(|(s, from, to)| Stage { seconds: f64::from(*s), from: f64::from(*from), to: f64::from(*to) })
                .collect();
            let schedule = Schedule::new(stages, Arrivals::Even, 1);
            let times: Vec<Duration> = schedule.iter().collect();
            prop_assert!(times.is_sorted());
            prop_assert!(times.last().is_none_or(|last| *last <= schedule.duration()));
            prop_assert_eq!(times.len() as u64, schedule.expected().ceil() as u64);
        }
    }
}
