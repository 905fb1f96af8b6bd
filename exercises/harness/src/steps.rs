//! The steps of one program, each timed by itself, in two versions: what a change to one of them is worth to the whole.

use std::time::Duration;

use fastrand::Rng;

use crate::{
    clock::Clock,
    paired::{self, Estimate},
    side::{Amount, Side, pair},
};

/// What one sample of the second version should take at least: it may be hundreds of times as fast as the first.
const SAMPLE: Duration = Duration::from_millis(1);
const MOST_PASSES: f64 = 1_000.0;
/// The baseline's, and the submission's.
const CLOCKS: [Clock; 2] = [Clock::Thread, Clock::Process];

/// A part of a program in two versions, the baseline's and the submission's, which give equal results and leave their
/// input as it was.
pub struct Step {
    pub(crate) name: &'static str,
    /// How much one sample of each version runs.
    amounts: Box<dyn Fn(u64) -> [Amount; 2]>,
    time: Box<Pair>,
}

/// Times both versions on inputs from a seed, the second one first if asked, in nanoseconds, and says whether the results
/// were equal.
type Pair = dyn Fn(u64, [Amount; 2], bool) -> ([f64; 2], bool);

impl Step {
    /// A step from its two versions.
    pub fn new<O: PartialEq + 'static>(name: &'static str, before: Side<O>, after: Side<O>) -> Self {
        let sides = std::rc::Rc::new([before, after]);
        let also = sides.clone();
        let amounts = move |seed| {
            let once = Amount::once(also[0].inputs_a_sample(CLOCKS[0], seed));
            let (took, _) = (also[1].time)(seed, once, CLOCKS[1]);
            let passes = (SAMPLE.as_secs_f64() / took.as_secs_f64().max(1e-9)).clamp(1.0, MOST_PASSES);
            [once, Amount { passes: passes as u32, ..once }]
        };
        let time = move |seed, amounts, swapped| {
            let (times, [before, after]) = pair(&sides, CLOCKS, seed, amounts, swapped);
            (times, before == after)
        };
        Self { name, amounts: Box::new(amounts), time: Box::new(time) }
    }
}

/// The times of every step for one input, in nanoseconds: `[before, after]` each.
type Times = Vec<[f64; 2]>;

/// Times all steps again and again, works out `figures` of each round of times, and estimates their medians. Ends when
/// those are `decided`, or when about five times `budget` has passed.
///
/// # Errors
/// The name of a step whose two versions gave different results.
pub(crate) fn measure(
    steps: &[Step],
    budget: Duration,
    seed: u64,
    figures: impl Fn(&Times) -> Vec<f64>,
    decided: impl Fn(&[Estimate]) -> bool,
) -> Result<Vec<Estimate>, &'static str> {
    let amounts: Vec<[Amount; 2]> = steps.iter().map(|step| (step.amounts)(seed)).collect();
    let mut rng = Rng::with_seed(seed);
    let mut differs = None;
    let estimates = paired::sample_each(
        budget,
        |swapped| {
            let mut times = Vec::new();
            for (step, amounts) in steps.iter().zip(&amounts) {
                let (took, equal) = (step.time)(rng.u64(..), *amounts, swapped);
                if !equal {
                    differs = Some(step.name);
                }
                times.push(took.map(|took| took / amounts[0].inputs as f64));
            }
            figures(&times)
        },
        decided,
    );
    differs.map_or(Ok(estimates), Err)
}

/// What was measured of a step: times for one input, as medians.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The step's name.
    pub name: &'static str,
    /// Of the first version, in nanoseconds.
    pub before: f64,
    /// Of the second.
    pub after: f64,
    /// How many times as fast the second is: the median of the pairs, not the ratio of the medians.
    pub times_as_fast: f64,
}

/// Measures both versions of every step, for a figure of the book or a table that a person reads.
///
/// # Panics
/// When the two versions of a step give different results.
pub fn compare(steps: &[Step]) -> Vec<Measured> {
    const PAIRS: usize = 31;
    let figures = |times: &Times| times.iter().flat_map(|[before, after]| [*before, *after, before / after]).collect();
    let decided = |estimates: &[Estimate]| estimates[0].pairs >= PAIRS;
    let estimates = measure(steps, Duration::from_secs(1), 1, figures, decided)
        .unwrap_or_else(|step| panic!("the two versions of {step} give different results"));
    let medians = estimates.chunks(3).map(|of_step| [of_step[0].median, of_step[1].median, of_step[2].median]);
    let measured = |(step, [before, after, times_as_fast]): (&Step, [f64; 3])| Measured {
        name: step.name,
        before,
        after,
        times_as_fast,
    };
    steps.iter().zip(medians).map(measured).collect()
}

/// The table that `cargo xtask bench` prints: times in microseconds, and each step's share of the submission's whole.
#[cfg(any(test, feature = "standalone"))]
pub(crate) fn table(measured: &[Measured]) -> String {
    use std::fmt::Write;
    let whole: [f64; 2] = [measured.iter().map(|step| step.before).sum(), measured.iter().map(|step| step.after).sum()];
    let mut text = format!(
        "{:<16}{:>14}{:>14}{:>16}{:>18}\n",
        "step", "starter, us", "yours, us", "times as fast", "share of yours, %"
    );
    let mut row = |name: &str, before: f64, after: f64, times_as_fast: f64| {
        let [before_us, after_us] = [before, after].map(|ns| ns / 1_000.0);
        let share = 100.0 * after / whole[1];
        let _ = writeln!(text, "{name:<16}{before_us:>14.1}{after_us:>14.1}{times_as_fast:>16.2}{share:>18.1}");
    };
    for step in measured {
        row(step.name, step.before, step.after, step.times_as_fast);
    }
    row("all together", whole[0], whole[1], whole[0] / whole[1]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_times_ratios_and_shares() {
        let step = |name, before, after| Measured { name, before, after, times_as_fast: before / after };
        let text = table(&[step("read", 30_000.0, 30_000.0), step("sort", 970_000.0, 10_000.0)]);
        let cells: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0], ["read", "30.0", "30.0", "1.00", "75.0"]);
        assert_eq!(cells[1], ["sort", "970.0", "10.0", "97.00", "25.0"]);
        assert_eq!(cells[2], ["all", "together", "1000.0", "40.0", "25.00", "100.0"]);
    }

    #[test]
    fn both_versions_of_every_step_are_compared_on_equal_inputs() {
        let side = |add: u64| Side::new(|rng| rng.u64(..1_000), move |input| *input + add);
        let steps = [Step::new("same", side(1), side(1)), Step::new("other", side(1), side(2))];
        let ratio = |times: &Times| times.iter().map(|[before, after]| before / after).collect();
        let result = measure(&steps, Duration::ZERO, 1, ratio, |_| true);
        assert_eq!(result, Err("other"));
        let result = measure(&steps[..1], Duration::ZERO, 1, ratio, |_| true);
        assert_eq!(result.map(|estimates| estimates.len()), Ok(1));
    }
}
