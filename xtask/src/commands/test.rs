//! `test`: everything that continuous integration checks, in the order in which faults are cheapest to find.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::Result;

use crate::{
    commands::{doctor, evidence, start, verify},
    compile::cargo,
    course::{Course, files_below},
    grade::find_program,
    interrupt,
    stop::{Exit, Stop},
    term::Paint,
};

type Step = (&'static str, fn(&Course) -> Result<bool>);

const STEPS: [Step; 7] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("tests", tests),
    ("docs", docs),
    ("verify", verify_all),
    ("book", book),
    (K6, k6),
];

/// The step that needs what few machines have. It is left out where that is missing, unless it is asked for.
const K6: &str = "k6";
/// What is built where k6 is missing and Go is there: some three minutes of two processors.
const K6_MODULE: &str = "go.k6.io/k6@v1.0.0";

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
        if *name == K6 && only.is_empty() && k6_program(course).is_none() {
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

fn in_course(course: &Course, arguments: &[&str]) -> Command {
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
    let mut command =
        in_course(course, &["test", "--profile", "course", "--no-fail-fast", "--features", "catalogue/schema"]);
    // The stack's tests start the service as it was built for its own tests. Built by itself it has other features, and all
    // that it depends on would be built once more.
    command.env("STACK_TEST_PROGRAM", course.target.join("course/orderflow"));
    start::foreground(command.args(TESTED.iter().flat_map(|package| ["--package", package])))
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

/// The k6 scripts beside the load generator.
fn k6(course: &Course) -> Result<bool> {
    let program = k6_program(course).map_or_else(|| install_k6(course), Ok)?;
    let mut command = in_course(course, &["test", "--profile", "course", "--package", "orderflow", "--test", "k6"]);
    start::foreground(command.env("K6", program))
}

/// k6 in PATH, where Go puts what it installs, or where [`install_k6`] has put it.
fn k6_program(course: &Course) -> Option<PathBuf> {
    let go = std::env::var_os("GOPATH").map(PathBuf::from);
    let go = go.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")));
    let places = go.map(|go| go.join("bin")).into_iter().chain([tools(course)]);
    find_program("k6").or_else(|| places.map(|place| place.join("k6")).find(|path| path.is_file()))
}

fn tools(course: &Course) -> PathBuf {
    course.target.join("tools")
}

fn install_k6(course: &Course) -> Result<PathBuf> {
    if find_program("go").is_none() {
        let next = "Install it from https://grafana.com/docs/k6, or Go from https://go.dev, which builds it.";
        return Err(Stop::usage("k6 is missing, and Go, which could build it, is too", next).into());
    }
    println!("building {K6_MODULE}");
    // Absolute, which Go insists on.
    let tools = std::path::absolute(tools(course))?;
    let mut install = Command::new("go");
    if !start::foreground(install.args(["install", K6_MODULE]).env("GOBIN", &tools))? {
        return Err(Stop::usage("k6 cannot be built", "Go's message above says why.").into());
    }
    Ok(tools.join("k6"))
}
