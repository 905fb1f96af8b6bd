//! OrderFlow beside its bare peer, under the same load, in one run and in turn: what a service costs over the one thing that
//! a route is about, and what it gains. `cargo xtask load compare` builds everything and calls this.

mod cases;
mod finding;
mod measure;
mod process;
mod scale;
mod seen;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};

use cases::{Case, Setting};
use process::Programs;

/// Compares OrderFlow with its bare peer under the same load. Status 0 if every bound holds, 1 if one is missed.
#[derive(Parser)]
#[command(name = "orderflow-compare")]
struct Options {
    /// The service's program.
    #[arg(long)]
    orderflow: PathBuf,
    /// The peer's program.
    #[arg(long)]
    bare_peer: PathBuf,
    /// The program that the generator itself is measured with.
    #[arg(long)]
    trivial_server: PathBuf,
    /// Beside the bare peer, or several processes beside one
    #[arg(long, value_enum, default_value = "peer")]
    set: Set,
    /// Only these comparisons; all of the set otherwise
    #[arg(value_name = "CASE")]
    only: Vec<String>,
    /// Alternations of each comparison
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each run, without its warm-up of one second
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// For people, or for programs
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    Peer,
    Scale,
}

impl Set {
    fn cases(self) -> &'static [Case] {
        match self {
            Self::Peer => &cases::CASES,
            Self::Scale => &scale::CASES,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("orderflow-compare: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    let cases = options.set.cases();
    if let Some(unknown) = options.only.iter().find(|name| !cases.iter().any(|case| case.name == *name)) {
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        bail!("there is no comparison {unknown}; there are {}", names.join(", "));
    }
    // They are started in directories of their own, where a relative path means something else.
    let program =
        |path: &PathBuf| path.canonicalize().with_context(|| format!("there is no program {}", path.display()));
    let setting = Setting {
        programs: Programs {
            orderflow: program(&options.orderflow)?,
            bare_peer: program(&options.bare_peer)?,
            trivial_server: program(&options.trivial_server)?,
        },
        rounds: options.rounds as usize,
        seconds: f64::from(options.seconds),
    };
    let mut findings = Vec::new();
    for case in cases.iter().filter(|case| options.only.is_empty() || options.only.iter().any(|name| name == case.name))
    {
        eprintln!("comparing {}", case.name);
        let found = (case.run)(&setting)?;
        if options.format == Format::Human {
            print!("{}", finding::text(&found));
        }
        findings.extend(found);
    }
    if options.format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    }
    Ok(findings.iter().all(|finding| finding.holds))
}
