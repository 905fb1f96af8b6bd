//! A transaction that keeps others waiting.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::stage::{Stage, until};

/// Those who wait for a lock in this database.
pub(crate) const WAITING: &str = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Somebody else's transaction.
pub(crate) enum Hold {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Hold {
    /// Holds what a PostgreSQL statement locks; with SQLite nobody else can write at all.
    pub(crate) async fn on(stage: &Stage, lock: &str) -> Self {
        if let Some(postgres) = &stage.postgres {
            let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {lock}"))).execute(&mut connection).await.unwrap();
            Self::Postgres(connection)
        } else {
            let mut file = stage.file().await;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut file).await.unwrap();
            Self::Sqlite(file)
        }
    }

    /// Waits for a statement that this holds up. SQLite has no server to ask: there it is the process that waits.
    pub(crate) async fn waited_for(&self, stage: &Stage) {
        if stage.postgres.is_some() {
            until("a statement waits", async || stage.count(WAITING).await >= 1).await;
        }
    }

    /// Lets go when nobody waits any more: a server goes on with the statement of a client that is dead.
    pub(crate) async fn release_none(self, stage: &Stage) {
        if stage.postgres.is_some() {
            stage.ask(&format!("SELECT count(pg_terminate_backend(pid, 60000)) FROM {WAITING}")).await;
        }
        self.release().await;
    }

    /// Ends, and what it has done stands.
    pub(crate) async fn commit(mut self) {
        let done = match &mut self {
            Self::Postgres(connection) => sqlx::raw_sql("COMMIT").execute(connection).await.map(drop),
            Self::Sqlite(file) => sqlx::raw_sql("COMMIT").execute(file).await.map(drop),
        };
        done.unwrap();
        self.release().await;
    }

    /// Ends, and has done nothing.
    pub(crate) async fn release(self) {
        match self {
            Self::Postgres(connection) => connection.close().await.unwrap(),
            Self::Sqlite(file) => file.close().await.unwrap(),
        }
    }
}
