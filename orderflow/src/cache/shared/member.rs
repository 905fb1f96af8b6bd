//! Being one of the instances: telling the others what has changed, hearing it from them, and catching up after a loss.

use std::collections::BTreeSet;

use tokio::time::sleep;

use super::{CHANNEL, Shared, Tags, found::listed, unique};
use crate::{
    redis::{Error, Event, Operation, Session},
    resilience::Backoff,
};

/// The pauses between attempts to join.
const JOIN_AGAIN: Backoff =
    Backoff { base: std::time::Duration::from_millis(50), most: std::time::Duration::from_secs(1) };
/// How many places are told one by one. Of more it is said that anything may have changed.
const MOST: usize = 1_000;
/// What says that anything may have changed.
const ALL: &str = "all";

/// Changes that could not be sent, or of which it is not known that they were.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent {
    places: BTreeSet<u32>,
    all: bool,
    /// How often there was one.
    times: u64,
}

impl Unsent {
    fn add(&mut self, places: &[u32]) {
        self.times += 1;
        self.places.extend(places);
        if self.places.len() > MOST {
            self.places.clear();
            self.all = true;
        }
    }

    fn clear(&mut self) {
        *self = Self { times: self.times, ..Self::default() };
    }
}

impl Shared {
    /// Tells Redis and the other instances that what is at these places has changed, or remembers that they must be told.
    pub(in crate::cache) async fn invalidate(&self, places: &[u32]) {
        // Abandoned, it is as if nothing had been sent.
        let mut unsure = Unsure { shared: self, places: Some(places) };
        if let Some(session) = self.joined()
            && self.send(&session, places).await.is_ok()
        {
            unsure.places = None;
        }
    }

    async fn send(&self, session: &Session, places: &[u32]) -> Result<(), Error> {
        let places = listed(places);
        let message = format!("{} {places}", self.origin);
        let arguments = [self.channel.as_str(), &message, &places].map(str::as_bytes);
        let (script, keys) = (&self.scripts.invalidate, [self.changes.as_str()]);
        self.redis.script::<i64>(Some(session.clone()), Operation::Invalidate, script, &keys, &arguments).await?;
        Ok(())
    }

    /// Keeps the level usable: on every new connection, and when changes could not be sent, makes sure that nothing is
    /// missing before it is used. Does not end.
    pub(in crate::cache) async fn stay_joined(&self) {
        let mut sessions = self.redis.sessions();
        let mut failed = 0;
        loop {
            let session = sessions.borrow_and_update().clone();
            let Some(session) = session else {
                self.state().joined = None;
                if sessions.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            };
            let settled = self.state().joined.as_ref().is_some_and(|joined| joined.is(&session));
            if settled {
                tokio::select! {
                    changed = sessions.changed() => if changed.is_err() { return std::future::pending().await },
                    () = self.deferred.notified() => {}
                }
            } else if self.join(&session).await.is_ok() {
                failed = 0;
            } else {
                failed += 1;
                sleep(JOIN_AGAIN.after(failed)).await;
            }
        }
    }

    /// Makes sure that no change is missing, and then has this connection used.
    async fn join(&self, session: &Session) -> Result<(), Error> {
        let unsent = {
            let mut state = self.state();
            state.joined = None;
            state.unsent.clone()
        };
        let message = format!("{} {ALL}", self.origin);
        let (epoch, memory) = (unique(), self.memory());
        let must = if unsent.all { "1" } else { "0" };
        let arguments = [epoch.as_str(), &self.channel, &message, must, &memory].map(str::as_bytes);
        let (script, keys) = (&self.scripts.join, [self.changes.as_str()]);
        let began =
            self.redis.script::<i64>(Some(session.clone()), Operation::Join, script, &keys, &arguments).await? == 1;
        if !began && !unsent.places.is_empty() {
            self.send(session, &unsent.places.iter().copied().collect::<Vec<_>>()).await?;
        }
        let mut state = self.state();
        // Unless there was another change meanwhile.
        if state.unsent.times == unsent.times {
            state.unsent.clear();
            state.joined = Some(session.clone());
        }
        Ok(())
    }

    /// Applies to memory what other instances say. Does not end.
    pub(in crate::cache) async fn listen(&self, tags: &Tags) {
        let mut changes = self.redis.subscribe(&[CHANNEL]);
        loop {
            match changes.next().await {
                // What was said before, nobody here has heard.
                Event::Connected => tags.change_all(),
                Event::Message { bytes, .. } => self.heard(tags, &bytes),
                Event::Lost => tracing::debug!("other instances are not heard"),
            }
        }
    }

    fn heard(&self, tags: &Tags, message: &[u8]) {
        let Some(at) = message.iter().position(|byte| *byte == b' ') else { return tags.change_all() };
        let (origin, what) = (&message[..at], &message[at + 1..]);
        // Its own changes were applied when they were made.
        if origin == self.origin.as_bytes() {
            return;
        }
        match Tags::places(what) {
            Some(places) => tags.change(places),
            // Whatever cannot be understood may name anything.
            None => tags.change_all(),
        }
    }
}

/// Remembers, when it is dropped, places of which it is not known that they were sent.
struct Unsure<'a> {
    shared: &'a Shared,
    places: Option<&'a [u32]>,
}

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.places {
            let mut state = self.shared.state();
            state.unsent.add(places);
            state.joined = None;
            drop(state);
            self.shared.deferred.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_bounded() {
        let mut unsent = Unsent::default();
        for place in 0..MOST as u32 {
            unsent.add(&[place, place / 2]);
        }
        assert!(!unsent.all && unsent.places.len() == MOST);
        unsent.add(&[MOST as u32]);
        assert!(unsent.all && unsent.places.is_empty());
        unsent.add(&[1]);
        unsent.clear();
        assert!(!unsent.all && unsent.places.is_empty() && unsent.times == MOST as u64 + 2);
    }
}
