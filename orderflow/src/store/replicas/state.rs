//! One replica: how it was when it was last looked at, and whether a read may go to it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::store::{Position, postgres::PostgresStore};

/// Why a read goes to the primary instead of a replica. Where there are several replicas the last of these is told: the one
/// that had come closest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fallback {
    /// No replica has been looked at yet.
    None,
    /// It takes writes of its own, and no longer follows the primary.
    Promoted,
    /// It does not answer, or gave an error.
    Failed,
    /// It is further behind than is allowed.
    Lagging,
    /// It is not known to have replayed what the reader must see.
    Behind,
}

impl Fallback {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Promoted => "promoted",
            Self::Failed => "failed",
            Self::Lagging => "lagging",
            Self::Behind => "behind",
        }
    }
}

/// A replica as the monitor sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Why it cannot be used at all; `None` if it can.
    pub(super) unfit: Option<Fallback>,
    /// What it has replayed, at least.
    pub(super) replayed: Position,
    /// How far it is behind, if that is known.
    pub(super) lag: Option<Duration>,
    /// How long it took to answer.
    pub(super) latency: Duration,
}

/// A replica.
pub(super) struct Replica {
    /// Where it is, without a password.
    pub(super) name: String,
    pub(super) store: PostgresStore,
    seen: Mutex<Seen>,
    /// When a read last failed on it.
    failed: Mutex<Option<Instant>>,
    in_use: AtomicUsize,
}

/// A read that is under way on a replica.
pub(super) struct Use<'a>(&'a AtomicUsize);

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What these locks guard is whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    /// Not to be used before it was looked at.
    pub(super) fn new(name: String, store: PostgresStore) -> Self {
        let seen = Seen { unfit: Some(Fallback::None), replayed: Position::START, lag: None, latency: Duration::ZERO };
        Self { name, store, seen: Mutex::new(seen), failed: Mutex::default(), in_use: AtomicUsize::new(0) }
    }

    /// Whether it can answer a read that needs this position.
    // ANCHOR: fit_for
    pub(super) fn fit_for(&self, position: Position) -> Result<(), Fallback> {
        let seen = lock(&self.seen);
        match seen.unfit {
            Some(unfit) => Err(unfit),
            None if seen.replayed < position => Err(Fallback::Behind),
            None => Ok(()),
        }
    }
    // ANCHOR_END: fit_for

    /// How it was when it was last looked at.
    pub(super) fn seen(&self) -> Seen {
        *lock(&self.seen)
    }

    /// A read failed on it, so that nobody tries until it has been found well. One that was promoted stays so.
    pub(super) fn fail(&self) {
        let mut failed = lock(&self.failed);
        *failed = Some(Instant::now());
        let mut seen = lock(&self.seen);
        if seen.unfit != Some(Fallback::Promoted) {
            seen.unfit = Some(Fallback::Failed);
        }
    }

    /// Takes what was found by a look that began at `asked`. One from before a read failed does not make the replica well.
    pub(super) fn found(&self, asked: Instant, found: Seen) {
        let failed = lock(&self.failed);
        if found.unfit.is_some() || failed.is_none_or(|failed| failed < asked) {
            *lock(&self.seen) = found;
        }
    }

    /// Counts a read on it for as long as the value lives.
    pub(super) fn enter(&self) -> Use<'_> {
        self.in_use.fetch_add(1, Ordering::Relaxed);
        Use(&self.in_use)
    }

    /// How many reads are under way on it.
    pub(super) fn busy(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }
}
