//! Watching the primary and each replica, on connections of their own that no load can keep busy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
    raw_sql,
};
use tokio::time::timeout;

use super::{
    Shared,
    state::{Fallback, Replica, Seen},
};
use crate::store::{
    Position,
    postgres::{POSITION, log_end},
};

/// How often each server is looked at.
const EVERY: Duration = Duration::from_millis(75);

const REPLAYED: &str = "SELECT pg_is_in_recovery(), coalesce((pg_last_wal_replay_lsn() - '0/0')::bigint, 0)";

/// A connection for one question, opened again whenever it fails.
struct Watch {
    options: PgConnectOptions,
    open: Option<PgConnection>,
    patience: Duration,
}

impl Watch {
    /// The row that a question gives: as plain text, which no pooler minds.
    async fn ask(&mut self, sql: &'static str) -> Result<PgRow, sqlx::Error> {
        // Taken out, so that one that fails or is abandoned is closed.
        let open = self.open.take();
        let answer = timeout(self.patience, async {
            let mut connection = match open {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let row = raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
            Ok((connection, row))
        });
        let (connection, row) = answer.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        self.open = Some(connection);
        Ok(row)
    }
}

/// Watches the primary for ever. Can be abandoned at any moment.
pub(super) async fn primary(shared: Arc<Shared>, options: PgConnectOptions) {
    let mut watch = Watch { options, open: None, patience: shared.timeout };
    let mut away = false;
    loop {
        let (written, claimed) = (shared.floor.written(), shared.floor.claimed());
        match watch.ask(POSITION.sql).await.map_err(Into::into).and_then(|row| log_end(&row)) {
            Ok(position) => {
                shared.ring().push(position, Instant::now());
                shared.floor.cover(written, position);
                shared.floor.settle(claimed, position);
                away = false;
            }
            Err(error) => {
                shared.floor.claim(claimed, Position::START);
                if !away {
                    tracing::warn!(error = chain(&error), "the primary's log position cannot be had");
                }
                away = true;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Watches one replica for ever. Can be abandoned at any moment.
pub(super) async fn replica(shared: Arc<Shared>, index: usize, options: PgConnectOptions) {
    let replica = &shared.replicas[index];
    let mut watch = Watch { options, open: None, patience: shared.timeout };
    let mut told = None;
    loop {
        let asked = Instant::now();
        let answer = match watch.ask(REPLAYED).await {
            Ok(row) => row.try_get::<bool, _>(0).and_then(|recovers| Ok((recovers, row.try_get::<i64, _>(1)?))),
            Err(error) => Err(error),
        };
        let latency = asked.elapsed();
        let (found, error) = match answer {
            Ok((recovers, replayed)) => {
                let replayed = Position::new(replayed.unsigned_abs());
                let lag = shared.ring().lag(replayed);
                let unfit = match lag {
                    _ if !recovers => Some(Fallback::Promoted),
                    Some(lag) if lag <= shared.max_lag => None,
                    _ => Some(Fallback::Lagging),
                };
                (Seen { unfit, replayed, lag, latency }, None)
            }
            Err(error) => (Seen { unfit: Some(Fallback::Failed), latency, ..replica.seen() }, Some(error)),
        };
        replica.found(asked, found);
        if told != Some(found.unfit) {
            tell(replica, found, error.as_ref());
            told = Some(found.unfit);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Logs how a replica is, after it has changed.
fn tell(replica: &Replica, seen: Seen, error: Option<&sqlx::Error>) {
    let name = &replica.name;
    match (seen.unfit, error) {
        (None, _) => tracing::info!(replica = name, lag = ?seen.lag, "a replica answers reads"),
        (Some(_), Some(error)) => tracing::warn!(replica = name, error = chain(error), "a replica does not answer"),
        (Some(why), None) => {
            tracing::warn!(replica = name, state = why.word(), lag = ?seen.lag, "a replica is not used");
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
