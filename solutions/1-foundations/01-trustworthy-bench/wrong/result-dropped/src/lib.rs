//! Which of two implementations is cheaper, and by how much.
//!
//! Many pairs of samples, taken in turn on inputs made beforehand; the median of their ratios is the answer.

use std::time::Duration;

/// What a sample should take: long against a tick of any clock, short against the time between two interruptions.
const SAMPLE: Duration = Duration::from_micros(100);
/// An odd number, so that one of the ratios is in the middle.
const PAIRS: usize = 31;
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

    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|pair| {
            let inputs = inputs(runs);
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

/// One sample: a run on each of the inputs.
fn time<I, O>(now: &impl Fn() -> Duration, inputs: &[I], run: &impl Fn(&I) -> O) -> Duration {
    let start = now();
    for input in inputs {
        run(input);
    }
    now() - start
}
// ANCHOR_END: relative_cost
