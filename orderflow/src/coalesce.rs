//! Point reads that meet in time go out as one statement.
//!
//! While a statement is under way, the identifiers that are asked for gather; when it ends, all of them are asked for at
//! once. A read that meets no other starts at once and is not delayed. The busier the database, the larger the batches:
//! that is what turns a queue into throughput.
//!
//! Where there are replicas, a batch is read at the newest position that one of its members needs. Those who need none in
//! particular are in batches of their own: nobody else's position, true or made up, decides who answers them.
//!
//! A shared statement is asked for on behalf of one of those who share it: the first of them who is traced, or else the first.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::histogram::Histogram;
use tokio::{runtime::Handle, sync::oneshot};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    metrics::Metrics,
    step,
    store::{Position, StoreError},
    telemetry::Work,
};

/// Statements that are under way at once. With one, the database idles while its answer is handed out; a third makes
/// batches smaller and gains nothing.
const IN_FLIGHT: usize = 2;

/// The most identifiers that one statement asks for.
pub const MAX_BATCH: usize = 256;

/// A failure that everybody in a batch is told of.
pub type SharedError = Arc<StoreError>;

type Loading<V> = Pin<Box<dyn Future<Output = Result<Vec<V>, StoreError>> + Send>>;
type Answer<V> = Result<Option<V>, SharedError>;
type Waiting<K, V> = Vec<Waiter<K, V>>;

/// Loads single values by key, several at a time.
pub struct Coalescer<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    state: Mutex<State<K, V>>,
    load: Box<dyn Fn(Vec<K>, Position) -> Loading<V> + Send + Sync>,
    key: fn(&V) -> K,
    /// How many keys statements ask for.
    sizes: Histogram,
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

/// Somebody who waits for a statement that is to be shared.
struct Waiter<K, V> {
    key: K,
    position: Position,
    sender: oneshot::Sender<Answer<V>>,
    asker: Option<Asker>,
}

/// What a key is asked for, and the span of the wait.
struct Asker {
    work: Work,
    span: Span,
}

impl Asker {
    /// Who a statement that these share is asked for.
    fn first(askers: &[Self]) -> Option<&Self> {
        askers.iter().find(|asker| asker.work.trace().sampled).or(askers.first())
    }

    /// Says in what is traced how many keys are asked for together, and in which trace that is seen.
    fn tell(askers: &[Self], keys: usize) {
        let Some(first) = Self::first(askers).filter(|first| first.work.trace().sampled) else { return };
        let trace = first.work.trace().trace.to_string();
        for Self { work, span } in askers {
            if work.trace().sampled {
                span.record("batch.size", keys).record("statement.trace_id", &trace);
            }
        }
    }
}

impl<K, V> Coalescer<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// What is read is called `what`. `load` gives the values that exist among at most [`MAX_BATCH`] distinct keys, in any
    /// order, from a copy of the database that is at least so new; `key` gives a value's own.
    pub fn new<F>(
        what: &'static str,
        metrics: &Metrics,
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
            sizes: metrics.db_batch_size.get_or_create_owned(&[("what", what)]),
            together,
        }))
    }

    /// The value with this key, `None` if there is none, as it was at this position or later.
    ///
    /// # Errors
    /// What the statement failed with, shared by everybody whose key was in it.
    pub async fn get(&self, key: K, position: Position) -> Answer<V> {
        if !self.0.together {
            return Ok(self.0.ask(vec![key], position).await?.pop());
        }
        // ANCHOR: wait
        let turn = {
            let mut state = self.0.lock();
            if state.running < IN_FLIGHT {
                state.running += 1;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                let span = step!("shared statement", batch.size = Empty, statement.trace_id = Empty);
                let asker = Work::current().map(|work| Asker { work, span: span.clone() });
                let waiter = Waiter { key, position, sender, asker };
                state.waiting[usize::from(position != Position::START)].push(waiter);
                Some(receiver.instrument(span))
            }
        };
        let Some(turn) = turn else {
            // It meets nobody: no task, no channel, no delay.
            let _slot = Slot(Arc::clone(&self.0));
            return Ok(self.0.ask(vec![key], position).await?.pop());
        };
        // ANCHOR_END: wait
        // The sender is dropped unused only if `load` panicked.
        turn.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Internal(sqlx::Error::WorkerCrashed))))
    }
}

impl<K, V> Inner<K, V> {
    /// Asks for these keys with one statement.
    fn ask(&self, keys: Vec<K>, position: Position) -> Loading<V> {
        self.sizes.observe(keys.len() as f64);
        (self.load)(keys, position)
    }

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
            let (mut newest, mut askers) = (Position::START, Vec::with_capacity(batch.len()));
            for Waiter { key, position, sender, asker } in batch {
                if !sender.is_closed() {
                    newest = newest.max(position);
                    waiting.entry(key).or_default().push(sender);
                    askers.extend(asker);
                }
            }
            if waiting.is_empty() {
                continue;
            }
            Asker::tell(&askers, waiting.len());
            let loading = self.0.ask(waiting.keys().copied().collect(), newest);
            let loaded = match Asker::first(&askers) {
                Some(Asker { work, span }) => work.clone().scope(loading.instrument(span.clone())).await,
                None => loading.await,
            };
            // Before anybody goes on, so that no span outlasts its request for this.
            drop(askers);
            match loaded {
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
