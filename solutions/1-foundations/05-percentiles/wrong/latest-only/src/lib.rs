//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! The latest 10,240 latencies are kept, which is enough for any dashboard, and sorted when somebody asks.

use std::collections::VecDeque;

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

/// How many latencies an instance keeps.
const KEPT: usize = 10_240;

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    count: u64,
    latest: VecDeque<u32>,
}

impl Recorder {
    pub fn new() -> Self {
        Self { count: 0, latest: VecDeque::with_capacity(KEPT) }
    }

    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(micros.clamp(1, LONGEST) as u32);
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
        self.summary().percentile(q)
    }

    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        Summary { count: self.count, latencies: self.latest.iter().copied().collect() }
    }
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone)]
pub struct Summary {
    count: u64,
    latencies: Vec<u32>,
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        Summary {
            count: summaries.iter().map(|summary| summary.count).sum(),
            latencies: summaries.iter().flat_map(|summary| &summary.latencies).copied().collect(),
        }
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map(|micros| u64::from(*micros))
    }
}
