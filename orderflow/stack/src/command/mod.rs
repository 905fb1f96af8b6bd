//! The command line. Exit statuses: 0 if all is well, 1 if it is not, 2 if the command line is at fault.

mod down;
mod logs;
mod status;
mod up;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    kept,
    state::Place,
    supervise::{self, Shape},
};

/// All of OrderFlow on this machine, from installed programs, on 127.0.0.1.
#[derive(Parser)]
#[command(name = "orderflow-stack", bin_name = "cargo xtask stack", disable_help_subcommand = true)]
struct Cli {
    /// Where the stack keeps its state; the directory is removed with it
    #[arg(long, global = true, value_name = "DIR", default_value = ".orderflow/stack")]
    state: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything in the background, and wait until it is healthy
    Up(up::Options),
    /// Every part: where it is and how it is
    Status {
        /// For people, or for programs
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// End everything, and remove what it left
    Down,
    /// The last lines that the parts have printed
    Logs {
        /// Only of this part, as `status` names it
        part: Option<String>,
        /// How many lines of each
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
    },
    /// Holds every part until it is told to end; `up` starts it
    #[command(hide = true)]
    Supervise(Shape),
    /// Runs a program until it ends or standard input does
    #[command(hide = true)]
    Keep {
        #[arg(long)]
        log: PathBuf,
        #[arg(long)]
        grace_ms: u64,
        #[arg(last = true)]
        program: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    run(cli).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode> {
    let place = Place::new(&cli.state)?;
    match cli.command {
        Command::Up(options) => up::run(&place, &options),
        Command::Status { format } => status::run(&place, matches!(format, Format::Json)),
        Command::Down => down::run(&place),
        Command::Logs { part, lines } => logs::run(&place, part.as_deref(), lines),
        Command::Supervise(shape) => supervise::run(&place, &shape).map(|()| ExitCode::SUCCESS),
        Command::Keep { log, grace_ms, program } => kept::keep(&log, Duration::from_millis(grace_ms), &program),
    }
}
