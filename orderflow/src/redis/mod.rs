//! A Redis server that instances share. Nothing here is needed to answer: whoever asks has a way to go on without, and learns
//! within a bound that it must.

mod meter;
mod session;
mod subscription;

use std::{fmt, sync::Arc, time::Duration};

use ::redis::{Client, FromRedisValue, IntoConnectionInfo, RedisResult, Script, io::tcp::TcpSettings};
use tokio::{sync::watch, task::JoinHandle};
use tracing::Instrument;

pub use meter::Operation;
pub use session::Session;
pub use subscription::{Event, Subscription};

use crate::{config, metrics::Metrics, resilience::Breaker};
use meter::{Meter, Outcome};

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not tried: there is no connection, or Redis has failed too often and is left alone for a moment.
    #[error("Redis is away")]
    Refused,
    /// No answer came in time. The operation may still take effect.
    #[error("Redis did not answer in time")]
    Timeout,
    /// The connection broke or Redis refused the operation. If the connection broke, it may have taken effect.
    #[error("Redis: {0}")]
    Failed(#[from] ::redis::RedisError),
}

/// A client of the configured server. Clones share one connection, which is made in the background and made anew whenever it
/// breaks; the last clone closes it.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    prefix: String,
    timeout: Duration,
    sessions: watch::Receiver<Option<Session>>,
    breaker: Breaker,
    meter: Meter,
    _keeper: Task,
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl Redis {
    /// A client of the configured server, or nothing where none is configured. Does not wait for the server: it may be away
    /// now and come later.
    pub fn connect(settings: &config::Redis, metrics: Metrics) -> Option<Self> {
        let client = client(settings.url.expose())?;
        let (sender, sessions) = watch::channel(None);
        let keeper = tokio::spawn(session::keep(client.clone(), settings.timeout, sender));
        Some(Self(Arc::new(Inner {
            client,
            prefix: settings.prefix.clone(),
            timeout: settings.timeout,
            sessions,
            meter: Meter::new(&metrics),
            breaker: Breaker::new("redis", metrics),
            _keeper: Task(keeper),
        })))
    }

    /// The name of a key or channel at the server.
    pub fn name(&self, rest: impl fmt::Display) -> String {
        format!("{}:{rest}", self.0.prefix)
    }

    /// The connection of this moment, if there is one.
    pub fn session(&self) -> Option<Session> {
        self.0.sessions.borrow().clone()
    }

    /// Tells when there is another connection, or none.
    pub fn sessions(&self) -> watch::Receiver<Option<Session>> {
        self.0.sessions.clone()
    }

    /// Asks whether Redis answers.
    ///
    /// # Errors
    /// If it does not, in time.
    pub async fn ping(&self) -> Result<(), Error> {
        let session = self.session();
        let ping = async |session: Session| ::redis::cmd("PING").query_async(&mut session.connection()).await;
        self.run(session, Operation::Ping, ping).await
    }

    /// Tells everybody who listens to this channel. The channel's name is given without the prefix.
    ///
    /// # Errors
    /// If Redis did not take it, in time. Who listens may have been told nevertheless.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), Error> {
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(self.name(channel)).arg(message);
        let publish = async |session: Session| publish.query_async(&mut session.connection()).await;
        self.run(self.session(), Operation::Publish, publish).await
    }

    /// Listens to these channels, for as long as the subscription lives. Their names are given without the prefix.
    pub fn subscribe(&self, channels: &[&str]) -> Subscription {
        Subscription::start(self.clone(), channels.iter().map(|channel| (*channel).to_owned()).collect())
    }

    /// Runs a script on this connection, and on no later one.
    ///
    /// # Errors
    /// If it failed, or took too long and may still take effect.
    pub async fn script<T: FromRedisValue>(
        &self,
        session: Option<Session>,
        operation: Operation,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, Error> {
        let mut invocation = script.prepare_invoke();
        invocation.key(keys).arg(arguments);
        let invoke = async |session: Session| invocation.invoke_async(&mut session.connection()).await;
        self.run(session, operation, invoke).await
    }

    /// Runs an operation within the time that one may take, unless there is no use in trying.
    async fn run<T>(
        &self,
        session: Option<Session>,
        operation: Operation,
        work: impl AsyncFnOnce(Session) -> RedisResult<T>,
    ) -> Result<T, Error> {
        let mut timer = self.0.meter.start(operation);
        let Some(session) = session else { return timer.end(Outcome::Refused, Err(Error::Refused)) };
        let Ok(permit) = self.0.breaker.enter() else { return timer.end(Outcome::Refused, Err(Error::Refused)) };
        let span = timer.begins();
        match tokio::time::timeout(self.0.timeout, work(session.clone())).instrument(span).await {
            Ok(Ok(value)) => {
                permit.succeeded();
                timer.end(Outcome::Ok, Ok(value))
            }
            Ok(Err(error)) => {
                // Who refuses an operation in time does not fail: memory may be full, and all else still works.
                if error.is_unrecoverable_error() || error.is_io_error() {
                    permit.failed();
                    session.suspect();
                } else {
                    permit.succeeded();
                }
                timer.end(Outcome::Error, Err(error.into()))
            }
            Err(_) => {
                permit.failed();
                timer.end(Outcome::Timeout, Err(Error::Timeout))
            }
        }
    }
}

/// A client of the server at this address, if it is one.
fn client(url: &str) -> Option<Client> {
    if url.is_empty() {
        return None;
    }
    let connect = || {
        let info = url.into_connection_info()?;
        // Small messages go out at once, without waiting for the answer to the one before.
        let tcp = TcpSettings::default().set_nodelay(true);
        Client::open(info.set_tcp_settings(tcp))
    };
    match connect() {
        Ok(client) => Some(client),
        Err(error) => {
            tracing::error!(%error, "redis.url is no address of a Redis server; going on without one");
            None
        }
    }
}
