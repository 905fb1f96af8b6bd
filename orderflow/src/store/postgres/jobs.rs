//! Notifications in PostgreSQL. Each call is one statement. One that looks for work leaves alone what another has locked, so
//! that any number of workers share the work without waiting for each other; one that is about certain rows waits for them.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Row, postgres::PgRow};

use super::{
    PostgresStore,
    rows::{Asked, fetch, moment},
};
use crate::{
    domain::CustomerId,
    jobs::{Backlog, Claim, Claimed, DeadLetter, Due, JobStore, NotificationId, OFFERED, Settled, fencing},
    store::{
        Result, StoreError,
        decode::{kind, payload, trace, valid},
        statement::{Statement, query},
    },
    telemetry::TraceContext,
};

// Rows are found first and then changed by an array of their identifiers: it is small to a planner that does not know the
// limit. Joined with what was found, it would take a tenth of the table for its size, and read other tables whole.

// ANCHOR: relay
const RELAY: Statement = Statement::new(
    "relay",
    "
WITH batch AS MATERIALIZED (
  SELECT id, kind, payload, trace FROM outbox WHERE published_at IS NULL
  ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
), made AS (
  INSERT INTO notifications (customer_id, occasion, kind, payload, trace)
  SELECT (payload ->> 'customer_id')::bigint,
         'order:' || (payload ->> 'order_id'), 'order', payload, trace
  FROM batch WHERE kind = 'order.placed' ORDER BY id
  ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING
), marked AS (
  UPDATE outbox SET published_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM batch))
)
SELECT trace FROM batch",
);
// ANCHOR_END: relay

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (SELECT id, claim IS NOT NULL AS taken FROM notifications WHERE ",
            $which,
            "
), claimed AS (
  UPDATE notifications SET claim = $3, attempts = attempts + 1, published_at = NULL,
                           due_at = now() + $2::bigint * interval '1 microsecond'
  WHERE id = ANY(ARRAY(SELECT id FROM due)) RETURNING id, customer_id, occasion, kind, payload, attempts, trace
)
SELECT n.id, n.customer_id, n.occasion, n.kind, n.payload::text, n.attempts,
       (SELECT taken FROM due WHERE due.id = n.id), c.name, c.email, n.trace
FROM claimed n LEFT JOIN customers c ON c.id = n.customer_id AND c.deleted_at IS NULL"
        )
    };
}

const CLAIM: Statement = Statement::new(
    "claim",
    claim!("state = 'queued' AND due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED"),
);
// Waits for whoever has the row, which takes as long as a statement. A message often comes while its confirmation is being
// recorded in that row. Passed over then, it would be acknowledged untaken, and its mark would keep the notification from the
// broker until it is too old.
const CLAIM_ONE: Statement =
    Statement::new("claim one", claim!("id = $1 AND state = 'queued' AND due_at <= now() FOR UPDATE"));
const WAITS: Statement = Statement::new("waits", "SELECT state = 'queued' FROM notifications WHERE id = $1");

const SETTLE: Statement = Statement::new(
    "settle",
    "
WITH said AS MATERIALIZED (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::integer[])
    AS said (id, claim, state, wait, error, unused)
), mine AS MATERIALIZED (
  SELECT n.id, n.claim FROM notifications n WHERE n.id = ANY($1) AND n.state = 'queued' ORDER BY n.id FOR UPDATE
), done AS (
  UPDATE notifications n
  SET state = said.state, claim = NULL, attempts = n.attempts - said.unused,
      due_at = CASE WHEN said.state = 'queued' THEN now() + said.wait * interval '1 microsecond' ELSE n.due_at END,
      sent_at = CASE WHEN said.state = 'sent' THEN now() END
  FROM said JOIN mine USING (id, claim) WHERE n.id = said.id AND n.id = ANY($1)
  RETURNING n.id, n.attempts, n.state, said.error
), letter AS (
  INSERT INTO dead_letters (notification_id, error, attempts)
  SELECT id, coalesce(error, ''), attempts FROM done WHERE state = 'dead'
)
SELECT id FROM done",
);

// What is given out is marked as if it had been published so long ago that the mark will soon be too old.
const UNPUBLISHED: Statement = Statement::new(
    "unpublished",
    "
WITH due AS MATERIALIZED (
  SELECT id, trace FROM notifications WHERE state = 'queued' AND due_at <= now()
    AND (published_at IS NULL OR published_at < now() - $2::bigint * interval '1 microsecond')
  ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
), given AS (
  UPDATE notifications SET published_at = now() - $3::bigint * interval '1 microsecond'
  WHERE id = ANY(ARRAY(SELECT id FROM due))
)
SELECT id, trace FROM due",
);
const PUBLISHED: Statement = Statement::new(
    "published",
    "UPDATE notifications SET published_at = CASE WHEN $2 THEN now() END \
     WHERE id = ANY($1) AND state = 'queued' AND due_at <= now()",
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

macro_rules! undo {
    ($how:literal) => {
        concat!(
            "WITH letter AS (
  DELETE FROM dead_letters WHERE $1::bigint[] IS NULL OR notification_id = ANY($1) RETURNING notification_id
), undone AS (
  UPDATE notifications SET ",
            $how,
            " WHERE id = ANY(ARRAY(SELECT notification_id FROM letter))
)
SELECT count(*) FROM letter"
        )
    };
}

const RETRY_DEAD: Statement =
    Statement::new("retry dead", undo!("state = 'queued', attempts = 0, due_at = now(), published_at = NULL"));
const DROP_DEAD: Statement = Statement::new("drop dead", undo!("state = 'dropped'"));

/// Only the oldest rows are looked at, so that the look is short when none of them is old enough.
const FORGET: Statement = Statement::new(
    "forget",
    "
WITH oldest AS MATERIALIZED (
  SELECT id, published_at FROM outbox ORDER BY id LIMIT $2
), gone AS (
  DELETE FROM outbox WHERE id = ANY(ARRAY(
    SELECT id FROM oldest WHERE published_at < now() - $1::bigint * interval '1 microsecond'
  )) RETURNING id
)
SELECT count(*) FROM gone",
);

/// The statements of a worker, by name, for whoever wants to know how they are executed.
pub const JOB_STATEMENTS: [(&str, &str); 6] =
    [RELAY.named(), CLAIM.named(), CLAIM_ONE.named(), SETTLE.named(), UNPUBLISHED.named(), FORGET.named()];

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn numbers(ids: &[NotificationId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

fn claimed(row: &PgRow, claim: i64) -> Result<Claimed> {
    let name: Option<String> = row.try_get(7)?;
    Ok(Claimed {
        id: NotificationId(row.try_get(0)?),
        claim,
        customer_id: valid::<CustomerId, i64>(row.try_get(1)?, "customer id")?,
        customer: name.zip(row.try_get(8)?),
        occasion: row.try_get(2)?,
        kind: kind(row.try_get(3)?)?,
        payload: payload(row.try_get(4)?)?,
        attempt: valid(row.try_get::<i32, _>(5)?, "number of attempts")?,
        maybe_sent: row.try_get(6)?,
        trace: trace(row.try_get(9)?),
    })
}

impl PostgresStore {
    /// Runs a statement of a worker, which may be cut off and repeated: nothing is asked of the connection before.
    async fn work(&self, query: Asked) -> Result<Vec<PgRow>> {
        fetch(&mut self.pool.acquire().await?, query).await
    }

    /// The number of rows that a statement of a worker was about.
    async fn count(&self, query: Asked) -> Result<u64> {
        let rows = self.work(query).await?;
        let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
        valid(row.try_get::<i64, _>(0)?, "count")
    }
}

#[async_trait]
impl JobStore for PostgresStore {
    async fn relay(&self, most: u32) -> Result<Vec<Option<TraceContext>>> {
        let rows = self.work(query(RELAY).bind(i64::from(most))).await?;
        rows.iter().map(|row| Ok(trace(row.try_get(0)?))).collect()
    }

    async fn claim(&self, most: u32, lease: Duration) -> Result<Vec<Claimed>> {
        let claim = fencing();
        let rows = self.work(query(CLAIM).bind(i64::from(most)).bind(micros(lease)).bind(claim)).await?;
        rows.iter().map(|row| claimed(row, claim)).collect()
    }

    async fn claim_one(&self, id: NotificationId, lease: Duration) -> Result<Claim> {
        let claim = fencing();
        let rows = self.work(query(CLAIM_ONE).bind(id.0).bind(micros(lease)).bind(claim)).await?;
        if let Some(row) = rows.first() {
            return Ok(Claim::Taken(Box::new(claimed(row, claim)?)));
        }
        let rows = self.work(query(WAITS).bind(id.0)).await?;
        let waits = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        Ok(if waits { Claim::Later } else { Claim::Done })
    }

    async fn settle(&self, settled: &[Settled]) -> Result<Vec<NotificationId>> {
        let of = |number: fn(&Settled) -> i64| settled.iter().map(number).collect::<Vec<_>>();
        let (states, errors): (Vec<_>, Vec<_>) =
            settled.iter().map(|one| (one.outcome.state(), one.outcome.error())).unzip();
        let unused: Vec<_> = settled.iter().map(|one| i32::from(one.outcome.unused())).collect();
        let query = query(SETTLE)
            .bind(of(|one| one.id.0))
            .bind(of(|one| one.claim))
            .bind(states)
            .bind(of(|one| micros(one.outcome.wait())))
            .bind(errors)
            .bind(unused);
        self.work(query).await?.iter().map(|row| Ok(NotificationId(row.try_get(0)?))).collect()
    }

    async fn unpublished(&self, most: u32, republish: Duration) -> Result<Vec<Due>> {
        let query = query(UNPUBLISHED).bind(i64::from(most)).bind(micros(republish));
        let rows = self.work(query.bind(micros(republish.saturating_sub(OFFERED)))).await?;
        rows.iter().map(|row| Ok(Due { id: NotificationId(row.try_get(0)?), trace: trace(row.try_get(1)?) })).collect()
    }

    async fn published(&self, ids: &[NotificationId]) -> Result<()> {
        self.work(query(PUBLISHED).bind(numbers(ids)).bind(true)).await.map(drop)
    }

    async fn unconfirmed(&self, ids: &[NotificationId]) -> Result<()> {
        self.work(query(PUBLISHED).bind(numbers(ids)).bind(false)).await.map(drop)
    }

    async fn backlog(&self) -> Result<Backlog> {
        let rows = self.work(query(BACKLOG)).await?;
        let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
        let count = |column| valid(row.try_get::<i64, _>(column)?, "count");
        Ok(Backlog { queued: count(0)?, dead: count(1)? })
    }

    async fn dead_letters(&self, after: Option<NotificationId>, most: u32) -> Result<Vec<DeadLetter>> {
        let after = after.map_or(0, |id| id.0);
        let rows = self.work(query(DEAD_LETTERS).bind(after).bind(i64::from(most))).await?;
        let letter = |row: &PgRow| {
            Ok(DeadLetter {
                id: NotificationId(row.try_get(0)?),
                customer_id: valid(row.try_get::<i64, _>(1)?, "customer id")?,
                occasion: row.try_get(2)?,
                error: row.try_get(3)?,
                attempts: valid(row.try_get::<i32, _>(4)?, "number of attempts")?,
                died_at: moment(row, 5)?,
            })
        };
        rows.iter().map(letter).collect()
    }

    async fn retry_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.count(query(RETRY_DEAD).bind(ids.map(numbers))).await
    }

    async fn drop_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.count(query(DROP_DEAD).bind(ids.map(numbers))).await
    }

    async fn forget_published(&self, older: Duration, most: u32) -> Result<u64> {
        self.count(query(FORGET).bind(micros(older)).bind(i64::from(most))).await
    }
}
