//! From a submission to a report: compose, build, run, in one way for everybody.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use catalogue::{CheckSpec, Exercise, Finding, Need, Report, Status};

use crate::{
    compile::{self, Binaries, Built},
    compose::{self, Purpose},
    course::Course,
    subject,
    submission::{Files, Submission},
};

/// How a verdict is come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Seed for every random input; each run draws its own unless one is to be repeated.
    pub(crate) seed: u64,
    /// Usual time for one timed check, in milliseconds.
    pub(crate) budget_ms: u64,
    /// Whether compiler errors keep their colours.
    pub(crate) colour: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: fastrand::u64(..), budget_ms: 300, colour: false }
    }
}

/// What a watcher is told while a verdict is made.
pub(crate) enum Step<'a> {
    /// The build begins.
    Building,
    /// The checks begin.
    Checking,
    /// One check has its finding.
    Found(&'a str, &'a Finding),
}

/// Grades one exercise of a submission.
///
/// # Errors
/// Only what is no fault of the submission: the course is broken, the machine refuses, the user interrupts.
pub(crate) fn grade(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    options: Options,
    watch: &mut dyn FnMut(Step),
) -> Result<Report> {
    let start = Instant::now();
    let mut report = match (missing(exercise), submission.files(exercise)) {
        (Some(need), _) => {
            let program = need.program();
            let what = format!("{program} is not on this machine. `cargo xtask doctor` says how to get it.");
            Report::uniform(exercise, &submission.name, &Finding::new(Status::Blocked, what))
        }
        (None, Err(fault)) => {
            Report::uniform(exercise, &submission.name, &Finding::new(Status::Error, capital(&fault)))
        }
        (None, Ok(files)) => grade_files(course, exercise, submission, &files, options, watch)?,
    };
    report.seconds = start.elapsed().as_secs_f64();
    report.seed = options.seed.to_string();
    Ok(report)
}

fn grade_files(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    files: &Files,
    options: Options,
    watch: &mut dyn FnMut(Step),
) -> Result<Report> {
    let composed = compose::compose(course, exercise, files, &submission.variant, Purpose::Grade)?;
    watch(Step::Building);
    let binaries = match compile::build(course, exercise, &composed, submission.kept.as_deref(), options.colour)? {
        Built::Yes(binaries) => binaries,
        Built::No(errors) => {
            let finding = Finding::new(Status::Error, "It does not compile.");
            let mut report = Report::uniform(exercise, &submission.name, &finding);
            report.build_error = Some(errors);
            report.sources = composed.sources;
            return Ok(report);
        }
    };
    watch(Step::Checking);
    let mut run = Running {
        exercise,
        binaries: &binaries,
        options,
        watch,
        findings: HashMap::new(),
        output: String::new(),
        ran: Duration::ZERO,
    };
    run.all()?;
    let Running { mut findings, output, ran, .. } = run;
    let mut report = Report::new(exercise, &submission.name, |check| {
        let missing = || Finding::new(Status::Error, "The report ended without this check.");
        findings.remove(&check.name).unwrap_or_else(missing)
    });
    report.output = output;
    report.run_seconds = ran.as_secs_f64();
    report.sources = composed.sources;
    Ok(report)
}

struct Running<'a, 'w> {
    exercise: &'a Exercise,
    binaries: &'a Binaries,
    options: Options,
    watch: &'w mut dyn FnMut(Step),
    findings: HashMap<String, Finding>,
    output: String,
    ran: Duration,
}

impl Running<'_, '_> {
    /// First what must be right before anything else counts, then the other checks, then those that measure time.
    fn all(&mut self) -> Result<()> {
        self.round(CheckSpec::guards)?;
        let failed: Vec<_> =
            self.findings.iter().filter(|(_, f)| f.status != Status::Pass).map(|(name, _)| name).collect();
        if let Some(guard) = failed.into_iter().min().cloned() {
            for check in self.exercise.spec.checks.iter().filter(|check| !check.guards()) {
                let finding = Finding::new(Status::Skipped, format!("Not run, because {guard} did not pass."));
                self.findings.insert(check.name.clone(), finding);
            }
            return Ok(());
        }
        self.round(|check| !check.guards() && !check.kind.timed())?;
        self.round(|check| check.kind.timed())
    }

    fn round(&mut self, which: impl Fn(&CheckSpec) -> bool) -> Result<()> {
        let chosen: Vec<&CheckSpec> = self.exercise.spec.checks.iter().filter(|check| which(check)).collect();
        let Some(first) = chosen.first() else { return Ok(()) };
        let program = if first.kind.timed() { &self.binaries.bench } else { &self.binaries.checks };
        let names: Vec<_> = chosen.iter().map(|check| check.name.as_str()).collect();
        let Options { seed, budget_ms, .. } = self.options;
        let found = subject::run(program, self.exercise, &names, seed, budget_ms, &mut |name, finding| {
            (self.watch)(Step::Found(name, finding));
        })?;
        let dir = &self.exercise.dir;
        for (name, mut finding) in found.by_check {
            // A panic names the copy that was built.
            if finding.status == Status::Error {
                finding.message = compile::relocate(&finding.message, dir);
            }
            self.findings.insert(name, finding);
        }
        self.output += &compile::relocate(&found.output, dir);
        self.ran += found.ran;
        Ok(())
    }
}

/// The first need of the exercise that this machine does not meet.
fn missing(exercise: &Exercise) -> Option<Need> {
    exercise.spec.needs.iter().copied().find(|need| find_program(need.program()).is_none())
}

/// Where on `PATH` a program is.
pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name).with_extension(std::env::consts::EXE_EXTENSION))
        .find(|path| path.is_file())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}
