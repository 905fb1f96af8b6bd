//! One side of a comparison, and how two of them are timed on the same inputs.

use std::{hint::black_box, time::Duration};

use fastrand::Rng;

use crate::{
    clock::Clock,
    paired::{self, Estimate},
};

/// What one sample of the slower side should take: long against the clock's resolution, short against the time slice
/// of a busy machine's scheduler.
const SAMPLE: Duration = Duration::from_millis(2);
/// Inputs in one sample at most; each is made anew.
const MOST_INPUTS: usize = 4_096;

/// One side of a comparison: how an input is made, which is not timed, and what is done with it, which is.
///
/// Every input is made anew from the run's seed, so that a remembered answer is of no use.
pub struct Side<O> {
    pub(crate) time: Box<dyn Fn(u64, Amount, Clock) -> (Duration, O)>,
    #[cfg(feature = "standalone")]
    pub(crate) criterion: Box<dyn Fn(&mut criterion::Bencher)>,
}

/// How much one sample runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount {
    pub(crate) inputs: usize,
    /// How often it goes through the inputs. More than once only where they may be used again; then once more before,
    /// untimed, so that caches and the allocator are in every pass as they are in the last.
    pub(crate) passes: u32,
}

impl Amount {
    /// Each input once.
    pub(crate) fn once(inputs: usize) -> Self {
        Self { inputs, passes: 1 }
    }
}

impl<O: 'static> Side<O> {
    /// A side from its two parts.
    pub fn new<I: 'static>(prepare: impl Fn(&mut Rng) -> I + 'static, run: impl Fn(&mut I) -> O + 'static) -> Self {
        let parts = std::rc::Rc::new((prepare, run));
        #[cfg(feature = "standalone")]
        let criterion = {
            let parts = parts.clone();
            Box::new(move |bencher: &mut criterion::Bencher| {
                let mut rng = Rng::with_seed(1);
                bencher.iter_batched_ref(
                    || (parts.0)(&mut rng),
                    |input| (parts.1)(input),
                    criterion::BatchSize::SmallInput,
                );
            })
        };
        let time = Box::new(move |seed: u64, Amount { inputs, passes }: Amount, clock: Clock| {
            let mut rng = Rng::with_seed(seed);
            // One of the outputs, which one cannot be told beforehand, is kept to be compared with the other side's.
            let kept = rng.usize(..inputs);
            let mut inputs = prepare_all(inputs, &mut rng, &parts.0);
            if passes > 1 {
                for input in &mut inputs {
                    black_box((parts.1)(black_box(input)));
                }
            }
            let mut output = None;
            let start = clock.now();
            for pass in 0..passes {
                for (i, input) in inputs.iter_mut().enumerate() {
                    let result = black_box((parts.1)(black_box(input)));
                    if pass == 0 && i == kept {
                        output = Some(result);
                    }
                }
            }
            let took = clock.now().saturating_sub(start) / passes;
            discard_all(inputs);
            (took, output.expect("one of the inputs was chosen"))
        });
        Self {
            time,
            #[cfg(feature = "standalone")]
            criterion,
        }
    }

    /// How many inputs make one sample of this side take about [`SAMPLE`].
    pub(crate) fn inputs_a_sample(&self, clock: Clock, seed: u64) -> usize {
        let mut inputs = 1;
        loop {
            let (took, _) = (self.time)(seed, Amount::once(inputs), clock);
            if took * 2 > SAMPLE || inputs >= MOST_INPUTS {
                let wanted = SAMPLE.as_secs_f64() / took.as_secs_f64().max(1e-9) * inputs as f64;
                return (wanted.round() as usize).clamp(1, MOST_INPUTS);
            }
            inputs *= 4;
        }
    }
}

/// Not inlined, so that a flamegraph can leave it out by name.
#[inline(never)]
fn prepare_all<I>(inputs: usize, rng: &mut Rng, prepare: &impl Fn(&mut Rng) -> I) -> Vec<I> {
    (0..inputs).map(|_| prepare(rng)).collect()
}

/// Not inlined for the same reason: to drop the inputs of fast code may take as long as the code itself.
#[inline(never)]
fn discard_all<I>(inputs: Vec<I>) {
    drop(inputs);
}

/// How many times as long as the first side, which should be the slower one, the second takes, by the processor time of
/// this thread. Samples until the interval is within the fraction `precision` of the median, or for half a second. Results
/// are not compared.
pub fn paired_ratio<O: 'static>(sides: &[Side<O>; 2], seed: u64, precision: f64) -> Estimate {
    const BUDGET: Duration = Duration::from_millis(100);
    // Of a full sample: where an input takes longer to make than to use, most of a pair is set-up, and the machine's pace
    // changes between its sides.
    const SHARE: usize = 8;
    let clocks = [Clock::Thread; 2];
    let amount = Amount::once(sides[0].inputs_a_sample(clocks[0], seed).div_ceil(SHARE));
    let mut rng = Rng::with_seed(seed);
    paired::sample(
        BUDGET,
        |swapped| {
            let ([first, second], _) = pair(sides, clocks, rng.u64(..), [amount; 2], swapped);
            second / first
        },
        |estimate| estimate.interval.iter().all(|end| (end / estimate.median - 1.0).abs() <= precision),
    )
}

/// One sample of each side on inputs from the same seed, the second side first if asked: nanoseconds, and the results that
/// were kept.
pub(crate) fn pair<O>(
    sides: &[Side<O>; 2],
    clocks: [Clock; 2],
    seed: u64,
    amounts: [Amount; 2],
    swapped: bool,
) -> ([f64; 2], [O; 2]) {
    let time = |side: usize| (sides[side].time)(seed, amounts[side], clocks[side]);
    let (first, second) = if swapped {
        let second = time(1);
        (time(0), second)
    } else {
        (time(0), time(1))
    };
    // A clock that did not move would divide by zero; it means less than a nanosecond.
    ([first.0, second.0].map(|took| took.as_nanos().max(1) as f64), [first.1, second.1])
}
