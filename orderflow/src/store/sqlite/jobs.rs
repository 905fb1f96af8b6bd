//! Notifications in a SQLite file. Only one transaction writes at a time, so that workers cannot get into each other's way.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Lease, SqliteStore,
    connect::Write,
    rows::{Asked, execute, fetch, list, moment},
};
use crate::{
    domain::{CustomerId, Timestamp},
    jobs::{Backlog, Claim, Claimed, DeadLetter, Due, JobStore, NotificationId, OFFERED, Settled, fencing},
    store::{
        Result, StoreError,
        decode::{kind, payload, trace, valid},
        statement::{Statement, query},
    },
    telemetry::TraceContext,
};

const UNPUBLISHED: Statement =
    Statement::new("relay", "SELECT id, trace FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1");
const MAKE: Statement = Statement::new(
    "notify",
    "INSERT INTO notifications (customer_id, occasion, kind, payload, trace, due_at, created_at) \
     SELECT payload ->> 'customer_id', 'order:' || (payload ->> 'order_id'), 'order', payload, trace, $2, $2 \
     FROM outbox WHERE id IN (SELECT value FROM json_each($1)) AND kind = 'order.placed' ORDER BY id \
     ON CONFLICT (customer_id, occasion) DO NOTHING",
);
const MARK: Statement =
    Statement::new("mark relayed", "UPDATE outbox SET published_at = $2 WHERE id IN (SELECT value FROM json_each($1))");

const DUE: Statement = Statement::new(
    "claim",
    "SELECT id FROM notifications WHERE state = 'queued' AND due_at <= $2 ORDER BY due_at, id LIMIT $1",
);
const DUE_ONE: Statement =
    Statement::new("claim one", "SELECT id FROM notifications WHERE id = $1 AND state = 'queued' AND due_at <= $2");
const CLAIMED: Statement = Statement::new(
    "claimed",
    "SELECT n.id, n.customer_id, n.occasion, n.kind, n.payload, n.attempts + 1, \
            n.claim IS NOT NULL, c.name, c.email, n.trace \
     FROM notifications n LEFT JOIN customers c ON c.id = n.customer_id AND c.deleted_at IS NULL \
     WHERE n.id IN (SELECT value FROM json_each($1)) ORDER BY n.due_at, n.id",
);
const TAKE: Statement = Statement::new(
    "take",
    "UPDATE notifications SET claim = $2, attempts = attempts + 1, published_at = NULL, due_at = $3 \
     WHERE id IN (SELECT value FROM json_each($1))",
);
const WAITS: Statement = Statement::new("waits", "SELECT state = 'queued' FROM notifications WHERE id = $1");

// One parameter holds every outcome: [[id, claim, state, due_at, error, unused], ...].
const SETTLE: Statement = Statement::new(
    "settle",
    "UPDATE notifications \
     SET state = said.state, claim = NULL, attempts = attempts - said.unused, \
         due_at = CASE said.state WHEN 'queued' THEN said.due_at ELSE notifications.due_at END, \
         sent_at = CASE said.state WHEN 'sent' THEN $2 END \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS claim, value ->> 2 AS state, value ->> 3 AS due_at, \
                  value ->> 5 AS unused FROM json_each($1)) AS said \
     WHERE notifications.id = said.id AND notifications.claim = said.claim \
       AND notifications.state = 'queued' \
     RETURNING id",
);
const BURY: Statement = Statement::new(
    "bury",
    "INSERT INTO dead_letters (notification_id, error, attempts, died_at) \
     SELECT n.id, said.value ->> 4, n.attempts, $3 \
     FROM json_each($1) AS said JOIN notifications n ON n.id = said.value ->> 0 \
     WHERE n.state = 'dead' AND n.id IN (SELECT value FROM json_each($2))",
);

const TO_PUBLISH: Statement = Statement::new(
    "unpublished",
    "SELECT id, trace FROM notifications WHERE state = 'queued' AND due_at <= $2 \
     AND (published_at IS NULL OR published_at < $3) ORDER BY due_at, id LIMIT $1",
);
const PUBLISHED: Statement = Statement::new(
    "published",
    "UPDATE notifications SET published_at = $3 \
     WHERE id IN (SELECT value FROM json_each($1)) AND state = 'queued' AND due_at <= $2",
);

const BACKLOG: Statement = Statement::new(
    "backlog",
    "SELECT (SELECT count(*) FROM notifications WHERE state = 'queued'), \
     (SELECT count(*) FROM dead_letters)",
);
const DEAD_LETTERS: Statement = Statement::new(
    "dead letters",
    "SELECT d.notification_id, n.customer_id, n.occasion, d.error, d.attempts, d.died_at \
     FROM dead_letters d JOIN notifications n ON n.id = d.notification_id \
     WHERE d.notification_id > $1 ORDER BY d.notification_id LIMIT $2",
);
const DIG_UP: Statement = Statement::new(
    "dig up",
    "DELETE FROM dead_letters \
     WHERE $1 IS NULL OR notification_id IN (SELECT value FROM json_each($1)) \
     RETURNING notification_id",
);
const RETRY: Statement = Statement::new(
    "retry dead",
    "UPDATE notifications SET state = 'queued', attempts = 0, due_at = $2, published_at = NULL \
     WHERE id IN (SELECT value FROM json_each($1))",
);
const DROP: Statement = Statement::new(
    "drop dead",
    "UPDATE notifications SET state = 'dropped' WHERE id IN (SELECT value FROM json_each($1))",
);

/// Only the oldest rows are looked at, so that the look is short when none of them is old enough.
const FORGET: Statement = Statement::new(
    "forget",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id, published_at FROM outbox ORDER BY id \
     LIMIT $2) WHERE published_at < $1) RETURNING id",
);

/// The statements of a worker that look for rows, by name, for whoever wants to know how they are executed.
pub const JOB_STATEMENTS: [(&str, &str); 6] =
    [UNPUBLISHED.named(), DUE.named(), DUE_ONE.named(), SETTLE.named(), TO_PUBLISH.named(), FORGET.named()];

/// The moment so long from now.
fn later(wait: Duration) -> i64 {
    Timestamp::now().micros().saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

/// The moment so long before now.
fn ago(age: Duration) -> i64 {
    Timestamp::now().micros().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

fn ids(rows: &[SqliteRow]) -> Result<Vec<i64>> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn numbers(ids: &[NotificationId]) -> String {
    list(ids.iter().map(|id| id.0))
}

struct Relay(u32);

impl Write for Relay {
    type Answer = Vec<Option<TraceContext>>;

    async fn make(&self, lease: &mut Lease) -> Result<Self::Answer> {
        let rows = fetch(lease, query(UNPUBLISHED).bind(i64::from(self.0))).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, now) = (list(ids(&rows)?.into_iter()), Timestamp::now().micros());
        execute(lease, query(MAKE).bind(batch.as_str()).bind(now)).await?;
        execute(lease, query(MARK).bind(batch.as_str()).bind(now)).await?;
        rows.iter().map(|row| Ok(trace(row.try_get(1)?))).collect()
    }
}

/// Which notifications to take.
#[derive(Clone, Copy)]
enum Which {
    Due(u32),
    One(NotificationId),
}

struct Take {
    which: Which,
    lease: Duration,
}

impl Write for Take {
    type Answer = Vec<Claimed>;

    async fn make(&self, lease: &mut Lease) -> Result<Vec<Claimed>> {
        let found = match self.which {
            Which::Due(most) => query(DUE).bind(i64::from(most)),
            Which::One(id) => query(DUE_ONE).bind(id.0),
        };
        let found = ids(&fetch(lease, found.bind(Timestamp::now().micros())).await?)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let (found, claim) = (list(found.into_iter()), fencing());
        let rows = fetch(lease, query(CLAIMED).bind(found.as_str())).await?;
        let claimed = rows.iter().map(|row| claimed(row, claim)).collect::<Result<_>>()?;
        execute(lease, query(TAKE).bind(found.as_str()).bind(claim).bind(later(self.lease))).await?;
        Ok(claimed)
    }
}

fn claimed(row: &SqliteRow, claim: i64) -> Result<Claimed> {
    let name: Option<String> = row.try_get(7)?;
    Ok(Claimed {
        id: NotificationId(row.try_get(0)?),
        claim,
        customer_id: valid::<CustomerId, i64>(row.try_get(1)?, "customer id")?,
        customer: name.zip(row.try_get(8)?),
        occasion: row.try_get(2)?,
        kind: kind(row.try_get(3)?)?,
        payload: payload(row.try_get(4)?)?,
        attempt: valid(row.try_get::<i64, _>(5)?, "number of attempts")?,
        maybe_sent: row.try_get(6)?,
        trace: trace(row.try_get(9)?),
    })
}

struct Settle(Vec<Settled>);

impl Write for Settle {
    type Answer = Vec<NotificationId>;

    async fn make(&self, lease: &mut Lease) -> Result<Vec<NotificationId>> {
        let said: Vec<_> = (self.0.iter())
            .map(|Settled { id, claim, outcome }| {
                (id.0, claim, outcome.state(), later(outcome.wait()), outcome.error(), u8::from(outcome.unused()))
            })
            .collect();
        let said =
            serde_json::to_string(&said).map_err(|error| StoreError::Internal(sqlx::Error::Encode(error.into())))?;
        let now = Timestamp::now().micros();
        let done = ids(&fetch(lease, query(SETTLE).bind(said.as_str()).bind(now)).await?)?;
        if self.0.iter().any(|settled| settled.outcome.error().is_some()) {
            let these = list(done.iter().copied());
            execute(lease, query(BURY).bind(said.as_str()).bind(these).bind(now)).await?;
        }
        Ok(done.into_iter().map(NotificationId).collect())
    }
}

/// Gives out what a broker should be given.
struct Give {
    most: u32,
    republish: Duration,
}

impl Write for Give {
    type Answer = Vec<Due>;

    async fn make(&self, lease: &mut Lease) -> Result<Vec<Due>> {
        let found = fetch(lease, to_publish(self.most, self.republish)).await?;
        let due = |row: &SqliteRow| Ok(Due { id: NotificationId(row.try_get(0)?), trace: trace(row.try_get(1)?) });
        let found: Vec<_> = found.iter().map(due).collect::<Result<_>>()?;
        let which = found.iter().map(|due| due.id).collect();
        // As if they had been published so long ago that the mark will soon be too old.
        Mark { which, at: Some(ago(self.republish.saturating_sub(OFFERED))) }.make(lease).await?;
        Ok(found)
    }
}

fn to_publish(most: u32, republish: Duration) -> Asked {
    query(TO_PUBLISH).bind(i64::from(most)).bind(Timestamp::now().micros()).bind(ago(republish))
}

/// Marks what a broker has, or may not have.
struct Mark {
    which: Vec<NotificationId>,
    at: Option<i64>,
}

impl Write for Mark {
    type Answer = ();

    async fn make(&self, lease: &mut Lease) -> Result<()> {
        let these = query(PUBLISHED).bind(numbers(&self.which));
        execute(lease, these.bind(Timestamp::now().micros()).bind(self.at)).await
    }
}

/// Ends dead letters: those that are named, or all of them.
struct DigUp {
    which: Option<Vec<NotificationId>>,
    retry: bool,
}

impl Write for DigUp {
    type Answer = u64;

    async fn make(&self, lease: &mut Lease) -> Result<u64> {
        let found = ids(&fetch(lease, query(DIG_UP).bind(self.which.as_deref().map(numbers))).await?)?;
        let these = list(found.iter().copied());
        let end =
            if self.retry { query(RETRY).bind(these).bind(Timestamp::now().micros()) } else { query(DROP).bind(these) };
        execute(lease, end).await?;
        Ok(found.len() as u64)
    }
}

struct Forget {
    older: Duration,
    most: u32,
}

impl Write for Forget {
    type Answer = u64;

    async fn make(&self, lease: &mut Lease) -> Result<u64> {
        Ok(fetch(lease, query(FORGET).bind(ago(self.older)).bind(i64::from(self.most))).await?.len() as u64)
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn relay(&self, most: u32) -> Result<Vec<Option<TraceContext>>> {
        self.write(Relay(most)).await
    }

    async fn claim(&self, most: u32, lease: Duration) -> Result<Vec<Claimed>> {
        self.write(Take { which: Which::Due(most), lease }).await
    }

    async fn claim_one(&self, id: NotificationId, lease: Duration) -> Result<Claim> {
        if let Some(claimed) = self.write(Take { which: Which::One(id), lease }).await?.pop() {
            return Ok(Claim::Taken(Box::new(claimed)));
        }
        let rows = fetch(&mut self.readers.acquire().await?, query(WAITS).bind(id.0)).await?;
        let waits = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        Ok(if waits { Claim::Later } else { Claim::Done })
    }

    async fn settle(&self, settled: &[Settled]) -> Result<Vec<NotificationId>> {
        self.write(Settle(settled.to_vec())).await
    }

    async fn unpublished(&self, most: u32, republish: Duration) -> Result<Vec<Due>> {
        // The writer is not kept from its work as long as there is nothing.
        let look = fetch(&mut self.readers.acquire().await?, to_publish(1, republish)).await?;
        if look.is_empty() { Ok(Vec::new()) } else { self.write(Give { most, republish }).await }
    }

    async fn published(&self, ids: &[NotificationId]) -> Result<()> {
        self.write(Mark { which: ids.to_vec(), at: Some(Timestamp::now().micros()) }).await
    }

    async fn unconfirmed(&self, ids: &[NotificationId]) -> Result<()> {
        self.write(Mark { which: ids.to_vec(), at: None }).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        let rows = fetch(&mut self.readers.acquire().await?, query(BACKLOG)).await?;
        let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
        let count = |column| valid(row.try_get::<i64, _>(column)?, "count");
        Ok(Backlog { queued: count(0)?, dead: count(1)? })
    }

    async fn dead_letters(&self, after: Option<NotificationId>, most: u32) -> Result<Vec<DeadLetter>> {
        let after = after.map_or(0, |id| id.0);
        let query = query(DEAD_LETTERS).bind(after).bind(i64::from(most));
        let letter = |row: &SqliteRow| {
            Ok(DeadLetter {
                id: NotificationId(row.try_get(0)?),
                customer_id: valid(row.try_get::<i64, _>(1)?, "customer id")?,
                occasion: row.try_get(2)?,
                error: row.try_get(3)?,
                attempts: valid(row.try_get::<i64, _>(4)?, "number of attempts")?,
                died_at: moment(row, 5)?,
            })
        };
        fetch(&mut self.readers.acquire().await?, query).await?.iter().map(letter).collect()
    }

    async fn retry_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.write(DigUp { which: ids.map(<[_]>::to_vec), retry: true }).await
    }

    async fn drop_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.write(DigUp { which: ids.map(<[_]>::to_vec), retry: false }).await
    }

    async fn forget_published(&self, older: Duration, most: u32) -> Result<u64> {
        self.write(Forget { older, most }).await
    }
}
