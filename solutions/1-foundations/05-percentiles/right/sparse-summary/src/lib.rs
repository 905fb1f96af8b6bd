//! How long requests take, as percentiles: of one instance, and of all of them together.
//!
//! A recorder counts latencies in rows, one for each doubling, of 128 parts each. What it ships is a list of those that are
//! not empty: the longest latency of each, and how many there were. Merging sorts the lists into one.

use std::collections::BTreeMap;

/// The longest latency that is told apart, in microseconds: an hour. A longer one counts as an hour, and 0 as 1 us.
const LONGEST: u64 = 3_600_000_000;

/// Latencies below this have a bucket each, as have the parts of every doubling from there on.
const PARTS: u64 = 128;
/// The first row is for the latencies below `PARTS`; from 2^7 to 2^31 us there are 25 doublings.
const ROWS: usize = 26;

/// The latencies of one instance in ten seconds.
#[derive(Debug, Clone)]
pub struct Recorder {
    rows: Box<[[u32; PARTS as usize]; ROWS]>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { rows: Box::new([[0; PARTS as usize]; ROWS]) }
    }
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the latency of one request, in microseconds.
    pub fn record(&mut self, micros: u64) {
        let micros = micros.clamp(1, LONGEST);
        // How often it has to be halved until it is below twice the parts.
        let halved = (micros / PARTS).checked_ilog2();
        let (row, part) = match halved {
            None => (0, micros),
            Some(halved) => (halved as usize + 1, (micros >> halved) - PARTS),
        };
        self.rows[row][part as usize] += 1;
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.rows.iter().flatten().map(|count| u64::from(*count)).sum()
    }

    /// The smallest latency, in microseconds, that at least `q * count` of those recorded do not exceed: 0.99 asks for
    /// the p99, 1 for the longest, 0 for the shortest. `q` counts as 1 above 1, and as 0 below 0 or when it is NaN.
    /// `None` when nothing was recorded.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        self.summary().percentile(q)
    }

    /// What the dashboard is told of this instance.
    pub fn summary(&self) -> Summary {
        let longest = |row: usize, part: u64| match row {
            0 => part,
            _ => ((PARTS + part + 1) << (row - 1)) - 1,
        };
        let rows = self.rows.iter().enumerate();
        let counted =
            rows.flat_map(|(row, parts)| (0..).zip(parts).map(move |(part, count)| (longest(row, part), *count)));
        Summary {
            counted: counted.filter(|(_, count)| *count > 0).map(|(longest, count)| (longest, count.into())).collect(),
        }
    }
}

/// The latencies of one instance, or of several, as the dashboard knows them.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The longest latency of a bucket, and how many are in it; the shortest first.
    counted: Vec<(u64, u64)>,
}

impl Summary {
    /// The summary of all requests that `summaries` are about.
    pub fn merge(summaries: &[Summary]) -> Summary {
        let mut sums = BTreeMap::new();
        for (longest, count) in summaries.iter().flat_map(|summary| &summary.counted) {
            *sums.entry(*longest).or_default() += count;
        }
        Summary { counted: sums.into_iter().collect() }
    }

    /// How many requests it is about.
    pub fn count(&self) -> u64 {
        self.counted.iter().map(|(_, count)| count).sum()
    }

    /// As [`Recorder::percentile`], for all requests that this summary is about. Any `q` may be asked for.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0);
        let mut upto = 0;
        let found = self.counted.iter().find(|(_, count)| {
            upto += count;
            upto as f64 >= rank
        });
        found.map(|(longest, _)| (*longest).min(LONGEST))
    }
}
