//! Which of two implementations is cheaper, and by how much.
//!
//! Every pull request of OrderFlow that claims to be faster must say how much faster, and this is what says it. On Friday
//! it called the new discount code forty times as fast as the old one. On Monday the servers were twice as busy. It has
//! since called one implementation both faster and slower than itself. Make its answers true.

use std::time::Duration;

// ANCHOR: relative_cost
/// How many times as long as `reference` takes does `candidate` take? 2 if it takes twice as long, 0.5 if half.
///
/// `make_input` makes an input such as both will get, another one at each call. To make it may take long, and belongs to
/// neither. The time of a run may depend on its input; what counts is the time over all inputs together.
///
/// `now` reads a clock. It says how much time has passed since some moment of its own, and time may pass while the
/// processor does something else. Read no other clock: this one may be a simulated machine's. Some tens of
/// milliseconds of it are enough for an answer.
pub fn relative_cost<I, O>(
    now: impl Fn() -> Duration,
    mut make_input: impl FnMut() -> I,
    reference: impl Fn(&I) -> O,
    candidate: impl Fn(&I) -> O,
) -> f64 {
    const RUNS: usize = 1_000;

    let start = now();
    for _ in 0..RUNS {
        reference(&make_input());
    }
    let middle = now();
    for _ in 0..RUNS {
        candidate(&make_input());
    }
    let end = now();

    (end - middle).as_secs_f64() / (middle - start).as_secs_f64()
}
// ANCHOR_END: relative_cost
