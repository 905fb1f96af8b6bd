//! The second level of the cache, in Redis, that all instances share.
//!
//! An answer is kept in one of a fixed number of slots, so that the number of keys is bounded. When tags have changed is kept
//! beside, in one hash, under an epoch: an answer is true if it was stored in the current epoch and nothing that it was made
//! from has changed since its loading began. Should Redis lose the hash, a new epoch begins, and nothing from before is
//! true. What cannot be found is loaded by one caller of one instance; the others wait for it, within a bound.

mod found;
mod member;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::redis::Script;
use tokio::{sync::Notify, time::Instant};

pub(super) use found::{Found, Hit, Ticket};

use super::{
    stable,
    tags::{Moment, Tags},
};
use crate::{
    config,
    redis::{Operation, Redis, Session},
    resilience::Backoff,
};
use member::Unsent;

/// The largest answer that is kept, in bytes. A page of a hundred products has about a third of that.
const MAX_BODY: usize = 64 << 10;
/// How long one caller may keep the others waiting for what it loads.
const LEASE: Duration = Duration::from_secs(1);
/// The pauses between looks for what somebody else loads.
const LOOK_AGAIN: Backoff = Backoff { base: Duration::from_millis(4), most: Duration::from_millis(30) };
/// Where instances tell each other what has changed.
const CHANNEL: &str = "cache";

/// The second level.
pub(super) struct Shared {
    redis: Redis,
    slots: u32,
    ttl: Duration,
    /// The name of the hash of changes.
    changes: String,
    channel: String,
    /// Which instance this is, so that it knows its own messages.
    origin: String,
    scripts: Scripts,
    state: Mutex<State>,
    /// Wakes whoever makes the level usable again.
    deferred: Notify,
}

struct Scripts {
    lookup: Script,
    store: Script,
    release: Script,
    invalidate: Script,
    join: Script,
}

struct State {
    /// The connection on which answers may be used: it is known that no change is missing there.
    joined: Option<Session>,
    unsent: Unsent,
}

/// 16 hexadecimal digits that nobody else has.
fn unique() -> String {
    format!("{:016x}", fastrand::u64(..))
}

impl Shared {
    pub(super) fn new(redis: Redis, settings: &config::Cache) -> Self {
        Self {
            slots: settings.redis_entries,
            ttl: settings.redis_ttl,
            changes: redis.name("cache:changes"),
            channel: redis.name(CHANNEL),
            origin: unique(),
            scripts: Scripts {
                lookup: Script::new(include_str!("lookup.lua")),
                store: Script::new(include_str!("store.lua")),
                release: Script::new(include_str!("release.lua")),
                invalidate: Script::new(include_str!("invalidate.lua")),
                join: Script::new(include_str!("join.lua")),
            },
            state: Mutex::new(State { joined: None, unsent: Unsent::default() }),
            deferred: Notify::new(),
            redis,
        }
    }

    /// How long an answer is kept here.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn joined(&self) -> Option<Session> {
        self.state().joined.clone()
    }

    /// For how long changes are remembered after the last answer was stored: longer than any answer is.
    fn memory(&self) -> String {
        (self.ttl.max(LEASE) * 2).as_millis().to_string()
    }

    /// Looks for an answer, and waits a while for one that another instance loads.
    pub(super) async fn lookup(self: &Arc<Self>, key: &str, tags: &Tags) -> Found {
        // Memory first, then whether Redis may be used: whoever cannot send a change says so before the change counts here.
        let mut asked = tags.now();
        let Some(session) = self.joined() else { return Found::Nothing };
        let slot = self.redis.name(format_args!("cache:{}", stable::hash(key) % u64::from(self.slots)));
        let mark = format!("L{} {key}", unique());
        let patience = Instant::now() + LEASE;
        for look in 1.. {
            let reply: Reply = {
                let (epoch, lease, memory) = (unique(), LEASE.as_millis().to_string(), self.memory());
                let arguments = [key, &epoch, &mark, &lease, &memory].map(str::as_bytes);
                let keys = [self.changes.as_str(), &slot];
                let lookup = &self.scripts.lookup;
                match self.redis.script(Some(session.clone()), Operation::Lookup, lookup, &keys, &arguments).await {
                    Ok(reply) => reply,
                    Err(_) => return Found::Nothing,
                }
            };
            let (what, first, second, number) = reply;
            match what {
                1 => return Hit::new(&first, second, number, asked).map_or(Found::Nothing, Found::Hit),
                2 if Instant::now() < patience => {
                    tokio::time::sleep(LOOK_AGAIN.after(look)).await;
                    asked = tags.now();
                }
                0 | 2 => {
                    let mark = (number == 1).then_some(mark);
                    let ticket = Ticket::new(Arc::clone(self), session, slot, mark, first, second);
                    return Found::Load(ticket);
                }
                _ => return Found::Nothing,
            }
        }
        Found::Nothing
    }
}

/// What a lookup gives, as the script describes it.
type Reply = (i64, Vec<u8>, Vec<u8>, i64);
