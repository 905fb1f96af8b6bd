//! What finds due notifications: the birthdays of a day, and reminders of orders that nobody has paid.
//!
//! Of all processes that run a scheduler one works and the others stand by, so that the work is not done twice. Nothing
//! depends on that, however: a notification is one row a customer and occasion, so that two that work at once, or one that
//! starts over after a crash, find what is there already and leave it.

mod days;
mod round;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use time::{Date, UtcOffset};
use tracing::{Instrument, Span};

pub use days::MonthDay;

use crate::{
    background::{Background, Stop},
    config::Config,
    domain::Timestamp,
    jobs::{Traces, traced::Own},
    metrics::Metrics,
    store::{Backend, ConnectError, Result, StoreError},
    telemetry::span,
};
use round::Round;

/// How soon one that stands by asks again whether it may work, at the earliest.
const STAND_BY: Duration = Duration::from_secs(1);
/// How much longer than a statement may run a transaction may stay unseen, clocks that differ included.
const SLACK: Duration = Duration::from_secs(10);

/// What the scheduler keeps in the database, and does there.
#[async_trait]
pub trait ScheduleStore: Send + Sync + 'static {
    /// Becomes the one that works; `None` if another is. It ends when the lead is dropped or its process dies, and when
    /// nobody has asked for so long whether it is [held](Lead::held): then the process hangs, and another should work.
    async fn lead(&self, silence: Duration) -> Result<Option<Box<dyn Lead>>>;

    /// How far this was done; `None` at the very first.
    async fn progress(&self, of: Progress) -> Result<Option<i64>>;

    /// Records how far this is done.
    async fn record(&self, of: Progress, value: i64) -> Result<()>;

    /// Makes notifications of birthdays of up to so many customers with an identifier above `after`, lowest first. One
    /// statement or transaction.
    async fn birthdays(&self, of: MonthDay, year: i32, after: i64, most: u32) -> Result<Chunk>;

    /// The last order that was placed before that moment, or 0.
    async fn last_order_before(&self, moment: Timestamp) -> Result<i64>;

    /// Makes reminders of up to so many pending orders with an identifier above `after`, lowest first, up to the first that
    /// was placed after `latest`. Those that were placed before `earliest` are passed over. One statement or transaction.
    async fn reminders(&self, after: i64, earliest: Timestamp, latest: Timestamp, most: u32) -> Result<Chunk>;
}

/// A schedule that several tasks share.
pub type SharedSchedule = Arc<dyn ScheduleStore>;

/// Being the one scheduler that works.
#[async_trait]
pub trait Lead: Send {
    /// Whether it still is. Bounded in time.
    async fn held(&mut self) -> bool;
}

/// What progress is kept of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The last day whose birthdays are done, as 20260131.
    Birthdays,
    /// The last order that was looked at.
    Reminders,
}

impl Progress {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Birthdays => "birthdays",
            Self::Reminders => "reminders",
        }
    }
}

/// What one statement has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunk {
    /// How many notifications it has made. Those that were there already do not count.
    pub enqueued: u64,
    /// The last customer or order that is done with; `None` if there was none.
    pub last: Option<i64>,
    /// Whether there may be more.
    pub more: bool,
}

/// How many notifications were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Birthdays.
    pub birthdays: u64,
    /// Reminders.
    pub reminders: u64,
}

/// Why a scheduler has not found everything that is due.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Another process may be working instead.
    #[error("this process is not the scheduler any more")]
    Deposed,
    /// The database has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Finds what is due.
pub struct Scheduler {
    store: SharedSchedule,
    metrics: Metrics,
    traces: Traces,
    clock: Clock,
    interval: Duration,
    silence: Duration,
    offset: UtcOffset,
    catch_up_days: u32,
    reminder_after: Duration,
    settled_after: Duration,
}

impl Scheduler {
    /// One that is configured so and goes by this clock.
    pub fn new(store: SharedSchedule, config: &Config, metrics: Metrics, clock: Clock) -> Self {
        let (scheduler, database) = (&config.scheduler, &config.database);
        let statement = database.statement_timeout;
        Self {
            store,
            traces: Traces::new(&config.telemetry, &metrics),
            metrics,
            clock,
            interval: scheduler.interval,
            // It is asked at every look, and after every two statements and their waits for a connection.
            silence: 2 * (scheduler.interval + statement + 2 * database.acquire_timeout) + SLACK,
            offset: scheduler.utc_offset,
            catch_up_days: scheduler.catch_up_days,
            reminder_after: scheduler.reminder_after,
            settled_after: statement + SLACK,
        }
    }

    /// Works, or stands by while another does, until it is time to stop.
    pub async fn run(&self, mut stop: Stop) {
        loop {
            let lead = tokio::select! {
                biased;
                () = stop.wait() => return,
                lead = self.store.lead(self.silence) => lead,
            };
            match lead {
                Ok(Some(lead)) => self.work(lead, &mut stop).await,
                Ok(None) => tracing::debug!("another process is the scheduler"),
                Err(error) => tracing::warn!(%error, "whether this process is the scheduler cannot be found out"),
            }
            if stop.sleep(self.interval.max(STAND_BY)).await {
                return;
            }
        }
    }

    /// Finds everything that is due now, whether or not another does the same.
    ///
    /// # Errors
    /// When the database fails. What was found until then is kept, and the next time goes on from there.
    pub async fn once(&self) -> Result<Found, ScheduleError> {
        self.round(&mut Alone).due().await
    }

    /// Finds the birthdays of one day, whatever was done before, and leaves the record of what was done as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rehearse(&self, day: Date) -> Result<Found, ScheduleError> {
        Ok(Found { birthdays: self.round(&mut Alone).birthdays_of(day).await?, reminders: 0 })
    }

    async fn work(&self, mut lead: Box<dyn Lead>, stop: &mut Stop) {
        tracing::info!("this process is the scheduler now");
        let _leading = Leading::begin(&self.metrics);
        loop {
            let (work, span) = self.traces.own(Own::Look, "look for what is due", true);
            // Stopping may abandon a round at any await: what it began in the database ends there, and is recorded or not.
            let round = work.scope(self.look(&mut *lead).instrument(span));
            tokio::select! {
                biased;
                () = stop.wait() => return,
                leads = round => if !leads { return },
            }
            if stop.sleep(self.interval).await {
                return;
            }
        }
    }

    /// Finds what is due, and says so. False if another is the scheduler now.
    async fn look(&self, lead: &mut dyn Lead) -> bool {
        match self.round(lead).due().await {
            Ok(Found { birthdays: 0, reminders: 0 }) => {}
            Ok(Found { birthdays, reminders }) => tracing::info!(birthdays, reminders, "found due notifications"),
            Err(ScheduleError::Deposed) => {
                tracing::warn!("this process is not the scheduler any more");
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, "due notifications cannot be found; trying again");
                span::failed(&Span::current());
            }
        }
        true
    }

    fn round<'a>(&'a self, lead: &'a mut dyn Lead) -> Round<'a> {
        Round { scheduler: self, lead, now: (self.clock)() }
    }
}

/// Begins to find what is due in this database, by the system's clock.
///
/// # Errors
/// When `database.direct_url` cannot be read.
pub fn begin(
    config: &Config,
    backend: &Backend,
    metrics: &Metrics,
    background: &mut Background,
) -> Result<(), ConnectError> {
    let schedule = backend.schedule(&config.database, &config.data_dir)?;
    let scheduler = Scheduler::new(schedule, config, metrics.clone(), Arc::new(Timestamp::now));
    background.spawn(|stop| async move { scheduler.run(stop).await });
    Ok(())
}

/// Who does not ask whether another works.
struct Alone;

#[async_trait]
impl Lead for Alone {
    async fn held(&mut self) -> bool {
        true
    }
}

/// Shows that this process is the one that works, for as long as it is.
struct Leading(Metrics);

impl Leading {
    fn begin(metrics: &Metrics) -> Self {
        metrics.scheduler_leader.set(1);
        Self(metrics.clone())
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.scheduler_leader.set(0);
    }
}
