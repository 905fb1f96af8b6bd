//! The table of notifications in memory, which does what [`JobStore`] says and can be looked into.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use orderflow::{
    domain::{CustomerId, Timestamp},
    jobs::{Backlog, Claim, Claimed, DeadLetter, Due, JobStore, Kind, NotificationId, OFFERED, Outcome, Settled},
    store::Result,
    telemetry::TraceContext,
};
use tokio::time::Instant;

#[derive(Default)]
pub(crate) struct Table {
    rows: Mutex<BTreeMap<i64, Row>>,
}

struct Row {
    attempts: u32,
    claim: Option<i64>,
    due: Timestamp,
    published: Option<Instant>,
    sent: bool,
    trace: Option<TraceContext>,
}

impl Table {
    /// With so many notifications that are due.
    pub(crate) fn of(count: i64) -> Self {
        let table = Self::default();
        table.add(1..=count);
        table
    }

    pub(crate) fn add(&self, ids: impl IntoIterator<Item = i64>) {
        let due = Timestamp::now();
        let row = |id| (id, Row { attempts: 0, claim: None, due, published: None, sent: false, trace: None });
        self.rows().extend(ids.into_iter().map(row));
    }

    /// Says which trace one is a part of.
    pub(crate) fn trace(&self, id: i64, trace: TraceContext) {
        self.rows().get_mut(&id).expect("it is there").trace = Some(trace);
    }

    /// Leaves all of them without a trace.
    pub(crate) fn forget_traces(&self) {
        self.rows().values_mut().for_each(|row| row.trace = None);
    }

    /// How many are not sent.
    pub(crate) fn unsent(&self) -> usize {
        self.rows().values().filter(|row| !row.sent).count()
    }

    /// How many a worker has.
    pub(crate) fn claimed(&self) -> usize {
        self.rows().values().filter(|row| row.claim.is_some()).count()
    }

    pub(crate) fn len(&self) -> i64 {
        i64::try_from(self.rows().len()).unwrap()
    }

    fn mark(&self, ids: &[NotificationId], at: Option<Instant>) {
        let (mut rows, now) = (self.rows(), Timestamp::now());
        for id in ids {
            if let Some(row) = rows.get_mut(&id.0).filter(|row| !row.sent && row.due <= now) {
                row.published = at;
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<i64, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl JobStore for Table {
    async fn claim_one(&self, id: NotificationId, lease: Duration) -> Result<Claim> {
        let (mut rows, now) = (self.rows(), Timestamp::now());
        let Some(row) = rows.get_mut(&id.0).filter(|row| !row.sent) else { return Ok(Claim::Done) };
        if row.due > now {
            return Ok(Claim::Later);
        }
        let maybe_sent = row.claim.is_some();
        row.attempts += 1;
        let over = Timestamp::from(now.get() + lease);
        (row.claim, row.due, row.published) = (Some(i64::from(row.attempts)), over, None);
        Ok(Claim::Taken(Box::new(Claimed {
            id,
            claim: i64::from(row.attempts),
            customer_id: CustomerId::try_from(1).unwrap(),
            customer: None,
            occasion: format!("order:{}", id.0),
            kind: Kind::Order,
            payload: serde_json::Value::Null,
            attempt: row.attempts,
            maybe_sent,
            trace: row.trace,
        })))
    }

    async fn settle(&self, settled: &[Settled]) -> Result<Vec<NotificationId>> {
        let mut rows = self.rows();
        let mut recorded = vec![];
        for Settled { id, claim, outcome } in settled {
            let Some(row) = rows.get_mut(&id.0).filter(|row| row.claim == Some(*claim)) else { continue };
            row.claim = None;
            match outcome {
                Outcome::Sent => row.sent = true,
                Outcome::Retry(wait) => row.due = Timestamp::from(Timestamp::now().get() + *wait),
                _ => panic!("no test here gives up"),
            }
            recorded.push(*id);
        }
        Ok(recorded)
    }

    async fn unpublished(&self, most: u32, republish: Duration) -> Result<Vec<Due>> {
        let (mut rows, now) = (self.rows(), Timestamp::now());
        let free = |row: &Row| row.published.is_none_or(|at| at.elapsed() >= republish);
        let due = rows.iter_mut().filter(|(_, row)| !row.sent && row.due <= now && free(row));
        let given = due.take(most as usize).map(|(id, row)| {
            row.published = Instant::now().checked_sub(republish.saturating_sub(OFFERED));
            Due { id: NotificationId(*id), trace: row.trace }
        });
        Ok(given.collect())
    }

    async fn published(&self, ids: &[NotificationId]) -> Result<()> {
        self.mark(ids, Some(Instant::now()));
        Ok(())
    }

    async fn unconfirmed(&self, ids: &[NotificationId]) -> Result<()> {
        self.mark(ids, None);
        Ok(())
    }

    async fn relay(&self, _most: u32) -> Result<Vec<Option<TraceContext>>> {
        unreachable!("no part of the broker relays")
    }

    async fn claim(&self, _most: u32, _lease: Duration) -> Result<Vec<Claimed>> {
        unreachable!("nothing goes around the broker")
    }

    async fn backlog(&self) -> Result<Backlog> {
        unreachable!("no part of the broker counts")
    }

    async fn dead_letters(&self, _after: Option<NotificationId>, _most: u32) -> Result<Vec<DeadLetter>> {
        unreachable!("no part of the broker looks at dead letters")
    }

    async fn retry_dead(&self, _ids: Option<&[NotificationId]>) -> Result<u64> {
        unreachable!("no part of the broker looks at dead letters")
    }

    async fn drop_dead(&self, _ids: Option<&[NotificationId]>) -> Result<u64> {
        unreachable!("no part of the broker looks at dead letters")
    }

    async fn forget_published(&self, _older: Duration, _most: u32) -> Result<u64> {
        unreachable!("no part of the broker tidies up")
    }
}
