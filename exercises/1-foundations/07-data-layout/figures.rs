//! The plots of the chapter: what a row costs by its width, and what an add costs by the distance to somebody else's.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use harness::evidence::{Axis, Figure, Series};

/// Adds up one number of each row, for rows of more and more bytes.
pub(crate) fn widths() -> Figure {
    let series = [("200,000 rows", 200_000), ("200 rows", 200)].map(|(label, rows)| Series {
        label: label.into(),
        points: (2..=10).map(|power| [f64::from(1 << power), pass(rows, 1 << power)]).collect(),
    });
    Figure::Lines {
        x: Axis { label: "bytes from one row to the next".into(), log: true },
        y: Axis { label: "time for each row, ns, in the quickest pass".into(), log: false },
        series: series.into(),
    }
}

// ANCHOR: pass
/// Nanoseconds a row, in the quickest of many passes over so many rows that take so many bytes each.
fn pass(rows: usize, bytes: usize) -> f64 {
    let stride = bytes / size_of::<u32>();
    let table = vec![1_u32; rows * stride];
    // A short pass is repeated, and its rows are still in the cache from the time before.
    let passes = 200_000 / rows;
    let times = (0..101).map(|_| {
        let start = Instant::now();
        for _ in 0..passes {
            let sum: u32 = black_box(&table).iter().step_by(stride).sum();
            black_box(sum);
        }
        start.elapsed().as_nanos() as f64 / (passes * rows) as f64
    });
    // What else the machine does can only add to it.
    times.fold(f64::INFINITY, f64::min)
}
// ANCHOR_END: pass

/// Two threads add, each to a counter of its own, from side by side to far apart; and one thread alone.
pub(crate) fn distances() -> Figure {
    let mut distances = [8, 16, 32, 48, 56, 64, 80, 96, 120, 128, 192, 256, 512].map(Distance::new);
    // In turns, so that whatever the machine is at for a while is spread over all of them. On a busy one, it takes longer
    // until both threads have had a core at the same time often enough.
    for turn in 0..100 {
        distances.iter_mut().for_each(Distance::add);
        if turn >= 9 && distances.iter().all(|distance| distance.beside.len() >= 100) {
            break;
        }
    }
    let line = |label: &str, times: fn(&Distance) -> &Vec<f64>| Series {
        label: label.into(),
        points: distances.iter().map(|distance| [distance.bytes as f64, median(times(distance).clone())]).collect(),
    };
    Figure::Lines {
        x: Axis { label: "bytes from one counter to the other".into(), log: true },
        y: Axis { label: "time for an add, ns".into(), log: false },
        series: vec![
            line("two threads, a counter each", |distance| &distance.beside),
            line("one thread alone", |distance| &distance.alone),
        ],
    }
}

/// Two counters so many bytes apart, and how long adds to the first took, in nanoseconds: with nobody at the second, and
/// with a thread at it.
struct Distance {
    bytes: usize,
    counters: Vec<AtomicU64>,
    alone: Vec<f64>,
    beside: Vec<f64>,
}

impl Distance {
    fn new(bytes: usize) -> Self {
        let counters = (0..256).map(|_| AtomicU64::new(0)).collect();
        Self { bytes, counters, alone: Vec::new(), beside: Vec::new() }
    }

    fn add(&mut self) {
        // The first is where a block of 128 bytes begins.
        let first = self.counters.iter().position(|counter| std::ptr::from_ref(counter).addr() % 128 == 0).unwrap_or(0);
        let [one, other] = [&self.counters[first], &self.counters[first + self.bytes / size_of::<AtomicU64>()]];
        self.alone.extend(bursts(one, Duration::from_millis(20)).iter().map(Burst::each));
        let (mine, others) = thread::scope(|scope| {
            let others = scope.spawn(|| bursts(other, Duration::from_millis(100)));
            (bursts(one, Duration::from_millis(100)), others.join().expect("adding does not panic"))
        });
        self.beside.extend(mine.iter().filter(|burst| burst.is_beside(&others)).map(Burst::each));
    }
}

/// Some adds in a row, short against the time for which a scheduler lets a thread run.
struct Burst {
    from: Instant,
    to: Instant,
}

impl Burst {
    const ADDS: u32 = 10_000;

    fn took(&self) -> Duration {
        self.to - self.from
    }

    /// Nanoseconds an add.
    fn each(&self) -> f64 {
        self.took().as_nanos() as f64 / f64::from(Self::ADDS)
    }

    /// Whether both threads were at it for all of the time. One whose burst took so long, or much longer than the other's,
    /// was not running in between.
    fn is_beside(&self, others: &[Self]) -> bool {
        const INTERRUPTED: Duration = Duration::from_millis(2);
        let first = others.partition_point(|other| other.to <= self.from);
        let during: Vec<_> = others[first..].iter().take_while(|other| other.from < self.to).collect();
        let both: Duration = during.iter().map(|other| other.to.min(self.to) - other.from.max(self.from)).sum();
        let alike = |took: Duration| took < self.took() * 2 && self.took() < took * 2 && took < INTERRUPTED;
        both > self.took() * 9 / 10 && during.iter().all(|other| alike(other.took()))
    }
}

/// Adds to a counter for so long.
fn bursts(counter: &AtomicU64, time: Duration) -> Vec<Burst> {
    let end = Instant::now() + time;
    let mut bursts = Vec::new();
    while Instant::now() < end {
        let from = Instant::now();
        for _ in 0..Burst::ADDS {
            counter.fetch_add(1, Relaxed);
        }
        bursts.push(Burst { from, to: Instant::now() });
    }
    bursts
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "two threads never ran at the same time; is there a second core?");
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
