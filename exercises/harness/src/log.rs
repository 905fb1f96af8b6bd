//! The log of measurements that a learner keeps, and whether measuring again agrees with it.
//!
//! Times differ between machines, so the figures that are compared are ratios: the share that a step had when its round
//! began, and how many times as fast the round made it.

use std::time::Duration;

use crate::{
    paired::Estimate,
    rounds::{Complete, lacks, read, whole},
    steps::{self, Step},
};
use catalogue::{Finding, Status, number};

/// By what factor a ratio of times may be off: another machine, another day.
const FACTOR: f64 = 1.5;
/// How many points of a hundred a share may be off: a flamegraph of some hundred samples is that rough.
const POINTS: f64 = 10.0;

/// What a learner wrote, and the steps that it speaks of.
pub(crate) struct Log {
    text: &'static str,
    steps: Vec<Step>,
}

impl Log {
    pub(crate) fn new(text: &'static str, steps: Vec<Step>) -> Self {
        Self { text, steps }
    }

    fn names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|step| step.name).collect()
    }

    pub(crate) fn verdict(&self, seed: u64, budget: Duration) -> Finding {
        let names = self.names();
        let rounds = match read(self.text, &names) {
            Ok(rounds) => rounds,
            Err(fault) => return Finding::new(Status::Fail, fault),
        };
        let complete: Vec<Complete> = rounds.iter().enumerate().filter_map(|(i, round)| whole(i + 1, round)).collect();
        let missing: Vec<String> = rounds.iter().enumerate().filter_map(|(i, round)| lacks(i + 1, round)).collect();
        if complete.is_empty() {
            return Finding::new(Status::Fail, missing.join(" "));
        }
        let estimates = steps::measure(
            &self.steps,
            budget,
            seed,
            |times| truth(&complete, times),
            |estimates| judge(&complete, estimates).iter().all(|(status, _)| *status != Status::Inconclusive),
        );
        match estimates {
            Ok(estimates) => conclude(&names, &complete, &missing, &estimates),
            Err(step) => Finding::new(
                Status::Fail,
                format!(
                    "While {step} was timed, its result differed from the starter's on the same input. Times count only \
                     for right answers: each step gives what it gave before."
                ),
            ),
        }
    }

    /// Every step's times, as a table for a person.
    #[cfg(feature = "standalone")]
    pub(crate) fn table(&self) -> String {
        steps::table(&steps::compare(&self.steps))
    }
}

/// For each round, the share and the speed-up that one draw of times shows. When a round begins, the steps of earlier
/// rounds are mended and the others are not.
fn truth(rounds: &[Complete], times: &[[f64; 2]]) -> Vec<f64> {
    let mut now: Vec<f64> = times.iter().map(|[before, _]| *before).collect();
    let mut figures = Vec::new();
    for round in rounds {
        let [before, after] = times[round.step];
        figures.extend([100.0 * before / now.iter().sum::<f64>(), before / after]);
        now[round.step] = after;
    }
    figures
}

/// For each round whether its share agrees, then whether its speed-up does; unless it is so, with what to learn.
fn judge(rounds: &[Complete], estimates: &[Estimate]) -> Vec<(Status, String)> {
    let mut verdicts = Vec::new();
    for (round, estimates) in rounds.iter().zip(estimates.chunks(2)) {
        let Complete { number: n, line, share, times: [before, after], .. } = round;
        let [true_share, true_factor] = [&estimates[0], &estimates[1]];
        verdicts.push((
            agreement(true_share, |truth| (share - truth).abs() <= POINTS),
            format!(
                "Round {n} (line {line}): `share` is {} %, and measured again it is {} %. It is what the step has of the \
                 whole when the round begins: with the changes of the earlier rounds, and without those of the later ones. \
                 Shares move with every change, so look again in each round.",
                number(*share),
                number(true_share.median),
            ),
        ));
        let factor = round.times_as_fast();
        verdicts.push((
            agreement(true_factor, |truth| factor <= truth * FACTOR && factor >= truth / FACTOR),
            format!(
                "Round {n} (line {line}): from `before` {before} to `after` {after}, the step would be {} times as fast. \
                 Measured again, it is {} times. Both are times of this step alone, in one unit; if you have changed the \
                 step since you wrote them down, measure `after` once more.",
                number(factor),
                number(true_factor.median),
            ),
        ));
    }
    verdicts
}

/// Whether what was written agrees with all that the truth may be, with some of it, or with none.
fn agreement(truth: &Estimate, agrees: impl Fn(f64) -> bool) -> Status {
    let [low, high] = truth.interval;
    match [low, truth.median, high].map(agrees) {
        [true, _, true] => Status::Pass,
        [false, false, false] => Status::Fail,
        _ => Status::Inconclusive,
    }
}

fn conclude(names: &[&str], rounds: &[Complete], missing: &[String], estimates: &[Estimate]) -> Finding {
    let verdicts = judge(rounds, estimates);
    let with =
        |wanted: Status| verdicts.iter().filter(move |(status, _)| *status == wanted).map(|(_, why)| why.clone());
    let mut faults: Vec<String> = with(Status::Fail).collect();
    let agreeing =
        rounds.iter().zip(verdicts.chunks(2)).filter(|(_, of_round)| of_round.iter().all(|v| v.0 == Status::Pass));
    let agreeing: Vec<String> = agreeing
        .map(|(round, _)| {
            format!("round {} ({} {} times as fast)", round.number, names[round.step], number(round.times_as_fast()))
        })
        .collect();
    let holds = format!("Measured again, this holds: {}.", agreeing.join(", "));
    if faults.is_empty() && missing.is_empty() {
        let unsure: Vec<String> = with(Status::Inconclusive).collect();
        if unsure.is_empty() {
            return Finding::new(Status::Pass, holds);
        }
        let next = "That is too near to what is accepted for this machine to tell: let it be idle, and check again.";
        return Finding::new(Status::Inconclusive, format!("{} {next}", unsure.join(" ")));
    }
    faults.extend_from_slice(missing);
    if !agreeing.is_empty() {
        faults.push(holds);
    }
    Finding::new(Status::Fail, faults.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [&str; 2] = ["read", "sort"];

    /// What measuring shows when it is sure.
    fn sure(figures: &[f64]) -> Vec<Estimate> {
        let estimate =
            |median: &f64| Estimate { median: *median, interval: [*median * 0.99, *median * 1.01], pairs: 11 };
        figures.iter().map(estimate).collect()
    }

    fn rounds() -> [Complete; 2] {
        let sort = Complete { number: 1, line: 3, step: 1, share: 80.0, times: [8000.0, 40.0] };
        [sort, Complete { number: 2, line: 9, step: 0, share: 98.0, times: [2.0, 0.2] }]
    }

    #[test]
    fn a_share_is_that_of_the_moment_when_its_round_begins() {
        // Sort is mended first: from 80 of 100 to 0.4. Then read has 20 of 20.4.
        let figures = truth(&rounds(), &[[20.0, 2.0], [80.0, 0.4]]);
        let expected = [80.0, 200.0, 100.0 * 20.0 / 20.4, 10.0];
        assert!(figures.iter().zip(expected).all(|(figure, expected)| (figure - expected).abs() < 1e-9), "{figures:?}");
    }

    #[test]
    fn what_agrees_with_measuring_again_passes_and_a_guess_fails() {
        let conclude = |figures: &[f64]| conclude(&STEPS, &rounds(), &[], &sure(figures));
        let finding = conclude(&[75.0, 150.0, 95.0, 12.0]);
        assert_eq!(finding.status, Status::Pass);
        assert!(
            finding.message.contains("round 1 (sort 200 times as fast), round 2 (read 10 times"),
            "{}",
            finding.message
        );
        for (figures, says) in [
            ([65.0, 200.0, 98.0, 10.0], "Round 1 (line 3): `share` is 80 %, and measured again it is 65.0 %"),
            ([80.0, 200.0, 85.0, 10.0], "Round 2 (line 9): `share` is 98 %"),
            (
                [80.0, 20.0, 98.0, 10.0],
                "Round 1 (line 3): from `before` 8000 to `after` 40, the step would be 200 times",
            ),
            ([80.0, 200.0, 98.0, 16.0], "Round 2 (line 9): from `before` 2 to `after` 0.2, the step would be 10"),
        ] {
            let finding = conclude(&figures);
            assert_eq!(finding.status, Status::Fail);
            assert!(finding.message.contains(says), "{}\ninstead of\n{says}", finding.message);
        }
    }

    #[test]
    fn a_round_at_the_edge_is_not_decided_and_one_that_is_missing_fails() {
        let finding = conclude(&STEPS, &rounds(), &[], &sure(&[80.0, 300.0, 98.0, 10.0]));
        assert_eq!(finding.status, Status::Inconclusive);
        let missing = ["Round 2 is not written yet.".to_owned()];
        let finding = conclude(&STEPS, &rounds()[..1], &missing, &sure(&[80.0, 200.0]));
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.message.ends_with("yet. Measured again, this holds: round 1 (sort 200 times as fast)."));
    }
}
