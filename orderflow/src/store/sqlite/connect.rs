//! Opening the file, and running writes one after the other.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Lease, Pool, rows::execute};
use crate::{
    config::Database,
    store::{
        ConnectError, READERS, Result, StoreError, WRITER,
        meter::Called,
        pool::Limits,
        statement::{Statement, query},
    },
    telemetry::{self, Telemetry},
};

const BEGIN: Statement = Statement::new("begin", "BEGIN IMMEDIATE");
const COMMIT: Statement = Statement::new("commit", "COMMIT");
const ROLLBACK: Statement = Statement::new("rollback", "ROLLBACK");

/// Beyond what SQLite itself waits for a lock.
const GRACE: Duration = Duration::from_secs(1);

/// Orders in a SQLite file.
pub struct SqliteStore {
    pub(super) readers: Pool,
    pub(super) writer: Pool,
}

/// The file that a URL names.
pub(in crate::store) fn file(url: &str) -> Result<PathBuf, ConnectError> {
    let path = url.strip_prefix("sqlite:").ok_or(ConnectError::Scheme)?;
    match path.strip_prefix("//").unwrap_or(path) {
        path if path.is_empty() || path.starts_with(':') => Err(ConnectError::InMemory),
        path => Ok(PathBuf::from(path)),
    }
}

/// How a connection that writes is opened: it waits `busy` for another process that does.
pub(in crate::store) fn options(file: &Path, busy: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(busy)
        // They are told of by their names, and not by the driver, which would show their text.
        .log_slow_statements("off".parse().expect("a level's name"), Duration::MAX)
}

/// A change, made within a transaction.
pub(super) trait Write: Send + Sync + 'static {
    /// What it answers.
    type Answer: Send + 'static;

    /// Makes it. After an error everything is undone.
    fn make(&self, lease: &mut Lease) -> impl Future<Output = Result<Self::Answer>> + Send;
}

impl SqliteStore {
    /// Opens the file, or makes an empty one.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or is no database.
    pub async fn open(file: &Path, database: &Database) -> Result<Self, ConnectError> {
        let limits = |pool, max| Limits {
            called: Called { system: "sqlite", pool },
            max,
            acquire: database.acquire_timeout,
            statement: database.statement_timeout.max(database.acquire_timeout) + GRACE,
            slow: database.slow_statement,
            transaction: None,
        };
        let options = options(file, database.acquire_timeout);
        // A connection that reads and then wants to write is not kept waiting but refused at once if another writes.
        // Readers therefore never write, and writers say so when they begin.
        let reading = options.clone().create_if_missing(false).pragma("query_only", "ON");
        let writer = Pool::new(options, limits(WRITER, 1));
        let readers = Pool::new(reading, limits(READERS, database.max_connections));
        // The writer first: it makes the file and its log.
        for pool in [&writer, &readers] {
            pool.acquire().await.map_err(ConnectError::Unreachable)?;
        }
        Ok(Self { readers, writer })
    }

    /// Counts there from now on.
    pub(in crate::store) fn count_in(&self, telemetry: &Telemetry) {
        self.readers.count_in(telemetry);
        self.writer.count_in(telemetry);
    }

    /// Makes a change in a task of its own, so that a client who goes away, or a request that runs out of time, never stops
    /// one half-way.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Answer> {
        let writer = self.writer.clone();
        let task = telemetry::spawn(async move {
            let mut lease = writer.acquire().await?;
            let made = transact(&mut lease, &write).await;
            let kept = matches!(made, Ok(_) | Err(StoreError::Refused(_) | StoreError::Busy));
            if !kept {
                // After an error of input or output the transaction may or may not have been undone already. A new
                // connection starts from what is in the file.
                lease.lose();
            }
            made
        });
        task.await.map_err(|_| StoreError::Internal(sqlx::Error::WorkerCrashed))?
    }
}

async fn transact<W: Write>(lease: &mut Lease, write: &W) -> Result<W::Answer> {
    execute(lease, query(BEGIN)).await?;
    let made = match write.make(lease).await {
        Ok(answer) => execute(lease, query(COMMIT)).await.map(|()| answer),
        Err(error) => Err(error),
    };
    match made {
        Err(StoreError::Refused(refused)) => {
            execute(lease, query(ROLLBACK)).await?;
            Err(StoreError::Refused(refused))
        }
        // Once begun, the lock is ours: busy now means that the commit met a reader, which a log does not have.
        Err(StoreError::Busy) => Err(StoreError::TimedOut),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::{
        config::Pooler,
        domain::CustomerDraft,
        store::{Store, migrate},
    };

    fn draft(number: i64) -> CustomerDraft {
        let email = format!("c{number}@example.com").parse().unwrap();
        CustomerDraft { name: "n".repeat(120).parse().unwrap(), email, birthday: None }
    }

    /// Bounds the file, as a full disk would.
    async fn room(store: &SqliteStore, pages: Option<i64>) {
        let mut lease = store.writer.acquire().await.unwrap();
        let used: i64 = sqlx::query("PRAGMA page_count").fetch_one(lease.begin()).await.unwrap().get(0);
        let most = pages.map_or(i64::from(u32::MAX) - 1, |pages| used + pages);
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {most}"));
        sqlx::query(pragma).execute(lease.begin()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_file_is_told_and_written_again_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database {
            url: String::new().into(),
            max_connections: 2,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(10),
            slow_statement: Duration::from_secs(10),
            coalesce_reads: true,
            pooler: Pooler::None,
            direct_url: String::new().into(),
            seed_orders: 0,
        };
        migrate(&database, dir.path()).await.unwrap();
        let store = SqliteStore::open(&dir.path().join("orderflow.db"), &database).await.unwrap();
        let mut made = 0;
        for round in 1..=3 {
            // The connection that met the end is replaced, and with it the bound: there is room again.
            room(&store, Some(2)).await;
            let refused = loop {
                match store.create_customer(&draft(made)).await {
                    Ok(_) => made += 1,
                    Err(error) => break error,
                }
                assert!(made < 1_000 * round, "it never became full");
            };
            assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
            assert_eq!(store.stats().await.unwrap().customers, made);
            store.create_customer(&draft(made)).await.unwrap();
            made += 1;
            room(&store, None).await;
        }
        store.close().await;
        let again = SqliteStore::open(&dir.path().join("orderflow.db"), &database).await.unwrap();
        assert_eq!(again.stats().await.unwrap().customers, made);
    }
}
