//! Which of two implementations is cheaper, and by how much.
//!
//! Many pairs of samples, taken in turn on inputs made beforehand; the median of their ratios is the answer.

use std::{hint::black_box, time::Duration};

/// Runs in a sample.
const RUNS: usize = 100;
/// An odd number, so that one of the ratios is in the middle.
const PAIRS: usize = 31;

// ANCHOR: relative_cost
/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
///
/// `make_input` makes an input such as both will get, and is not timed. Every run has one of its own, so that what
/// depends on the input is averaged within a sample.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    let mut inputs = |runs| (0..runs).map(|_| make_input()).collect::<Vec<I>>();

    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|pair| {
            let inputs = inputs(RUNS);
            // In turn, and taking turns at being first: what slows the machine down slows both.
            let [first, second] = if pair % 2 == 0 {
                let first = time(&now, &inputs, &reference);
                [first, time(&now, &inputs, &candidate)]
            } else {
                let second = time(&now, &inputs, &candidate);
                [time(&now, &inputs, &reference), second]
            };
            second.as_secs_f64() / first.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[PAIRS / 2]
}

/// One sample: a run on each of the inputs, with the clock stopped in between.
fn time<I, O>(now: &impl Fn() -> Duration, inputs: &[I], run: &impl Fn(&I) -> O) -> Duration {
    let mut total = Duration::ZERO;
    for input in inputs {
        let start = now();
        black_box(run(black_box(input)));
        total += now() - start;
    }
    total
}
// ANCHOR_END: relative_cost
