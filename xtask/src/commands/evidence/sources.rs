//! Which files a measurement is of, and a digest of them, so that evidence can be told to be older than what it measured
//! without any history of the course.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use catalogue::Exercise;
use toml::Table;

use crate::{
    compose,
    course::{Course, files_below},
};

/// Hexadecimal digits of a digest that are kept: enough that no two trees of a course share them.
const DIGITS: usize = 16;

/// What every verdict rests on, besides the exercise.
const HARNESS: &str = "exercises/harness/src";

/// A file or a directory below the course root, with `/` between its names.
pub(super) type Place = String;

/// What the figures of an exercise are of. The learner's working copy is not, and neither are the right answers, which no
/// figure shows.
pub(super) fn of_exercise(exercise: &Exercise) -> Vec<Place> {
    [&exercise.dir, &exercise.solution_dir()].map(|dir| slashed(dir)).into()
}

/// What the trial is of.
pub(super) fn of_trial(course: &Course) -> Vec<Place> {
    let exercises = course.catalogue.exercises.iter().flat_map(of_exercise);
    exercises.chain([HARNESS.to_owned()]).collect()
}

/// What is timed as a user meets it: the command line, what exercises are checked with, and the book's server.
pub(super) fn of_runner(_: &Course) -> Vec<Place> {
    [
        "xtask/Cargo.toml",
        "xtask/src",
        "exercises/Cargo.toml",
        "exercises/src",
        HARNESS,
        "book/Cargo.toml",
        "book/server",
    ]
    .map(String::from)
    .into()
}

/// OrderFlow, its bare peer, and what loads and compares them.
pub(super) fn of_orderflow(_: &Course) -> Vec<Place> {
    let dirs = ["Cargo.toml", "src", "migrations", "benches", "load/src", "load/examples", "compare"];
    dirs.map(|dir| format!("orderflow/{dir}")).into()
}

/// The digest of each place, as it is now. A place that does not exist has one too, so that its end is noticed.
pub(super) fn digests(course: &Course, places: &[Place]) -> Result<BTreeMap<Place, String>> {
    places.iter().map(|place| Ok((place.clone(), digest(course, place)?))).collect()
}

fn digest(course: &Course, place: &str) -> Result<String> {
    let root = course.root().join(place);
    let mut parts = BTreeMap::new();
    if root.is_file() {
        parts.insert(PathBuf::new(), content(place, &root)?);
    }
    for file in files_below(&root).iter().filter(|file| is_measured(place, file)) {
        parts.insert(PathBuf::from(slashed(file)), content(place, &root.join(file))?);
    }
    let mut digest = compose::hash(&parts);
    digest.truncate(DIGITS);
    Ok(digest)
}

fn content(place: &str, path: &Path) -> Result<Vec<u8>> {
    let content = fs::read(path).with_context(|| path.display().to_string())?;
    let spec = is_of_exercise(place) && path.ends_with("exercise.toml");
    Ok(if spec { checks(&content) } else { unix_lines(content) })
}

/// Whether a figure can depend on a file, given relative to its place: prose, the learner's working copy, right answers,
/// and what editors and builds leave behind are no part of any.
pub(super) fn is_measured(place: &str, file: &Path) -> bool {
    let first = file.iter().next().unwrap_or_default();
    let unseen = if place.starts_with("solutions/") { "right" } else { "src" };
    let left_behind = |name: &OsStr| name == "target" || name.to_string_lossy().starts_with('.');
    let prose = file.extension().is_some_and(|extension| extension == "md");
    !(prose || is_of_exercise(place) && first == unseen || file.iter().any(left_behind))
}

/// Whether a place is the directory of one exercise or of its solutions: these have numbers.
fn is_of_exercise(place: &str) -> bool {
    let name = place.rsplit('/').next().unwrap_or_default();
    name.split_once('-').is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// The part of an `exercise.toml` that figures show. Its hints and its minutes may change without a new measurement.
fn checks(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let table = text.parse::<Table>().unwrap_or_default();
    let kept: Table =
        table.into_iter().filter(|(key, _)| ["checks", "limits", "editable"].contains(&key.as_str())).collect();
    kept.to_string().into_bytes()
}

/// Line ends as git keeps them, whatever it writes on this system.
fn unix_lines(content: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(content) {
        Ok(text) => text.replace("\r\n", "\n").into_bytes(),
        Err(binary) => binary.into_bytes(),
    }
}

fn slashed(path: &Path) -> String {
    path.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_figure_shows_is_left_out() {
        let exercise = "exercises/1-foundations/03-allocation-budget";
        let solution = "solutions/1-foundations/03-allocation-budget";
        for (place, file, expected) in [
            (exercise, "baseline.rs", true),
            (exercise, "starter/answers.toml", true),
            (exercise, "src/lib.rs", false),
            (solution, "src/lib.rs", true),
            (solution, "wrong/huge-buffer/src/lib.rs", true),
            (solution, "right/in-one-pass/src/lib.rs", false),
            (solution, "why.md", false),
            ("orderflow/compare", "src/main.rs", true),
            ("orderflow/compare", "target/course/x", false),
            ("xtask/src", "commands/.mod.rs.swp", false),
            ("orderflow/Cargo.toml", "", true),
        ] {
            assert_eq!(is_measured(place, Path::new(file)), expected, "{place} {file}");
        }
    }

    #[test]
    fn hints_and_minutes_are_not_measured_and_gates_are() {
        let toml =
            "title = \"A\"\nminutes = 30\nhints = [\"one\"]\n\n[[checks]]\nname = \"fast\"\ngate = { at_least = 2 }\n";
        let same = toml.replace("30", "40").replace("one", "two").replace('\n', "\r\n");
        assert_eq!(checks(toml.as_bytes()), checks(same.as_bytes()));
        assert_ne!(checks(toml.as_bytes()), checks(toml.replace("at_least = 2", "at_least = 3").as_bytes()));
    }
}
