//! What the runner remembers under `.course/`: progress, the latest verdicts, and who is checking right now.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use catalogue::{Live, Progress, Report, STATE_DIR, Standing, write_atomically};

use crate::{course::Course, interrupt, stop::Stop};

/// The version of `progress.json` that this program writes.
const VERSION: u32 = 1;

/// Reads the progress. A damaged file is kept aside and a new one begun, with a word about it.
pub(crate) fn read(course: &Course) -> Progress {
    let path = Progress::path(course.root());
    let fresh = || Progress { version: VERSION, ..Progress::default() };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fresh(),
        Err(error) => {
            eprintln!("warning: {} cannot be read ({error}); going on as if nothing were done", path.display());
            return fresh();
        }
    };
    match serde_json::from_slice::<Progress>(&bytes) {
        Ok(progress) if progress.version == VERSION => progress,
        outcome => {
            let aside = path.with_extension("json.damaged");
            let why = outcome.map_or_else(|error| error.to_string(), |p| format!("version {} is not known", p.version));
            let kept = match fs::rename(&path, &aside) {
                Ok(()) => format!("kept as {}", aside.display()),
                Err(error) => format!("could not be kept aside: {error}"),
            };
            eprintln!("warning: {} is damaged ({why}) and was {kept}", path.display());
            eprintln!("         A new one is begun: `cargo xtask check --all` finds again what is finished.");
            fresh()
        }
    }
}

/// Changes one exercise's standing. Reads, changes and writes under a lock, so that two commands at once lose nothing.
pub(crate) fn update(course: &Course, slug: &str, change: impl FnOnce(&mut Standing)) -> Result<()> {
    let _lock = lock(course, "progress.lock", || {})?;
    let mut progress = read(course);
    change(progress.exercises.entry(slug.to_owned()).or_default());
    let text = serde_json::to_string_pretty(&progress)? + "\n";
    write_atomically(&Progress::path(course.root()), text.as_bytes()).map_err(|error| not_writable(&error))?;
    Ok(())
}

/// Publishes a verdict, or as much of it as there is, for the book and for `list`.
pub(crate) fn publish(course: &Course, running: bool, report: &Report) -> Result<()> {
    let live = Live { running, report: report.clone() };
    let path = Live::path(course.root(), &report.slug);
    write_atomically(&path, &serde_json::to_vec(&live)?).map_err(|error| not_writable(&error))?;
    Ok(())
}

/// Records a verdict.
pub(crate) fn record(course: &Course, report: &Report) -> Result<()> {
    publish(course, false, report)?;
    update(course, &report.slug, |standing| {
        standing.attempts += 1;
        standing.best_points = standing.best_points.max(report.points);
        standing.passed = if report.passed() { Some(report.sources.clone()) } else { standing.passed.take() };
    })
}

/// One check at a time: two would spoil each other's timings. Waits for the other, and says so.
pub(crate) fn one_at_a_time(course: &Course) -> Result<File> {
    one_at_a_time_or(course, || eprintln!("waiting for another check to finish"))
}

/// The same; `waiting` is called when there is another.
pub(crate) fn one_at_a_time_or(course: &Course, waiting: impl FnOnce()) -> Result<File> {
    let alone = lock(course, "check.lock", waiting)?;
    // Nobody else is checking now. A verdict that is still marked as running was cut off, by a power failure perhaps.
    for exercise in &course.catalogue.exercises {
        if Live::read(course.root(), &exercise.slug).is_some_and(|live| live.running) {
            let _ = fs::remove_file(Live::path(course.root(), &exercise.slug));
        }
    }
    Ok(alone)
}

fn lock(course: &Course, name: &str, waiting: impl FnOnce()) -> Result<File> {
    let dir = course.root().join(STATE_DIR);
    let path: PathBuf = dir.join(name);
    let file = fs::create_dir_all(&dir)
        .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path))
        .map_err(|error| not_writable(&io::Error::new(error.kind(), format!("{}: {error}", path.display()))))?;
    // Some network file systems have no locks, which is an error of another kind. Two writers at once are unlikely there,
    // and each file is still whole.
    let taken = || matches!(file.try_lock(), Err(TryLockError::WouldBlock));
    if taken() {
        waiting();
        while taken() {
            // Not `File::lock`: that would not hear Ctrl-C.
            interrupt::check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(file)
}

fn not_writable(error: &io::Error) -> Stop {
    let next = format!("Progress is kept in {STATE_DIR}/ in the course's directory: make it writable for you.");
    Stop::usage(format!("progress cannot be saved: {error}"), next)
}
