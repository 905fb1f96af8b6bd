//! What fills a placeholder such as `{product}`: ids, page numbers, addresses.
//!
//! Every draw comes from a generator that is seeded by the scenario and the arrival's number alone, so the n-th request of
//! a scenario is the same one on every machine and with any number of threads. Only `unique` and `email` also hold the
//! number of the run, because an idempotency key or a customer that an earlier run has used would measure something else.

use std::{io::Write as _, ops::RangeInclusive, sync::Arc};

use fastrand::Rng;

/// The most ids that a `zipf` value may choose among: its table takes 8 bytes for each.
pub const MAX_ZIPF: u64 = 1_000_000;

/// How a placeholder is filled.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Uniform(RangeInclusive<u64>),
    Zipf(Zipf),
    Choice(Arc<[String]>),
    Unique,
    Email,
}

/// Everything that the values of one request depend on.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) rng: Rng,
    run: u64,
    arrival: u64,
    serial: u32,
}

impl Draw {
    /// The draws of one arrival of one run.
    pub(crate) fn new(seed: u64, run: u64, arrival: u64) -> Self {
        Self { rng: Rng::with_seed(scatter(seed ^ scatter(arrival))), run, arrival, serial: 0 }
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): neighbouring numbers become unrelated seeds.
fn scatter(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl Value {
    /// Appends one drawn value. All of them are plain in a path, in a header and in a JSON string alike.
    pub(crate) fn write(&self, draw: &mut Draw, to: &mut Vec<u8>) {
        // Writing to a Vec does not fail.
        let _ = match self {
            Self::Uniform(range) => write!(to, "{}", draw.rng.u64(range.clone())),
            Self::Zipf(zipf) => write!(to, "{}", zipf.draw(&mut draw.rng)),
            Self::Choice(among) => to.write_all(among[draw.rng.usize(..among.len())].as_bytes()),
            Self::Unique => {
                draw.serial += 1;
                write!(to, "{:016x}-{}-{}", draw.run, draw.arrival, draw.serial)
            }
            Self::Email => {
                draw.serial += 1;
                write!(to, "user-{:016x}-{}-{}@example.com", draw.run, draw.arrival, draw.serial)
            }
        };
    }
}

/// Zipf's law over 1..=n: id k is drawn with a probability in proportion to 1 / k^exponent, so 1 is the favourite.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    /// The share of draws that are at most k + 1.
    cumulative: Arc<[f64]>,
}

impl Zipf {
    pub(crate) fn new(n: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=n)
            .map(|k| {
                sum += (k as f64).powf(-exponent);
                sum
            })
            .collect();
        for share in &mut cumulative {
            *share /= sum;
        }
        Self { cumulative: cumulative.into() }
    }

    fn draw(&self, rng: &mut Rng) -> u64 {
        let at = rng.f64();
        let below = self.cumulative.partition_point(|share| *share <= at);
        (below as u64 + 1).min(self.cumulative.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(value: &Value, seed: u64, n: u64) -> Vec<u64> {
        (0..n)
            .map(|arrival| {
                let mut text = Vec::new();
                value.write(&mut Draw::new(seed, 0, arrival), &mut text);
                String::from_utf8(text).unwrap().parse().unwrap()
            })
            .collect()
    }

    #[test]
    fn draws_are_decided_by_the_seed() {
        for value in [Value::Uniform(1..=1000), Value::Zipf(Zipf::new(1000, 1.0))] {
            assert_eq!(drawn(&value, 5, 1000), drawn(&value, 5, 1000));
            assert_ne!(drawn(&value, 5, 1000), drawn(&value, 6, 1000));
        }
        // A fixed point: whoever changes how draws are made changes every published figure's requests.
        assert_eq!(drawn(&Value::Uniform(1..=1000), 1, 5), [626, 688, 629, 805, 379]);
    }

    #[test]
    fn uniform_covers_its_range_evenly_ends_included() {
        let mut counts = [0_u32; 10];
        for id in drawn(&Value::Uniform(1..=10), 1, 100_000) {
            counts[id as usize - 1] += 1;
        }
        // Five standard deviations (95 each) of a binomial count of mean 10,000.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
        assert_eq!(drawn(&Value::Uniform(7..=7), 1, 3), [7, 7, 7]);
    }

    #[test]
    fn zipf_draws_follow_its_law() {
        let mut counts = [0_u32; 100];
        for id in drawn(&Value::Zipf(Zipf::new(100, 1.0)), 1, 200_000) {
            counts[id as usize - 1] += 1;
        }
        let harmonic: f64 = (1..=100).map(|k| 1.0 / f64::from(k)).sum();
        for k in [1_u32, 2, 10, 100] {
            let expected = 200_000.0 / f64::from(k) / harmonic;
            let got = f64::from(counts[k as usize - 1]);
            assert!((got - expected).abs() < 5.0 * expected.sqrt(), "id {k}: {got} draws, {expected:.0} expected");
        }
    }

    #[test]
    fn unique_values_differ_within_a_request_between_arrivals_and_between_runs() {
        let mut seen = std::collections::HashSet::new();
        for (run, arrival) in [(1, 1), (1, 2), (2, 1)] {
            let mut draw = Draw::new(1, run, arrival);
            for value in [Value::Unique, Value::Unique, Value::Email, Value::Email] {
                let mut text = Vec::new();
                value.write(&mut draw, &mut text);
                assert!(seen.insert(text));
            }
        }
    }
}
