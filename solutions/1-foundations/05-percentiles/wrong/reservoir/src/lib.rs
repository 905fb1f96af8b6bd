//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! A random sample of 1,000 latencies is kept, in which each that was recorded is as likely as any other.

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

/// How many latencies an instance keeps.
const KEPT: usize = 1_000;

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    count: u64,
    sample: Vec<u64>,
    random: u64,
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        let micros = micros.clamp(1, LONGEST);
        self.count += 1;
        if self.sample.len() < KEPT {
            self.sample.push(micros);
            return;
        }
        // SplitMix64: a counter whose bits are mixed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = ((bits ^ (bits >> 31)) % self.count) as usize;
        if let Some(replaced) = self.sample.get_mut(place) {
            *replaced = micros;
        }
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest latency, in microseconds, that at least `q * count` of those recorded do not exceed: 0.99 asks for
    /// the p99, 1 for the longest, 0 for the shortest. `q` counts as 1 above 1, and as 0 below 0 or when it is NaN.
    /// `None` when nothing was recorded.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        self.summary().percentile(q)
    }

    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        let weight = self.count as f64 / self.sample.len() as f64;
        Summary { count: self.count, sample: self.sample.iter().map(|micros| (*micros, weight)).collect() }
    }
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone)]
pub struct Summary {
    count: u64,
    /// Latencies, and how many requests each stands for.
    sample: Vec<(u64, f64)>,
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        Summary {
            count: summaries.iter().map(|summary| summary.count).sum(),
            sample: summaries.iter().flat_map(|summary| &summary.sample).copied().collect(),
        }
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let mut sorted = self.sample.clone();
        sorted.sort_unstable_by_key(|(micros, _)| *micros);
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0);
        let mut below = 0.0;
        let found = sorted.iter().find(|(_, weight)| {
            below += weight;
            below + 0.5 >= rank
        });
        found.or(sorted.last()).map(|(micros, _)| *micros)
    }
}
