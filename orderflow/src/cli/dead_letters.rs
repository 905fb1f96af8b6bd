//! `orderflow dead-letters`: what is not tried any more, and what is to become of it.

use std::{fmt::Write, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

use orderflow::{
    config::Config,
    jobs::{DeadLetter, NotificationId, SharedJobs},
    store::{self, Backend},
};

/// How many are read at once.
const PAGE: u32 = 500;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show them, oldest first
    List {
        /// As a table, or as JSON, an object a line
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Try them again from the beginning
    Retry(Which),
    /// Give them up for good
    Drop(Which),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The numbers that `list` shows
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    /// All of them
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) async fn run(options: Options, config: Config) -> Result<ExitCode> {
    let named = || super::database::named(&config.database_shown());
    store::migrate(&config.database, &config.data_dir).await.with_context(named)?;
    let backend = Backend::connect(&config.database, &config.data_dir).await.with_context(named)?;
    let text = answer(options.command, &backend.jobs()).await.with_context(named);
    backend.store().close().await;
    super::print(&text?)
}

async fn answer(command: Command, jobs: &SharedJobs) -> Result<String> {
    let (how, count, asked) = match command {
        Command::List { format } => return list(jobs, format).await,
        Command::Retry(which) => {
            let ids = which.ids();
            ("will be tried again", jobs.retry_dead(ids.as_deref()).await?, ids)
        }
        Command::Drop(which) => {
            let ids = which.ids();
            ("will not be tried any more", jobs.drop_dead(ids.as_deref()).await?, ids)
        }
    };
    let mut text = match count {
        0 => "no dead letter was found\n".to_owned(),
        1 => format!("1 notification {how}\n"),
        count => format!("{count} notifications {how}\n"),
    };
    let missing = asked.map_or(0, |ids| ids.len() as u64).saturating_sub(count);
    if missing > 0 && count > 0 {
        let _ = writeln!(text, "{missing} of those named are no dead letters");
    }
    Ok(text)
}

impl Which {
    /// The named ones, each once; `None` means all.
    fn ids(self) -> Option<Vec<NotificationId>> {
        let mut ids: Vec<_> = self.ids.into_iter().map(NotificationId).collect();
        ids.sort_unstable();
        ids.dedup();
        (!self.all).then_some(ids)
    }
}

async fn list(jobs: &SharedJobs, format: Format) -> Result<String> {
    let mut letters = Vec::new();
    loop {
        let page = jobs.dead_letters(letters.last().map(|letter: &DeadLetter| letter.id), PAGE).await?;
        let more = page.len() == PAGE as usize;
        letters.extend(page);
        if !more {
            break;
        }
    }
    Ok(match format {
        Format::Json => letters.iter().map(json).collect(),
        Format::Table if letters.is_empty() => "there are no dead letters\n".to_owned(),
        Format::Table => table(&letters),
    })
}

fn json(letter: &DeadLetter) -> String {
    let DeadLetter { id, customer_id, occasion, error, attempts, died_at } = letter;
    let object = serde_json::json!({
        "id": id.0, "customer_id": customer_id, "occasion": occasion, "attempts": attempts, "died_at": died_at, "error": error,
    });
    format!("{object}\n")
}

fn table(letters: &[DeadLetter]) -> String {
    let heads = ["ID", "CUSTOMER", "OCCASION", "ATTEMPTS", "GIVEN UP"].map(str::to_owned);
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            let DeadLetter { id, customer_id, occasion, attempts, died_at, .. } = letter;
            let died_at = serde_json::to_value(died_at).ok();
            let died_at =
                died_at.as_ref().and_then(|moment| moment.as_str()?.get(..19)).unwrap_or("?").replace('T', " ");
            [id.0.to_string(), customer_id.to_string(), occasion.clone(), attempts.to_string(), died_at]
        })
        .collect();
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let errors = letters.iter().map(|letter| letter.error.as_str());
    let mut text = String::new();
    for (row, error) in [&heads].into_iter().chain(&rows).zip(["WHY"].into_iter().chain(errors)) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{error}");
    }
    text
}
