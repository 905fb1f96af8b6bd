//! `bench` and `profile`: criterion's report, a flamegraph and a heap table of the learner's own code.

use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use catalogue::{Exercise, Kind};
use serde::Deserialize;

use crate::{
    compile::{self, Binaries, Built},
    compose::{self, Purpose},
    course::Course,
    interrupt::Group,
    state,
    stop::{Exit, Stop},
    submission::Submission,
    term::{Paint, spinner},
};

/// Call sites of the heap table.
const MOST_SITES: usize = 12;

pub(super) fn build(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    purpose: Purpose,
) -> Result<Binaries> {
    let files = submission.files(exercise).map_err(|fault| {
        Stop::usage(format!("{}: {fault}", exercise.slug), format!("cargo xtask reset {} restores it.", exercise.slug))
    })?;
    let composed = compose::compose(course, exercise, &files, &submission.variant, purpose)?;
    let bar = spinner();
    bar.set_message("building (the tools too, the first time)");
    let built = compile::build(course, exercise, &composed, submission.kept.as_deref(), Paint::stderr().on());
    bar.finish_and_clear();
    match built? {
        Built::Yes(binaries) => Ok(binaries),
        Built::No(errors) => {
            eprintln!("{errors}");
            let next = "Mend the first error above, then run it again.";
            Err(Stop { exit: Exit::NotPassed, what: format!("{} does not compile", exercise.slug), next: next.into() }
                .into())
        }
    }
}

/// `cargo xtask bench SLUG`: criterion's full report of the baseline and the learner's code side by side.
pub(crate) fn bench(course: &Course, slug: &str, rest: &[String]) -> Result<Exit> {
    let exercise = course.exercise(slug)?;
    let working = Submission::working_copy(&course.catalogue);
    let _alone = state::one_at_a_time(course)?;
    let binaries = build(course, exercise, &working, Purpose::Bench)?;
    let mut command = Command::new(&binaries.bench);
    // Criterion keeps earlier measurements there and compares with them.
    command.arg("--bench").args(rest).env("CRITERION_HOME", course.target.join("criterion").join(&exercise.slug));
    let status = Group::spawn(&mut command)?.child.wait()?;
    crate::interrupt::check()?;
    Ok(Exit::passed(status.success()))
}

/// What criterion prints for a submission, compared with nothing that was measured earlier.
pub(crate) fn criterion_text(course: &Course, exercise: &Exercise, submission: &Submission) -> Result<String> {
    let binaries = build(course, exercise, submission, Purpose::Bench)?;
    let home = course.target.join("criterion-evidence").join(&exercise.slug);
    let mut command = Command::new(&binaries.bench);
    command.args(["--bench", "--noplot", "--discard-baseline"]).env("CRITERION_HOME", home);
    let mut group = Group::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let mut said = String::new();
    if let Some(mut stdout) = group.child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    let status = group.child.wait()?;
    crate::interrupt::check()?;
    anyhow::ensure!(status.success(), "criterion ended with {status}");
    Ok(said)
}

/// `cargo xtask profile SLUG`. `check` says whose allocations are listed.
pub(crate) fn profile(course: &Course, slug: &str, check: Option<&str>, open: bool) -> Result<Exit> {
    let exercise = course.exercise(slug)?;
    let measuring = || exercise.spec.checks.iter().filter(|check| check.kind == Kind::Allocations);
    if let Some(check) = check
        && !measuring().any(|spec| spec.name == check)
    {
        let names: Vec<&str> = measuring().map(|spec| &*spec.name).collect();
        let next = format!("These do: {}.", if names.is_empty() { "none".into() } else { names.join(", ") });
        return Err(Stop::usage(format!("{slug} has no check {check} that measures allocations"), next).into());
    }
    let working = Submission::working_copy(&course.catalogue);
    let _alone = state::one_at_a_time(course)?;
    let dir = course.target.join("profile").join(&exercise.slug);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let (flamegraph, heap) = (dir.join("flamegraph.svg"), dir.join("heap.json"));
    draw(course, exercise, &working, &flamegraph, None)?;
    println!("Flamegraph: {}", flamegraph.display());
    if measuring().next().is_some() {
        let sites = heap_sites(course, exercise, &working, check, &heap)?;
        println!("\n{:>12} {:>14} {:>14} {:>14}  allocated in", "allocations", "bytes", "at the peak", "at the end");
        for Site { name, allocations, bytes, at_peak, at_end } in &sites {
            println!("{allocations:>12} {bytes:>14} {at_peak:>14} {at_end:>14}  {name}");
        }
        if sites.is_empty() {
            println!("  nothing in your code allocates");
        }
        println!("\nHeap profile, for dhat's viewer: {}", heap.display());
    }
    if open {
        open_in_browser(&flamegraph);
    }
    Ok(Exit::Pass)
}

/// Draws the flamegraph of a submission's first bench, or of an example that `bench.rs` defines for the book.
pub(crate) fn draw(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    to: &Path,
    example: Option<&str>,
) -> Result<()> {
    let binaries = build(course, exercise, submission, Purpose::Profile)?;
    run(Command::new(&binaries.bench).arg("--profile").arg(to).args(example))
}

/// Runs a program under its profiler. What it says is shown only when it fails.
fn run(command: &mut Command) -> Result<()> {
    let bar = spinner();
    bar.set_message("running under the profiler");
    let mut group = Group::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let mut said = String::new();
    if let Some(mut stderr) = group.child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    let status = group.child.wait()?;
    bar.finish_and_clear();
    crate::interrupt::check()?;
    if status.success() {
        return Ok(());
    }
    let what = format!("the profiled program ended with {status}");
    Err(Stop { exit: Exit::NotPassed, what, next: said }.into())
}

/// Opens a file as a double click would. Where there is no desktop, the path that was printed has to do.
pub(crate) fn open_in_browser(path: &Path) {
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let _ = Command::new(opener).arg(path).stderr(Stdio::null()).spawn();
}

/// The parts of dhat's file that are read: <https://valgrind.org/docs/manual/dh-manual.html>.
#[derive(Deserialize)]
struct Profile {
    pps: Vec<Point>,
    ftbl: Vec<String>,
}

#[derive(Deserialize)]
struct Point {
    /// Bytes allocated in all.
    tb: u64,
    /// Blocks allocated in all.
    tbk: u64,
    /// Bytes alive when most bytes were.
    gb: u64,
    /// Bytes alive at the end.
    eb: u64,
    /// Call stack, innermost first, as indices into the frame table.
    fs: Vec<usize>,
}

/// One line of the submission's code and what is allocated on its behalf.
pub(crate) struct Site {
    /// Function, file and line.
    pub(crate) name: String,
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    /// Bytes alive when the whole program had most alive.
    pub(crate) at_peak: u64,
    /// Bytes alive when everything had been dropped.
    pub(crate) at_end: u64,
}

/// Which lines of a submission allocate in `check`, most first. dhat's own profile is left in `to`.
pub(crate) fn heap_sites(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    check: Option<&str>,
    to: &Path,
) -> Result<Vec<Site>> {
    let binaries = build(course, exercise, submission, Purpose::Profile)?;
    run(Command::new(&binaries.checks).arg("--profile").arg(to).args(check))?;
    let bytes = fs::read(to).with_context(|| to.display().to_string())?;
    let profile: Profile = serde_json::from_slice(&bytes).context("dhat's profile cannot be read")?;
    // Frames name the composed package's files; functions that were inlined have lost their crate's name.
    let mine = format!("({}/src/", exercise.slug);
    let mut sites: HashMap<String, Site> = HashMap::new();
    for point in &profile.pps {
        let mut frames = point.fs.iter().filter_map(|index| profile.ftbl.get(*index));
        // The innermost frame that is the learner's: what it called in the standard library is its doing.
        let Some(frame) = frames.find(|frame| frame.contains(&mine)) else { continue };
        let name = short(frame);
        let new = Site { name: name.clone(), allocations: 0, bytes: 0, at_peak: 0, at_end: 0 };
        let site = sites.entry(name).or_insert(new);
        site.allocations += point.tbk;
        site.bytes += point.tb;
        site.at_peak += point.gb;
        site.at_end += point.eb;
    }
    let mut sites: Vec<_> = sites.into_values().collect();
    sites.sort_by_key(|site| (std::cmp::Reverse((site.allocations, site.bytes)), site.name.clone()));
    sites.truncate(MOST_SITES);
    Ok(sites)
}

/// `row (src/lib.rs:49)` of `0x1234: row (allocation-budget/src/lib.rs:49:5)`.
fn short(frame: &str) -> String {
    let frame = frame.split_once(": ").map_or(frame, |(_, rest)| rest);
    let (function, place) = frame.rsplit_once(" (").unwrap_or((frame, ""));
    // What a generic function was made for, and which closure of its line it is, says nothing to whoever wrote it.
    let function = match function.find('<') {
        Some(at) if at > 0 => &function[..at],
        _ => function,
    };
    let function = if function.starts_with("{closure#") { "closure" } else { function };
    let place = place.find("src/").map_or(place, |at| &place[at..]);
    let line = place.rsplit_once(':').map_or(place, |(line, _column)| line);
    format!("{function} ({line})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_named_as_the_learner_knows_it() {
        for (frame, known) in [
            ("0x55d0c8: row (allocation-budget/src/lib.rs:49:5)", "row (src/lib.rs:49)"),
            ("0x55d0c8: get<checks::{closure#1}> (leak-hunt/src/lib.rs:43:9)", "get (src/lib.rs:43)"),
            ("0x55d0c8: {closure#0}<checks::{closure#1}> (leak-hunt/src/lib.rs:43:60)", "closure (src/lib.rs:43)"),
            ("0x55d0c8: <impl Display>::fmt (e/src/lib.rs:4:5)", "<impl Display>::fmt (src/lib.rs:4)"),
        ] {
            assert_eq!(short(frame), known);
        }
    }
}
