//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! Each instance of OrderFlow begins a new `Recorder` every ten seconds and ships the `Summary` of the last. The
//! dashboard merges them and shows the percentiles of the fleet. On Friday one instance in five answered ten times slower
//! than the others; one request in fifty waited for it, and the p99 on the dashboard rose by less than a fifth. Besides,
//! the more requests there are in ten seconds, the longer `record` takes for each. Make the merged percentiles true, and
//! recording cheap.
//!
//! A percentile may be off by 1 % of its exact value plus 1 us. That is all the accuracy there is to spend.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

/// The percentiles that an instance ships.
const SHIPPED: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    /// Ascending, so that a percentile can be read without sorting first.
    latencies: Vec<u64>,
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    // ANCHOR: record
    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        let micros = micros.clamp(1, LONGEST);
        let place = self.latencies.partition_point(|latency| *latency <= micros);
        self.latencies.insert(place, micros);
    }
    // ANCHOR_END: record

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// The smallest latency, in microseconds, that at least `q * count` of those recorded do not exceed: 0.99 asks for
    /// the p99, 1 for the longest, 0 for the shortest. `q` counts as 1 above 1, and as 0 below 0 or when it is NaN.
    /// `None` when nothing was recorded.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let rank = (q.clamp(0.0, 1.0) * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    // ANCHOR: summary
    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        Summary { count: self.count(), percentiles: SHIPPED.map(|q| self.percentile(q).unwrap_or(0)) }
    }
    // ANCHOR_END: summary
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone)]
pub struct Summary {
    count: u64,
    /// In microseconds, in the order of `SHIPPED`.
    percentiles: [u64; SHIPPED.len()],
}

impl Summary {
    // ANCHOR: merge
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        let count = summaries.iter().map(|summary| summary.count).sum();
        // An instance with more requests has more say.
        let average = |i| {
            let sum: u64 = summaries.iter().map(|summary| summary.count * summary.percentiles[i]).sum();
            sum.checked_div(count).unwrap_or(0)
        };
        Summary { count, percentiles: std::array::from_fn(average) }
    }
    // ANCHOR_END: merge

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for, not only those
    /// in `SHIPPED`.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let distance = |i: &usize| (SHIPPED[*i] - q).abs();
        let nearest = (0..SHIPPED.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        (self.count > 0).then_some(self.percentiles[nearest])
    }
}
