//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! A histogram in each instance; what it ships are its percentiles, a thousand of them.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

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

/// How many percentiles an instance ships, from the smallest latency to the largest, at equal distances.
const SHIPPED: usize = 1_001;

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone)]
pub struct Recorder {
    count: u64,
    counts: Vec<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { count: 0, counts: vec![0; BUCKETS] }
    }
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.counts[bucket(micros.clamp(1, LONGEST))] += 1;
        self.count += 1;
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest latency, in microseconds, that at least `q * count` of those recorded do not exceed: 0.99 asks for
    /// the p99, 1 for the longest, 0 for the shortest. `q` counts as 1 above 1, and as 0 below 0 or when it is NaN.
    /// `None` when nothing was recorded.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.map(middle)
    }

    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        let shipped = |i| self.percentile(i as f64 / (SHIPPED - 1) as f64).unwrap_or(0);
        Summary { count: self.count, percentiles: (0..SHIPPED).map(shipped).collect() }
    }
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone)]
pub struct Summary {
    count: u64,
    /// In microseconds.
    percentiles: Vec<u64>,
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        let count = summaries.iter().map(|summary| summary.count).sum();
        // An instance with more requests has more say.
        let average = |i| {
            let sum: u64 = summaries.iter().map(|summary| summary.count * summary.percentiles[i]).sum();
            sum.checked_div(count).unwrap_or(0)
        };
        Summary { count, percentiles: (0..SHIPPED).map(average).collect() }
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Between two percentiles that were
    /// shipped it lies on the line between them.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let q = if q.is_nan() { 0.0 } else { q.clamp(0.0, 1.0) };
        let place = q * (SHIPPED - 1) as f64;
        let [low, high] = [place.floor(), place.ceil()].map(|i| self.percentiles[i as usize] as f64);
        (self.count > 0).then_some((low + (high - low) * place.fract()).round() as u64)
    }
}
