//! What a PostgreSQL database suffers from: slow statements, indexes that are missing or for nothing, dead rows, locks, and
//! what is about to run out. It only reads, and each finding has its numbers and one advice.

mod analysis;
mod checks;
mod session;
mod show;
mod source;
mod statement;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::{analysis::Analysis, session::Session, source::Source};

/// Looks at a PostgreSQL database and says what ails it. Status 0 when nothing is worse than a note, 1 when something is, 2
/// when it could not look.
#[derive(Debug, Parser)]
#[command(name = "orderflow-analyze", bin_name = "cargo xtask db analyze")]
struct Options {
    /// The database: `postgres://USER@HOST/NAME`. Without it, what OrderFlow would take: the variable
    /// `ORDERFLOW_DATABASE__URL`, then orderflow.toml; there no password is in a list of processes
    #[arg(long)]
    url: Option<String>,
    /// The file that `database.url` is read from; without it, orderflow.toml if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// How many of the slowest statements are shown
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Seconds that a transaction may last before it is found to be long
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    older_than: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The findings, then the slowest statements.
    Human,
    /// The same, and the figures behind it.
    Json,
}

fn seconds(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|seconds| Duration::try_from_secs_f64(*seconds).is_ok());
    parsed.ok_or_else(|| "give it in seconds, 0 or more".into())
}

fn main() -> ExitCode {
    let options = Options::parse();
    let analysis = match analyse(&options) {
        Ok(analysis) => analysis,
        Err(error) => {
            eprintln!("error: {}", show::plain_lines(&format!("{error:#}")));
            return ExitCode::from(2);
        }
    };
    let text = match options.format {
        Format::Human => show::text(&analysis),
        Format::Json => serde_json::to_string_pretty(&analysis).expect("strings and finite numbers") + "\n",
    };
    // Who has stopped reading has what they wanted; the status says the rest.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    if analysis.troubled() { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn analyse(options: &Options) -> Result<Analysis> {
    let source = Source::find(options.url.as_deref(), options.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = Session::open(&source).await?;
        let analysis = checks::all(&mut session, options.top.into(), options.older_than).await;
        session.close().await;
        Ok(analysis?)
    })
}
