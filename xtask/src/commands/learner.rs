//! `hint`, `solution`, `reset` and `pack`: a learner's own files and what helps with them.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use catalogue::{STATE_DIR, write_atomically};
use flate2::{Compression, write::GzEncoder};

use crate::{
    course::Course,
    state,
    stop::{Exit, Stop},
    submission::Submission,
    term::{Paint, width, wrap},
};

/// The next hint, as text, remembering that it was shown. After the last one it starts over.
pub(crate) fn next_hint(course: &Course, slug: &str) -> Result<String> {
    let exercise = course.exercise(slug)?;
    let hints = &exercise.spec.hints;
    if hints.is_empty() {
        return Err(Stop::broken(format!("{slug} has no hints"), "Write three into its exercise.toml.").into());
    }
    let mut shown = 0;
    state::update(course, &exercise.slug, |standing| {
        shown = standing.hints % hints.len();
        standing.hints = shown + 1;
    })?;
    Ok(format!("Hint {} of {}\n  {}\n", shown + 1, hints.len(), wrap(&hints[shown], width(), 2)))
}

pub(crate) fn hint(course: &Course, slug: &str) -> Result<Exit> {
    print!("{}", next_hint(course, slug)?);
    Ok(Exit::Pass)
}

/// Where the reference solution is, when the learner has passed the exercise or gives up on it.
pub(crate) fn open_solution(course: &Course, slug: &str, give_up: bool) -> Result<PathBuf> {
    let exercise = course.exercise(slug)?;
    let passed = state::read(course).exercises.get(&exercise.slug).is_some_and(|s| s.passed.is_some() || s.gave_up);
    if !passed && !give_up {
        let next =
            format!("It opens once you pass. To see it before: cargo xtask solution {} --give-up", exercise.slug);
        return Err(Stop { exit: Exit::NotPassed, what: format!("{} has not passed yet", exercise.slug), next }.into());
    }
    if !passed {
        state::update(course, &exercise.slug, |standing| standing.gave_up = true)?;
    }
    Ok(exercise.solution_dir())
}

pub(crate) fn solution(course: &Course, slug: &str, give_up: bool) -> Result<Exit> {
    let dir = open_solution(course, slug, give_up)?;
    let why = course.root().join(&dir).join("why.md");
    println!("{}", fs::read_to_string(&why).with_context(|| why.display().to_string())?);
    let paint = Paint::stdout();
    for path in &course.exercise(slug)?.spec.editable {
        println!("{} {}", paint.bold("The reference solution:"), dir.join(path).display());
    }
    Ok(Exit::Pass)
}

/// Puts the starter back. What was there is kept under `.course/`.
pub(crate) fn reset(course: &Course, slug: &str) -> Result<Exit> {
    let exercise = course.exercise(slug)?;
    let dir = course.root().join(&exercise.dir);
    let starters = Submission::starters(&course.catalogue).files(exercise);
    let starters =
        starters.map_err(|fault| Stop::broken(format!("{slug}: {fault}"), "Restore it from the repository."))?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let kept = Path::new(STATE_DIR).join("reset").join(format!("{}-{seconds}", exercise.slug));
    let mut changed = false;
    for (path, starter) in starters {
        let mine = dir.join(&path);
        match fs::read(&mine) {
            Ok(text) if text == starter => continue,
            Ok(text) => write_atomically(&course.root().join(&kept).join(&path), &text)?,
            Err(_) => {}
        }
        write_atomically(&mine, &starter)?;
        changed = true;
    }
    if changed {
        println!("{} is as it was at the start. Your version is kept in {}.", exercise.slug, kept.display());
    } else {
        println!("{} is the starter already.", exercise.slug);
    }
    state::update(course, &exercise.slug, |standing| standing.passed = None)?;
    let _ = fs::remove_file(catalogue::Live::path(course.root(), &exercise.slug));
    Ok(Exit::Pass)
}

/// Packs the editable files of every exercise into one archive that `grade` reads.
pub(crate) fn pack(course: &Course, output: &Path) -> Result<Exit> {
    let working = Submission::working_copy(&course.catalogue);
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut count = 0;
    for exercise in course.exercises()? {
        let files = match working.files(exercise) {
            Ok(files) => files,
            Err(fault) => {
                eprintln!("warning: {} is left out: {fault}", exercise.slug);
                continue;
            }
        };
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            // No owner and no time: the same files give the same archive, and it says nothing about the machine.
            header.set_mtime(0);
            header.set_cksum();
            archive.append_data(&mut header, exercise.dir.join(path), content.as_slice())?;
            count += 1;
        }
    }
    let bytes = archive.into_inner()?.finish()?;
    let written = File::create(output).and_then(|mut file| file.write_all(&bytes));
    written.map_err(|error| {
        Stop::usage(format!("{} cannot be written: {error}", output.display()), "Name another place with --output.")
    })?;
    println!("{count} files, {} bytes, in {}", bytes.len(), output.display());
    Ok(Exit::Pass)
}
