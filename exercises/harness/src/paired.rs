//! The paired comparison of two pieces of code, and what can be said about the ratio of their times.
//!
//! Times on a shared machine are skewed and drift, so means of one side and then the other compare two different
//! machines. Here every sample of one side has a sample of the other beside it, in alternating order; each pair gives
//! one ratio; and the median of the ratios has a confidence interval that assumes nothing about their distribution,
//! from order statistics (David & Nagaraja, Order Statistics, 3rd ed., section 7.1).
//!
//! Looking again and again until the interval is clear of the gate makes the error of a whole verdict larger than that of
//! one look. What keeps verdicts right is the distance of the gates (`cargo xtask verify`) and the trial under load.

use std::time::{Duration, Instant};

/// Two-sided error probability of an interval: one in a thousand.
const ERROR: f64 = 0.001;
/// Pairs between two looks at the interval.
const BETWEEN_LOOKS: usize = 4;
/// With fewer pairs than this there is no interval: 2 x 0.5^11 is the first below one in a thousand.
const FEWEST: usize = 11;
/// More than this adds nothing that five times the budget would not have decided.
const MOST: usize = 2_000;

/// The median of the paired ratios and its 99.9 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Median of the ratios.
    pub median: f64,
    /// Lower and upper end of the interval.
    pub interval: [f64; 2],
    /// How many pairs it rests on.
    pub pairs: usize,
}

impl Estimate {
    /// The estimate that `ratios` allow; `None` for fewer than eleven.
    pub fn of(mut ratios: Vec<f64>) -> Option<Self> {
        let pairs = ratios.len();
        let rank = rank(pairs)?;
        ratios.sort_by(f64::total_cmp);
        let middle = pairs / 2;
        let median =
            if pairs.is_multiple_of(2) { f64::midpoint(ratios[middle - 1], ratios[middle]) } else { ratios[middle] };
        Some(Self { median, interval: [ratios[rank], ratios[pairs - 1 - rank]], pairs })
    }
}

/// The greatest rank k, from 0, for which the k-th smallest and the k-th largest of `n` values enclose the median of
/// what they were drawn from with the probability asked for.
fn rank(n: usize) -> Option<usize> {
    if n < FEWEST {
        return None;
    }
    // Binomial(n, 1/2), summed from its tail. `term` is in logarithms' place: n is at most 2,000, and 0.5^2000 is below
    // what f64 holds.
    let mut log_term = n as f64 * 0.5_f64.ln();
    let mut tail = 0.0;
    for k in 0..n / 2 {
        tail += log_term.exp();
        if 2.0 * tail > ERROR {
            return k.checked_sub(1);
        }
        log_term += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    None
}

/// Draws pairs until `decided` says that the estimate is good enough, or five times `budget` has passed, or the
/// allowance of pairs is spent. `pair` gives one ratio; its argument alternates and says which side goes first.
pub(crate) fn sample(
    budget: Duration,
    mut pair: impl FnMut(bool) -> f64,
    decided: impl Fn(&Estimate) -> bool,
) -> Estimate {
    let estimates = sample_each(budget, |swapped| vec![pair(swapped)], |estimates| decided(&estimates[0]));
    estimates[0]
}

/// The same for several figures that come of one draw, as many each time.
pub(crate) fn sample_each(
    budget: Duration,
    mut draw: impl FnMut(bool) -> Vec<f64>,
    decided: impl Fn(&[Estimate]) -> bool,
) -> Vec<Estimate> {
    let start = Instant::now();
    // Caches, branch predictors and the allocator see both sides once before anything counts.
    draw(false);
    draw(true);
    let mut draws: Vec<Vec<f64>> = Vec::new();
    loop {
        draws.push(draw(draws.len().is_multiple_of(2)));
        let time_is_up = draws.len() >= MOST || start.elapsed() > budget * 5;
        let look = draws.len() >= FEWEST && (draws.len() - FEWEST).is_multiple_of(BETWEEN_LOOKS);
        if look || time_is_up {
            let of_figure = |i: usize| Estimate::of(draws.iter().map(|draw| draw[i]).collect());
            if let Some(estimates) = (0..draws[0].len()).map(of_figure).collect::<Option<Vec<_>>>()
                && (time_is_up || decided(&estimates))
            {
                return estimates;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_binomial_tables() {
        // n: rank from 1 of the lower end at 99.9 %, from sums of binomial coefficients in whole numbers.
        for (n, from_one) in [(11, 1), (14, 1), (15, 2), (20, 3), (30, 6), (100, 34), (2_000, 926)] {
            assert_eq!(rank(n), Some(from_one - 1), "n = {n}");
        }
        assert_eq!(rank(10), None);
    }

    #[test]
    fn the_interval_holds_the_true_median_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        let misses = (0..4_000)
            .filter(|_| {
                // Skewed, as times are: the median of exp(u) for u uniform in -1..2 is exp(0.5).
                let ratios = (0..31).map(|_| (rng.f64() * 3.0 - 1.0).exp()).collect();
                let [low, high] = Estimate::of(ratios).unwrap().interval;
                !(low..=high).contains(&0.5_f64.exp())
            })
            .count();
        // One in a thousand at most; 4,000 draws miss 4 times at most on average, and 14 or more once in 10,000 runs.
        assert!(misses < 14, "{misses} of 4,000 intervals missed");
    }

    #[test]
    fn sampling_goes_on_while_undecided_and_ends_in_bounded_time() {
        let mut orders = Vec::new();
        let estimate = sample(
            Duration::from_hours(1),
            |first| {
                orders.push(first);
                1.5
            },
            |estimate| estimate.pairs >= 19,
        );
        assert_eq!((estimate.pairs, estimate.median, estimate.interval), (19, 1.5, [1.5, 1.5]));
        let first = orders.iter().skip(2).filter(|first| **first).count();
        assert_eq!(first, 10, "the order alternates");

        let never = sample(Duration::ZERO, |_| 1.0, |_| false);
        assert_eq!(never.pairs, FEWEST, "with no time left, the fewest pairs that allow an interval");
    }
}
