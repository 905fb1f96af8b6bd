//! What the runner keeps between commands, under `.course/` in the course root: what is finished, and the latest
//! verdict on each exercise. The runner writes it; the book's server watches it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Report;

/// The directory of the state, relative to the course root.
pub const STATE_DIR: &str = ".course";

/// `.course/progress.json`: one entry an exercise, by slug, so that renumbering the course loses nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Version of this format.
    pub version: u32,
    /// By slug.
    pub exercises: BTreeMap<String, Standing>,
}

/// How far a learner is with one exercise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// [`Report::sources`] of the latest pass; while the files still have this hash, the exercise need not be run again.
    pub passed: Option<String>,
    /// Most points scored so far.
    pub best_points: u32,
    /// How many verdicts were given.
    pub attempts: u32,
    /// How many hints were shown.
    pub hints: usize,
    /// Whether the solution was opened before a pass.
    pub gave_up: bool,
}

/// `.course/reports/<slug>.json`: the latest verdict on the working copy, or the one that is being made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Whether checks are still running; those without a verdict yet are [`crate::Status::Skipped`] then.
    pub running: bool,
    /// The verdict so far.
    pub report: Report,
}

impl Live {
    /// Where the verdict on `slug` is kept.
    pub fn path(root: &Path, slug: &str) -> PathBuf {
        root.join(STATE_DIR).join("reports").join(format!("{slug}.json"))
    }

    /// Reads the latest verdict on `slug`; `None` when there is none that can be read.
    pub fn read(root: &Path, slug: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(root, slug)).ok()?).ok()
    }
}

impl Progress {
    /// Where the progress is kept.
    pub fn path(root: &Path) -> PathBuf {
        root.join(STATE_DIR).join("progress.json")
    }
}

/// Replaces a file whole or not at all: writes beside it, then renames.
///
/// # Errors
/// Whatever the file system says, with the file's name.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(named)?;
    // One name a process, so that two writers cannot mix their bytes; the last rename wins.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(named)
}
