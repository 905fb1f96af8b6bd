//! The plots of the chapter: what a row costs by its width, and what an add costs by the distance to somebody else's.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
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
        y: Axis { label: "time for each row, ns".into(), log: false },
        series: series.into(),
    }
}

/// Nanoseconds a row, in a pass over so many that take so many bytes each.
fn pass(rows: usize, bytes: usize) -> f64 {
    let stride = bytes / size_of::<u32>();
    let table = vec![1_u32; rows * stride];
    // A short pass is repeated, and its rows are still in the cache from the time before.
    let passes = 200_000 / rows;
    let mut times: Vec<f64> = (0..31)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..passes {
                let sum: u32 = black_box(&table).iter().step_by(stride).sum();
                black_box(sum);
            }
            start.elapsed().as_nanos() as f64 / (passes * rows) as f64
        })
        .collect();
    median(&mut times)
}

/// Two threads add, each to a counter of its own, from side by side to far apart; and one thread alone.
pub(crate) fn distances() -> Figure {
    let apart = [8, 16, 32, 48, 56, 64, 80, 96, 120, 128, 192, 256, 512];
    let each = apart.map(|bytes| (f64::from(bytes), adds(bytes as usize)));
    let line = |label: &str, which: fn([f64; 2]) -> f64| Series {
        label: label.into(),
        points: each.iter().map(|(bytes, times)| [*bytes, which(*times)]).collect(),
    };
    Figure::Lines {
        x: Axis { label: "bytes from one counter to the other".into(), log: true },
        y: Axis { label: "time for an add, ns".into(), log: false },
        series: vec![line("two threads, a counter each", |[_, two]| two), line("one thread alone", |[one, _]| one)],
    }
}

/// How long an add takes, in nanoseconds: for one thread, and for each of two whose counters are so many bytes apart.
fn adds(bytes: usize) -> [f64; 2] {
    const ADDS: u32 = 100_000;
    const ROUNDS: usize = 60;
    let counters: Vec<AtomicU64> = (0..256).map(|_| AtomicU64::new(0)).collect();
    // The first is where a block of 128 bytes begins.
    let first = counters.iter().position(|counter| std::ptr::from_ref(counter).addr() % 128 == 0).unwrap_or(0);
    let pair = [&counters[first], &counters[first + bytes / size_of::<AtomicU64>()]];
    let add = |counter: &AtomicU64| {
        let start = Instant::now();
        (0..ADDS).for_each(|_| drop(counter.fetch_add(1, Relaxed)));
        (start, Instant::now())
    };
    let took = |(start, end): (Instant, Instant)| (end - start).as_nanos() as f64 / f64::from(ADDS);
    let mut alone: Vec<f64> = (0..ROUNDS).map(|_| took(add(pair[0]))).collect();

    let barrier = Barrier::new(2);
    let rounds = |counter| {
        let round = |_| {
            barrier.wait();
            add(counter)
        };
        (0..ROUNDS * 10).map(round).collect::<Vec<_>>()
    };
    let (ones, others) = thread::scope(|scope| {
        let one = scope.spawn(|| rounds(pair[0]));
        let others = rounds(pair[1]);
        (one.join().expect("adding does not panic"), others)
    });
    // Only rounds in which both were at it for nearly all of the time say what they do to each other.
    let together = |one: (Instant, Instant), other: (Instant, Instant)| {
        let both = one.1.min(other.1).saturating_duration_since(one.0.max(other.0));
        let whole: Duration = one.1.max(other.1) - one.0.min(other.0);
        both.as_secs_f64() > 0.9 * whole.as_secs_f64()
    };
    let mut both: Vec<f64> = ones
        .into_iter()
        .zip(others)
        .filter(|(one, other)| together(*one, *other))
        .map(|(one, other)| f64::midpoint(took(one), took(other)))
        .collect();
    assert!(both.len() >= 10, "two threads hardly ever ran at the same time; is there a second core?");
    [median(&mut alone), median(&mut both)]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
