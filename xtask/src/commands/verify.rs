//! `verify`: holds the course to its own promises. The starter fails what the lesson is about, the solution scores every
//! point, so does every other right answer, every wrong one is refused by the check that it names, and each gate keeps its
//! distance from both sides.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use catalogue::{Exercise, Report, Status};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    course::Course,
    grade::{self, Options},
    interrupt, state,
    stop::Exit,
    submission::Submission,
    term::{Paint, spinner},
};

/// A solution clears its gates by this factor at least, so that no honest answer fails on a noisy day.
const SOLUTION_CLEARS: f64 = 1.3;
/// A starter misses its gates by this factor at least, so that doing nothing never passes on a lucky one.
const STARTER_MISSES: f64 = 0.7;

/// How often it asks again for a verdict that was inconclusive.
const MOST_AGAIN: u32 = 2;

/// `wrong.toml`: an answer that must be refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    /// The idea of the answer.
    why: String,
    /// The one check that must fail.
    expect: String,
    /// Words that the failing check's message must hold: whoever had this idea should learn what is wrong with it.
    says: String,
}

/// `right.toml`: an answer that must be accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    /// In what it is unlike the solution.
    how: String,
}

pub(crate) fn run(course: &Course, slug: Option<&str>, part: Option<u32>, repeat: u32) -> Result<Exit> {
    let mut faults: Vec<String> = course.catalogue.problems.iter().map(ToString::to_string).collect();
    let exercises: Vec<&Exercise> = match slug {
        Some(slug) => {
            let exercise = course.exercise(slug)?;
            faults.retain(|fault| fault.starts_with(&*exercise.dir.to_string_lossy()));
            vec![exercise]
        }
        None => course.exercises()?.iter().filter(|exercise| part.is_none_or(|part| part == exercise.part)).collect(),
    };
    let _alone = state::one_at_a_time(course)?;
    for exercise in exercises {
        let start = std::time::Instant::now();
        let mut verifier =
            Verifier { course, exercise, repeat, faults: Vec::new(), again: 0, nearest: BTreeMap::new() };
        verifier.files();
        verifier.starter()?;
        verifier.solution()?;
        verifier.right_answers()?;
        verifier.wrong_answers()?;
        let holds = verifier.faults.is_empty();
        let word = if holds { Paint::stdout().green("holds") } else { Paint::stdout().red("fails") };
        println!("{word}  {:<24} {:.1} s", exercise.slug, start.elapsed().as_secs_f64());
        for (figure, clearance) in &verifier.nearest {
            println!("       {figure:<44} {clearance:>9.2} x its gate");
        }
        if verifier.again > 0 {
            println!("       inconclusive verdicts, asked for again: {}", verifier.again);
        }
        for fault in &verifier.faults {
            println!("       {fault}");
        }
        faults.append(&mut verifier.faults);
    }
    for problem in &course.catalogue.problems {
        println!("{} {problem}", Paint::stdout().red("fault"));
    }
    if faults.is_empty() {
        return Ok(Exit::Pass);
    }
    let faults = if faults.len() == 1 { "1 fault".into() } else { format!("{} faults", faults.len()) };
    println!("\n{faults}. CONTRIBUTING.md says what an exercise must have.");
    Ok(Exit::NotPassed)
}

/// On which side of a gate an answer should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Clears,
    Misses,
}

impl Side {
    /// Whether a clearance is as far out on this side as another.
    fn far(self, clearance: f64, least: f64) -> bool {
        match self {
            Self::Clears => clearance >= least,
            Self::Misses => clearance <= least,
        }
    }
}

struct Verifier<'a> {
    course: &'a Course,
    exercise: &'a Exercise,
    repeat: u32,
    faults: Vec<String>,
    /// How often a verdict was inconclusive and asked for once more.
    again: u32,
    /// For each measuring check, how near each kind of answer came to its gate at worst.
    nearest: BTreeMap<String, f64>,
}

impl Verifier<'_> {
    fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    /// What is inconclusive asks to be checked again, and is. With `--repeat` every verdict counts as it comes: then it is
    /// their number that is of interest.
    fn grade(&mut self, submission: &Submission) -> Result<Report> {
        let mut report = self.grade_once(submission)?;
        let inconclusive = |report: &Report| report.checks.iter().any(|check| check.status == Status::Inconclusive);
        for _ in 0..MOST_AGAIN {
            if self.repeat > 1 || !inconclusive(&report) {
                break;
            }
            self.again += 1;
            report = self.grade_once(submission)?;
        }
        Ok(report)
    }

    fn grade_once(&mut self, submission: &Submission) -> Result<Report> {
        interrupt::check()?;
        let bar = spinner();
        bar.set_message(format!("{} {}", self.exercise.slug, submission.name));
        let report = grade::grade(self.course, self.exercise, submission, Options::default(), &mut |_| {});
        bar.finish_and_clear();
        let report = report?;
        if let Some(error) = &report.build_error {
            self.fault(format!("{} does not compile:\n{error}", submission.name));
        }
        Ok(report)
    }

    fn solution_dir(&self) -> PathBuf {
        self.course.root().join(self.exercise.solution_dir())
    }

    /// What can be seen without running anything.
    fn files(&mut self) {
        let why = self.solution_dir().join("why.md");
        if fs::read_to_string(&why).map_or(0, |text| text.split_whitespace().count()) < 50 {
            self.fault(format!("{}/why.md is missing or says too little", self.exercise.solution_dir().display()));
        }
        let chapter = Path::new("book/src").join(&self.exercise.spec.chapter);
        let text = fs::read_to_string(self.course.root().join(&chapter)).unwrap_or_default();
        let card = format!("{{{{#exercise {}}}}}", self.exercise.slug);
        if !text.contains(&card) {
            self.fault(format!("{} does not show the exercise: it lacks {card}", chapter.display()));
        }
        // In a repository as it is published, the working copy is the starter. For a learner it is not, and need not be.
        if std::env::var_os("CI").is_some() {
            let starters = Submission::starters(&self.course.catalogue).files(self.exercise);
            let working = Submission::working_copy(&self.course.catalogue).files(self.exercise);
            if starters != working {
                self.fault("the files under src/ are not the frozen starter (baseline.rs, starter/)");
            }
        }
    }

    fn starter(&mut self) -> Result<()> {
        let starters = Submission::starters(&self.course.catalogue);
        for _ in 0..self.repeat {
            let report = self.grade(&starters)?;
            for check in &report.checks {
                let spec = self.exercise.spec.check(&check.name);
                match (spec.is_some_and(|spec| spec.lesson), check.status) {
                    (true, Status::Fail) | (false, Status::Pass) => {}
                    (true, other) => {
                        self.fault(format!("starter: {} is {}, not fail: {}", check.name, other.word(), check.message));
                    }
                    (false, other) => {
                        self.fault(format!("starter: {} is {}, not pass: {}", check.name, other.word(), check.message));
                    }
                }
            }
            self.distances(&report, "starter", Side::Misses, STARTER_MISSES);
        }
        Ok(())
    }

    fn solution(&mut self) -> Result<()> {
        let solutions = Submission::solutions(&self.course.catalogue);
        for _ in 0..self.repeat {
            let report = self.grade(&solutions)?;
            for check in report.checks.iter().filter(|check| check.status != Status::Pass) {
                self.fault(format!("solution: {} is {}: {}", check.name, check.status.word(), check.message));
            }
            self.distances(&report, "solution", Side::Clears, SOLUTION_CLEARS);
        }
        Ok(())
    }

    /// Notes how far the figures are from the gates on the side where they should be, and that starter and solution keep
    /// the distance `least`.
    fn distances(&mut self, report: &Report, whose: &str, side: Side, least: f64) {
        for check in &report.checks {
            let (Some(figure), Some(gate)) = (check.measured, &check.gate) else { continue };
            let lesson = self.exercise.spec.check(&check.name).is_some_and(|spec| spec.lesson);
            if side == Side::Misses && !lesson {
                continue;
            }
            let clearance = self.near(&check.name, whose, side, gate.clearance(figure));
            if !side.far(clearance, least) {
                self.fault(format!(
                    "{whose}: {} is too near its gate: {figure:.3} against {gate}, a factor of {clearance:.2}",
                    check.name
                ));
            }
        }
    }

    /// Keeps the clearance of the answer that came nearest, and gives this one's.
    fn near(&mut self, check: &str, whose: &str, side: Side, clearance: f64) -> f64 {
        let nearest = self.nearest.entry(format!("{check}, {whose}")).or_insert(clearance);
        if side.far(*nearest, clearance) {
            *nearest = clearance;
        }
        clearance
    }

    /// The answers of one kind, each with what its `<kind>.toml` says.
    fn answers<T: DeserializeOwned>(&mut self, kind: &str, least: usize) -> Result<Vec<(String, T)>> {
        let dir = self.solution_dir().join(kind);
        let mut names: Vec<_> = fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        if names.len() < least {
            self.fault(format!("{kind} answers: there are {}, and an exercise has {least} at least", names.len()));
        }
        let mut answers = Vec::new();
        for name in names {
            let file = dir.join(&name).join(format!("{kind}.toml"));
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            match toml::from_str(&text) {
                Ok(said) => answers.push((name, said)),
                Err(error) => self.fault(format!("{kind}/{name}/{kind}.toml: {}", error.to_string().trim())),
            }
        }
        Ok(answers)
    }

    fn right_answers(&mut self) -> Result<()> {
        for (name, right) in self.answers::<Right>("right", 3)? {
            if right.how.is_empty() {
                self.fault(format!("right/{name}: right.toml says in what it is unlike the solution"));
            }
            let submission = Submission::answer(&self.course.catalogue, self.exercise, "right", &name);
            for _ in 0..self.repeat {
                for check in &self.grade(&submission)?.checks {
                    if let (Some(figure), Some(gate)) = (check.measured, &check.gate) {
                        self.near(&check.name, "right answers", Side::Clears, gate.clearance(figure));
                    }
                    if check.status != Status::Pass {
                        let (check, word, message) = (&check.name, check.status.word(), &check.message);
                        self.fault(format!("right/{name}: {check} is {word}: {message}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn wrong_answers(&mut self) -> Result<()> {
        for (name, wrong) in self.answers::<Wrong>("wrong", 2)? {
            self.wrong_answer(&name, &wrong)?;
        }
        Ok(())
    }

    fn wrong_answer(&mut self, name: &str, wrong: &Wrong) -> Result<()> {
        if self.exercise.spec.check(&wrong.expect).is_none() || wrong.why.is_empty() || wrong.says.is_empty() {
            self.fault(format!(
                "wrong/{name}: wrong.toml names a check, says why it is wrong, and what the learner reads"
            ));
        }
        let submission = Submission::answer(&self.course.catalogue, self.exercise, "wrong", name);
        for _ in 0..self.repeat {
            let report = self.grade(&submission)?;
            for check in &report.checks {
                if let (true, Some(figure), Some(gate)) = (check.name == wrong.expect, check.measured, &check.gate) {
                    let clearance = gate.clearance(figure);
                    // One that meets the gate was refused for something else.
                    if clearance < 1.0 {
                        self.near(&check.name, "wrong answers", Side::Misses, clearance);
                    }
                }
                match check.status {
                    Status::Fail | Status::Error | Status::Limit if check.name == wrong.expect => {
                        if !check.message.contains(&wrong.says) {
                            self.fault(format!(
                                "wrong/{name}: {} does not say `{}` but: {}",
                                check.name, wrong.says, check.message
                            ));
                        }
                    }
                    Status::Pass | Status::Skipped if check.name != wrong.expect => {}
                    other => self.fault(format!(
                        "wrong/{name}: {} is {}, and only {} should fail: {}",
                        check.name,
                        other.word(),
                        wrong.expect,
                        check.message
                    )),
                }
            }
        }
        Ok(())
    }
}
