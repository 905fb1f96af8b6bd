//! `test`: everything that continuous integration checks, in the order in which faults are cheapest to find.

use std::{path::Path, process::Command, time::Instant};

use anyhow::Result;

use crate::{
    commands::{
        doctor, evidence, start, suites,
        tools::{COLLECTOR, K6},
        verify,
    },
    compile::cargo,
    course::{Course, files_below},
    interrupt,
    stop::{Exit, Stop},
    term::Paint,
};

type Step = (&'static str, fn(&Course) -> Result<bool>);

const STEPS: [Step; 8] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("tests", tests),
    ("docs", docs),
    ("verify", verify_all),
    ("book", book),
    (K6.step, |course| K6.test(course)),
    (COLLECTOR.step, |course| COLLECTOR.test(course)),
];

pub(crate) fn run(course: &Course, only: &[String]) -> Result<Exit> {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|(step, _)| step == *name)) {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(
            Stop::usage(format!("there is no step {unknown}"), format!("The steps: {}.", names.join(", "))).into()
        );
    }
    doctor::provide()?;
    let paint = Paint::stdout();
    let mut results = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|wanted| wanted == name)) {
        interrupt::check()?;
        if only.is_empty() && [K6, COLLECTOR].iter().any(|tool| tool.step == *name && tool.program(course).is_none()) {
            println!("{} {name} is not installed and left out; `cargo xtask test {name}` gets it", paint.bold("==>"));
            continue;
        }
        println!("{} {name}", paint.bold("==>"));
        let began = Instant::now();
        let passed = step(course)?;
        results.push((name, passed, began.elapsed().as_secs_f64()));
    }
    println!();
    for (name, passed, seconds) in &results {
        let word = if *passed { paint.green("passed") } else { paint.red("failed") };
        println!("{word}  {name:<8} {seconds:>6.1} s");
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    println!("steps: {} passed, {failed} failed", results.len() - failed);
    // Only said: evidence is measured on a quiet machine, which this one may not be.
    let of_the_book = only.is_empty() || only.iter().any(|step| step == "book");
    if of_the_book && let Some(stale) = evidence::stale(course)? {
        println!("{stale}; `cargo xtask evidence --check` says which");
    }
    Ok(Exit::passed(failed == 0))
}

pub(super) fn in_course(course: &Course, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.args(arguments).arg("--target-dir").arg(&course.target).current_dir(course.root());
    command
}

fn fmt(course: &Course) -> Result<bool> {
    let mut workspace = cargo();
    let passed = start::foreground(workspace.args(["fmt", "--all", "--check"]).current_dir(course.root()))?;
    // The solutions are no packages, so cargo does not know of them.
    let solutions = Path::new("solutions");
    let sources = files_below(&course.root().join(solutions))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let sources: Vec<_> = sources.map(|path| solutions.join(path)).collect();
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024"]).args(sources).current_dir(course.root());
    Ok(start::foreground(&mut rustfmt)? && passed)
}

fn clippy(course: &Course) -> Result<bool> {
    let mut command = in_course(
        course,
        &["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--profile", "course"],
    );
    start::foreground(command.args(["--", "--deny", "warnings"]))
}

/// What has tests of its own. The exercises' are left out: their starters fail by design, and `verify` runs them in every
/// combination.
const TESTED: [&str; 10] = [
    "catalogue",
    "harness",
    "xtask",
    "book",
    "orderflow-servers",
    "orderflow-load",
    "orderflow",
    "orderflow-analyze",
    "orderflow-compare",
    "orderflow-stack",
];

fn tests(course: &Course) -> Result<bool> {
    let command = |of: &[&str]| {
        let mut command =
            in_course(course, &["test", "--profile", "course", "--no-fail-fast", "--features", "catalogue/schema"]);
        command.args(TESTED.iter().flat_map(|package| ["--package", package])).args(of);
        command
    };
    // The stack's tests start the service as it was built for its own tests. Built by itself it has other features, and all
    // that it depends on would be built once more.
    let service = ("STACK_TEST_PROGRAM", course.target.join("course/orderflow"));
    let programs = suites::run(course, command(&[]), &[service])?;
    Ok(start::foreground(&mut command(&["--doc"]))? && programs)
}

fn docs(course: &Course) -> Result<bool> {
    let mut command =
        in_course(course, &["doc", "--quiet", "--workspace", "--no-deps", "--all-features", "--profile", "course"]);
    start::foreground(command.env("RUSTDOCFLAGS", "--deny warnings"))
}

fn verify_all(course: &Course) -> Result<bool> {
    Ok(verify::run(course, None, None, 1)? == Exit::Pass)
}

/// The build refuses dead links, listings that are not included from code, and directives that lead nowhere.
fn book(course: &Course) -> Result<bool> {
    Ok(start::build_book(course, None)? == Exit::Pass)
}
