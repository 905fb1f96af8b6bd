//! Which of two implementations is cheaper, and by how much.
//!
//! Many samples of both sides, taken in turn on inputs made beforehand; the ratio of the means is the answer.

use std::{hint::black_box, time::Duration};

/// What a sample should take: long against a tick of any clock, short against the time between two interruptions.
const SAMPLE: Duration = Duration::from_micros(100);
/// How many samples of each side the mean is of.
const PAIRS: usize = 100;
/// More runs than this are not needed to fill a sample, however short they are; a clock that stands still must not hang us.
const MOST_RUNS: usize = 1 << 16;

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

    // The fastest of three samples, because one that was interrupted would make few runs seem enough.
    let mut runs = 1;
    while runs < MOST_RUNS && (0..3).any(|_| time(&now, &inputs(runs), &reference) < SAMPLE) {
        runs *= 2;
    }

    let [mut reference_time, mut candidate_time] = [Duration::ZERO; 2];
    for _ in 0..PAIRS {
        let inputs = inputs(runs);
        reference_time += time(&now, &inputs, &reference);
        candidate_time += time(&now, &inputs, &candidate);
    }
    candidate_time.as_secs_f64() / reference_time.as_secs_f64()
}

/// One sample: a run on each of the inputs.
fn time<I, O>(now: &impl Fn() -> Duration, inputs: &[I], run: &impl Fn(&I) -> O) -> Duration {
    let start = now();
    for input in inputs {
        // Nobody knows the input, and somebody needs the result: neither can be taken out of the loop.
        black_box(run(black_box(input)));
    }
    now() - start
}
// ANCHOR_END: relative_cost
