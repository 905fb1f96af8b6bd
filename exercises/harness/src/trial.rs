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
