//! Which of two implementations is cheaper, and by how much.
//!
//! Inputs may be dear to make, so each serves for several runs; the clock stands still while the next one is made.

use std::{hint::black_box, time::Duration};

/// What the runs on one input should take: some dozens of times what it takes to read the clock.
const ENOUGH: Duration = Duration::from_micros(20);
/// Inputs in a sample.
const INPUTS: usize = 48;
/// An odd number, so that one of the ratios is in the middle.
const PAIRS: usize = 31;

/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    // The fastest of three, because one that was interrupted would make few runs seem enough.
    let mut runs = 1;
    while runs < 4_096 && (0..3).any(|_| time(&now, make_input(), runs, &reference) < ENOUGH) {
        runs *= 2;
    }

    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let [mut first, mut second] = [Duration::ZERO; 2];
            for _ in 0..INPUTS {
                first += time(&now, make_input(), runs, &reference);
                second += time(&now, make_input(), runs, &candidate);
            }
            second.as_secs_f64() / first.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[PAIRS / 2]
}

/// So many runs on one input.
fn time<I, O>(now: &impl Fn() -> Duration, input: I, runs: usize, run: &impl Fn(&I) -> O) -> Duration {
    let start = now();
    for _ in 0..runs {
        black_box(run(&input));
    }
    now() - start
}
