//! `list`, and the bare command: what there is, how far you are, what is next.

use anyhow::Result;
use catalogue::{Exercise, Live, Progress, Status};

use crate::{
    commands::check,
    course::Course,
    state,
    stop::{Exit, Stop},
    term::{Paint, meter, width, wrap},
};

/// `cargo xtask list`.
pub(crate) fn list(course: &Course, part: Option<u32>) -> Result<Exit> {
    let paint = Paint::stdout();
    let progress = state::read(course);
    let exercises: Vec<_> = course.exercises()?.iter().filter(|e| part.is_none_or(|part| e.part == part)).collect();
    if exercises.is_empty() {
        let parts: Vec<_> = course.exercises()?.iter().map(|exercise| exercise.part.to_string()).collect();
        let mut parts = parts;
        parts.dedup();
        let what = format!("there is no part {}", part.unwrap_or_default());
        return Err(Stop::usage(what, format!("These have exercises: {}.", parts.join(", "))).into());
    }
    let mut shown = None;
    for exercise in exercises {
        if shown != Some(exercise.part) {
            if shown.is_some() {
                println!();
            }
            println!("{}", paint.bold(&part_name(exercise)));
            shown = Some(exercise.part);
        }
        let (word, status, scored) = standing(course, &progress, exercise);
        let word = match status {
            Some(status) => paint.status(status, &format!("{word:<12}")),
            None => paint.dim(&format!("{word:<12}")),
        };
        let points = format!("{scored}/{}", exercise.spec.max_points());
        println!(
            "  {:>2}  {word}  {:<24} {points:>7} points  {:>3} min",
            exercise.number, exercise.slug, exercise.spec.minutes
        );
    }
    for problem in &course.catalogue.problems {
        eprintln!("\nwarning: {problem}");
    }
    Ok(Exit::Pass)
}

/// `1 Foundations`, from the directory's name.
fn part_name(exercise: &Exercise) -> String {
    let dir = exercise.dir.parent().and_then(|part| part.file_name()).unwrap_or_default().to_string_lossy();
    let name = dir.split_once('-').map_or(&*dir, |(_, name)| name);
    let mut letters = name.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{} {capital}{}", exercise.part, letters.as_str().replace('-', " "))
}

/// The word for where an exercise stands, the status that colours it, and the points of that verdict.
fn standing(course: &Course, progress: &Progress, exercise: &Exercise) -> (&'static str, Option<Status>, u32) {
    let standing = progress.exercises.get(&exercise.slug);
    if let Some(standing) = standing.filter(|standing| standing.passed.is_some()) {
        return ("passed", Some(Status::Pass), standing.best_points);
    }
    match Live::read(course.root(), &exercise.slug) {
        Some(live) if live.running => ("checking", None, live.report.points),
        Some(Live { report, .. }) => (report.status.word(), Some(report.status), report.points),
        None => ("not started", None, 0),
    }
}

/// `cargo xtask` alone.
pub(crate) fn overview(course: &Course) -> Result<Exit> {
    let paint = Paint::stdout();
    let progress = state::read(course);
    let exercises = course.exercises()?;
    let passed = |exercise: &&Exercise| progress.exercises.get(&exercise.slug).is_some_and(|s| s.passed.is_some());
    let done = exercises.iter().filter(passed).count();
    println!("{} {done} of {} exercises passed\n", meter(done as u32, exercises.len() as u32, 30), exercises.len());
    if done == exercises.len() {
        println!("Everything that there is has passed. `cargo xtask list` shows it.");
        return Ok(Exit::Pass);
    }
    let next = check::next(course)?;
    println!("Next: {}, about {} minutes", paint.bold(&next.slug), next.spec.minutes);
    println!("  {}", wrap(&next.spec.lesson, width(), 2));
    println!("  Edit   {}/{}", next.dir.display(), next.spec.editable[0]);
    println!("  Read   book/src/{}", next.spec.chapter);
    println!();
    for (command, what) in [
        ("start", "the book in your browser, with your verdicts in it"),
        ("watch", "the verdict in this terminal, on every save"),
        ("check", "the verdict, once"),
        ("--help", "everything else"),
    ] {
        println!("  cargo xtask {command:<8} {what}");
    }
    Ok(Exit::Pass)
}
