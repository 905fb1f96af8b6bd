//! A submission: the editable files of some or all exercises, wherever they come from. The learner's working copy is one,
//! so are the reference solutions, the starters, a wrong answer, a student's tree and a packed archive; all of them are
//! graded alike, because grading sees nothing but this.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Cursor, Read},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use catalogue::{Catalogue, Exercise};

use crate::stop::Stop;

/// No editable file is near this; what is larger was not written by hand.
const MOST_BYTES_A_FILE: u64 = 1 << 20;
/// Entries of an archive that are looked at.
const MOST_ENTRIES: usize = 10_000;
/// Bytes that an archive may unpack to.
const MOST_BYTES_IN_ALL: u64 = 64 << 20;

/// Variant of what the course itself keeps: starters, solutions, right and wrong answers. They are built in one place, each as
/// an edit of the one before, which takes two thirds of the time that each takes from nothing.
const ANSWER: &str = "answer";

/// Editable files by path relative to the exercise's directory, such as `src/lib.rs`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The editable files of some or all exercises.
#[derive(Debug)]
pub(crate) struct Submission {
    /// What reports call it.
    pub(crate) name: String,
    /// A short name for its builds, so that those of two submissions do not undo each other.
    pub(crate) variant: String,
    /// What its own built programs are kept as, where it shares the builds of its variant with others.
    pub(crate) kept: Option<String>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A directory that holds the parts.
    Tree(PathBuf),
    /// What the course itself keeps as the starting point.
    Starters(PathBuf),
    /// One answer to one exercise, laid over the reference solution's files.
    Answer { src: PathBuf, solutions: PathBuf },
    /// By slug.
    Archive(BTreeMap<String, Files>),
    /// An archive that cannot be read, and why: one student's fault, not the class's.
    Unreadable(String),
}

impl Submission {
    /// What the learner is working on.
    pub(crate) fn working_copy(course: &Catalogue) -> Self {
        Self::tree("working copy", "working", course.root.join("exercises"))
    }

    /// The reference solutions.
    pub(crate) fn solutions(course: &Catalogue) -> Self {
        let source = Source::Tree(course.root.join("solutions"));
        Self { name: "solutions".into(), variant: ANSWER.into(), kept: Some("solution".into()), source }
    }

    /// What every learner starts from.
    pub(crate) fn starters(course: &Catalogue) -> Self {
        let source = Source::Starters(course.root.clone());
        Self { name: "starters".into(), variant: ANSWER.into(), kept: Some("starter".into()), source }
    }

    /// One of the answers to `exercise` that must be refused, or of those that must be accepted though they are unlike the
    /// solution: a directory under the solution's `wrong/` or `right/`.
    pub(crate) fn answer(course: &Catalogue, exercise: &Exercise, kind: &str, name: &str) -> Self {
        let src = course.root.join(exercise.solution_dir()).join(kind).join(name);
        let source = Source::Answer { src, solutions: course.root.join("solutions") };
        Self { name: format!("{kind}/{name}"), variant: ANSWER.into(), kept: Some(format!("{kind}-{name}")), source }
    }

    fn tree(name: &str, variant: &str, dir: PathBuf) -> Self {
        Self { name: name.into(), variant: variant.into(), kept: None, source: Source::Tree(dir) }
    }

    /// A tree or an archive that a user named: the course's own `exercises` or `solutions`, a clone of the course, or what
    /// `pack` made.
    pub(crate) fn open(path: &Path, course: &Catalogue) -> Result<Self> {
        let name = path.to_string_lossy().trim_end_matches(['/', '\\']).to_owned();
        if path.is_file() {
            let source = match unpack(path, course) {
                Ok(files) => Source::Archive(files),
                Err(error) => Source::Unreadable(format!("the archive cannot be used: {error:#}")),
            };
            // A class is known by its archives' names, not by where somebody has put them.
            let file = path.file_name().map_or(name.clone(), |file| file.to_string_lossy().into_owned());
            let bare = [".tar.gz", ".tgz", ".tar"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(&file);
            return Ok(Self { name: bare.to_owned(), variant: "submission".into(), kept: None, source });
        }
        if !path.is_dir() {
            let next = "Name a directory that mirrors exercises/, a clone of the course, or an archive made by `cargo xtask pack`.";
            return Err(Stop::usage(format!("{name} does not exist"), next).into());
        }
        let inner = path.join("exercises");
        let dir = if inner.is_dir() { inner } else { path.to_path_buf() };
        if !course.exercises.iter().any(|exercise| find_exercise(&dir, &exercise.slug).is_some()) {
            let next =
                "It should hold directories such as 1-foundations/03-allocation-budget/src, or exercises/ with them.";
            return Err(Stop::usage(format!("{name} holds none of the course's exercises"), next).into());
        }
        // The course's own trees keep builds of their own, so that grading one leaves the others warm.
        let own = |own: &str| dir.canonicalize().ok() == course.root.join(own).canonicalize().ok();
        let variant = match () {
            () if own("solutions") => "solution",
            () if own("exercises") => "working",
            () => "submission",
        };
        Ok(Self::tree(&name, variant, dir))
    }

    /// Its files for `exercise`. The error says what is the matter with one of them.
    pub(crate) fn files(&self, exercise: &Exercise) -> Result<Files, String> {
        let editable = exercise.spec.editable.iter();
        match &self.source {
            Source::Unreadable(why) => Err(why.clone()),
            Source::Archive(files) => {
                let found = files.get(&exercise.slug).ok_or("this submission has nothing for the exercise")?;
                if let Some(missing) = editable.clone().find(|path| !found.contains_key(*path)) {
                    return Err(format!("{missing} is missing"));
                }
                Ok(found.clone())
            }
            Source::Tree(dir) => {
                let dir = find_exercise(dir, &exercise.slug).ok_or("this submission has nothing for the exercise")?;
                editable.map(|path| Ok((path.clone(), read_plain(&dir, path)?))).collect()
            }
            Source::Starters(root) => {
                let dir = root.join(&exercise.dir);
                let starter = |path: &String| read_plain(&dir, &Exercise::starter(path).to_string_lossy());
                editable.map(|path| Ok((path.clone(), starter(path)?))).collect()
            }
            Source::Answer { src, solutions } => {
                let solution = find_exercise(solutions, &exercise.slug).ok_or("the exercise has no solution")?;
                let dir = |path: &String| if src.join(path).exists() { src } else { &solution };
                editable.map(|path| Ok((path.clone(), read_plain(dir(path), path)?))).collect()
            }
        }
    }
}

/// The directory of the exercise with that slug, whatever numbers stand before it and its part: renumbering the course
/// must not lose a submission.
fn find_exercise(tree: &Path, slug: &str) -> Option<PathBuf> {
    let parts = fs::read_dir(tree).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut dirs = parts.flat_map(|part| fs::read_dir(part).into_iter().flatten().flatten()).map(|entry| entry.path());
    dirs.find(|dir| dir.file_name().is_some_and(|name| slug_of(&name.to_string_lossy()) == slug) && dir.is_dir())
}

/// `allocation-budget` of `03-allocation-budget`.
fn slug_of(dir: &str) -> &str {
    match dir.split_once('-') {
        Some((number, slug)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => slug,
        _ => dir,
    }
}

/// Reads a file of a tree that somebody else may have made: a plain file of a plain size, not a link to something else.
fn read_plain(dir: &Path, relative: &str) -> Result<Vec<u8>, String> {
    let mut path = dir.to_path_buf();
    for part in Path::new(relative).components() {
        path.push(part);
        if path.is_symlink() {
            return Err(format!("{relative} is a symbolic link; only plain files are graded"));
        }
    }
    let about = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{relative} is missing"),
        _ => format!("{relative} cannot be read: {error}"),
    };
    let meta = fs::metadata(&path).map_err(about)?;
    if !meta.is_file() {
        return Err(format!("{relative} is not a plain file"));
    }
    if meta.len() > MOST_BYTES_A_FILE {
        return Err(format!("{relative} has {} bytes; at most {MOST_BYTES_A_FILE} are graded", meta.len()));
    }
    fs::read(&path).map_err(about)
}

/// Reads an archive into memory. Only paths that the catalogue lists as editable are taken; nothing is written to disk,
/// so that a path that climbs out of the archive leads nowhere.
fn unpack(archive: &Path, course: &Catalogue) -> Result<BTreeMap<String, Files>> {
    let mut bytes = Vec::new();
    File::open(archive)?.take(MOST_BYTES_IN_ALL).read_to_end(&mut bytes)?;
    let reader: Box<dyn Read> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::GzDecoder::new(Cursor::new(bytes)).take(MOST_BYTES_IN_ALL))
    } else {
        Box::new(Cursor::new(bytes))
    };
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    let mut archive = tar::Archive::new(reader);
    for (i, entry) in archive.entries()?.enumerate() {
        anyhow::ensure!(i < MOST_ENTRIES, "it has more than {MOST_ENTRIES} entries");
        let mut entry = entry.context("it is no tar archive, or a damaged one; `cargo xtask pack` makes a good one")?;
        let path = entry.path()?.into_owned();
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let Some((slug, editable)) = plain.then(|| editable_of(&path, course)).flatten() else { continue };
        anyhow::ensure!(entry.header().entry_type().is_file(), "{} is not a plain file", path.display());
        anyhow::ensure!(
            entry.size() <= MOST_BYTES_A_FILE,
            "{} is larger than {MOST_BYTES_A_FILE} bytes",
            path.display()
        );
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        found.entry(slug).or_default().insert(editable, content);
    }
    anyhow::ensure!(!found.is_empty(), "it holds no file of any exercise");
    Ok(found)
}

/// Which editable file of which exercise a path in an archive is: `.../03-allocation-budget/src/lib.rs`.
fn editable_of(path: &Path, course: &Catalogue) -> Option<(String, String)> {
    let parts: Vec<_> = path.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    parts.iter().enumerate().find_map(|(i, part)| {
        let exercise = course.find(slug_of(part))?;
        let rest = parts[i + 1..].join("/");
        exercise.spec.editable.contains(&rest).then(|| (exercise.slug.clone(), rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_before_the_slug_does_not_matter() {
        for dir in ["03-allocation-budget", "11-allocation-budget", "allocation-budget"] {
            assert_eq!(slug_of(dir), "allocation-budget");
        }
        assert_eq!(slug_of("n-plus-one"), "n-plus-one");
    }
}
