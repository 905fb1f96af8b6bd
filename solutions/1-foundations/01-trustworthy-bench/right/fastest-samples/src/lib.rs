//! Which of two implementations is cheaper, and by how much.
//!
//! What disturbs a sample only ever makes it longer, so the fastest of each side is the nearest to the truth.

use std::{hint::black_box, time::Duration};

/// Long enough that the inputs of one sample are as dear as those of the next.
const SAMPLE: Duration = Duration::from_micros(200);
const ROUNDS: usize = 100;

/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    let mut runs = 1;
    loop {
        let inputs: Vec<I> = (0..runs).map(|_| make_input()).collect();
        let fastest = (0..3).map(|_| time(&now, &reference, &inputs)).min();
        if fastest >= Some(SAMPLE) || runs > 100_000 {
            break;
        }
        runs *= 2;
    }

    let mut fastest = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let inputs: Vec<I> = (0..runs).map(|_| make_input()).collect();
        fastest[0] = fastest[0].min(time(&now, &reference, &inputs));
        fastest[1] = fastest[1].min(time(&now, &candidate, &inputs));
    }
    fastest[1].as_secs_f64() / fastest[0].as_secs_f64()
}

fn time<I, O>(now: impl Fn() -> Duration, run: impl Fn(&I) -> O, inputs: &[I]) -> Duration {
    let start = now();
    inputs.iter().for_each(|input| drop(black_box(run(black_box(input)))));
    now() - start
}
