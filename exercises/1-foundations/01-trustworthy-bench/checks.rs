//! What true means for `relative_cost`, on machines of which everything is known. Their clocks, their interruptions and
//! what a run takes are simulated, so that a verdict does not depend on how busy yours is. `bench.rs` goes on with real
//! code and a real clock.

use std::{cell::Cell, process::ExitCode};

use harness::{Failed, Outcome, Trial};
use trustworthy_bench::relative_cost;

mod machine;
use machine::Machine;

/// How far from the truth an answer may be.
const TOLERANCE: f64 = 0.15;

fn main() -> ExitCode {
    harness::checks!()
        .check("quiet-machine", quiet_machine)
        .check("short-runs", short_runs)
        .check("every-input", every_input)
        .check("busy-machine", busy_machine)
        .run()
}

fn quiet_machine(t: &mut Trial) -> Outcome {
    for _ in 0..6 {
        let micros = 10.0 + 30.0 * t.rng.f64();
        let truth = ratio(t);
        let machine = Machine::quiet();
        let [reference, candidate] = [Cell::new(0_u64), Cell::new(0)];
        let run = |runs: &Cell<u64>, micros: f64| {
            runs.update(|runs| runs + 1);
            machine.run(1e3 * micros);
        };
        let answer =
            relative_cost(|| machine.now(), || (), |()| run(&reference, micros), |()| run(&candidate, truth * micros));
        let [reference, candidate] = [reference, candidate].map(Cell::into_inner);
        if reference == 0 || candidate == 0 {
            return Err(Failed::because(format!(
                "`reference` was run {reference} times and `candidate` {candidate} times, and the answer was {answer:.3}. \
                 What was not run was not measured."
            )));
        }
        if near(1.0 / answer, truth) && !near(answer, truth) {
            return Err(Failed::because(format!(
                "`candidate` takes {truth:.3} times as long as `reference`; the answer was {answer:.3}, which is the \
                 inverse. Divide the candidate's time by the reference's."
            )));
        }
        if !near(answer, truth) {
            return Err(Failed::because(format!(
                "On a machine that does nothing else, with an exact clock, each run of `reference` takes {micros:.1} us \
                 and each of `candidate` {truth:.3} times as long. The answer was {answer:.3}. {A_CLOCK}"
            )));
        }
    }
    Ok(())
}

fn short_runs(t: &mut Trial) -> Outcome {
    for _ in 0..6 {
        let nanos = 15.0 + 25.0 * t.rng.f64();
        let truth = ratio(t);
        let machine = Machine::coarse();
        let answer =
            relative_cost(|| machine.now(), || t.rng.u32(..), |_| machine.run(nanos), |_| machine.run(truth * nanos));
        if !near(answer, truth) {
            return Err(Failed::because(format!(
                "A run of `reference` takes {nanos:.0} ns, one of `candidate` {truth:.3} times that; the clock ticks every \
                 100 ns and takes 40 ns to read. The answer was {answer:.3}. The time between two readings is always \
                 wrong by about a tick, so it has to be much longer than one: put many runs between them, and more of \
                 them the shorter they are."
            )));
        }
    }
    Ok(())
}

fn every_input(t: &mut Trial) -> Outcome {
    for _ in 0..6 {
        let rng = &mut t.rng;
        let (dear_share, times_dearer) = (0.4 + 0.2 * rng.f64(), 4.0 + 2.0 * rng.f64());
        let reference = 150.0 + 100.0 * rng.f64();
        let cheap = 80.0 + 40.0 * rng.f64();
        let dear = cheap * times_dearer;
        let truth = (cheap * (1.0 - dear_share) + dear * dear_share) / reference;
        let machine = Machine::coarse();
        let answer = relative_cost(
            || machine.now(),
            || rng.f64() < dear_share,
            |_| machine.run(reference),
            |is_dear| machine.run(if *is_dear { dear } else { cheap }),
        );
        if !near(answer, truth) {
            return Err(Failed::because(format!(
                "{:.0} % of the inputs cost `candidate` {times_dearer:.1} times as much as the others do, and `reference` \
                 takes equally long on all. Over many inputs `candidate` takes {truth:.2} times as long, on a cheap one \
                 {:.2} times, on a dear one {:.2} times. The answer was {answer:.2}. One input is not the workload, a few \
                 are luck, and the median of single runs is one kind or the other: let each sample run a good many, made \
                 anew by `make_input`.",
                100.0 * dear_share,
                cheap / reference,
                dear / reference
            )));
        }
    }
    Ok(())
}

fn busy_machine(t: &mut Trial) -> Outcome {
    const COMPARISONS: usize = 40;
    // A good bench may have bad luck once.
    const FORGIVEN: usize = 4;
    let mut wrong = Vec::new();
    for _ in 0..COMPARISONS {
        let micros = 20.0 + 30.0 * t.rng.f64();
        let truth = ratio(t);
        let machine = Machine::busy(&mut t.rng);
        let run = |micros: f64| machine.run(1e3 * micros);
        let answer = relative_cost(|| machine.now(), || (), |()| run(micros), |()| run(truth * micros));
        if !near(answer, truth) {
            wrong.push((micros, truth, answer));
        }
    }
    if wrong.len() <= FORGIVEN {
        return Ok(());
    }
    let (micros, truth, answer) = wrong[0];
    Err(Failed::because(format!(
        "{} of {COMPARISONS} comparisons were off by more than 15 %. In the first of those, a run of `reference` takes \
         {micros:.0} us and one of `candidate` {truth:.2} times as long; the answer was {answer:.2}. This machine \
         interrupts you every 10 ms or so, now for 0.1 ms and now for 50, and its pace drifts. A sum or a mean keeps \
         every interruption, and whoever is timed last is timed on another machine. Take many samples, long against a \
         tick of the clock and short against 10 ms, of both sides in turn, and let the median decide.",
        wrong.len()
    )))
}

/// What is asked of a bench that answers nonsense.
const A_CLOCK: &str = "Are both timed, by `now` and by no other clock, over the same number of runs?";

/// A true ratio, as often below 1 as above.
fn ratio(t: &mut Trial) -> f64 {
    4_f64.powf(2.0 * t.rng.f64() - 1.0)
}

/// No answer at all, NaN, is near nothing.
fn near(answer: f64, truth: f64) -> bool {
    (answer / truth - 1.0).abs() <= TOLERANCE
}
