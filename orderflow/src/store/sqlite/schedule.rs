//! The schedule in a SQLite file, and the lock beside it that makes one process the scheduler.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use sqlx::Row;

use super::{
    Lease, SqliteStore,
    connect::Write,
    rows::{execute, fetch},
};
use crate::{
    domain::Timestamp,
    scheduler::{Chunk, Lead, MonthDay, Progress, ScheduleStore},
    store::{
        Result, StoreError,
        statement::{Statement, query},
    },
};

const PROGRESS: Statement = Statement::new("progress", "SELECT value FROM scheduler_progress WHERE name = $1");
const RECORD: Statement = Statement::new(
    "record progress",
    "INSERT INTO scheduler_progress (name, value, updated_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
);
/// The condition on the day is as the index `customers_birthday` has it.
const CELEBRATING: Statement = Statement::new(
    "celebrating",
    "SELECT max(id), count(*) FROM (SELECT id FROM customers WHERE substr(birthday, 6) = $1 \
     AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT $3)",
);
const BIRTHDAYS: Statement = Statement::new(
    "birthdays",
    "INSERT INTO notifications (customer_id, occasion, kind, payload, due_at, created_at) \
     SELECT id, 'birthday:' || $4, 'birthday', json_object('year', $4), $5, $5 FROM customers \
     WHERE substr(birthday, 6) = $1 AND id > $2 AND id <= $3 AND deleted_at IS NULL ORDER BY id \
     ON CONFLICT (customer_id, occasion) DO NOTHING",
);
const LAST_BEFORE: Statement =
    Statement::new("last order before", "SELECT id FROM orders WHERE placed_at < $1 ORDER BY id DESC LIMIT 1");
const PENDING: Statement = Statement::new(
    "pending",
    "SELECT id, placed_at FROM orders WHERE status = 'pending' AND id > $1 ORDER BY id LIMIT $2",
);
const REMINDERS: Statement = Statement::new(
    "reminders",
    "INSERT INTO notifications (customer_id, occasion, kind, payload, due_at, created_at) \
     SELECT o.customer_id, 'reminder:' || o.id, 'reminder', \
            json_object('order_id', o.id, 'total_cents', o.total_cents), $4, $4 \
     FROM orders o JOIN customers c ON c.id = o.customer_id AND c.deleted_at IS NULL \
     WHERE o.status = 'pending' AND o.id > $1 AND o.id <= $2 AND o.placed_at >= $3 ORDER BY o.id \
     ON CONFLICT (customer_id, occasion) DO NOTHING",
);
const CHANGES: Statement = Statement::new("changes", "SELECT changes()");

/// The statements whose plans matter, by name.
pub const SCHEDULE: [(&str, &str); 5] =
    [CELEBRATING.named(), BIRTHDAYS.named(), LAST_BEFORE.named(), PENDING.named(), REMINDERS.named()];

/// A schedule in a SQLite database.
pub(in crate::store) struct Schedule {
    store: Arc<SqliteStore>,
    lock: PathBuf,
}

impl Schedule {
    /// Of the database in that file.
    pub(in crate::store) fn new(store: Arc<SqliteStore>, file: &Path) -> Self {
        let mut lock = file.to_owned().into_os_string();
        lock.push(".scheduler");
        Self { store, lock: lock.into() }
    }
}

/// The lock of the file, which the system takes back when the process ends.
struct Locked {
    file: File,
    path: PathBuf,
}

#[async_trait]
impl Lead for Locked {
    /// As long as the file is the one that others would try: a lock on a removed file keeps nobody out.
    async fn held(&mut self) -> bool {
        match (self.file.metadata(), self.path.metadata()) {
            (Ok(mine), Ok(theirs)) => (mine.dev(), mine.ino()) == (theirs.dev(), theirs.ino()),
            _ => false,
        }
    }
}

#[async_trait]
impl ScheduleStore for Schedule {
    /// On one machine, and so on one file, a process that hangs is somebody's to end: it keeps the lock until then.
    async fn lead(&self, _silence: Duration) -> Result<Option<Box<dyn Lead>>> {
        let failed = |error| StoreError::Unavailable(sqlx::Error::Io(error));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(Locked { file, path: self.lock.clone() }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    async fn progress(&self, of: Progress) -> Result<Option<i64>> {
        let mut lease = self.store.readers.acquire().await?;
        let rows = fetch(&mut lease, query(PROGRESS).bind(of.as_str())).await?;
        rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
    }

    async fn record(&self, of: Progress, value: i64) -> Result<()> {
        self.store.write(Record(of, value)).await
    }

    async fn birthdays(&self, of: MonthDay, year: i32, after: i64, most: u32) -> Result<Chunk> {
        self.store.write(Birthdays { day: format!("{:02}-{:02}", of.month, of.day), year, after, most }).await
    }

    async fn last_order_before(&self, moment: Timestamp) -> Result<i64> {
        let mut lease = self.store.readers.acquire().await?;
        let rows = fetch(&mut lease, query(LAST_BEFORE).bind(moment.micros())).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }

    async fn reminders(&self, after: i64, earliest: Timestamp, latest: Timestamp, most: u32) -> Result<Chunk> {
        self.store.write(Reminders { after, earliest, latest, most }).await
    }
}

struct Record(Progress, i64);

impl Write for Record {
    type Answer = ();

    async fn make(&self, lease: &mut Lease) -> Result<()> {
        let Self(of, value) = self;
        execute(lease, query(RECORD).bind(of.as_str()).bind(*value).bind(Timestamp::now().micros())).await
    }
}

struct Birthdays {
    /// As the stored birthday ends: `02-29`.
    day: String,
    year: i32,
    after: i64,
    most: u32,
}

impl Write for Birthdays {
    type Answer = Chunk;

    async fn make(&self, lease: &mut Lease) -> Result<Chunk> {
        let Self { day, year, after, most } = self;
        let rows = fetch(lease, query(CELEBRATING).bind(day).bind(*after).bind(i64::from(*most))).await?;
        let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
        let (last, count): (Option<i64>, i64) = (row.try_get(0)?, row.try_get(1)?);
        let Some(end) = last else { return Ok(Chunk::default()) };
        let now = Timestamp::now().micros();
        execute(lease, query(BIRTHDAYS).bind(day).bind(*after).bind(end).bind(*year).bind(now)).await?;
        Ok(Chunk { enqueued: changes(lease).await?, last, more: count == i64::from(*most) })
    }
}

struct Reminders {
    after: i64,
    earliest: Timestamp,
    latest: Timestamp,
    most: u32,
}

impl Write for Reminders {
    type Answer = Chunk;

    async fn make(&self, lease: &mut Lease) -> Result<Chunk> {
        let Self { after, earliest, latest, most } = self;
        let rows = fetch(lease, query(PENDING).bind(*after).bind(i64::from(*most))).await?;
        let (mut last, mut looked) = (None, 0);
        for row in &rows {
            if row.try_get::<i64, _>(1)? > latest.micros() {
                break;
            }
            last = Some(row.try_get(0)?);
            looked += 1;
        }
        let Some(end) = last else { return Ok(Chunk::default()) };
        let now = Timestamp::now().micros();
        execute(lease, query(REMINDERS).bind(*after).bind(end).bind(earliest.micros()).bind(now)).await?;
        Ok(Chunk { enqueued: changes(lease).await?, last, more: looked == *most })
    }
}

/// How many rows the last statement has written.
async fn changes(lease: &mut Lease) -> Result<u64> {
    let rows = fetch(lease, query(CHANGES)).await?;
    let row = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
    Ok(row.try_get::<i64, _>(0)? as u64)
}
