//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! A histogram of one bucket for each doubling; within a bucket, latencies are taken to lie at equal distances.

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
        let micros = micros.clamp(1, LONGEST);
        let so_far = &mut self.so_far;
        so_far.counts[micros.ilog2() as usize] += 1;
        so_far.smallest = if so_far.count == 0 { micros } else { so_far.smallest.min(micros) };
        so_far.largest = so_far.largest.max(micros);
        so_far.count += 1;
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
#[derive(Debug, Clone, Default)]
pub struct Summary {
    count: u64,
    smallest: u64,
    largest: u64,
    /// How many latencies were from two to the power of the index to less than twice that.
    counts: [u64; 32],
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        let mut all = Summary::default();
        for summary in summaries.iter().filter(|summary| summary.count > 0) {
            all.smallest = if all.count == 0 { summary.smallest } else { all.smallest.min(summary.smallest) };
            all.largest = all.largest.max(summary.largest);
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
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        if rank == self.count {
            return Some(self.largest);
        }
        let mut below = 0;
        for (doubling, count) in self.counts.iter().enumerate() {
            if below + count >= rank {
                // The first of a bucket lies at its lower end.
                let within = (rank - below - 1) as f64 / *count as f64;
                let latency = 2_f64.powi(doubling as i32) * (1.0 + within);
                return Some((latency as u64).clamp(self.smallest, self.largest));
            }
            below += count;
        }
        None
    }
}
