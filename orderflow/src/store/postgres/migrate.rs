//! Migrating PostgreSQL while others use it, and while others try the same.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, Row, migrate::Migrator, query};

use super::options;
use crate::store::{
    ConnectError,
    migrate::{MigrateError, apply, pending},
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Names this lock among the advisory locks of a database: "orderflo" in ASCII.
const LOCK: i64 = 0x6f72_6465_7266_6c6f;
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock($1)";
/// Who holds it. An advisory lock on a bigint is listed as its two halves.
const HOLDER: &str = "SELECT format('process %s of the server, %s from %s, since %s', a.pid, \
                             coalesce(nullif(a.application_name, ''), 'no name'), \
                             coalesce(host(a.client_addr), 'this machine'), \
                             to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')) \
                      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
                        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                        AND (l.classid::bigint << 32) | l.objid::bigint = $1";
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// An index whose building failed or was cut short is there but not used, and would be taken for done.
const DROP_UNFINISHED: &str = "
DO $$
DECLARE unfinished regclass;
BEGIN
  FOR unfinished IN
    SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
      AND c.relname IN ('products_category_id', 'orders_status_id', 'customers_living_id', 'outbox_xid_id',
                        'customers_birthday')
  LOOP
    RAISE NOTICE 'dropping % , whose building was cut short', unfinished;
    EXECUTE format('DROP INDEX %s', unfinished);
  END LOOP;
END $$";

/// Migrates with a connection of its own, which has no limit on statements: an index may take minutes.
pub(in crate::store) async fn migrate(url: &str, patience: Duration) -> Result<usize, MigrateError> {
    let opened = PgConnection::connect_with(&options(url)?).await;
    let mut connection = opened.map_err(|error| MigrateError::Connect(ConnectError::Unreachable(error.into())))?;
    lock(&mut connection, patience).await?;
    // The lock is the session's: closing the connection gives it back, whatever happens before.
    let done = migrate_locked(&mut connection).await;
    let _ = connection.close().await;
    done
}

/// Takes the lock by asking for it again and again. A statement that waited for it would keep a snapshot of the database
/// open, and CREATE INDEX CONCURRENTLY of whoever holds the lock waits for all older snapshots to end: a deadlock.
async fn lock(connection: &mut PgConnection, patience: Duration) -> Result<(), MigrateError> {
    let start = Instant::now();
    let mut told = false;
    while !query(TRY_LOCK).bind(LOCK).fetch_one(&mut *connection).await?.try_get::<bool, _>(0)? {
        let holder = query(HOLDER).bind(LOCK).fetch_optional(&mut *connection).await?;
        let holder: String = holder.map_or(Ok("which has just ended".to_owned()), |row| row.try_get(0))?;
        if start.elapsed() >= patience {
            return Err(MigrateError::Locked(holder));
        }
        if !told {
            tracing::info!(holder, "another instance is migrating the database; waiting for it");
            told = true;
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Ok(())
}

async fn migrate_locked(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    let pending = pending(connection, &MIGRATIONS).await?;
    query(DROP_UNFINISHED).execute(&mut *connection).await?;
    apply(connection, &pending).await
}
