//! A report as a person reads it in a terminal.

use std::fmt::Write;

use catalogue::{Exercise, Report, Status};

use crate::term::{Paint, wrap};

/// Column at which messages begin.
const INDENT: usize = 16;

/// The verdict, a line or a paragraph a check, and what to do next.
pub(crate) fn report(report: &Report, exercise: &Exercise, paint: Paint, width: usize) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_report(&mut out, report, exercise, paint, width);
    out
}

fn write_report(
    out: &mut String,
    report: &Report,
    exercise: &Exercise,
    paint: Paint,
    width: usize,
) -> std::fmt::Result {
    let place = paint.dim(&exercise.dir.display().to_string());
    writeln!(out, "{}  {place}\n", paint.bold(&report.slug))?;
    if let Some(error) = &report.build_error {
        writeln!(out, "{}", error.trim_end())?;
        writeln!(out)?;
    } else {
        for check in &report.checks {
            let word = paint.status(check.status, &format!("{:>12}", check.status.word()));
            let score = format!("{}/{}", check.points, check.max_points);
            writeln!(out, "{word}  {:<5} {}", score, wrap(&check.title, width, INDENT + 4))?;
            if !check.message.is_empty() {
                let message = wrap(&check.message, width, INDENT + 4);
                let message = if check.status == Status::Pass { paint.dim(&message) } else { message };
                writeln!(out, "{:INDENT$}    {message}", "")?;
            }
        }
        writeln!(out)?;
    }
    if !report.output.trim().is_empty() && !report.passed() {
        writeln!(out, "What it printed:")?;
        for line in report.output.trim_end().lines().take(20) {
            writeln!(out, "  {} {line}", paint.dim("|"))?;
        }
        writeln!(out)?;
    }
    let points = format!("{} of {} points", report.points, report.max_points);
    let points = if report.passed() { paint.green(&points) } else { paint.bold(&points) };
    // A verdict that did not pass may have to be repeated on the inputs that it was given on.
    let seed = if report.passed() { String::new() } else { paint.dim(&format!(", inputs --seed {}", report.seed)) };
    writeln!(out, "{points} in {:.2} s{seed}", report.seconds)
}

/// What somebody who has just read the report will want to know.
pub(crate) fn advice(report: &Report) -> String {
    let slug = &report.slug;
    match report.status {
        Status::Pass => format!("Why it works, and what else would: cargo xtask solution {slug}"),
        Status::Blocked => "What is missing and how to get it: cargo xtask doctor".into(),
        Status::Inconclusive => "Let the machine come to rest, then check again.".into(),
        _ if report.build_error.is_some() => "Mend the first error, then check again.".into(),
        _ => format!("Stuck? cargo xtask hint {slug}"),
    }
}
