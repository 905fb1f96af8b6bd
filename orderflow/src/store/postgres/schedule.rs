//! The schedule in PostgreSQL, and the lock that makes one process the scheduler.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
    raw_sql,
};
use tokio::time::timeout;

use super::{PostgresStore, options, rows::fetch};
use crate::{
    config::Database,
    domain::Timestamp,
    scheduler::{Chunk, Lead, MonthDay, Progress, ScheduleStore},
    store::{
        ConnectError, Result, StoreError,
        statement::{Statement, query},
    },
};

const PROGRESS: Statement = Statement::new("progress", "SELECT value FROM scheduler_progress WHERE name = $1");
const RECORD: Statement = Statement::new(
    "record progress",
    "INSERT INTO scheduler_progress (name, value) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()",
);
/// The condition on the day is as the index `customers_birthday` has it.
const BIRTHDAYS: Statement = Statement::new(
    "birthdays",
    "
WITH due AS MATERIALIZED (
  SELECT id FROM customers
  WHERE extract(month FROM birthday)::integer * 100 + extract(day FROM birthday)::integer = $1::integer
    AND id > $2::bigint AND deleted_at IS NULL
  ORDER BY id LIMIT $3::bigint
), made AS (
  INSERT INTO notifications (customer_id, occasion, kind, payload)
  SELECT id, 'birthday:' || $4::integer, 'birthday', jsonb_build_object('year', $4::integer) FROM due
  ON CONFLICT (customer_id, occasion) DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM made), (SELECT max(id) FROM due), (SELECT count(*) FROM due) = $3::bigint",
);
const LAST_BEFORE: Statement =
    Statement::new("last order before", "SELECT id FROM orders WHERE placed_at < $1 ORDER BY id DESC LIMIT 1");
const REMINDERS: Statement = Statement::new(
    "reminders",
    "
WITH looked AS MATERIALIZED (
  SELECT id, customer_id, total_cents, placed_at FROM orders
  WHERE status = 'pending' AND id > $1::bigint ORDER BY id LIMIT $2::bigint
), due AS MATERIALIZED (
  SELECT * FROM looked
  WHERE id < coalesce((SELECT min(id) FROM looked WHERE placed_at > $4::timestamptz), 9223372036854775807)
), made AS (
  INSERT INTO notifications (customer_id, occasion, kind, payload)
  SELECT customer_id, 'reminder:' || due.id, 'reminder',
         jsonb_build_object('order_id', due.id, 'total_cents', total_cents)
  FROM due JOIN customers ON customers.id = customer_id AND deleted_at IS NULL
  WHERE placed_at >= $3::timestamptz ORDER BY due.id
  ON CONFLICT (customer_id, occasion) DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM made), (SELECT max(id) FROM due), (SELECT count(*) FROM due) = $2::bigint",
);

/// The statements whose plans matter, by name.
pub const SCHEDULE: [(&str, &str); 3] = [BIRTHDAYS.named(), LAST_BEFORE.named(), REMINDERS.named()];

/// Names the scheduler's lock among the advisory locks of a database: "schedule" in ASCII.
const LOCK: i64 = 0x7363_6865_6475_6c65;

/// A schedule in a PostgreSQL database.
pub(in crate::store) struct Schedule {
    store: Arc<PostgresStore>,
    /// How the lock's connection is opened.
    options: PgConnectOptions,
    connect: Duration,
    statement: Duration,
}

impl Schedule {
    pub(in crate::store) fn new(store: Arc<PostgresStore>, database: &Database) -> Result<Self, ConnectError> {
        Ok(Self {
            store,
            options: options(database.session_url())?.application_name("orderflow scheduler"),
            connect: database.acquire_timeout,
            statement: database.statement_timeout,
        })
    }
}

#[async_trait]
impl ScheduleStore for Schedule {
    async fn lead(&self, silence: Duration) -> Result<Option<Box<dyn Lead>>> {
        let opened = timeout(self.connect, PgConnection::connect_with(&self.options)).await;
        let connection = opened.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))??;
        let mut session = Session { connection, statement: self.statement };
        // The server ends a session whose client's machine is gone, and one that is silent for too long.
        session
            .run("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3")
            .await?;
        match session.run(&format!("SET idle_session_timeout = {}", silence.as_millis())).await {
            // PostgreSQL 13 does not know it: there a process that hangs keeps the lock.
            Err(StoreError::Internal(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        let locked = session.ask(&format!("SELECT pg_try_advisory_lock({LOCK})")).await?;
        Ok(locked.then(|| Box::new(session) as Box<dyn Lead>))
    }

    async fn progress(&self, of: Progress) -> Result<Option<i64>> {
        let rows =
            self.store.read(async |mut lease| fetch(&mut lease, query(PROGRESS).bind(of.as_str())).await).await?;
        rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn record(&self, of: Progress, value: i64) -> Result<()> {
        let recorded = self.store.write(move |mut lease| async move {
            fetch(&mut lease, query(RECORD).bind(of.as_str()).bind(value)).await
        });
        recorded.await.map(drop)
    }

    async fn birthdays(&self, of: MonthDay, year: i32, after: i64, most: u32) -> Result<Chunk> {
        let day = i32::from(of.month) * 100 + i32::from(of.day);
        let made = self.store.write(move |mut lease| async move {
            let query = query(BIRTHDAYS).bind(day).bind(after).bind(i64::from(most)).bind(year);
            chunk(&fetch(&mut lease, query).await?)
        });
        made.await
    }

    async fn last_order_before(&self, moment: Timestamp) -> Result<i64> {
        let asked = async |mut lease| fetch(&mut lease, query(LAST_BEFORE).bind(moment.get())).await;
        let rows = self.store.read(asked).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }

    async fn reminders(&self, after: i64, earliest: Timestamp, latest: Timestamp, most: u32) -> Result<Chunk> {
        let made = self.store.write(move |mut lease| async move {
            let query = query(REMINDERS).bind(after).bind(i64::from(most)).bind(earliest.get()).bind(latest.get());
            chunk(&fetch(&mut lease, query).await?)
        });
        made.await
    }
}

fn chunk(rows: &[PgRow]) -> Result<Chunk> {
    let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
    Ok(Chunk { enqueued: row.try_get::<i64, _>(0)? as u64, last: row.try_get(1)?, more: row.try_get(2)? })
}

/// The connection that has the lock. Dropped, it closes, and the server gives the lock to whoever asks next.
struct Session {
    connection: PgConnection,
    statement: Duration,
}

impl Session {
    /// Runs a statement that is needed once, and so is not prepared.
    async fn run(&mut self, sql: &str) -> Result<()> {
        let ended = timeout(self.statement, raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection)).await;
        ended.map_err(|_| StoreError::TimedOut)?.map(drop).map_err(Into::into)
    }

    /// The truth of a statement.
    async fn ask(&mut self, sql: &str) -> Result<bool> {
        let ended = timeout(self.statement, raw_sql(AssertSqlSafe(sql)).fetch_one(&mut self.connection)).await;
        Ok(ended.map_err(|_| StoreError::TimedOut)??.try_get(0)?)
    }
}

#[async_trait]
impl Lead for Session {
    async fn held(&mut self) -> bool {
        // An advisory lock on a bigint is listed as its two halves.
        let held = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
             AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = {LOCK})"
        );
        match self.ask(&held).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "the scheduler's lock is lost");
                false
            }
        }
    }
}
