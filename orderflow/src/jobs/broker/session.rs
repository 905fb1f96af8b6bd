//! A connection to the broker with one channel and the queue, and how the next one is had when it breaks.
//!
//! The client library can recover connections by itself; this does not use that, since a session here is cheap, and a new
//! one has no state that could be wrong.

use std::{
    future::Future,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, Queue,
    options::{ConfirmSelectOptions, QueueDeclareOptions},
    runtime::default_runtime,
    tcp::AMQPUriTcpExt,
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::time::Instant;

use super::Broker;
use crate::{
    background::Stop,
    resilience::{Backoff, Open},
};

/// How long the broker may take to answer: a queue of several nodes may have to choose a leader.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Distances between attempts to connect.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), most: Duration::from_secs(5) };
/// A session that held for so long was a good one: the next attempt is the first again.
const STEADY: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Publisher,
    Consumer,
}

/// Why a session could not be had, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Broker(#[from] lapin::Error),
    #[error("it did not {0} within {ANSWER:?}")]
    Slow(&'static str),
    #[error("it did not confirm messages in time")]
    Unconfirmed,
    #[error("the connection is closed")]
    Closed,
    #[error("the queue was deleted")]
    Deleted,
    #[error(transparent)]
    Resting(#[from] Open),
}

/// A connection with one channel. Dropped, it is closed at once, whatever state it is in.
pub(super) struct Session {
    pub(super) channel: Channel,
    connection: Connection,
    // After the connection, so that its farewell may still be written.
    _socket: Arc<Socket>,
}

/// The session's own hold of its socket. The library waits for an answer for ever, on a thread of its own, if one is frozen
/// at the beginning; closing the socket ends that.
#[derive(Default)]
struct Socket(OnceLock<TcpStream>);

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// What the broker is asked within [`ANSWER`].
pub(super) async fn answer<T>(
    what: &'static str,
    future: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Trouble> {
    tokio::time::timeout(ANSWER, future).await.map_err(|_| Trouble::Slow(what))?.map_err(Trouble::from)
}

impl Session {
    async fn open(broker: &Broker, role: Role) -> Result<Self, Trouble> {
        let permit = broker.0.breaker.enter()?;
        let opened = Self::connect(broker, role).await;
        match opened {
            Ok(_) => permit.succeeded(),
            Err(_) => permit.failed(),
        }
        let session = opened?;
        let permit = broker.0.breaker.enter()?;
        match session.declare(broker).await {
            Ok(_) => permit.succeeded(),
            Err(trouble) => {
                permit.failed();
                return Err(trouble);
            }
        }
        Ok(session)
    }

    async fn connect(broker: &Broker, role: Role) -> Result<Self, Trouble> {
        let socket = Arc::new(Socket::default());
        let hold = Arc::downgrade(&socket);
        let name = format!("{} of OrderFlow", if matches!(role, Role::Publisher) { "publisher" } else { "consumer" });
        let connecting = Connection::connector(
            broker.0.uri.clone(),
            default_runtime()?,
            async move |uri, runtime| {
                let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
                let stream = tokio::time::timeout(ANSWER, uri.connect_async(&runtime)).await.map_err(late)??;
                let AsyncTcpStream::Plain(plain) = &stream else {
                    return Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into());
                };
                let copy = TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?);
                // Whoever wanted the connection may have given up by now.
                let socket =
                    hold.upgrade().ok_or(std::io::ErrorKind::ConnectionAborted).map_err(std::io::Error::from)?;
                let _ = socket.0.set(copy);
                Ok(stream)
            },
            ConnectionProperties::default().with_connection_name(name.into()),
        );
        let connection = answer("take a connection", connecting).await?;
        let channel = answer("open a channel", connection.create_channel()).await?;
        if let Role::Publisher = role {
            answer("agree to confirm", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        }
        Ok(Self { channel, connection, _socket: socket })
    }

    /// Makes the queue, if it is not there: it may have been deleted at any time.
    pub(super) async fn declare(&self, broker: &Broker) -> Result<Queue, Trouble> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let name = ShortString::from(broker.0.config.name.as_str());
        answer("say how the queue is", self.channel.queue_declare(name, QueueDeclareOptions::durable(), arguments))
            .await
    }

    /// Whether it can be worked with.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let stands = self.connection.status().connected() && self.channel.status().connected();
        if stands { Ok(()) } else { Err(Trouble::Closed) }
    }

    /// Whether the broker takes no messages for now, for lack of memory or of space on its disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Takes leave.
    pub(super) async fn close(self) {
        let _ = tokio::time::timeout(FAREWELL, self.connection.close(200, "done".into())).await;
    }
}

/// Has one session after another.
pub(super) struct Sessions {
    broker: Broker,
    role: Role,
    /// Whether there was one.
    had: bool,
    /// Whether it was said that there is none.
    away: bool,
    /// Attempts since the last good session.
    failed: u32,
    since: Instant,
}

impl Sessions {
    pub(super) fn new(broker: &Broker, role: Role) -> Self {
        Self { broker: broker.clone(), role, had: false, away: false, failed: 0, since: Instant::now() }
    }

    /// The next one, as soon as the broker can be reached; `None` when it is time to stop.
    pub(super) async fn next(&mut self, stop: &mut Stop) -> Option<Session> {
        loop {
            if self.failed > 0 && stop.sleep(BACKOFF.after(self.failed)).await {
                return None;
            }
            let opened = tokio::select! {
                () = stop.wait() => return None,
                opened = Session::open(&self.broker, self.role) => opened,
            };
            match opened {
                Ok(session) => {
                    self.begun();
                    return Some(session);
                }
                Err(trouble) => {
                    // Once an outage: the state of the circuit tells how it goes on.
                    if !std::mem::replace(&mut self.away, true) {
                        tracing::warn!(role = ?self.role, %trouble, "the broker cannot be used; notifications wait");
                    }
                    self.failed = self.failed.saturating_add(1);
                }
            }
        }
    }

    fn begun(&mut self) {
        if self.had {
            self.broker.0.metrics.broker_reconnects.inc();
        }
        tracing::info!(role = ?self.role, again = self.had, "connected to the broker");
        (self.had, self.away) = (true, false);
        self.since = Instant::now();
    }

    /// Notes that the session has ended, for this reason.
    pub(super) fn lost(&mut self, trouble: &Trouble) {
        self.broker.set_connected(self.role, false);
        tracing::warn!(role = ?self.role, %trouble, "the connection to the broker was lost");
        self.failed = if self.since.elapsed() >= STEADY { 1 } else { self.failed.saturating_add(1) };
    }
}
