//! Which of two implementations is cheaper, and by how much.
//!
//! Both sides in blocks of equal length, in random order; the mean of the middle half of each side's blocks.

use std::{
    hash::{BuildHasher, RandomState},
    hint::black_box,
    time::Duration,
};

/// What a block of the reference should take.
const BLOCK: f64 = 150e-6;
/// Blocks of both sides together.
const BLOCKS: u64 = 400;

/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    // How long one run takes, roughly and now: the least that a run has taken in blocks of more and more of them.
    let mut run = f64::INFINITY;
    for power in 0..15 {
        let inputs = Vec::from_iter((0..1 << power).map(|_| make_input()));
        let start = now();
        inputs.iter().for_each(|input| drop(black_box(reference(black_box(input)))));
        let took = (now() - start).as_secs_f64();
        run = if took > 0.0 { run.min(took / inputs.len() as f64) } else { run };
        if took > BLOCK {
            break;
        }
    }
    let runs = (BLOCK / run).clamp(1.0, 20_000.0) as usize;

    let coin = RandomState::new();
    let mut blocks = [Vec::new(), Vec::new()];
    for block in 0..BLOCKS {
        let inputs = Vec::from_iter((0..runs).map(|_| make_input()));
        let side = usize::from(coin.hash_one(block) % 2 == 0);
        let start = now();
        for input in &inputs {
            let input = black_box(input);
            if side == 0 {
                black_box(reference(input));
            } else {
                black_box(candidate(input));
            }
        }
        blocks[side].push(now() - start);
    }
    let [reference, candidate] = blocks.map(|mut times| {
        times.sort();
        let middle = &times[times.len() / 4..times.len() * 3 / 4];
        middle.iter().sum::<Duration>().as_secs_f64() / middle.len() as f64
    });
    candidate / reference
}
