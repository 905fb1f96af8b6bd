//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! Latencies are counted in buckets. Up to 127 us each has its own; from there on every doubling is cut into 64 buckets
//! of equal width. A bucket from `low` is `w` wide, and `low` is at least `64 * w`, so its middle is at most
//! `w / 2 <= low / 128` from anything in it: less than 0.8 % off, at any latency, in 1,708 counts up to an hour.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

// ANCHOR: bucket
/// Each doubling has two to the power of this many buckets.
const PRECISION: u32 = 6;
const BUCKETS: usize = bucket(LONGEST) + 1;

/// The bucket of a latency of at least 1 us: its highest bits, after how many bits are left out.
const fn bucket(micros: u64) -> usize {
    let shift = micros.ilog2().saturating_sub(PRECISION);
    ((shift << PRECISION) as u64 + (micros >> shift)) as usize
}

/// The latency in the middle of a bucket.
const fn middle(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let low = ((bucket - (shift << PRECISION)) as u64) << shift;
    low + (1 << shift) / 2
}
// ANCHOR_END: bucket

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    so_far: Summary,
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    // ANCHOR: record
    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.so_far.counts[bucket(micros.clamp(1, LONGEST))] += 1;
        self.so_far.count += 1;
    }
    // ANCHOR_END: record

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
    // ANCHOR: merge
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
    // ANCHOR_END: merge

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    // ANCHOR: percentile
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
    // ANCHOR_END: percentile
}
