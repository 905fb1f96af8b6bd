//! `trial`: is the grader right every time? Grades solutions and starters again and again while other processes keep
//! every core busy.

use std::{
    collections::BTreeMap,
    io::Read,
    process::{Command, Stdio},
};

use anyhow::Result;
use catalogue::{Exercise, Status, evidence::Figure};

use crate::{
    course::Course,
    grade::{self, Options},
    interrupt::{self, Group},
    state,
    stop::Exit,
    submission::Submission,
    term::bar,
};

/// What became of the many verdicts on one submission of one exercise.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    verdicts: u32,
    wrong: u32,
    inconclusive: u32,
    /// For each timed check, the smallest and the largest figure.
    figures: BTreeMap<String, [f64; 2]>,
    /// What a wrong verdict said, to find out why.
    said: Vec<String>,
}

pub(crate) fn run(course: &Course, slugs: &[String], times: u32, idle: bool) -> Result<Exit> {
    let tallies = tally(course, slugs, times, idle)?;
    if let Figure::Table { columns, rows } = table(&tallies) {
        println!("{}", columns.join(" | "));
        for row in rows {
            println!("{}", row.join(" | "));
        }
    }
    for message in tallies.values().flat_map(|tally| &tally.said) {
        println!("wrong: {message}");
    }
    Ok(Exit::passed(sound(&tallies)))
}

/// No wrong verdict, and at most one in a hundred inconclusive.
fn sound(tallies: &BTreeMap<(String, String), Tally>) -> bool {
    let sum = |count: fn(&Tally) -> u32| tallies.values().map(count).sum::<u32>();
    sum(|tally| tally.wrong) == 0 && sum(|tally| tally.inconclusive) * 100 <= sum(|tally| tally.verdicts)
}

/// Grades solutions and starters `times` times each; by exercise and submission.
pub(crate) fn tally(
    course: &Course,
    slugs: &[String],
    times: u32,
    idle: bool,
) -> Result<BTreeMap<(String, String), Tally>> {
    let exercises: Vec<&Exercise> = if slugs.is_empty() {
        course.exercises()?.iter().collect()
    } else {
        slugs.iter().map(|slug| course.exercise(slug)).collect::<Result<_>>()?
    };
    let _alone = state::one_at_a_time(course)?;
    let submissions = [Submission::starters(&course.catalogue), Submission::solutions(&course.catalogue)];
    let cores = if idle { 0 } else { std::thread::available_parallelism()?.get() };
    let progress = bar(exercises.len() * submissions.len() * times as usize);
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for exercise in exercises {
        for submission in &submissions {
            // Built beforehand, so that the busy processes are in the way of the measurements only.
            grade::grade(course, exercise, submission, Options::default(), &mut |_| {})?;
            let burners = (0..cores).map(|_| burner()).collect::<Result<Vec<_>>>()?;
            for _ in 0..times {
                interrupt::check()?;
                let tally = tallies.entry((exercise.slug.clone(), submission.name.clone())).or_default();
                one(course, exercise, submission, tally)?;
                progress.inc(1);
            }
            drop(burners);
        }
    }
    progress.finish_and_clear();
    Ok(tallies)
}

fn one(course: &Course, exercise: &Exercise, submission: &Submission, tally: &mut Tally) -> Result<()> {
    let report = grade::grade(course, exercise, submission, Options::default(), &mut |_| {})?;
    let solved = submission.name == "solutions";
    tally.verdicts += 1;
    let mut right = true;
    for check in &report.checks {
        let lesson = exercise.spec.check(&check.name).is_some_and(|spec| spec.lesson);
        let expected = if solved || !lesson { Status::Pass } else { Status::Fail };
        if check.status != expected && check.status != Status::Inconclusive {
            right = false;
            tally.said.push(format!("{} {}: {} {}", report.submission, check.name, check.status.word(), check.message));
        }
        if let (Some(figure), true) = (check.measured, check.kind.timed()) {
            let range = tally.figures.entry(check.name.clone()).or_insert([figure, figure]);
            *range = [range[0].min(figure), range[1].max(figure)];
        }
    }
    tally.wrong += u32::from(!right);
    tally.inconclusive += u32::from(report.checks.iter().any(|check| check.status == Status::Inconclusive));
    Ok(())
}

/// The tallies as the book shows them.
pub(crate) fn table(tallies: &BTreeMap<(String, String), Tally>) -> Figure {
    let columns = ["exercise", "submission", "verdicts", "wrong", "inconclusive", "timed figures, least to most"];
    let row = |((slug, submission), tally): (&(String, String), &Tally)| {
        let figures: Vec<_> =
            tally.figures.iter().map(|(name, [low, high])| format!("{name} {low:.2} to {high:.2}")).collect();
        let counts = [tally.verdicts, tally.wrong, tally.inconclusive].map(|count| count.to_string());
        [vec![slug.clone(), submission.clone()], counts.to_vec(), vec![figures.join("; ")]].concat()
    };
    Figure::Table { columns: columns.map(String::from).to_vec(), rows: tallies.iter().map(row).collect() }
}

/// A process that keeps one core busy until it is dropped, or until this process is gone and its input closes with it.
fn burner() -> Result<Group> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(Group::spawn(command.arg("burn").stdin(Stdio::piped()).stdout(Stdio::null()))?)
}

/// What such a process does.
pub(crate) fn burn() -> Exit {
    std::thread::spawn(|| {
        let mut x = 1_u64;
        loop {
            x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    Exit::Pass
}
