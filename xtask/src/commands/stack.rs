//! `stack`: all of OrderFlow on this machine. Builds the programs, optimised, and hands over to `orderflow-stack`.

use std::{ffi::OsString, process::Command};

use anyhow::Result;
use catalogue::STATE_DIR;
use clap::Args;

use super::load::build;
use crate::{commands::start::foreground, course::Course, stop::Exit};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// up, status, down, logs, and their options; `--help` says what they take
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    rest: Vec<OsString>,
}

pub(crate) fn run(course: &Course, arguments: &Arguments) -> Result<Exit> {
    let up = arguments.rest.first().is_some_and(|verb| verb == "up");
    let programs = build(course, if up { &["orderflow-stack", "orderflow"][..] } else { &["orderflow-stack"] })?;
    let mut stack = Command::new(&programs[0]);
    stack.args(&arguments.rest).arg("--state").arg(course.root().join(STATE_DIR).join("stack"));
    if up {
        stack.arg("--orderflow").arg(&programs[1]);
    }
    Ok(Exit::passed(foreground(&mut stack)?))
}
