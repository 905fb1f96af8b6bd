//! `orderflow migrate` and `orderflow seed`: what is done to a database outside the service.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};

use orderflow::{
    config::Config,
    store::{
        self,
        seed::{self, Plan, Progress},
    },
};

/// Does every migration that is left to do.
pub(super) async fn migrate(config: Config) -> Result<ExitCode> {
    let shown = config.database_shown();
    let done = store::migrate(&config.database, &config.data_dir).await.with_context(|| named(&shown))?;
    super::print(&match done {
        0 => format!("{shown} was up to date\n"),
        1 => format!("{shown} is up to date; one migration was done\n"),
        count => format!("{shown} is up to date; {count} migrations were done\n"),
    })
}

/// Fills an empty database.
pub(super) async fn seed(config: Config, orders: u64) -> Result<ExitCode> {
    let shown = config.database_shown();
    let mut meter = Meter { on: io::stderr().is_terminal(), last: None };
    let seeded = seed::seed(&config.database, &config.data_dir, Plan { orders }, &mut |at| meter.show(at)).await;
    meter.clear();
    let seeded = seeded.with_context(|| named(&shown))?;
    super::print(&format!(
        "{shown} has {} products, {} customers and {} orders of {} lines\n",
        seeded.products, seeded.customers, seeded.orders, seeded.items
    ))
}

/// What an error of the database is headed with.
pub(super) fn named(shown: &str) -> String {
    format!("the database is {shown}")
}

/// How far it is, for whoever watches.
struct Meter {
    on: bool,
    last: Option<u64>,
}

impl Meter {
    fn show(&mut self, at: Progress) {
        let percent = at.done * 100 / at.of.max(1);
        if self.on && self.last.replace(percent) != Some(percent) {
            let _ = write!(io::stderr(), "\r{percent:3} %");
        }
    }

    fn clear(&self) {
        if self.last.is_some() {
            let _ = write!(io::stderr(), "\r     \r");
        }
    }
}
