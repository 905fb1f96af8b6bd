//! The connection that operations share: made in the background, watched, and made anew when it breaks.

use std::{sync::Arc, time::Duration};

use ::redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::resilience::Backoff;

/// The pauses between attempts to connect.
pub(super) const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), most: Duration::from_secs(1) };
/// The shortest time that connecting and being alive are given: a server that is slow is not one that is gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it is alive. One that hangs would be noticed by nothing else for minutes.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);
/// How many operations wait to be written, before others wait for those.
const QUEUE: usize = 1_024;

/// How long connecting and being alive may take where an operation may take so long.
pub(super) fn patience(operation: Duration) -> Duration {
    PATIENCE.max(operation)
}

/// One connection, from when it was made until it breaks.
#[derive(Clone)]
pub struct Session {
    connection: MultiplexedConnection,
    suspected: Arc<Notify>,
}

impl Session {
    /// Whether this is the same connection as another.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.suspected, &other.suspected)
    }

    /// The connection, to send something.
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Has the connection looked at now rather than soon.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Returns when the connection does not answer.
    async fn lives(&self, patience: Duration) {
        loop {
            let _ = timeout(ASK_EVERY, self.suspected.notified()).await;
            let mut connection = self.connection();
            let ping = ::redis::cmd("PING");
            match timeout(patience, ping.query_async::<()>(&mut connection)).await {
                Ok(Err(error)) if error.is_unrecoverable_error() || error.is_io_error() => return,
                Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

/// Connects, again and again. Ends when nobody listens any more.
pub(super) async fn keep(client: Client, operation: Duration, sessions: watch::Sender<Option<Session>>) {
    let patience = patience(operation);
    // Each operation has its own limit around all that it sends, so the connection needs none.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE);
    let mut failed = 0;
    loop {
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                tracing::info!("connected to Redis");
                failed = 0;
                let session = Session { connection, suspected: Arc::default() };
                sessions.send_replace(Some(session.clone()));
                session.lives(patience).await;
                sessions.send_replace(None);
                tracing::warn!("the connection to Redis broke");
            }
            Err(error) => {
                if failed == 0 {
                    tracing::warn!(%error, "Redis is away; going on without it");
                }
            }
        }
        failed += 1;
        sleep(RECONNECT.after(failed)).await;
    }
}
