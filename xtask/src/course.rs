//! The course tree this command works on: where it is, what is in it, and where builds of it go.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use catalogue::{Catalogue, Exercise, nearest};

use crate::stop::Stop;

/// The course this command works on.
pub(crate) struct Course {
    pub(crate) catalogue: Catalogue,
    /// Where cargo puts builds: `target/`, unless the user has configured another place.
    pub(crate) target: PathBuf,
}

impl Course {
    /// Finds the course from cargo's word on where xtask's sources are, or else from the current directory upwards.
    pub(crate) fn open() -> Result<Self> {
        let from_cargo = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = env::current_dir()?;
        let starts = [from_cargo.as_deref(), Some(here.as_path())];
        let root = starts.into_iter().flatten().flat_map(Path::ancestors).find(|dir| {
            dir.join("exercises").is_dir() && dir.join("book/book.toml").is_file() && dir.join("Cargo.toml").is_file()
        });
        let Some(root) = root else {
            return Err(Stop::usage("this is not inside the course", "Change into the directory you cloned.").into());
        };
        // The binary's own place says which target directory cargo used, whatever configuration chose it.
        let built_in = env::current_exe().ok().and_then(|exe| {
            let profile = exe.parent()?;
            (profile.file_name()? == "course").then(|| profile.parent().map(Path::to_path_buf))?
        });
        let target = built_in.unwrap_or_else(|| root.join("target"));
        Ok(Self { catalogue: Catalogue::read(root), target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.catalogue.root
    }

    /// The exercises, for commands that cannot do without one.
    pub(crate) fn exercises(&self) -> Result<&[Exercise]> {
        if self.catalogue.exercises.is_empty() {
            return Err(self.broken().into());
        }
        Ok(&self.catalogue.exercises)
    }

    /// The exercise that a user named; a slip of the finger is answered with the name that was meant.
    pub(crate) fn exercise(&self, wanted: &str) -> Result<&Exercise> {
        if let Some(exercise) = self.catalogue.find(wanted) {
            return Ok(exercise);
        }
        // A directory name or a path to it, as a shell completes it, says clearly enough what is meant.
        let last = wanted.trim_end_matches('/').rsplit('/').next().unwrap_or(wanted);
        let by_dir = |exercise: &&Exercise| exercise.dir.file_name().is_some_and(|name| name == last);
        if let Some(exercise) = self.catalogue.exercises.iter().find(by_dir) {
            return Ok(exercise);
        }
        if let Some(problem) = self.catalogue.problems.iter().find(|p| p.file.to_string_lossy().contains(wanted)) {
            return Err(Stop::broken(format!("{wanted} cannot be read"), problem.to_string()).into());
        }
        let next = match nearest(wanted, self.catalogue.slugs()) {
            Some(slug) => format!("Did you mean {slug}? `cargo xtask list` shows them all."),
            None => "`cargo xtask list` shows the exercises there are.".into(),
        };
        Err(Stop::usage(format!("there is no exercise named {wanted}"), next).into())
    }

    /// The stop for a course whose own files are at fault.
    pub(crate) fn broken(&self) -> Stop {
        let problems: Vec<_> = self.catalogue.problems.iter().map(ToString::to_string).collect();
        Stop::broken("the course's own files are at fault", problems.join("\n"))
    }
}

/// The files below `dir`, sorted, as paths relative to it; no links are followed.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, prefix: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = prefix.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => walk(&entry.path(), &path, into),
                Ok(kind) if kind.is_file() => into.push(path),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, Path::new(""), &mut found);
    found.sort();
    found
}
