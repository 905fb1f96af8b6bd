//! How far the learner is, read from `.course/`: what the open pages show of it.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use catalogue::{Catalogue, Exercise, Live, Progress, Standing, Status as Verdict};
use serde::Serialize;

use crate::orderflow;

/// The answer of `/api/status` and of every `status` event.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Which build of the book is served; a page from another one is stale.
    pub build: String,
    /// What is wrong with the latest edit of the book, when it could not be built.
    pub build_error: Option<String>,
    /// What `.course/progress.json` holds.
    pub progress: Progress,
    /// Every exercise of the course by slug.
    pub exercises: BTreeMap<String, Entry>,
    /// How it stands with OrderFlow, where it runs beside the book.
    pub orderflow: Option<orderflow::State>,
}

/// One exercise.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// What the book calls it.
    pub title: String,
    /// Points of the latest verdict, or the best so far when there is none.
    pub points: u32,
    /// Points that a full solution scores.
    pub max_points: u32,
    /// Where it stands.
    pub state: State,
    /// The latest verdict, or the one that is being made.
    pub live: Option<Live>,
}

/// Where an exercise stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No verdict was given yet.
    Untouched,
    /// Checks are running.
    Running,
    /// Every check passed.
    Passed,
    /// A check did not pass.
    Failed,
    /// A server or program that the checks need is missing.
    Blocked,
    /// The machine was too noisy for a verdict.
    Inconclusive,
}

impl State {
    fn of(live: Option<&Live>, standing: Option<&Standing>) -> Self {
        let Some(live) = live else {
            // Reports may be gone, for example after a clean; what was passed stays passed.
            return match standing {
                Some(standing) if standing.passed.is_some() => Self::Passed,
                Some(standing) if standing.attempts > 0 => Self::Failed,
                _ => Self::Untouched,
            };
        };
        match live.report.status {
            _ if live.running => Self::Running,
            Verdict::Pass => Self::Passed,
            Verdict::Blocked => Self::Blocked,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Fail | Verdict::Error | Verdict::Limit | Verdict::Skipped => Self::Failed,
        }
    }
}

/// Reads the state of the course under `root` as it is now. A file that is missing or cannot be read counts as none:
/// the runner says what is wrong with it, and a page must not break over it.
pub fn read(root: &Path, build: &str, build_error: Option<String>) -> Status {
    let progress: Progress =
        fs::read(Progress::path(root)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let entry = |exercise: &Exercise| {
        let live = Live::read(root, &exercise.slug);
        let standing = progress.exercises.get(&exercise.slug);
        Entry {
            title: exercise.spec.title.clone(),
            points: live.as_ref().map_or_else(|| standing.map_or(0, |s| s.best_points), |live| live.report.points),
            max_points: exercise.spec.max_points(),
            state: State::of(live.as_ref(), standing),
            live,
        }
    };
    let exercises = Catalogue::read(root).exercises.iter().map(|e| (e.slug.clone(), entry(e))).collect();
    Status { build: build.into(), build_error, progress, exercises, orderflow: None }
}

/// What would change when any of `files` did: its length and the time of its last change, if it exists.
pub(crate) type Fingerprint = Vec<(std::path::PathBuf, u64, Option<SystemTime>)>;

/// The fingerprint of the files of `.course/` that [`read`] reads.
pub(crate) fn fingerprint(root: &Path) -> Fingerprint {
    let reports = root.join(catalogue::STATE_DIR).join("reports");
    crate::watch::files(&[Progress::path(root), reports], &|path| {
        path.extension().is_some_and(|ending| ending == "json")
    })
}
