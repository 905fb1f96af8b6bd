//! Bringing a database's schema to what this program needs. Migrations only go forward, and each is done once.

use std::{path::Path, time::Duration};

use sqlx::migrate::{Migrate, MigrateError as Failure, Migration, Migrator};

use super::{
    connect::{ConnectError, Kind, kind},
    postgres, sqlite,
};
use crate::config::Database;

/// How long to wait for another instance that is migrating the same database. Building an index on a large table takes
/// minutes; whoever gives up says so and can be started again.
const PATIENCE: Duration = Duration::from_mins(10);

/// Why a schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no reaching the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Another version of this program was here. Nothing was changed.
    #[error(
        "the database has schema version {found}, and this program knows none above {known}; use the newer program"
    )]
    Newer {
        /// The database's version.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// Somebody else held the lock for longer than anybody would wait. Nothing was changed.
    #[error(
        "another instance is still migrating the database ({0}); wait until it is done, or end it, and start again"
    )]
    Locked(String),
    /// A migration was changed after it had been done here. Nothing was changed.
    #[error("migration {0} is not what was once done to this database; use the program that it was made with")]
    Changed(i64),
    /// The database refused.
    #[error("the database could not be migrated; what was done is kept, start again to go on")]
    Failed(#[source] sqlx::Error),
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Failure> for MigrateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Execute(error) | Failure::ExecuteMigration(error, _) => Self::Failed(error),
            other => Self::Failed(sqlx::Error::Configuration(Box::new(other))),
        }
    }
}

/// The table in which it is written down what was done.
const DONE: &str = "_sqlx_migrations";

/// What is still to be done, in order.
pub(super) async fn pending<'m, C: Migrate>(
    connection: &mut C,
    migrator: &'m Migrator,
) -> Result<Vec<&'m Migration>, MigrateError> {
    connection.ensure_migrations_table(DONE).await?;
    let done = connection.list_applied_migrations(DONE).await?;
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    if let Some(last) = done.iter().map(|migration| migration.version).max()
        && last > known
    {
        return Err(MigrateError::Newer { found: last, known });
    }
    let checksum = |version| migrator.iter().find(|known| known.version == version).map(|known| &known.checksum);
    match done.iter().find(|done| checksum(done.version) != Some(&done.checksum)) {
        Some(changed) => Err(MigrateError::Changed(changed.version)),
        None => Ok(migrator.iter().filter(|known| done.iter().all(|done| done.version != known.version)).collect()),
    }
}

/// Does what is still to be done, and returns how much that was.
pub(super) async fn apply<C: Migrate>(connection: &mut C, pending: &[&Migration]) -> Result<usize, MigrateError> {
    for migration in pending {
        tracing::info!(version = migration.version, what = %migration.description, "migrating the database");
        let took = connection.apply(DONE, migration).await?;
        tracing::info!(version = migration.version, took_ms = took.as_secs_f64() * 1e3, "migrated the database");
    }
    Ok(pending.len())
}

/// Does every migration that has not been done. Any number of instances may call this at once: one works, the others wait
/// for it, ten minutes at most, and then find nothing to do. Returns how many were done here.
///
/// # Errors
///
/// See [`MigrateError`].
pub async fn migrate(database: &Database, data_dir: &Path) -> Result<usize, MigrateError> {
    migrate_within(database, data_dir, PATIENCE).await
}

/// The same, with another bound on how long to wait for another instance.
///
/// # Errors
///
/// See [`MigrateError`].
pub async fn migrate_within(database: &Database, data_dir: &Path, patience: Duration) -> Result<usize, MigrateError> {
    match kind(database, data_dir)? {
        Kind::Sqlite(file) => sqlite::migrate(&file, patience).await,
        Kind::Postgres => postgres::migrate(database.session_url(), patience).await,
    }
}
