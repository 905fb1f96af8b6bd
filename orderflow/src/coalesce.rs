//! Point reads that meet in time go out as one statement.
//!
//! While a statement is under way, the identifiers that are asked for gather; when it ends, all of them are asked for at
//! once. A read that meets no other starts at once and is not delayed. The busier the database, the larger the batches:
//! that is what turns a queue into throughput.
//!
//! Where there are replicas, a batch is read at the newest position that one of its members needs. Those who need none in
//! particular are in batches of their own: nobody else's position, true or made up, decides who answers them.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::store::{Position, StoreError};

/// Statements that are under way at once. With one, the database idles while its answer is handed out; a third makes
/// batches smaller and gains nothing.
const IN_FLIGHT: usize = 2;

/// The most identifiers that one statement asks for.
pub const MAX_BATCH: usize = 256;

/// A failure that everybody in a batch is told of.
pub type SharedError = Arc<StoreError>;

type Loading<V> = Pin<Box<dyn Future<Output = Result<Vec<V>, StoreError>> + Send>>;
type Answer<V> = Result<Option<V>, SharedError>;
type Waiting<K, V> = Vec<(K, Position, oneshot::Sender<Answer<V>>)>;

/// Loads single values by key, several at a time.
pub struct Coalescer<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    state: Mutex<State<K, V>>,
    load: Box<dyn Fn(Vec<K>, Position) -> Loading<V> + Send + Sync>,
    key: fn(&V) -> K,
    /// Whether reads are put together at all; without it every read is a statement of its own.
    together: bool,
}

struct State<K, V> {
    running: usize,
    /// Those who need no position in particular, and the others.
    waiting: [Waiting<K, V>; 2],
    /// Which of the two is served next: they take turns.
    others_next: bool,
}

impl<K, V> Coalescer<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// `load` gives the values that exist among at most [`MAX_BATCH`] distinct keys, in any order, from a copy of the
    /// database that is at least so new; `key` gives a value's own.
    pub fn new<F>(
        together: bool,
        key: fn(&V) -> K,
        load: impl Fn(Vec<K>, Position) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<V>, StoreError>> + Send + 'static,
    {
        let state = Mutex::new(State { running: 0, waiting: [Vec::new(), Vec::new()], others_next: false });
        Self(Arc::new(Inner {
            state,
            load: Box::new(move |keys, position| Box::pin(load(keys, position))),
            key,
            together,
        }))
    }

    /// The value with this key, `None` if there is none, as it was at this position or later.
    ///
    /// # Errors
    /// What the statement failed with, shared by everybody whose key was in it.
    pub async fn get(&self, key: K, position: Position) -> Answer<V> {
        if !self.0.together {
            return Ok((self.0.load)(vec![key], position).await?.pop());
        }
        // ANCHOR: wait
        let turn = {
            let mut state = self.0.lock();
            if state.running < IN_FLIGHT {
                state.running += 1;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                state.waiting[usize::from(position != Position::START)].push((key, position, sender));
                Some(receiver)
            }
        };
        let Some(turn) = turn else {
            // It meets nobody: no task, no channel, no delay.
            let _slot = Slot(Arc::clone(&self.0));
            return Ok((self.0.load)(vec![key], position).await?.pop());
        };
        // ANCHOR_END: wait
        // The sender is dropped unused only if `load` panicked.
        turn.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Internal(sqlx::Error::WorkerCrashed))))
    }
}

impl<K, V> Inner<K, V> {
    /// No panic happens while it is held, so that its state is whole even where it says otherwise.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the statements that may be under way. Whoever ends one, or is cancelled or panics in the middle of it, hands its
/// place to those who wait.
struct Slot<K, V>(Arc<Inner<K, V>>)
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static;

impl<K, V> Drop for Slot<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.waiting.iter().any(|waiting| !waiting.is_empty())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(Slot(Arc::clone(&self.0)).serve());
        } else {
            // Without a runtime nobody can be served any more; they learn it from their closed channels.
            state.waiting.iter_mut().for_each(Vec::clear);
            state.running -= 1;
        }
    }
}

impl<K, V> Slot<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Serves those who wait, a batch at a time, until nobody does.
    async fn serve(self) {
        while let Some(batch) = self.next() {
            let mut waiting: HashMap<K, Vec<oneshot::Sender<Answer<V>>>> = HashMap::with_capacity(batch.len());
            let mut newest = Position::START;
            for (key, position, sender) in batch {
                if !sender.is_closed() {
                    newest = newest.max(position);
                    waiting.entry(key).or_default().push(sender);
                }
            }
            if waiting.is_empty() {
                continue;
            }
            match (self.0.load)(waiting.keys().copied().collect(), newest).await {
                Ok(values) => {
                    for value in values {
                        let mut senders = waiting.remove(&(self.0.key)(&value)).unwrap_or_default();
                        let last = senders.pop();
                        for sender in senders {
                            let _ = sender.send(Ok(Some(value.clone())));
                        }
                        if let Some(last) = last {
                            let _ = last.send(Ok(Some(value)));
                        }
                    }
                    for sender in waiting.into_values().flatten() {
                        let _ = sender.send(Ok(None));
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for sender in waiting.into_values().flatten() {
                        let _ = sender.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }

    fn next(&self) -> Option<Waiting<K, V>> {
        let mut state = self.0.lock();
        let first = usize::from(state.others_next);
        state.others_next = !state.others_next;
        let queue = if state.waiting[first].is_empty() { 1 - first } else { first };
        let waiting = &mut state.waiting[queue];
        let many = waiting.len().min(MAX_BATCH);
        (many > 0).then(|| waiting.drain(..many).collect())
    }
}
