//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! Every latency is kept, and sorted when somebody asks.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

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
        self.so_far.latencies.push(micros.clamp(1, LONGEST));
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.so_far.count()
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
#[derive(Debug, Clone, Default)]
pub struct Summary {
    latencies: Vec<u64>,
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        Summary { latencies: summaries.iter().flat_map(|summary| &summary.latencies).copied().collect() }
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}
