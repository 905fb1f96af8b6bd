//! One running check: where its inputs come from, and the words in which it says what it expects.

use std::{fmt::Debug, panic::Location};

use catalogue::{CheckSpec, Finding, Gate, Status};
use fastrand::Rng;

/// A check's end: `Ok` when everything it expected held.
pub type Outcome = Result<(), Failed>;

/// Why a check did not pass.
#[derive(Debug, Clone)]
pub struct Failed(pub(crate) Finding);

impl Failed {
    /// A failure with a message of the check's own, which should say what was seen, what was expected and why it matters.
    pub fn because(message: impl Into<String>) -> Self {
        Self(Finding::new(Status::Fail, message))
    }

    /// No verdict: what was seen would be unjust to judge by, since the machine and not the submission made it so.
    pub fn inconclusive(message: impl Into<String>) -> Self {
        Self(Finding::new(Status::Inconclusive, message))
    }
}

/// One running check.
pub struct Trial {
    /// Randomness for inputs, seeded anew at each run so that an answer cannot be written for the inputs.
    pub rng: Rng,
    gate: Option<Gate>,
    finding: Option<Finding>,
}

impl Trial {
    pub(crate) fn new(spec: &CheckSpec, seed: u64) -> Self {
        // Each check has its own stream, so that leaving one out does not change the inputs of the next.
        let stream = spec.name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { rng: Rng::with_seed(stream), gate: spec.gate.clone(), finding: None }
    }

    /// States what `actual` is, so that the words after it can say what it should be.
    #[track_caller]
    pub fn expect<T>(&self, what: impl Into<String>, actual: T) -> Expectation<T> {
        Expectation { what: what.into(), actual, at: Location::caller() }
    }

    /// Holds `figure`, in the unit of the check's gate, to that gate. `advice` follows the figures when it misses: what
    /// made them so, and where to look.
    ///
    /// # Errors
    /// When the gate does not admit the figure.
    ///
    /// # Panics
    /// When `exercise.toml` gives the check no gate.
    pub fn measure(&mut self, figure: f64, advice: &str) -> Outcome {
        let gate = self.gate.as_ref().expect("a check that measures has a gate in exercise.toml");
        let finding = Finding::exact(figure, gate, advice);
        self.finding = Some(finding.clone());
        if finding.status == Status::Pass { Ok(()) } else { Err(Failed(finding)) }
    }

    pub(crate) fn close(self, outcome: Outcome) -> Finding {
        match outcome {
            Err(Failed(mut finding)) => {
                finding.measured = finding.measured.or(self.finding.and_then(|measured| measured.measured));
                finding
            }
            Ok(()) => self.finding.unwrap_or_else(|| Finding::new(Status::Pass, "")),
        }
    }
}

/// Something that a check saw, about to be compared with what it should be.
#[must_use = "say what is expected"]
pub struct Expectation<T> {
    what: String,
    actual: T,
    at: &'static Location<'static>,
}

impl<T> Expectation<T> {
    fn fail(&self, message: &str) -> Outcome {
        let file = self.at.file().rsplit(['/', '\\']).next().unwrap_or_default();
        Err(Failed::because(format!("{}: {message} ({file}:{})", self.what, self.at.line())))
    }
}

impl<T: Debug + PartialEq> Expectation<T> {
    /// It is equal to `expected`.
    ///
    /// # Errors
    /// When it is not; the message shows both.
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads better than a reference to one")]
    pub fn equals(self, expected: T) -> Outcome {
        if self.actual == expected {
            return Ok(());
        }
        self.fail(&format!("expected {}, got {}", brief(&expected), brief(&self.actual)))
    }
}

impl<T: Debug> Expectation<T> {
    /// It satisfies `rule`, which reads as the rest of a sentence that begins with its name: "is sorted".
    ///
    /// # Errors
    /// When it does not; the message shows it.
    pub fn holds(self, rule: &str, test: impl FnOnce(&T) -> bool) -> Outcome {
        if test(&self.actual) {
            return Ok(());
        }
        self.fail(&format!("expected that it {rule}, got {}", brief(&self.actual)))
    }
}

impl<T: AsRef<str>> Expectation<T> {
    /// It is the text `expected`.
    ///
    /// # Errors
    /// When it is not; the message shows the first line that differs.
    pub fn reads(self, expected: &str) -> Outcome {
        let actual = self.actual.as_ref();
        if actual == expected {
            return Ok(());
        }
        let mut lines = (actual.lines(), expected.lines());
        let mut number = 0;
        let difference = loop {
            number += 1;
            match (lines.0.next(), lines.1.next()) {
                (Some(got), Some(wanted)) if got == wanted => {}
                (None, None) => break "the lines are equal, but not the line breaks between them".into(),
                (Some(got), None) => break format!("line {number}: expected the end, got {}", brief(&got)),
                (None, Some(wanted)) => break format!("line {number}: expected {}, got the end", brief(&wanted)),
                (Some(got), Some(wanted)) => {
                    break format!("line {number}: expected {}, got {}", brief(&wanted), brief(&got));
                }
            }
        };
        self.fail(&difference)
    }
}

impl Expectation<f64> {
    /// It differs from `exact` by at most the fraction `tolerance` of it: 0.01 is one percent.
    ///
    /// # Errors
    /// When it differs by more; the message says by how much.
    pub fn within(self, tolerance: f64, exact: f64) -> Outcome {
        let error = if exact == 0.0 { self.actual.abs() } else { (self.actual - exact).abs() / exact.abs() };
        if error <= tolerance {
            return Ok(());
        }
        let [error, tolerance] = [error, tolerance].map(|fraction| fraction * 100.0);
        self.fail(&format!("expected {exact} within {tolerance} %, got {}, which is {error:.1} % off", self.actual))
    }
}

/// `value` as text, cut to what a message can hold.
fn brief(value: &impl Debug) -> String {
    const MOST: usize = 160;
    let text = format!("{value:?}");
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}... ({} characters)", &text[..cut], text.chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use catalogue::{Kind, Spec};

    use super::*;

    fn trial(gate: Option<Gate>) -> Trial {
        let kind = if gate.is_some() { Kind::Allocations } else { Kind::Correctness };
        let spec = CheckSpec { name: "c".into(), title: "t".into(), kind, points: 1, lesson: false, gate };
        Trial::new(&spec, 7)
    }

    fn message(outcome: Outcome) -> String {
        outcome.expect_err("it should fail").0.message
    }

    #[test]
    fn a_failure_shows_both_sides_and_the_line_that_asked() {
        let t = trial(None);
        assert!(t.expect("the sum", 3).equals(3).is_ok());
        let text = message(t.expect("the sum", 3).equals(4));
        assert!(text.starts_with("the sum: expected 4, got 3 (trial.rs:"), "{text}");
        let text = message(t.expect("the list", [2, 1]).holds("is sorted", |list| list.is_sorted()));
        assert!(text.starts_with("the list: expected that it is sorted, got [2, 1]"), "{text}");
        let long = message(t.expect("the list", vec![0; 1000]).equals(vec![1; 1000]));
        assert!(long.len() < 600 && long.contains("characters)"), "{long}");
    }

    #[test]
    fn text_is_compared_line_by_line() {
        let t = trial(None);
        assert!(t.expect("the text", "a\nb\n").reads("a\nb\n").is_ok());
        for (actual, expected, says) in [
            ("a\nb", "a\nc", "line 2: expected \"c\", got \"b\""),
            ("a", "a\nc", "line 2: expected \"c\", got the end"),
            ("a\nb", "a", "line 2: expected the end, got \"b\""),
            ("a\n", "a", "not the line breaks"),
        ] {
            let text = message(t.expect("the text", actual).reads(expected));
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_tolerance_includes_its_edge() {
        let t = trial(None);
        assert!(t.expect("p99", 101.0).within(0.01, 100.0).is_ok());
        assert!(t.expect("p99", 99.0).within(0.01, 100.0).is_ok());
        assert!(t.expect("nothing", 0.0).within(0.01, 0.0).is_ok());
        assert!(t.expect("p99", f64::NAN).within(0.01, 100.0).is_err());
        let text = message(t.expect("p99", 150.0).within(0.01, 100.0));
        assert!(text.contains("expected 100 within 1 %, got 150, which is 50.0 % off"), "{text}");
    }

    #[test]
    fn a_measured_figure_is_kept_whether_it_passes_or_not() {
        let gate = Gate { at_least: None, at_most: Some(2.0), unit: "allocations".into() };
        for (figure, status) in [(2.0, Status::Pass), (3.0, Status::Fail)] {
            let mut t = trial(Some(gate.clone()));
            let outcome = t.measure(figure, "Advice.");
            let finding = t.close(outcome);
            assert_eq!((finding.status, finding.measured), (status, Some(figure)));
        }
    }

    #[test]
    fn a_machine_that_is_at_fault_leaves_no_verdict() {
        let t = trial(None);
        let finding = t.close(Err(Failed::inconclusive("It was busy.")));
        assert_eq!((finding.status, &*finding.message), (Status::Inconclusive, "It was busy."));
    }

    #[test]
    fn inputs_depend_on_the_seed_and_on_the_check() {
        let draw = |name: &str, seed| {
            let spec = Spec::parse(&EXERCISE.replace("NAME", name), std::path::Path::new("e")).unwrap();
            Trial::new(&spec.checks[0], seed).rng.u64(..)
        };
        assert_eq!(draw("a", 1), draw("a", 1));
        assert_ne!(draw("a", 1), draw("b", 1));
        assert_ne!(draw("a", 1), draw("a", 2));
    }

    const EXERCISE: &str = "title = 't'\nlesson = 'l'\nchapter = 'c'\nminutes = 1\nhints = []\n\
                            [[checks]]\nname = 'NAME'\ntitle = 't'\nkind = 'correctness'\npoints = 1\n";
}
