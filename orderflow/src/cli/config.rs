//! `orderflow config`: every setting, what it is, and where that comes from.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use orderflow::config::{self, Loaded};

#[derive(Args)]
pub(super) struct Options {
    /// As a file that can be read again, or as a JSON array
    #[arg(long, value_enum, default_value = "toml")]
    format: Format,
    /// Print a file with every setting's meaning, bounds and default instead
    #[arg(long, conflicts_with = "format")]
    example: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Toml,
    Json,
}

pub(super) fn run(options: &Options, load: impl FnOnce() -> Result<Loaded>) -> Result<ExitCode> {
    super::print(&match options {
        Options { example: true, .. } => config::example(),
        Options { format: Format::Toml, .. } => config::toml(&load()?.effective),
        Options { format: Format::Json, .. } => config::json(&load()?.effective),
    })
}
