//! `evidence`: measures what the book shows. Every figure says which machine, day, commit and command it came from, and
//! has digests of what it measured, by which `--check` finds what is old.

mod check;
mod exercise;
mod load;
mod runner;
mod sources;
mod widest;

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use catalogue::{
    evidence::{Evidence, Figure},
    write_atomically,
};

use crate::{commands::trial, course::Course, stop::Exit};

pub(crate) use check::stale;

/// Where it is kept, below the course root.
const DIRECTORY: &str = "book/evidence";

/// Verdicts on each submission of the trial.
const TIMES: u32 = 100;

/// A figure that is of no single exercise: of the course's own tools, or of OrderFlow.
struct Whole {
    /// Of the file, and for the command line.
    name: &'static str,
    title: &'static str,
    /// What it measures.
    sources: fn(&Course) -> Vec<sources::Place>,
    measure: fn(&Course) -> Result<Figure>,
}

/// From the quickest to the slowest.
const WHOLES: [Whole; 4] = [
    Whole {
        name: "load",
        title: "OrderFlow beside its bare peer, under the same load",
        sources: sources::of_orderflow,
        measure: |course| load::measure(course, "peer", ["OrderFlow", "peer"]),
    },
    Whole {
        name: "scale",
        title: "OrderFlow as several processes",
        sources: sources::of_orderflow,
        measure: |course| load::measure(course, "scale", ["several", "one"]),
    },
    Whole {
        name: "runner",
        title: "How long the course's own tools take",
        sources: sources::of_runner,
        measure: runner::measure,
    },
    Whole {
        name: "trial",
        title: "Verdicts while other processes keep every core busy",
        sources: sources::of_trial,
        measure: |course| Ok(trial::table(&trial::tally(course, &[], TIMES, false)?)),
    },
];

pub(crate) fn run(course: &Course, name: Option<&str>, check: bool) -> Result<Exit> {
    if check {
        return check::run(course, name);
    }
    match name.map(|name| (name, whole(name))) {
        Some((_, Some(whole))) => measure(course, whole)?,
        Some((slug, None)) => exercise::measure(course, course.exercise(slug)?)?,
        None => {
            for exercise in course.exercises()? {
                exercise::measure(course, exercise)?;
            }
            for whole in &WHOLES {
                measure(course, whole)?;
            }
        }
    }
    Ok(Exit::Pass)
}

fn whole(name: &str) -> Option<&'static Whole> {
    WHOLES.iter().find(|whole| whole.name == name)
}

fn measure(course: &Course, whole: &Whole) -> Result<()> {
    // Taken first: what is changed while this measures may not be in the figure.
    let sources = sources::digests(course, &(whole.sources)(course))?;
    write(course, whole.name, whole.title, whole.name, sources, (whole.measure)(course)?)
}

/// Writes `book/evidence/<name>.json`. `argument` is what `cargo xtask evidence` was, or would have been, asked for.
fn write(
    course: &Course,
    name: &str,
    title: &str,
    argument: &str,
    sources: BTreeMap<String, String>,
    figure: Figure,
) -> Result<()> {
    let evidence = Evidence {
        title: title.into(),
        command: format!("cargo xtask evidence {argument}"),
        machine: machine(),
        date: today(),
        commit: commit(course),
        sources,
        figure,
    };
    let path = course.root().join(DIRECTORY).join(format!("{name}.json"));
    write_atomically(&path, (serde_json::to_string_pretty(&evidence)? + "\n").as_bytes())?;
    println!("{DIRECTORY}/{name}.json");
    Ok(())
}

/// Processor, cores, memory, system, compiler; as much of it as this system says.
fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The number says what matters; what follows it names a machine.
    let release = release.trim().split('-').next().unwrap_or_default();
    let system = format!("{} {release}", std::env::consts::OS);
    let rustc = said("rustc", &["--version"]).split(' ').take(2).collect::<Vec<_>>().join(" ");
    format!("{}, {}, {rustc}", hardware(), system.trim())
}

/// Cores, processor and memory.
pub(super) fn hardware() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kib = value(&read("/proc/meminfo"), "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
    let memory = kib.map_or_else(String::new, |kib| format!(", {} GiB", (kib + (1 << 19)) >> 20));
    format!("{cores} cores of {processor}{memory}")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The commit that is measured; a `+` says that the tree differs from it in more than its evidence.
pub(super) fn commit(course: &Course) -> String {
    let root = course.root().to_string_lossy().into_owned();
    let commit = said("git", &["-C", &root, "rev-parse", "--short=10", "HEAD"]);
    let changes = said("git", &["-C", &root, "status", "--porcelain", "--", ".", ":!book/evidence"]);
    commit + if changes.is_empty() { "" } else { "+" }
}

fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    date(seconds / 86_400)
}

/// The date that many days after 1970-01-01, by counting from 1 March of year 0, which puts leap days last in a year.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month < 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let known = [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_778, "2026-11-21"),
        ];
        for (days, expected) in known {
            assert_eq!(date(days), expected);
        }
    }
}
