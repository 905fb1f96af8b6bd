//! The log of measurements that a learner keeps, and whether measuring again agrees with it.
//!
//! Times differ between machines, so the figures that are compared are ratios: the share that a step had when its round
//! began, and how many times as fast the round made it.

use std::time::Duration;

use catalogue::{Finding, Status, number};

use crate::{
    paired::Estimate,
    rounds::{Complete, lacks, read, whole},
    steps::{self, Step},
};

/// By what factor a ratio of times may be off: another machine, another day, another build. The same source, built in another
/// directory, was seen to make a step 60 times as fast instead of 35.
const FACTOR: f64 = 2.0;
/// A step that became this many times as fast hardly counts any more, and how many times it was exactly is a matter of where a
/// build put things: one source was seen to be 97 and 198 times as fast. So more than this counts as this.
const ENOUGH: f64 = 50.0;
/// How many points of a hundred a share may be off: a flamegraph of some hundred samples is that rough.
const POINTS: f64 = 10.0;
/// After so many pairs the medians decide, however wide their intervals are: what is accepted is a convention, and on a
/// busy machine the interval of a few pairs is as wide as the outliers among them.
const PAIRS: usize = 15;

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
            |estimates| estimates[0].pairs >= PAIRS || clear(&complete, estimates),
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

/// Whether `written` agrees with a share, in percent.
fn share_agrees(written: f64, truth: f64) -> bool {
    (written - truth).abs() <= POINTS
}

/// Whether `written` agrees with how many times as fast a step became.
fn factor_agrees(written: f64, truth: f64) -> bool {
    let [written, truth] = [written, truth].map(|factor| factor.min(ENOUGH));
    written <= truth * FACTOR && written >= truth / FACTOR
}

/// Whether more pairs would make no difference: of each figure, all of its interval agrees with what was written, or none.
fn clear(rounds: &[Complete], estimates: &[Estimate]) -> bool {
    rounds.iter().zip(estimates.chunks(2)).all(|(round, truth)| {
        let within = |of: &Estimate| [of.interval[0], of.median, of.interval[1]];
        let shares = within(&truth[0]).map(|truth| share_agrees(round.share, truth));
        let factors = within(&truth[1]).map(|truth| factor_agrees(round.times_as_fast(), truth));
        [shares, factors].iter().all(|agree| agree[0] == agree[1] && agree[1] == agree[2])
    })
}

/// What in a round does not agree with measuring again, and what to learn from that.
fn faults(round: &Complete, true_share: f64, true_factor: f64) -> Vec<String> {
    let Complete { number: n, line, share, times: [before, after], .. } = *round;
    let mut faults = Vec::new();
    if !share_agrees(share, true_share) {
        faults.push(format!(
            "Round {n} (line {line}): `share` is {} %, and measured again it is {} %. It is what the step has of the whole \
             when the round begins: with the changes of the earlier rounds, and without those of the later ones. Shares \
             move with every change, so look again in each round.",
            number(share),
            number(true_share),
        ));
    }
    let factor = round.times_as_fast();
    if !factor_agrees(factor, true_factor) {
        faults.push(format!(
            "Round {n} (line {line}): from `before` {before} to `after` {after}, the step would be {} times as fast. \
             Measured again, it is {} times; written and measured may differ by a factor of {FACTOR}, and more than {ENOUGH} \
             times counts as that. Both are times of this step alone, in one unit. If you have changed the step since, \
             measure `after` once more.",
            number(factor),
            number(true_factor),
        ));
    }
    faults
}

fn conclude(names: &[&str], rounds: &[Complete], missing: &[String], estimates: &[Estimate]) -> Finding {
    let (mut said, mut agreeing) = (Vec::new(), Vec::new());
    for (round, truth) in rounds.iter().zip(estimates.chunks(2)) {
        let faults = faults(round, truth[0].median, truth[1].median);
        if faults.is_empty() {
            let factor = number(round.times_as_fast());
            agreeing.push(format!("round {} ({} {factor} times as fast)", round.number, names[round.step]));
        }
        said.extend(faults);
    }
    said.extend_from_slice(missing);
    let status = if said.is_empty() { Status::Pass } else { Status::Fail };
    if !agreeing.is_empty() {
        said.push(format!("Measured again, this holds: {}.", agreeing.join(", ")));
    }
    Finding::new(status, said.join(" "))
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
        for build in [150.0, 97.0, 25.0, 1_000.0] {
            assert_eq!(conclude(&[80.0, build, 98.0, 10.0]).status, Status::Pass, "more than enough counts as enough");
        }
        assert_eq!(conclude(&[80.0, 24.9, 98.0, 10.0]).status, Status::Fail);
        let finding = conclude(&[75.0, 150.0, 95.0, 12.0]);
        assert_eq!(finding.status, Status::Pass);
        assert!(
            finding.message.contains("round 1 (sort 200 times as fast), round 2 (read 10 times"),
            "{}",
            finding.message
        );
        for (figures, says) in [
            ([65.0, 200.0, 98.0, 10.0], "Round 1 (line 3): `share` is 80 %, and measured again it is 65 %"),
            ([80.0, 200.0, 85.0, 10.0], "Round 2 (line 9): `share` is 98 %"),
            (
                [80.0, 20.0, 98.0, 10.0],
                "Round 1 (line 3): from `before` 8000 to `after` 40, the step would be 200 times",
            ),
            ([80.0, 200.0, 98.0, 21.0], "Round 2 (line 9): from `before` 2 to `after` 0.2, the step would be 10"),
        ] {
            let finding = conclude(&figures);
            assert_eq!(finding.status, Status::Fail);
            assert!(finding.message.contains(says), "{}\ninstead of\n{says}", finding.message);
        }
    }

    #[test]
    fn sampling_ends_early_where_more_pairs_would_make_no_difference() {
        assert!(clear(&rounds(), &sure(&[80.0, 200.0, 98.0, 10.0])));
        assert!(clear(&rounds(), &sure(&[50.0, 20.0, 50.0, 1.0])), "wrong beyond doubt");
        for undecided in [[90.0, 200.0, 98.0, 10.0], [80.0, 25.0, 98.0, 10.0], [80.0, 200.0, 98.0, 20.0]] {
            assert!(!clear(&rounds(), &sure(&undecided)), "{undecided:?}");
        }
    }

    #[test]
    fn a_round_that_is_missing_fails_and_the_others_are_told_to_hold() {
        let missing = ["Round 2 is not written yet.".to_owned()];
        let finding = conclude(&STEPS, &rounds()[..1], &missing, &sure(&[80.0, 200.0]));
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.message.ends_with("yet. Measured again, this holds: round 1 (sort 200 times as fast)."));
    }
}
