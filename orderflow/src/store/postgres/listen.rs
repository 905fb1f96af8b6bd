//! A connection that hears what other instances say, and says something to them: `LISTEN` and `NOTIFY`.

use std::{future::Future, time::Duration};

use sqlx::{
    Executor,
    postgres::{PgListener, PgPoolOptions},
    query,
};
use tokio::time::timeout;

use super::options;
use crate::store::{Result, StoreError};

/// How long connecting, or one statement, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection of its own, that listens on one channel. Once it is lost, it is lost: a new one is to be opened.
pub struct Line {
    listener: PgListener,
    channel: &'static str,
}

async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
    timeout(PATIENCE, work).await.map_err(|_| StoreError::TimedOut)?.map_err(StoreError::from)
}

impl Line {
    /// Connects past any pooler and listens on this channel.
    ///
    /// # Errors
    /// When there is no connecting, or not in time.
    pub async fn open(url: &str, channel: &'static str) -> Result<Self> {
        let options = options(url).map_err(|error| StoreError::Internal(sqlx::Error::Configuration(error.into())))?;
        let opened = bounded(async {
            // sqlx wants a pool to listen; it lends this connection once.
            let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
            let pool = pool.connect_with(options.application_name("orderflow events")).await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        });
        Ok(Self { listener: opened.await?, channel })
    }

    /// What was said next on the channel. Can be abandoned and called again.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn hear(&mut self) -> Result<String> {
        match self.listener.try_recv().await? {
            Some(heard) => Ok(heard.payload().to_owned()),
            None => Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)),
        }
    }

    /// Says something on the channel, in a transaction of its own.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn say(&mut self, words: &str) -> Result<()> {
        let saying = self.listener.execute(query("SELECT pg_notify($1, $2)").bind(self.channel).bind(words));
        bounded(saying).await.map(drop)
    }

    /// Whether the server still answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&mut self) -> Result<()> {
        bounded(self.listener.execute("SELECT 1")).await.map(drop)
    }
}
