//! The command line. Exit statuses: 0 if all went well, 1 if it failed while it ran, 2 if the configuration or the command
//! line is at fault.

mod config;
mod database;
mod dead_letters;
mod healthcheck;
mod key;
mod scheduler;
mod serve;
mod trouble;
mod worker;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use orderflow::{
    config::{Config, Flag, Loaded, Problems, Sources},
    telemetry::Telemetry,
};

/// An order API that needs nothing installed: without a command it serves on a database of its own.
///
/// Settings come from orderflow.toml, then variables (`ORDERFLOW_HTTP__LISTEN`), then flags. `orderflow config` shows what
/// holds and why, `orderflow config --example` all there are.
#[derive(Parser)]
#[command(name = "orderflow", version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or Ctrl-C. The default.
    Serve,
    /// Find due notifications, such as birthdays, until SIGTERM or Ctrl-C.
    Scheduler(scheduler::Options),
    /// Bring the schema of the database up to date.
    Migrate,
    /// Fill an empty database with example data.
    Seed {
        /// How many orders, 10,000,000 at most; products and customers in proportion.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        orders: u64,
    },
    /// Send notifications until SIGTERM or Ctrl-C, as a process of its own
    Worker {
        /// How many are sent at once, instead of worker.concurrency
        #[arg(long, value_name = "N")]
        concurrency: Option<String>,
    },
    /// List, retry or drop notifications that are not tried any more
    DeadLetters(dead_letters::Options),
    /// Ask a running service whether it is ready: status 0 if it is, else 1.
    Healthcheck {
        /// What to ask for, instead of /healthz/ready at the operators' listener of the configuration.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Print the description of the API (`OpenAPI` 3.1, JSON).
    Openapi,
    /// Show every setting, what it is, and where that comes from. Secrets are masked.
    Config(config::Options),
    /// Make an API key, and the lines of configuration that accept it.
    Key(key::Options),
}

#[derive(Args)]
struct Settings {
    /// Read settings from this file [default: orderflow.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any setting, such as `--set http.request_timeout=5s`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Address and port of the API
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port for operators
    #[arg(long, global = true, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`; others can see it: prefer `ORDERFLOW_DATABASE__URL`
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// What the command's own flag says about `worker.concurrency`.
    #[arg(skip)]
    concurrency: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("has no =; write it as http.listen=127.0.0.1:8081")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Settings {
    fn with(self, concurrency: Option<String>) -> Self {
        Self { concurrency, ..self }
    }

    fn load(self) -> Result<Loaded, Problems> {
        let plain = [
            ("--listen", "http.listen", self.listen),
            ("--ops-listen", "ops.listen", self.ops_listen),
            ("--database-url", "database.url", self.database_url),
            ("--concurrency", "worker.concurrency", self.concurrency),
        ];
        let mut flags: Vec<_> = self.set.into_iter().map(|(key, value)| Flag::set(key, value)).collect();
        flags.extend(plain.into_iter().filter_map(|(name, key, value)| {
            value.map(|value| Flag { name: name.to_owned(), key: key.to_owned(), value })
        }));
        Loaded::load(&Sources::of_process(self.config, flags))
    }
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    // Prints help and usage errors itself, with the statuses 0 and 2.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    match run(cli) {
        Ok(status) => status,
        // Whoever reads the output has enough of it: `orderflow openapi | head`.
        Err(error)
            if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "orderflow: {}", trouble::explain(&error));
            ExitCode::from(if error.is::<Problems>() { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(started(cli.settings)?),
        Command::Scheduler(options) => scheduler::run(started(cli.settings)?, &options),
        Command::Migrate => serve::once(started(cli.settings)?, |config, _| database::migrate(config)),
        Command::Seed { orders } => serve::once(started(cli.settings)?, |config, _| database::seed(config, orders)),
        Command::Worker { concurrency } => worker::run(started(cli.settings.with(concurrency))?),
        Command::DeadLetters(options) => {
            serve::once(started(cli.settings)?, |config, _| dead_letters::run(options, config))
        }
        Command::Healthcheck { url } => healthcheck::run(url.as_deref(), || Ok(cli.settings.load()?.config)),
        Command::Openapi => print(&format!("{}\n", orderflow::http::openapi().to_pretty_json()?)),
        Command::Config(options) => config::run(&options, || Ok(cli.settings.load()?)),
        Command::Key(options) => key::run(&options),
    }
}

/// A configuration, and what it says about logs and traces begun.
struct Started {
    config: Config,
    telemetry: Telemetry,
}

fn started(settings: Settings) -> Result<Started> {
    let config = settings.load()?.config;
    let telemetry = Telemetry::start(&config).context("cannot set up logs and traces")?;
    Ok(Started { config, telemetry })
}

/// Prints a command's answer.
fn print(text: &str) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
