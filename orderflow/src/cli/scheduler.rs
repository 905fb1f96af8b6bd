//! `orderflow scheduler`: finds due notifications, in a process of its own.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use clap::Args;
use time::{Date, macros::format_description};

use orderflow::{
    config::Config,
    domain::Timestamp,
    scheduler::{self, Found, Scheduler},
    server,
    store::{self, Backend},
    telemetry::Telemetry,
};

use super::Started;

#[derive(Args)]
pub(super) struct Options {
    /// Find what is due now, and end
    #[arg(long)]
    once: bool,
    /// Find the birthdays of this day instead, whatever was done before: the notifications are real, and nothing else is
    /// recorded
    #[arg(long, requires = "once", value_name = "YYYY-MM-DD", value_parser = date)]
    date: Option<Date>,
}

fn date(text: &str) -> Result<Date, &'static str> {
    let wrong = |_| "must be a day of the calendar, such as 2028-02-29";
    Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(wrong)
}

pub(super) fn run(started: Started, options: &Options) -> Result<ExitCode> {
    if options.once {
        return super::serve::once(started, |config, telemetry| once(config, telemetry, options.date));
    }
    super::serve::until_told(started, |config, telemetry, shutdown| {
        let start = |bench: server::Bench<'_>| {
            scheduler::begin(bench.config, bench.backend, bench.metrics, bench.background)?;
            Ok(format!("scheduler  looks every {:?}", bench.config.scheduler.interval))
        };
        server::work(config, telemetry, start, shutdown)
    })
}

async fn once(config: Config, telemetry: Telemetry, date: Option<Date>) -> Result<ExitCode> {
    let shown = super::database::named(&config.database_shown());
    let Found { birthdays, reminders } = look(&config, telemetry, date).await.context(shown)?;
    super::print(&format!("{birthdays} birthdays and {reminders} reminders were found\n"))
}

async fn look(config: &Config, telemetry: Telemetry, date: Option<Date>) -> Result<Found> {
    let (database, data_dir) = (&config.database, config.data_dir.as_path());
    store::migrate(database, data_dir).await?;
    let backend = Backend::connect(database, data_dir).await?;
    backend.count_in(&telemetry);
    let schedule = backend.schedule(database, data_dir)?;
    let scheduler = Scheduler::new(schedule, config, telemetry.metrics, Arc::new(Timestamp::now));
    let found = match date {
        Some(date) => scheduler.rehearse(date).await,
        None => scheduler.once().await,
    };
    backend.store().close().await;
    Ok(found?)
}
