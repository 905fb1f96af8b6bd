//! Which of two implementations is cheaper, and by how much.
//!
//! A sample of twice as many runs costs as many runs more, and the clock not at all: the difference is free of everything
//! that happens once a sample.

use std::{hint::black_box, time::Duration};

/// How many runs a sample has, chosen so that the longer one takes about this.
const SAMPLE: Duration = Duration::from_micros(400);

/// A difference of two samples has the noise of both, so it takes many.
const PAIRS: usize = 121;

/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    let mut half = 8;
    while half < 1 << 15 {
        let mut took = [Duration::ZERO; 3].map(|_| {
            let inputs = Vec::from_iter((0..2 * half).map(|_| make_input()));
            sample(&now, inputs.iter(), &reference)
        });
        took.sort();
        if took[1] >= SAMPLE {
            break;
        }
        half *= 2;
    }

    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..PAIRS {
        let inputs = Vec::from_iter((0..3 * half).map(|_| make_input()));
        let (few, many) = inputs.split_at(half);
        let more = |few, many| Duration::saturating_sub(many, few);
        costs[0].push(more(sample(&now, few.iter(), &reference), sample(&now, many.iter(), &reference)));
        costs[1].push(more(sample(&now, few.iter(), &candidate), sample(&now, many.iter(), &candidate)));
    }
    let [reference, candidate] = costs.map(|mut differences| {
        differences.sort();
        differences[differences.len() / 2].as_secs_f64()
    });
    candidate / reference
}

fn sample<'a, I: 'a, O>(
    now: &dyn Fn() -> Duration,
    inputs: impl Iterator<Item = &'a I>,
    run: impl Fn(&I) -> O,
) -> Duration {
    let start = now();
    for input in inputs {
        let result = run(black_box(input));
        black_box(&result);
    }
    now() - start
}
