//! The command line. Exit status: 0 when every threshold was kept, 1 when one was not, 2 when nothing could be run.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use orderflow_load::{BUILT_IN, Draft, Options, Scenario, Target, built_in, report, run, table};

use crate::progress::Progress;

/// Load for HTTP services, with latency counted from when each request was due.
#[derive(Debug, Parser)]
#[command(name = "orderflow-load", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and judge it by its thresholds.
    Run(Box<Run>),
    /// List the built-in scenarios.
    List,
    /// Print a built-in scenario, to start one of your own from.
    Show {
        /// Its name.
        name: String,
    },
    /// Say everything that is wrong with a scenario, and send nothing.
    Check {
        /// A built-in name, or a TOML file.
        scenario: String,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// A built-in name (see `list`), or a TOML file.
    scenario: String,
    /// The service's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,
    /// Let the target be another machine than this one.
    #[arg(long)]
    allow_remote: bool,
    /// API key for requests with `auth = true`; default: the variable `ORDERFLOW_API_KEY`, which other users cannot see.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Replace one of the scenario's counts.
    #[arg(long = "set", value_name = "NAME=N", value_parser = assignment)]
    set: Vec<(String, u64)>,
    /// Products there are, ids 1 to N: short for --set products=N.
    #[arg(long, value_name = "N")]
    products: Option<u64>,
    /// Customers there are: short for --set customers=N.
    #[arg(long, value_name = "N")]
    customers: Option<u64>,
    /// Orders there are: short for --set orders=N.
    #[arg(long, value_name = "N")]
    orders: Option<u64>,
    /// Scale the schedule so that its highest rate is this many arrivals a second.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "scale")]
    rate: Option<f64>,
    /// Multiply every rate (and `min_rate`), or the users of a closed loop.
    #[arg(long, value_name = "FACTOR")]
    scale: Option<f64>,
    /// Stretch or shorten the stages so that all of them take this long.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Most connections of an open loop, or users of a closed one.
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Another seed than the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads of the generator.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// Seconds that a request may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Also write the outcome as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write a page with plots: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// No progress on standard error.
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table.
    Human,
    /// The whole outcome.
    Json,
}

fn assignment(text: &str) -> Result<(String, u64), String> {
    let parsed = text.split_once('=').and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    parsed.ok_or_else(|| "give it as NAME=N, N a whole number".into())
}

impl Cli {
    /// Does what was asked; `false` when a threshold failed.
    pub(crate) fn execute(self) -> Result<bool> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::List => {
                for (name, _) in BUILT_IN {
                    println!("{name:7} {}", Draft::load(name)?.description);
                }
                Ok(true)
            }
            Command::Show { name } => match built_in(&name) {
                Some(text) => {
                    print!("{text}");
                    Ok(true)
                }
                None => bail!("no built-in scenario {name}; there are {}", BUILT_IN.map(|(name, _)| name).join(", ")),
            },
            Command::Check { scenario } => {
                let scenario = Draft::load(&scenario)?.check()?;
                println!(
                    "{}: {:.0} s, {}",
                    scenario.name(),
                    scenario.duration().as_secs_f64(),
                    scenario.model_in_words()
                );
                Ok(true)
            }
        }
    }
}

impl Run {
    fn execute(self) -> Result<bool> {
        let scenario = self.scenario()?;
        let mut target = Target::new(&self.target, self.allow_remote)?;
        let key = self.key.clone().or_else(|| std::env::var("ORDERFLOW_API_KEY").ok());
        if let Some(key) = key.filter(|_| scenario.needs_key()) {
            target = target.with_key(&key)?;
        }
        for file in [&self.json, &self.report].into_iter().flatten() {
            // Better now than after half an hour of load.
            fs::File::create(file).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        target.reach()?;
        let options = Options {
            threads: self.threads,
            timeout: Duration::try_from_secs_f64(self.timeout).context("--timeout: give it in seconds, above 0")?,
            stop: Arc::new(AtomicBool::new(false)),
        };
        let stop = options.stop.clone();
        ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let mut progress = Progress::new(scenario.name(), self.quiet);
        let outcome = run(&scenario, &target, &options, &mut |now| progress.show(now))?;
        progress.end(&outcome, self.quiet);
        let json = serde_json::to_string_pretty(&outcome)? + "\n";
        match self.format {
            Format::Human => print!("{}", table::text(&outcome)),
            Format::Json => print!("{json}"),
        }
        if let Some(file) = &self.json {
            write(file, &json)?;
        }
        if let Some(file) = &self.report {
            write(file, &report::html(&outcome))?;
        }
        Ok(outcome.passed())
    }

    /// The scenario with everything that the arguments change.
    fn scenario(&self) -> Result<Scenario> {
        let mut draft = Draft::load(&self.scenario)?;
        let short = [("products", self.products), ("customers", self.customers), ("orders", self.orders)];
        let short = short.into_iter().filter_map(|(name, count)| Some((name.to_owned(), count?)));
        for (name, count) in short.chain(self.set.iter().cloned()) {
            draft.set(&name, count)?;
        }
        if let Some(factor) = self.scale {
            positive("--scale", factor)?;
            draft.scale(factor);
        }
        if let Some(rate) = self.rate {
            positive("--rate", rate)?;
            draft.peak_rate(rate)?;
        }
        if let Some(seconds) = self.duration {
            positive("--duration", seconds)?;
            draft.lasting(seconds);
        }
        if let Some(connections) = self.connections {
            draft.set_connections(connections);
        }
        if let Some(seed) = self.seed {
            draft.seed = seed;
        }
        Ok(draft.check()?)
    }
}

fn positive(argument: &str, number: f64) -> Result<()> {
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    bail!("{argument} is {number}; give it more than 0")
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
