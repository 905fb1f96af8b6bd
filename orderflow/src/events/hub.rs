//! One reader for all who listen at an instance: new events are read once, and handed to every listener.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, broadcast, watch};

use super::{Batch, Cursor, Listener, Refused, SharedFeed, sse};
use crate::{
    background::Stop,
    config,
    metrics::Metrics,
    resilience::{Backoff, Bulkhead},
    store::{Result, StoreError},
};

/// The most events that are read at once.
pub(super) const PAGE: u32 = 100;
/// Looks at the database that listeners who come back may have at once: they must not keep requests waiting.
const CATCHING_UP: usize = 4;
/// How long listeners are waited for at most, when there is more at once than the buffer holds. Half as long each time that
/// somebody has not followed, so that whoever takes nothing holds nobody up.
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(1);
/// How soon, and at last how rarely, the database is asked again: for events that something unfinished holds back, and when
/// it did not answer.
const SOON: Backoff = Backoff { base: Duration::from_millis(5), most: Duration::from_secs(1) };

/// The events of an instance. Clones are the same.
#[derive(Clone)]
pub struct Events(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) feed: SharedFeed,
    pub(super) settings: config::Events,
    pub(super) metrics: Metrics,
    pub(super) places: Bulkhead,
    pub(super) catching_up: Semaphore,
    live: Mutex<Live>,
    /// Whether the feed is being read: listeners wait until it is.
    reading: watch::Sender<bool>,
    /// Whether streams are to end.
    pub(super) ending: watch::Sender<bool>,
    /// There may be something to read.
    wake: Notify,
    /// Something was placed here, which others do not know.
    pub(super) placed: Notify,
    /// Somebody listens, or there is something to announce.
    pub(super) needed: Notify,
}

/// What is changed in one step: who listens, and how far the feed was read.
struct Live {
    listeners: usize,
    /// Everything up to here was handed out. `None` while nobody listens.
    handed: Option<Cursor>,
    sender: broadcast::Sender<Handed>,
}

/// An event as listeners get it: already in its form, which is made once.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    pub(super) cursor: Cursor,
    pub(super) text: Bytes,
}

/// Somebody who listens, for as long as this lives.
pub(super) struct Seat(Arc<Inner>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.live().listeners -= 1;
        self.0.metrics.event_streams.dec();
    }
}

impl Events {
    /// Of this feed. Nothing is read until [`run`](Self::run) runs and somebody listens.
    pub fn new(settings: config::Events, feed: SharedFeed, metrics: Metrics) -> Self {
        let live = Live { listeners: 0, handed: None, sender: broadcast::Sender::new(settings.buffer) };
        Self(Arc::new(Inner {
            feed,
            places: Bulkhead::new(settings.max_streams),
            catching_up: Semaphore::new(CATCHING_UP),
            settings,
            metrics,
            live: live.into(),
            reading: watch::Sender::new(false),
            ending: watch::Sender::new(false),
            wake: Notify::new(),
            placed: Notify::new(),
            needed: Notify::new(),
        }))
    }

    /// An order was placed here.
    pub fn placed(&self) {
        self.0.placed.notify_one();
        self.0.needed.notify_one();
        self.wake();
    }

    /// There may be something to read. Costs next to nothing.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Ends every stream, and those that are opened from now on.
    pub fn end_streams(&self) {
        self.0.ending.send_replace(true);
    }

    /// A listener, who comes back with the identifier that it was given last, if it has one.
    ///
    /// # Errors
    /// Where as many listen as may.
    pub fn listen(&self, last_id: Option<&str>) -> Result<Listener, Refused> {
        let Some(place) = self.0.places.enter() else {
            self.0.metrics.bulkhead_refusals.get_or_create(&[("group", "streams")]).inc();
            return Err(Refused);
        };
        Ok(Listener::new(self.clone(), place, last_id))
    }

    /// Reads the feed while somebody listens, until it is time to stop.
    pub async fn run(self, mut stop: Stop) {
        let inner = &*self.0;
        tokio::select! {
            () = async { loop { inner.serve().await } } => {}
            () = stop.wait() => {}
        }
        self.end_streams();
    }
}

impl Inner {
    /// Somebody begins to listen: what comes from now on is in the receiver.
    pub(super) fn join(self: &Arc<Self>) -> (Seat, broadcast::Receiver<Handed>) {
        let mut live = self.live();
        live.listeners += 1;
        let receiver = live.sender.subscribe();
        drop(live);
        self.metrics.event_streams.inc();
        self.needed.notify_one();
        self.wake.notify_one();
        (Seat(Arc::clone(self)), receiver)
    }

    /// Waits until the feed is read: whatever is after the place that this gives is in a receiver that was there before.
    pub(super) async fn reading(&self) -> Cursor {
        let mut reading = self.reading.subscribe();
        loop {
            // Who tells is part of this, and so never gone.
            let _ = reading.wait_for(|reading| *reading).await;
            if let Some(handed) = self.handed() {
                return handed;
            }
            let _ = reading.changed().await;
        }
    }

    /// How far the feed was handed out. What is up to there is in every receiver that was there before.
    pub(super) fn handed(&self) -> Option<Cursor> {
        self.live().handed
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing panics while it is held.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One stretch from the first listener to the last.
    async fn serve(&self) {
        let mut trouble = Trouble::default();
        while self.live().listeners == 0 {
            self.wake.notified().await;
        }
        let mut handed = loop {
            match self.feed.now().await {
                Ok(now) => break now,
                Err(error) => tokio::time::sleep(trouble.after(&error)).await,
            }
        };
        self.live().handed = Some(handed);
        self.reading.send_replace(true);
        let mut held_back = 0;
        loop {
            let wait = match self.hand_out(&mut handed).await {
                Ok(pending) => {
                    trouble.over();
                    held_back = if pending { held_back + 1 } else { 0 };
                    if pending { SOON.after(held_back).min(self.settings.poll) } else { self.settings.poll }
                }
                Err(error) => {
                    // Not at each wake: a database that is away is not helped by questions.
                    tokio::time::sleep(trouble.after(&error)).await;
                    Duration::ZERO
                }
            };
            if self.is_alone() {
                return;
            }
            let _ = tokio::time::timeout(wait, self.wake.notified()).await;
        }
    }

    /// Stops reading if nobody listens.
    fn is_alone(&self) -> bool {
        let mut live = self.live();
        let alone = live.listeners == 0;
        if alone {
            live.handed = None;
            self.reading.send_replace(false);
        }
        alone
    }

    /// Hands out what is new. Says whether something is held back.
    async fn hand_out(&self, handed: &mut Cursor) -> Result<bool> {
        let mut patience = PATIENCE;
        loop {
            // Half a buffer at most, so that the other half is there for those who are a little behind.
            let most = PAGE.min(self.settings.buffer as u32 / 2).max(1);
            let Batch { events, more, pending, now } = self.feed.after(*handed, most).await?;
            let events: Vec<_> =
                events.iter().map(|event| Handed { cursor: event.cursor, text: sse::order(event) }).collect();
            *handed = if more { events.last().map_or(now, |event| event.cursor) } else { now };
            {
                let mut live = self.live();
                for event in events {
                    // An error means that nobody listens at this moment.
                    let _ = live.sender.send(event);
                }
                live.handed = Some(*handed);
            }
            if !more {
                return Ok(pending);
            }
            let followed = tokio::time::timeout(patience, self.followed()).await.is_ok();
            patience = if followed { PATIENCE } else { (patience / 2).max(LOOK) };
        }
    }

    /// Waits until everybody has taken what was handed out.
    async fn followed(&self) {
        while !self.live().sender.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A database that does not answer, told once.
#[derive(Default)]
struct Trouble(u32);

impl Trouble {
    fn after(&mut self, error: &StoreError) -> Duration {
        if self.0 == 0 {
            tracing::warn!(%error, "events cannot be read; trying again until they can");
        }
        self.0 = self.0.saturating_add(1);
        SOON.after(self.0)
    }

    fn over(&mut self) {
        if self.0 > 0 {
            tracing::info!("events are read again");
        }
        self.0 = 0;
    }
}
