//! `start` and `book build`: hands over to the book crate, which is built when it is first needed. The book's server builds
//! and runs OrderFlow in turn, so that nobody waits for that before the first page.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    compile::{cargo, forget_us},
    course::Course,
    interrupt::{self, Group},
    stop::{Exit, Stop},
};

/// Runs a command in the foreground as a group of its own and gives whether it succeeded.
pub(crate) fn foreground(command: &mut Command) -> Result<bool> {
    let mut group = Group::spawn(command.stdin(Stdio::null()))?;
    let status = group.child.wait()?;
    interrupt::check()?;
    Ok(status.success())
}

/// Builds the book's program, with cargo's own progress on standard error, and gives its path.
fn program(course: &Course) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--profile", "course", "--package", "book"]).current_dir(course.root());
    if !foreground(build.arg("--target-dir").arg(&course.target))? {
        return Err(Stop::broken("the book's program does not build", "Cargo's errors above say why.").into());
    }
    Ok(course.target.join("course").join("book").with_extension(std::env::consts::EXE_EXTENSION))
}

/// Serves the book, with the reader's verdicts and unless it is `alone` with OrderFlow in it, until it is interrupted.
pub(crate) fn start(course: &Course, port: Option<u16>, open: bool, alone: bool) -> Result<Exit> {
    let mut serve = Command::new(program(course)?);
    forget_us(&mut serve);
    serve.arg("serve").arg("--root").arg(course.root());
    if let Some(port) = port {
        serve.arg("--port").arg(port.to_string());
    }
    if open {
        serve.arg("--open");
    }
    if !alone {
        serve.arg("--orderflow").arg(&course.target);
    }
    // The server ends when this pipe closes, which it does however this process ends.
    let mut group = Group::spawn(serve.arg("--until-input-ends").stdin(Stdio::piped()))?;
    let alive = group.child.stdin.take();
    let status = group.child.wait()?;
    drop(alive);
    match interrupt::check() {
        // Ctrl-C is how this command ends.
        Err(_) => Ok(Exit::Pass),
        Ok(()) => Ok(match status.code() {
            Some(0) => Exit::Pass,
            Some(3) => Exit::Broken,
            _ => Exit::Usage,
        }),
    }
}

/// Writes the book as static pages.
pub(crate) fn build_book(course: &Course, dest: Option<PathBuf>) -> Result<Exit> {
    let dest = dest.map(std::path::absolute).transpose()?;
    let mut build = Command::new(program(course)?);
    build.arg("build").arg("--root").arg(course.root());
    if let Some(dest) = dest {
        build.arg("--dest").arg(dest);
    }
    Ok(if foreground(&mut build)? { Exit::Pass } else { Exit::Broken })
}
