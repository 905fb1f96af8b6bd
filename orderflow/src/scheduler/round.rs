//! One look for what is due.

use std::time::Duration;

use time::Date;
use tracing::Instrument;

use super::{
    Chunk, Found, Lead, Progress, ScheduleError, Scheduler,
    days::{self, MonthDay},
};
use crate::{domain::Timestamp, jobs::Kind, step};

/// How many customers or orders one statement goes through: enough that a round trip does not matter, few enough that it is
/// far from any limit of time and holds up nobody.
const CHUNK: u32 = 2_000;
const DAY: Duration = Duration::from_hours(24);

pub(super) struct Round<'a> {
    pub(super) scheduler: &'a Scheduler,
    pub(super) lead: &'a mut dyn Lead,
    pub(super) now: Timestamp,
}

impl Round<'_> {
    /// Everything that is due.
    pub(super) async fn due(&mut self) -> Result<Found, ScheduleError> {
        self.still_leads().await?;
        let birthdays = self.birthdays().instrument(step!("find birthdays")).await?;
        Ok(Found { birthdays, reminders: self.reminders().instrument(step!("find reminders")).await? })
    }

    /// Day by day, those that were missed first. A day is recorded once it is done: who dies in the middle of one begins
    /// it again, and finds what is there already.
    async fn birthdays(&mut self) -> Result<u64, ScheduleError> {
        let Scheduler { store, offset, catch_up_days, .. } = self.scheduler;
        let today = days::of(self.now, *offset);
        let last = store.progress(Progress::Birthdays).await?;
        let last = last.and_then(days::from_number);
        if last.is_some_and(|last| days::beyond(last, today)) {
            tracing::warn!(?last, %today, "the last day that is done lies ahead: the clock was wrong; going on from today");
        }
        let mut enqueued = 0;
        for day in days::due(last, today, *catch_up_days) {
            enqueued += self.birthdays_of(day).await?;
            store.record(Progress::Birthdays, days::to_number(day)).await?;
        }
        Ok(enqueued)
    }

    pub(super) async fn birthdays_of(&mut self, day: Date) -> Result<u64, ScheduleError> {
        let mut enqueued = 0;
        for of in MonthDay::celebrated_on(day) {
            let mut after = 0;
            loop {
                self.still_leads().await?;
                let chunk = self.scheduler.store.birthdays(of, day.year(), after, CHUNK).await?;
                enqueued += self.counted(Kind::Birthday, chunk);
                match chunk.last {
                    Some(last) if chunk.more => after = last,
                    _ => break,
                }
            }
        }
        Ok(enqueued)
    }

    /// Order by order, in the sequence of their identifiers, each once. An identifier is given out before its order can be
    /// seen, so that of two orders the later may be seen first: only those are looked at that are so old that whatever
    /// began before them has ended.
    async fn reminders(&mut self) -> Result<u64, ScheduleError> {
        let Scheduler { store, catch_up_days, reminder_after, settled_after, .. } = self.scheduler;
        let latest = days::before(self.now, (*reminder_after).max(*settled_after));
        let earliest = days::before(self.now, *reminder_after + DAY * (*catch_up_days).max(1));
        let mut after = match store.progress(Progress::Reminders).await? {
            Some(last) => last,
            None => self.first_start().await?,
        };
        let mut enqueued = 0;
        loop {
            self.still_leads().await?;
            let chunk = store.reminders(after, earliest, latest, CHUNK).await?;
            enqueued += self.counted(Kind::Reminder, chunk);
            let Some(last) = chunk.last else { break };
            store.record(Progress::Reminders, last).await?;
            if !chunk.more {
                break;
            }
            after = last;
        }
        Ok(enqueued)
    }

    /// The last order that the first start passes over: it begins with what becomes due today, as the birthdays do.
    async fn first_start(&mut self) -> Result<i64, ScheduleError> {
        let Scheduler { store, offset, reminder_after, .. } = self.scheduler;
        let today = days::begin(days::of(self.now, *offset), *offset);
        let last = store.last_order_before(days::before(today, *reminder_after)).await?;
        store.record(Progress::Reminders, last).await?;
        Ok(last)
    }

    async fn still_leads(&mut self) -> Result<(), ScheduleError> {
        if self.lead.held().await { Ok(()) } else { Err(ScheduleError::Deposed) }
    }

    fn counted(&self, kind: Kind, chunk: Chunk) -> u64 {
        self.scheduler.metrics.jobs_enqueued.get_or_create(&[("kind", kind.as_str())]).inc_by(chunk.enqueued);
        chunk.enqueued
    }
}
