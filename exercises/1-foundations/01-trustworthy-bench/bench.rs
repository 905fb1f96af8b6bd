//! What true means for `relative_cost` on this machine: real code, real inputs, and the time that this thread has had a
//! processor. What each implementation costs is known by construction, as a number of multiplications. An answer
//! that differs from it is compared with a measurement of our own too. Also draws the figures of the chapter.

use std::{hint::black_box, process::ExitCode};

use harness::{Failed, Outcome, Rng, Side, Trial};
use trustworthy_bench::relative_cost;

mod busy;
mod lies;
mod machine;

/// The gate of `exercise.toml`, as a fraction.
const TOLERANCE: f64 = 0.15;
/// The most that our own measurement may differ from the construction before the machine is not to be trusted. What a run
/// costs beside its multiplications differs from one processor to another, and with what its neighbours do.
const WITNESS: f64 = 0.25;
/// How many answers have to be wrong before one is.
const ATTEMPTS: usize = 3;

fn main() -> ExitCode {
    harness::bench!()
        .accuracy("ranks-them-all", ranks_them_all)
        .accuracy("survives-the-optimiser", survives_the_optimiser)
        .report(lies::report())
        .figure(
            "trustworthy-bench-busy",
            "One comparison, a hundred times, while both cores are busy",
            busy::comparisons,
        )
        .figure("trustworthy-bench-samples", "The same comparison by the length of its samples", busy::samples)
        .run()
}

/// Work whose cost is known: eight multiplications a round. They do not wait for each other, so that they keep the
/// multiplier busy and a processor cannot hide part of one run behind another.
#[inline(always)]
fn work(input: u64, rounds: u32) -> u64 {
    let mut lanes: [u64; 8] = std::array::from_fn(|lane| input ^ (lane as u64) << 56);
    for _ in 0..rounds {
        for lane in &mut lanes {
            *lane = (*lane ^ 0x2545_f491_4f6c_dd1d).wrapping_mul(0xd134_2543_de82_ef95);
        }
    }
    lanes.iter().fold(0, |all, lane| all ^ lane)
}

/// The true ratio of two numbers of rounds. To call the work and to fold its lanes takes about as long as one more.
fn truth(candidate: u32, reference: u32) -> f64 {
    f64::from(candidate + 1) / f64::from(reference + 1)
}

/// The same work, which nobody can leave out or do beforehand.
fn kept(input: u64, rounds: u32) -> u64 {
    black_box(work(black_box(input), rounds))
}

fn ranks_them_all(t: &mut Trial) -> Outcome {
    // Far enough apart that whoever is within the tolerance of each has ranked them all.
    let mut costs = [128, 180, 256, 362, 512_u32].map(|rounds| rounds + t.rng.u32(..10));
    t.rng.shuffle(&mut costs);
    // To whom set-up is dear everything seems equally dear, so that one must not be.
    let first = costs.iter().position(|rounds| *rounds >= 256).expect("three of them are");
    costs.swap(0, first);
    let [with_set_up, varying, a, b, c] = costs;
    let reference_rounds = 128 + t.rng.u32(..10);
    let reference = move |input: &u64| kept(*input, reference_rounds);
    let plain = move |rounds| move |input: &u64| kept(*input, rounds);

    let set_up = 1_000 + t.rng.u32(..200);
    let with = truth(with_set_up + set_up, reference_rounds + set_up);
    let mut worst = held(
        t,
        truth(with_set_up, reference_rounds),
        "one whose inputs are dear to make",
        &format!(
            "An input takes {:.0} times as long to make as `reference` takes to run. Timed with the making of their \
             inputs, the two would come to {with:.2}. Make the inputs before you read the clock, and keep them until you \
             have read it again.",
            truth(set_up, reference_rounds)
        ),
        move |rng| kept(rng.u64(..), set_up),
        reference,
        plain(with_set_up),
    )?;
    worst = worst.max(held(
        t,
        truth(varying, reference_rounds),
        "one whose cost depends on the input",
        "It takes seven times as long on half of the inputs as on the others: every sample needs many, each made anew.",
        |rng| rng.u64(..),
        reference,
        move |input| kept(*input, if input % 2 == 0 { varying / 4 } else { 2 * varying - varying / 4 }),
    )?);
    for rounds in [a, b, c] {
        worst = worst.max(held(
            t,
            truth(rounds, reference_rounds),
            "one without any trick",
            "A run takes a microsecond or less, and so does reading the clock: put many runs between two readings.",
            |rng| rng.u64(..),
            reference,
            plain(rounds),
        )?);
    }
    t.measure(worst, "")
}

fn survives_the_optimiser(t: &mut Trial) -> Outcome {
    // The compiler gives up on computing a loop beforehand after a hundred rounds.
    const FIXED: [u32; 2] = [40, 98];
    // Long against what a run costs beside them, which differs from one processor and one build to another.
    let [reference, most, least] = [240, 640, 100].map(|rounds| rounds + t.rng.u32(..16));
    let mut worst: f64 = 0.0;
    for rounds in [most, least] {
        worst = worst.max(held(
            t,
            truth(rounds, reference),
            "a function that only computes",
            "When nobody uses what it computes, the optimiser takes the computation away, and you time an empty loop. \
             `std::hint::black_box(result)` is a use that it cannot see through.",
            |rng| rng.u64(..),
            move |input| work(*input, reference),
            move |input| work(*input, rounds),
        )?);
    }
    worst = worst.max(held(
        t,
        truth(FIXED[1], FIXED[0]),
        "a function that only computes, on an input that never changes,",
        "What the compiler knows, it computes once, before the loop or before the program runs. \
         `black_box(input)` in every run makes the input something that it cannot know.",
        |_| 7,
        |input| work(*input, FIXED[0]),
        |input| work(*input, FIXED[1]),
    )?);
    t.measure(worst, "")
}

/// How many per cent the submission's answer is off. One that is off by too much is asked for again, and only counts if
/// our own measurement agrees with the construction at that time: otherwise the machine is at fault.
fn held<I: 'static, O: 'static>(
    t: &mut Trial,
    truth: f64,
    what: &str,
    advice: &str,
    prepare: impl Fn(&mut Rng) -> I + Copy + 'static,
    reference: impl Fn(&I) -> O + Copy + 'static,
    candidate: impl Fn(&I) -> O + Copy + 'static,
) -> Result<f64, Failed> {
    // How far each wrong answer was off, the answer, and what we measured.
    let mut wrong: Vec<[f64; 3]> = Vec::new();
    let mut measured = truth;
    for _ in 0..2 * ATTEMPTS {
        let mut rng = t.rng.fork();
        let answer = relative_cost(harness::thread_time, || prepare(&mut rng), reference, candidate);
        let off = off_by(answer, truth);
        // Near enough for any gate; a closer look takes time.
        if off <= TOLERANCE / 2.0 {
            return Ok(100.0 * off);
        }
        measured = witness(t.rng.u64(..), truth, prepare, reference, candidate);
        if off_by(measured, truth) > WITNESS {
            continue;
        }
        let off = off.min(off_by(answer, measured));
        if off <= TOLERANCE {
            return Ok(100.0 * off);
        }
        wrong.push([off, answer, measured]);
        if wrong.len() == ATTEMPTS {
            break;
        }
    }
    if wrong.len() < ATTEMPTS {
        return Err(Failed::inconclusive(format!(
            "This machine cannot tell: {what} does {truth:.2} times the work of `reference`, and by our own measurement \
             it took {measured:.2} times as long. Let the machine be idle, and check again."
        )));
    }
    wrong.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [off, answer, measured] = wrong[0];
    let advice = format!(
        "The best of {ATTEMPTS} answers on {what} was {answer:.2}; it takes {measured:.2} times as long as `reference`. \
         {advice}"
    );
    t.measure(100.0 * off, &advice)?;
    Ok(100.0 * off)
}

/// How far an answer is off, as a fraction of the truth. What is no number is as far off as can be.
fn off_by(answer: f64, truth: f64) -> f64 {
    let off = (answer / truth - 1.0).abs();
    if off.is_nan() { 100.0 } else { off.min(100.0) }
}

/// The ratio by the harness's own paired measurement, in this process and at this time.
fn witness<I: 'static, O: 'static>(
    seed: u64,
    truth: f64,
    prepare: impl Fn(&mut Rng) -> I + Copy + 'static,
    reference: impl Fn(&I) -> O + Copy + 'static,
    candidate: impl Fn(&I) -> O + Copy + 'static,
) -> f64 {
    let reference = Side::new(prepare, move |input: &mut I| reference(input));
    let candidate = Side::new(prepare, move |input: &mut I| candidate(input));
    if truth > 1.0 {
        1.0 / harness::paired_ratio(&[candidate, reference], seed, 0.05).median
    } else {
        harness::paired_ratio(&[reference, candidate], seed, 0.05).median
    }
}
