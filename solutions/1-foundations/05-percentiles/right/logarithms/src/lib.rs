//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! Latencies are counted in buckets of which each is 1.5 % wider than the one before, over its whole range. The bucket is
//! the latency's logarithm, rounded up; its answer is as far from its lower end as from its upper one, relative to each.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

/// The upper end of a bucket, divided by its lower.
const RATIO: f64 = 1.015;
/// More than `ln(LONGEST) / ln(RATIO)`.
const BUCKETS: usize = 1_480;

/// The first bucket ends at 1 us.
fn bucket(micros: u64) -> usize {
    ((micros as f64).ln() / RATIO.ln()).ceil() as usize
}

/// An answer for latencies in a bucket: the harmonic mean of its ends.
fn middle(bucket: usize) -> u64 {
    (2.0 * RATIO.powi(bucket as i32) / (1.0 + RATIO)).round() as u64
}

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    so_far: Summary,
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.so_far.counts[bucket(micros.clamp(1, LONGEST))] += 1;
        self.so_far.count += 1;
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.so_far.count
    }

    /// The smallest latency, in microseconds, that at least `q * count` of those recorded do not exceed: 0.99 asks for
    /// the p99, 1 for the longest, 0 for the shortest. `q` counts as 1 above 1, and as 0 below 0 or when it is NaN.
    /// `None` when nothing was recorded.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        self.so_far.percentile(q)
    }

    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        self.so_far.clone()
    }
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone)]
pub struct Summary {
    count: u64,
    /// How many latencies fell into each bucket.
    counts: Vec<u64>,
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, counts: vec![0; BUCKETS] }
    }
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        let mut all = Summary::default();
        for summary in summaries {
            all.count += summary.count;
            for (sum, count) in all.counts.iter_mut().zip(&summary.counts) {
                *sum += count;
            }
        }
        all
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        // The first latency answers q = 0; with none at all, no bucket gets that far.
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.map(middle)
    }
}
