//! `db analyze`: what a PostgreSQL database suffers from. Builds the program that looks, and hands over to it.

use std::{
    ffi::OsString,
    process::{Command, Stdio},
};

use anyhow::Result;
use clap::Subcommand;

use super::load::build;
use crate::{
    course::Course,
    interrupt::{self, Group},
    stop::Exit,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Slow statements, indexes, locks, dead rows and what runs out, each with its numbers and one advice
    #[command(disable_help_flag = true)]
    Analyze {
        /// --url, --format, --top and others; `--help` says what they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
}

pub(crate) fn run(course: &Course, verb: &Verb) -> Result<Exit> {
    let Verb::Analyze { rest } = verb;
    let programs = build(course, &["orderflow-analyze"])?;
    // In the directory of whoever asks, as OrderFlow looks for its orderflow.toml.
    let mut group = Group::spawn(Command::new(&programs[0]).args(rest).stdin(Stdio::null()))?;
    let status = group.child.wait()?;
    interrupt::check()?;
    Ok(match status.code() {
        Some(0) => Exit::Pass,
        Some(1) => Exit::NotPassed,
        _ => Exit::Usage,
    })
}
