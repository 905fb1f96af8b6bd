//! Figures for the chapter: what becomes of a comparison when others use the processor too.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use harness::{
    Rng,
    evidence::{Axis, Figure, Series},
};
use trustworthy_bench::relative_cost;

use crate::{kept, machine::Machine};

/// The true ratio of both figures.
const TRUTH: u32 = 2;
const COMPARISONS: usize = 100;

/// One comparison by three benches, a hundred times each, by the clock on the wall, while a thread for each core does
/// nothing but keep it busy.
pub(crate) fn comparisons() -> Figure {
    const ROUNDS: u32 = 200;
    let run = |rounds: u32, runs: usize| {
        let start = Instant::now();
        for i in 0..runs {
            black_box(kept(i as u64, rounds));
        }
        start.elapsed().as_secs_f64()
    };
    let once = || run(TRUTH * ROUNDS, 1_000) / run(ROUNDS, 1_000);
    let means = || {
        let mean = |rounds| (0..10).map(|_| run(rounds, 1_000)).sum::<f64>() / 10.0;
        let reference = mean(ROUNDS);
        mean(TRUTH * ROUNDS) / reference
    };
    let start = Instant::now();
    let mut rng = Rng::with_seed(1);
    let mut pairs = || {
        let make_input = || rng.u64(..);
        let [reference, candidate] = [ROUNDS, TRUTH * ROUNDS].map(|rounds| move |input: &u64| kept(*input, rounds));
        relative_cost(|| start.elapsed(), make_input, reference, candidate)
    };
    let series = busily(|| {
        [
            sorted("1,000 runs of each, once", once),
            sorted("mean of ten such samples, one side after the other", means),
            sorted("median of pairs, taken in turn", &mut pairs),
        ]
    });
    Figure::Lines {
        x: Axis { label: "of a hundred comparisons, from the lowest answer to the highest".into(), log: false },
        y: Axis { label: "answer; the truth is 2".into(), log: true },
        series: series.into(),
    }
}

fn sorted(label: &str, compare: impl FnMut() -> f64) -> Series {
    let mut answers: Vec<f64> = std::iter::repeat_with(compare).take(COMPARISONS).collect();
    answers.sort_by(f64::total_cmp);
    Series { label: label.into(), points: answers.into_iter().enumerate().map(|(i, a)| [i as f64 + 1.0, a]).collect() }
}

/// Runs `code` while as many threads as there are cores keep them busy.
fn busily<T>(code: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for core in 0..thread::available_parallelism().map_or(1, usize::from) {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    black_box(kept(core as u64, 1_000));
                }
            });
        }
        let result = code();
        stop.store(true, Relaxed);
        result
    })
}

/// On the simulated machine of the check `busy-machine`: how far off a median of 31 ratios is, by the length of a sample.
pub(crate) fn samples() -> Figure {
    /// Nanoseconds that a run of the reference takes; no multiple of the clock's tick.
    const RUN: f64 = 37.0;
    const PAIRS: usize = 31;
    let mut rng = Rng::with_seed(1);
    let mut points = Vec::new();
    for step in 0..=24 {
        let runs = 10_f64.powf(f64::from(step) / 4.0).round();
        let error = |_| {
            let machine = Machine::busy(&mut rng);
            let sample = |cost: f64| {
                let start = machine.now();
                machine.run(runs * cost);
                (machine.now() - start).as_secs_f64()
            };
            let pair = |_| {
                let reference = sample(RUN);
                sample(RUN * f64::from(TRUTH)) / reference
            };
            let mut ratios: Vec<f64> = (0..PAIRS).map(pair).collect();
            ratios.sort_by(f64::total_cmp);
            100.0 * (ratios[PAIRS / 2] / f64::from(TRUTH) - 1.0).abs()
        };
        let mut errors: Vec<f64> = (0..400).map(error).collect();
        errors.sort_by(f64::total_cmp);
        // A logarithm needs a number, and a clock that did not tick gives none.
        let most = errors[errors.len() * 9 / 10];
        points.push([runs * RUN / 1e3, if most.is_finite() { most.clamp(0.01, 100.0) } else { 100.0 }]);
    }
    let label = "median of 31 ratios".into();
    Figure::Lines {
        x: Axis { label: "what a sample of the reference takes, us".into(), log: true },
        y: Axis { label: "error that nine in ten comparisons stay below, %".into(), log: true },
        series: vec![Series { label, points }],
    }
}
