//! Opening connections, and who runs a call: reads run where they are asked for, writes in a task of their own.

use std::{str::FromStr, sync::OnceLock, time::Duration};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use super::{Lease, Pool, position};
use crate::{
    config::{Database, Pooler, Secret},
    metrics::Metrics,
    resilience::Budget,
    store::{ConnectError, PRIMARY, Position, Result, StoreError, meter::Called, pool::Limits},
    telemetry::{self, Telemetry},
};

/// How long the server may be late with saying that a statement took too long.
const GRACE: Duration = Duration::from_secs(1);

/// Orders in PostgreSQL. Connections are opened as they are needed and kept.
pub struct PostgresStore {
    pub(super) pool: Pool,
    /// What retries of reads are paid from.
    retries: OnceLock<Budget>,
}

/// How every connection to `url` is opened, with no limit on statements.
pub(in crate::store) fn options(url: &str) -> Result<PgConnectOptions, ConnectError> {
    let options = PgConnectOptions::from_str(url).map_err(ConnectError::Url)?;
    // Slow statements are told of by their names, and not by the driver, which would show their text.
    let off = "off".parse().expect("a level's name");
    Ok(options.application_name("orderflow").log_slow_statements(off, Duration::MAX))
}

/// What holds for every statement.
fn session(statement: Duration) -> [(&'static str, String); 4] {
    let limit = format!("{}ms", statement.as_millis());
    [
        ("statement_timeout", limit.clone()),
        // A random page costs what the next one does: there is no disk head to move. The default is for disks.
        ("random_page_cost", "1.1".to_owned()),
        // The statements are few and their plans the same whatever the parameters are (`tests/store/plans.rs`). Left to
        // itself the server plans a batch of identifiers anew each time, which takes longer than reading one row.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        // Every transaction is one statement: none is ever idle, and if a fault of ours makes one so, it must not
        // keep its locks.
        ("idle_in_transaction_session_timeout", limit),
    ]
}

impl PostgresStore {
    /// Opens one connection, so that a wrong address or password is told at once.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read or there is no connecting to the server that it names.
    pub async fn connect(database: &Database) -> Result<Self, ConnectError> {
        let store = Self::at(&database.url, PRIMARY, database)?;
        match store.pool.acquire().await {
            Ok(_) => Ok(store),
            Err(error) => Err(ConnectError::Unreachable(error)),
        }
    }

    /// A store at another address with the limits of this configuration, whose pool is called so. Opens nothing yet.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub(in crate::store) fn at(url: &Secret, pool: &'static str, database: &Database) -> Result<Self, ConnectError> {
        let (options, session) = (options(url.expose())?, session(database.statement_timeout));
        let (options, transaction) = match database.pooler {
            Pooler::None => (options.options(session), None),
            // Such a pooler takes no options with which a session could begin, so that each transaction has them.
            Pooler::Transaction => {
                let set = session.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
                (options.extra_float_digits(None), Some(format!("BEGIN{}", set.concat()).into()))
            }
        };
        let limits = Limits {
            called: Called { system: "postgresql", pool },
            max: database.max_connections,
            acquire: database.acquire_timeout,
            statement: database.statement_timeout + GRACE,
            slow: database.slow_statement,
            transaction,
        };
        Ok(Self { pool: Pool::new(options, limits), retries: OnceLock::new() })
    }

    /// How far the log of the server has come: what was committed before lies before it.
    pub(in crate::store) async fn log_position(&self) -> Result<Position> {
        self.read(position::position).await
    }

    /// Counts there. To be said before the first read.
    pub(in crate::store) fn count_in(&self, telemetry: &Telemetry) {
        let _ = self.retries.set(Budget::new("reads", telemetry.metrics.clone()));
        self.pool.count_in(telemetry);
    }

    /// Runs a read, and once more if its connection turned out to be dead: the second try gets one that was tested. While
    /// the database is away only a tenth of all reads are tried again.
    pub(super) async fn read<T, F>(&self, work: impl Fn(Lease) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let retries = self.retries.get_or_init(|| Budget::new("reads", Metrics::default()));
        retries.first();
        match work(self.pool.acquire().await?).await {
            Err(StoreError::Unavailable(_)) if retries.again() => work(self.pool.acquire().await?).await,
            result => result,
        }
    }

    /// Runs a write in a task of its own, so that a client who goes away, or a request that runs out of time, never stops
    /// one half-way. The connection is asked for a sign of life first: a write that fails because the connection had
    /// died before it would leave its sender to wonder whether it was done.
    pub(super) async fn write<T, F>(&self, work: impl FnOnce(Lease) -> F + Send + 'static) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send + 'static,
    {
        let pool = self.pool.clone();
        let task = telemetry::spawn(async move {
            let mut lease = pool.acquire().await?;
            if !lease.alive().await {
                drop(lease);
                lease = pool.acquire().await?;
            }
            work(lease).await
        });
        task.await.map_err(|_| StoreError::Internal(sqlx::Error::WorkerCrashed))?
    }
}
