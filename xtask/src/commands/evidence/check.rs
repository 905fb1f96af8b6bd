//! `evidence --check`: which evidence is older than the code that it measured. It compares digests, so it needs no history;
//! where git has the commit of a measurement, it also names the files that have changed since.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::Result;
use catalogue::{Exercise, evidence::Evidence};

use crate::{
    commands::evidence::{
        DIRECTORY, Whole, exercise,
        sources::{self, Place, is_measured},
        whole,
    },
    course::Course,
    stop::{Exit, Stop},
    term::Paint,
};

/// What a file of evidence is a measurement of.
enum Subject<'a> {
    Whole(&'static Whole),
    Exercise(&'a Exercise),
}

impl Subject<'_> {
    fn of<'a>(course: &'a Course, name: &str) -> Option<Subject<'a>> {
        if let Some(whole) = whole(name) {
            return Some(Subject::Whole(whole));
        }
        let begins =
            |exercise: &&Exercise| name.strip_prefix(&*exercise.slug).is_some_and(|rest| rest.starts_with('-'));
        // One slug may begin with another; the longer one is meant.
        let owner = course.catalogue.exercises.iter().filter(begins).max_by_key(|exercise| exercise.slug.len())?;
        Some(Subject::Exercise(owner))
    }

    /// What `cargo xtask evidence` is asked for to make it.
    fn argument(&self) -> &str {
        match self {
            Self::Whole(whole) => whole.name,
            Self::Exercise(exercise) => &exercise.slug,
        }
    }

    fn sources(&self, course: &Course) -> Vec<Place> {
        match self {
            Self::Whole(whole) => (whole.sources)(course),
            Self::Exercise(exercise) => sources::of_exercise(exercise),
        }
    }
}

/// What is to be said of one file.
struct Finding {
    name: String,
    state: State,
    /// When and from what it was measured.
    origin: String,
    /// What has changed, or why that cannot be told.
    details: Vec<String>,
    /// What to do about it.
    next: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Old,
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Old => "old",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn run(course: &Course, name: Option<&str>) -> Result<Exit> {
    let wanted = match name {
        Some(name) if whole(name).is_none() => Some(course.exercise(name)?.slug.as_str()),
        name => name,
    };
    let findings = findings(course, wanted)?;
    if findings.is_empty() {
        let command =
            wanted.map_or_else(|| "cargo xtask evidence".into(), |name| format!("cargo xtask evidence {name}"));
        let what = format!("there is nothing to check in {DIRECTORY}/");
        return Err(Stop::usage(what, format!("`{command}` measures it.")).into());
    }
    let paint = Paint::stdout();
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
    for Finding { name, state, origin, details, .. } in &findings {
        let word = format!("{:<7}", state.word());
        let word = if *state == State::Fresh { paint.green(&word) } else { paint.red(&word) };
        println!("{word}  {name:<width$}  {origin}");
        for detail in details {
            println!("         {detail}");
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let [fresh, old, unknown] = [State::Fresh, State::Old, State::Unknown].map(count);
    println!("\nevidence: {fresh} fresh, {old} old, {unknown} unknown");
    let next: BTreeSet<_> = findings.iter().filter_map(|finding| finding.next.as_deref()).collect();
    if !next.is_empty() {
        println!("Renew it on a machine that does nothing else:");
        for next in &next {
            println!("  {next}");
        }
    }
    Ok(Exit::passed(next.is_empty()))
}

/// A sentence about evidence that is not fresh, if there is any.
pub(crate) fn stale(course: &Course) -> Result<Option<String>> {
    let findings = findings(course, None)?;
    let stale = findings.iter().filter(|finding| finding.state != State::Fresh).count();
    Ok((stale > 0)
        .then(|| format!("evidence: {stale} of {} files may be older than what they measured", findings.len())))
}

/// A finding for each file of evidence, by name; only those of one command, if it is named.
fn findings(course: &Course, argument: Option<&str>) -> Result<Vec<Finding>> {
    let entries = fs::read_dir(course.root().join(DIRECTORY)).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = files.filter_map(|file| Some(file.strip_suffix(".json")?.to_owned())).collect();
    names.sort();
    let subjects = names.into_iter().map(|name| (Subject::of(course, &name), name));
    let wanted = |(subject, _): &(Option<Subject>, String)| {
        argument.is_none_or(|argument| subject.as_ref().is_some_and(|subject| subject.argument() == argument))
    };
    subjects.filter(wanted).map(|(subject, name)| finding(course, subject.as_ref(), name)).collect()
}

fn finding(course: &Course, subject: Option<&Subject>, name: String) -> Result<Finding> {
    let file = format!("{DIRECTORY}/{name}.json");
    let read = fs::read(course.root().join(&file)).map_err(anyhow::Error::from);
    let evidence = read.and_then(|bytes| Ok(serde_json::from_slice::<Evidence>(&bytes)?));
    let origin = evidence
        .as_ref()
        .map_or_else(|_| String::new(), |evidence| format!("measured {} at {}", evidence.date, evidence.commit));
    let made = match subject {
        Some(Subject::Exercise(exercise)) => {
            exercise::wanted(course, exercise).is_ok_and(|names| names.contains(&name))
        }
        subject => subject.is_some(),
    };
    let command = subject.filter(|_| made).map(|subject| format!("cargo xtask evidence {}", subject.argument()));
    let command = command.unwrap_or_else(|| format!("delete {file}: no command makes it any more"));
    let (state, details) = match (&evidence, subject) {
        (Err(error), _) => (State::Unknown, vec![format!("it cannot be read: {error}")]),
        (Ok(_), None) => (State::Unknown, vec!["no exercise or command has this name".into()]),
        (Ok(evidence), _) if evidence.sources.is_empty() => {
            (State::Unknown, vec!["it does not say what it measured, as older evidence did not".into()])
        }
        (Ok(evidence), Some(subject)) => {
            let changed = changed(course, subject, evidence)?;
            (if changed.is_empty() { State::Fresh } else { State::Old }, changed)
        }
    };
    let next = (state != State::Fresh).then_some(command);
    Ok(Finding { name, state, origin, details, next })
}

/// The files that are not as they were measured, or where git cannot tell, the directories that they are in.
fn changed(course: &Course, subject: &Subject, evidence: &Evidence) -> Result<Vec<String>> {
    let now = sources::digests(course, &subject.sources(course))?;
    let places: BTreeSet<_> = now.keys().chain(evidence.sources.keys()).collect();
    let differs = places.into_iter().filter(|place| now.get(*place) != evidence.sources.get(*place));
    let named = differs.map(|place| {
        let files = since(course, &evidence.commit, place);
        if files.is_empty() { vec![format!("changed: something in {place}")] } else { files }
    });
    Ok(named.flatten().collect())
}

/// What git knows to have changed in a place since a commit. Nothing, where it does not have the commit.
fn since(course: &Course, commit: &str, place: &str) -> Vec<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(course.root()).args(arguments).args(["--", place]).output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let commit = commit.trim_end_matches('+');
    // What a file says goes into a command line, so it has to look like a commit.
    let known = commit.bytes().all(|byte| byte.is_ascii_hexdigit()) && !commit.is_empty();
    let Some(tracked) = known.then(|| git(&["diff", "--name-only", "--relative", commit])).flatten() else {
        return Vec::new();
    };
    let untracked = git(&["ls-files", "--others", "--exclude-standard"]).unwrap_or_default();
    let files = tracked.lines().chain(untracked.lines());
    let measured = files.filter(|file| {
        file.strip_prefix(place).is_some_and(|rest| is_measured(place, Path::new(rest.trim_start_matches('/'))))
    });
    measured.map(|file| format!("changed: {file}")).collect::<BTreeSet<_>>().into_iter().collect()
}
