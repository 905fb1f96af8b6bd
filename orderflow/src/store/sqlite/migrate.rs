//! Migrating a SQLite file: all of it in one transaction, which keeps other instances waiting.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{Connection, SqliteConnection, migrate::Migrator};

use super::options;
use crate::store::{
    ConnectError, StoreError,
    migrate::{MigrateError, apply, pending},
};

/// How soon a file that is being made is tried again.
const AGAIN: Duration = Duration::from_millis(20);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Migrates with a connection of its own.
pub(in crate::store) async fn migrate(file: &Path, patience: Duration) -> Result<usize, MigrateError> {
    let until = Instant::now() + patience;
    let mut connection = loop {
        match SqliteConnection::connect_with(&options(file, patience)).await.map_err(StoreError::from) {
            Ok(connection) => break connection,
            // Of several that give a new file its log at the same moment, SQLite refuses all but one without waiting.
            Err(StoreError::Busy) if Instant::now() < until => tokio::time::sleep(AGAIN).await,
            Err(error) => return Err(ConnectError::Unreachable(error).into()),
        }
    };
    let done = migrate_locked(&mut connection).await;
    let _ = connection.close().await;
    done
}

async fn migrate_locked(connection: &mut SqliteConnection) -> Result<usize, MigrateError> {
    let begun = connection.begin_with("BEGIN IMMEDIATE").await;
    let mut transaction = begun.map_err(|error| match StoreError::from(error) {
        StoreError::Busy => MigrateError::Locked("it holds the file's write lock".to_owned()),
        StoreError::Unavailable(error) | StoreError::Full(error) | StoreError::Internal(error) => error.into(),
        other => MigrateError::Connect(ConnectError::Unreachable(other)),
    })?;
    let pending = pending(&mut *transaction, &MIGRATIONS).await?;
    let done = apply(&mut *transaction, &pending).await?;
    transaction.commit().await?;
    Ok(done)
}
