//! What a lookup gives: an answer, or the right to store one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{MAX_BODY, Moment, Shared, Tags};
use crate::{
    redis::{Operation, Session},
    step, telemetry,
};

/// What the second level has.
pub(in crate::cache) enum Found {
    /// An answer that is true.
    Hit(Hit),
    /// None. What is loaded can be stored.
    Load(Ticket),
    /// None, and none can be stored: Redis is away.
    Nothing,
}

/// An answer.
pub(in crate::cache) struct Hit {
    pub(in crate::cache) body: Bytes,
    pub(in crate::cache) places: Arc<[u32]>,
    /// For how long it would be kept here.
    pub(in crate::cache) left: Duration,
    /// The moment, in memory, when it was true.
    pub(in crate::cache) asked: Moment,
}

impl Hit {
    pub(super) fn new(places: &[u8], body: Vec<u8>, left: i64, asked: Moment) -> Option<Self> {
        let places = Tags::places(places)?.into();
        let left = Duration::from_millis(left.try_into().ok()?);
        Some(Self { body: body.into(), places, left, asked })
    }
}

/// The right to store an answer whose loading begins now. Dropped, it lets others load.
pub(in crate::cache) struct Ticket {
    shared: Arc<Shared>,
    session: Session,
    slot: String,
    /// What the slot is marked with while others wait for this caller.
    mark: Option<String>,
    epoch: Vec<u8>,
    moment: Vec<u8>,
}

impl Ticket {
    pub(super) fn new(
        shared: Arc<Shared>,
        session: Session,
        slot: String,
        mark: Option<String>,
        epoch: Vec<u8>,
        moment: Vec<u8>,
    ) -> Self {
        Self { shared, session, slot, mark, epoch, moment }
    }

    /// Stores an answer that was loaded since, in the background: it is not what its reader waits for.
    pub(in crate::cache) fn store(self, key: &str, body: &Bytes, places: &[u32], ttl: Duration) {
        if body.len() > MAX_BODY {
            return;
        }
        let places = listed(places);
        let mut value = Vec::with_capacity(body.len() + key.len() + places.len() + 64);
        value.push(b'E');
        let head = [&self.epoch[..], b" ", &self.moment, b" ", places.as_bytes(), b" "].concat();
        value.extend_from_slice(&head);
        value.extend_from_slice(format!("{}\n{key}", key.len()).as_bytes());
        value.extend_from_slice(body);
        let storing = async move {
            let mut ticket = self;
            let mark = ticket.mark.take().unwrap_or_default();
            let (shared, memory) = (&ticket.shared, ticket.shared.memory());
            let ttl = ttl.as_millis().max(1).to_string();
            let words = [places.as_str(), &mark].map(str::as_bytes);
            let times = [ttl.as_str(), &memory].map(str::as_bytes);
            let arguments = [&ticket.epoch, &ticket.moment, words[0], words[1], &value, times[0], times[1]];
            let keys = [shared.changes.as_str(), &ticket.slot];
            // Where it cannot be kept, the next who asks loads it again.
            let _ = shared
                .redis
                .script::<i64>(Some(ticket.session.clone()), Operation::Store, &shared.scripts.store, &keys, &arguments)
                .await;
        };
        // A step of its own, that may take longer than the one that it is part of.
        step!("keep an answer").in_scope(|| telemetry::spawn(storing));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mark) = self.mark.take() else { return };
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (shared, session) = (Arc::clone(&self.shared), self.session.clone());
        let slot = std::mem::take(&mut self.slot);
        let releasing = async move {
            let release = &shared.scripts.release;
            let (keys, arguments) = ([slot.as_str()], [mark.as_bytes()]);
            // Without it the others wait until the lease ends.
            let _ = shared.redis.script::<i64>(Some(session), Operation::Release, release, &keys, &arguments).await;
        };
        step!("let others load").in_scope(|| telemetry::spawn(releasing));
    }
}

/// Places with commas between.
pub(super) fn listed(places: &[u32]) -> String {
    places.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
