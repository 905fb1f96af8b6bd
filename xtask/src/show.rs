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
    let seed = if report.passed() || report.build_error.is_some() {
        String::new()
    } else {
        paint.dim(&format!("; the same inputs again: --seed {}", report.seed))
    };
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use catalogue::{Finding, Spec};

    use super::*;

    const SPEC: &str = r#"
title = "Allocation budget"
lesson = "l"
chapter = "c"
minutes = 1
hints = []
[[checks]]
name = "text"
title = "The text is what it was"
kind = "correctness"
points = 2
[[checks]]
name = "allocations"
title = "A thousand lines are rendered in a handful of allocations"
kind = "allocations"
points = 4
lesson = true
gate = { at_most = 20, unit = "allocations" }
[[checks]]
name = "faster"
title = "Which makes it faster"
kind = "speed"
points = 1
lesson = true
gate = { at_least = 1.5, unit = "x the starter's speed" }
"#;

    fn exercise() -> Exercise {
        let spec = Spec::parse(SPEC, Path::new("exercise.toml")).unwrap();
        Exercise {
            slug: "allocation-budget".into(),
            part: 1,
            number: 3,
            dir: PathBuf::from("exercises/1-a/03-b"),
            spec,
        }
    }

    fn shown(finding: impl FnMut(&catalogue::CheckSpec) -> Finding, change: impl FnOnce(&mut Report)) -> String {
        let exercise = exercise();
        let mut report = Report::new(&exercise, "working copy", finding);
        (report.seconds, report.seed) = (0.5, "42".into());
        change(&mut report);
        super::report(&report, &exercise, Paint::plain(), 72) + &advice(&report)
    }

    #[test]
    fn a_verdict_teaches_where_it_does_not_pass() {
        let text = shown(
            |check| match (&check.gate, check.name.as_str()) {
                (Some(gate), "allocations") => Finding::exact(23_169.0, gate, "Each `+` made a new String."),
                (Some(gate), _) => Finding::estimated(1.6, [1.4, 1.8], gate, "Advice."),
                (None, _) => Finding::new(Status::Pass, ""),
            },
            |report| report.output = "debug\n".into(),
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_pass_is_short() {
        let pass = |check: &catalogue::CheckSpec| {
            check
                .gate
                .as_ref()
                .map_or_else(|| Finding::new(Status::Pass, ""), |gate| Finding::exact(gate.bound(), gate, ""))
        };
        insta::assert_snapshot!(shown(pass, |_| {}));
    }

    #[test]
    fn what_does_not_compile_shows_the_compiler_and_no_checks() {
        let error = Finding::new(Status::Error, "It does not compile.");
        let text = shown(|_| error.clone(), |report| report.build_error = Some("error[E0425]: cannot find\n\n".into()));
        insta::assert_snapshot!(text);
    }
}
