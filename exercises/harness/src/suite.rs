//! The checks of one exercise, and the three ways in which their binary can be run.

use std::{path::Path, process::ExitCode};

use catalogue::{Finding, Spec, evidence::Figure};

use crate::{Outcome, Trial, graded};

/// What a check does: look at the submission and say what it saw.
pub(crate) type Check = Box<dyn Fn(&mut Trial) -> Outcome + Send + Sync>;

/// A figure for the book: its name, its title, the wrong answers that are drawn too, and how it is drawn.
type Drawing = (&'static str, &'static str, &'static [&'static str], fn() -> Figure);

/// The checks of one exercise, by name.
pub struct Checks {
    spec: Spec,
    defined: Vec<(&'static str, Check)>,
    figures: Vec<Drawing>,
}

impl Checks {
    #[doc(hidden)]
    pub fn new(exercise_toml: &str) -> Self {
        Self { spec: read(exercise_toml), defined: Vec::new(), figures: Vec::new() }
    }

    /// Defines the check that `exercise.toml` lists under `name`.
    ///
    /// # Panics
    /// When it lists none, or one that the bench decides: a check without points would be silently without effect.
    pub fn check(mut self, name: &'static str, check: impl Fn(&mut Trial) -> Outcome + Send + Sync + 'static) -> Self {
        let listed = self.spec.check(name).filter(|check| !check.kind.timed());
        assert!(listed.is_some(), "exercise.toml lists no untimed check named {name}");
        self.defined.push((name, Box::new(check)));
        self
    }

    /// Adds a figure for the book about what only dhat can tell, made from the submission's code when `cargo xtask
    /// evidence` asks for it.
    pub fn figure(self, name: &'static str, title: &'static str, draw: fn() -> Figure) -> Self {
        self.compared(name, title, &[], draw)
    }

    /// Adds a figure that compares answers: the lines that `draw` makes of the starter, of these wrong answers and of the
    /// solution, in one plot. Each line is named after its answer.
    pub fn compared(
        mut self,
        name: &'static str,
        title: &'static str,
        wrong: &'static [&'static str],
        draw: fn() -> Figure,
    ) -> Self {
        self.figures.push((name, title, wrong, draw));
        self
    }

    /// Runs them as the process's arguments ask.
    pub fn run(self) -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["--graded"] => graded::serve(|brief, name| {
                let (_, check) = self.defined.iter().find(|(known, _)| *known == name)?;
                Some(run_one(&brief.spec, name, check, brief.seed))
            }),
            ["--figures"] => {
                let draw = |(name, title, wrong, draw): &Drawing| (*name, *title, *wrong, draw());
                let figures: Vec<_> = self.figures.iter().map(draw).collect();
                println!("{}", serde_json::to_string(&figures).expect("a figure is plain data"));
                ExitCode::SUCCESS
            }
            ["--profile", file] => self.profile(Path::new(file), None),
            ["--profile", file, check] => self.profile(Path::new(file), Some(check)),
            _ => self.standalone(),
        }
    }

    /// Runs a check that measures allocations, the first of them where none is named, with dhat writing every
    /// allocation's call stack to `file`.
    fn profile(&self, file: &Path, named: Option<&str>) -> ExitCode {
        let wanted = |name: &str| {
            named.is_none_or(|named| named == name) && self.spec.check(name).is_some_and(|check| check.kind.measures())
        };
        let Some((name, check)) = self.defined.iter().find(|(name, _)| wanted(name)) else {
            eprintln!("this exercise has no such check that measures allocations");
            return ExitCode::FAILURE;
        };
        crate::heap::record(file, || run_one(&self.spec, name, check, 1));
        ExitCode::SUCCESS
    }

    #[cfg(feature = "standalone")]
    fn standalone(self) -> ExitCode {
        let seed =
            std::env::var("COURSE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        let mut arguments = libtest_mimic::Arguments::from_args();
        // dhat counts the whole process, so that a check that counts must be alone in it.
        arguments.test_threads = Some(1);
        let spec = std::sync::Arc::new(self.spec);
        let trials = self.defined.into_iter().map(|(name, check)| {
            let spec = spec.clone();
            libtest_mimic::Trial::test(name, move || {
                let finding = run_one(&spec, name, &check, seed);
                if finding.status == catalogue::Status::Pass {
                    return Ok(());
                }
                Err(format!("{}\nto repeat it: COURSE_SEED={seed}", finding.message).into())
            })
        });
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }

    #[cfg(not(feature = "standalone"))]
    #[expect(clippy::unused_self, reason = "the other build uses it")]
    fn standalone(self) -> ExitCode {
        graded::explain()
    }
}

/// The content of an exercise.toml that is built in. `verify` refuses a broken one with its line; this is for whoever
/// builds before that.
pub(crate) fn read(exercise_toml: &str) -> Spec {
    Spec::parse(exercise_toml, Path::new("exercise.toml")).unwrap_or_else(|problem| panic!("{problem}"))
}

pub(crate) fn run_one(spec: &Spec, name: &str, check: &Check, seed: u64) -> Finding {
    let spec = spec.check(name).expect("a check is listed before it is defined");
    graded::guarded(|| {
        let mut trial = Trial::new(spec, seed);
        let outcome = check(&mut trial);
        trial.close(outcome)
    })
}
