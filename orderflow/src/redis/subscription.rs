//! Listening to channels, through every loss of the connection.

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::Instrument;

use super::{
    Operation, Redis, Task,
    meter::Outcome,
    session::{ASK_EVERY, RECONNECT, patience},
};

/// How many events wait for whoever listens. Who is further behind has lost the connection.
const BUFFER: usize = 1_024;

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// From here on every message comes. What was sent before, while there was no connection, does not.
    Connected,
    /// A message.
    Message {
        /// Where it was sent, without the prefix.
        channel: String,
        /// What it says.
        bytes: Bytes,
    },
    /// The connection is lost, and messages with it, until the next [`Event::Connected`].
    Lost,
}

/// A connection of its own that listens, until this is dropped.
pub struct Subscription {
    events: mpsc::Receiver<Event>,
    _listener: Task,
}

impl Subscription {
    pub(super) fn start(redis: Redis, channels: Vec<String>) -> Self {
        let (sender, events) = mpsc::channel(BUFFER);
        let listener = tokio::spawn(async move {
            let mut failed = 0;
            loop {
                // Nothing is heard before there is room to tell of it.
                let Ok(room) = sender.reserve().await else { return };
                if listen(&redis, &channels, room, &sender).await.is_ok() {
                    failed = 0;
                    if sender.send(Event::Lost).await.is_err() {
                        return;
                    }
                }
                failed += 1;
                sleep(RECONNECT.after(failed)).await;
            }
        });
        Self { events, _listener: Task(listener) }
    }

    /// What comes next. Never ends, and loses nothing when it is abandoned.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // The listener ends only with the runtime.
            None => std::future::pending().await,
        }
    }
}

struct NotConnected;

/// Listens until the connection is lost.
async fn listen(
    redis: &Redis,
    channels: &[String],
    room: mpsc::Permit<'_, Event>,
    events: &mpsc::Sender<Event>,
) -> Result<(), NotConnected> {
    let patience = patience(redis.0.timeout);
    let mut timer = redis.0.meter.start(Operation::Subscribe);
    let span = timer.begins();
    let connect = async {
        let mut pubsub = redis.0.client.get_async_pubsub().await?;
        let names: Vec<_> = channels.iter().map(|channel| redis.name(channel)).collect();
        pubsub.subscribe(names).await?;
        ::redis::RedisResult::Ok(pubsub)
    };
    let connected = match timeout(patience, connect).instrument(span).await {
        Ok(Ok(pubsub)) => timer.end(Outcome::Ok, Ok(pubsub)),
        Ok(Err(_)) => timer.end(Outcome::Error, Err(NotConnected)),
        Err(_) => timer.end(Outcome::Timeout, Err(NotConnected)),
    };
    let (mut sink, mut messages) = connected?.split();
    room.send(Event::Connected);
    let prefix = redis.name("").len();
    let alive = async {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !matches!(timeout(patience, sink.ping::<()>()).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    let heard = async {
        while let Some(message) = messages.next().await {
            let channel = message.get_channel_name().get(prefix..).unwrap_or_default().to_owned();
            let bytes = Bytes::copy_from_slice(message.get_payload_bytes());
            // Who does not keep up must not make this process hold ever more.
            if events.try_send(Event::Message { channel, bytes }).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = alive => {}
        () = heard => {}
    }
    Ok(())
}
