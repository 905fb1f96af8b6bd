//! Connections that calls share. sqlx has a pool of its own; this one is smaller and differs where that one hurts a
//! service: it sends nothing when a connection is given back, a connection whose peer fell silent cannot keep its place
//! for ever, and "all are busy" is told apart from "the database is away".

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::Connection;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{error::Elapsed, timeout},
};
use tracing::{Instrument, Span};

use super::{
    PoolUse, StoreError,
    meter::{Called, Meter, Outcome, Running, Waiting},
    statement::Statement,
};
use crate::{
    step,
    telemetry::{Telemetry, span::failed},
};

/// A connection is replaced at this age, so that the server's memory for it does not grow for ever and a fleet moves to a
/// new server in time.
const MAX_AGE: Duration = Duration::from_mins(30);

/// How many connections, what they are called, and how long a call may wait.
pub(super) struct Limits {
    pub(super) called: Called,
    /// The most connections that are open at once.
    pub(super) max: u32,
    /// How long a call waits for a place, and then at most as long again for a new connection to open.
    pub(super) acquire: Duration,
    /// How long one statement may take, and so how long a connection that was abandoned in the middle of one may take to
    /// become usable again. The server gives up before.
    pub(super) statement: Duration,
    /// How long a statement takes that is told of as slow.
    pub(super) slow: Duration,
    /// What begins the transaction that each statement needs, where a pooler lends the server's connection for one
    /// transaction at a time; `None` where a connection is a session. What is left of an abandoned statement is then an open
    /// transaction, and only closing the connection ends it for certain.
    pub(super) transaction: Option<Arc<str>>,
}

/// Connections of one kind, all opened alike.
pub(super) struct Pool<C: Connection + 'static> {
    shared: Arc<Shared<C>>,
}

impl<C: Connection + 'static> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<C: Connection + 'static> {
    options: C::Options,
    limits: Limits,
    places: Arc<Semaphore>,
    /// Last in, first out: the connections that are in use stay warm.
    idle: Mutex<Vec<Open<C>>>,
    open: Arc<AtomicU32>,
    /// Grows whenever a connection turns out to be lost: those that have been idle since before are tried before use.
    losses: AtomicU64,
    /// Where it counts, once that is known.
    meter: OnceLock<Meter>,
}

/// A connection that is open, counted for as long as it lives.
struct Open<C> {
    inner: C,
    born: Instant,
    /// What `losses` was when it was last known to work.
    losses: u64,
    _counted: Counted,
}

struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(open: &Arc<AtomicU32>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: Connection + 'static> Pool<C> {
    /// Opens nothing yet.
    pub(super) fn new(options: C::Options, limits: Limits) -> Self {
        let places = Arc::new(Semaphore::new(limits.max as usize));
        let (idle, open, losses) = (Mutex::default(), Arc::default(), AtomicU64::new(0));
        let meter = OnceLock::new();
        Self { shared: Arc::new(Shared { options, limits, places, idle, open, losses, meter }) }
    }

    /// Counts there from now on.
    pub(super) fn count_in(&self, telemetry: &Telemetry) {
        self.shared.meter.get_or_init(|| Meter::new(telemetry, self.shared.limits.called));
    }

    /// A connection: an idle one, or a new one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if no place became free in time, [`StoreError::Unavailable`] if there is no connecting or the
    /// pool is closed, and whatever else the server says to a connection.
    pub(super) async fn acquire(&self) -> Result<Lease<C>, StoreError> {
        let shared = &self.shared;
        let place = shared.place().await?;
        let open = timeout(shared.limits.acquire, async {
            while let Some(mut open) = shared.pop() {
                if open.losses == shared.losses() || shared.check(&mut open).await {
                    return Ok(open);
                }
            }
            shared.connect().await
        });
        let open = open.await.map_err(|_| {
            shared.timed_out();
            StoreError::Unavailable(sqlx::Error::PoolTimedOut)
        })??;
        Ok(Lease { open: Some(open), place: Some(place), shared: shared.clone(), state: State::Settled, running: None })
    }

    /// How busy it is.
    pub(super) fn usage(&self) -> PoolUse {
        let idle = self.shared.idle().len() as u32;
        // The two are read one after the other, and a connection may have opened or closed in between.
        PoolUse { open: self.shared.open.load(Ordering::Relaxed).max(idle), idle, max: self.shared.limits.max }
    }

    /// Waits until every connection has been given back, and closes them.
    pub(super) async fn close(&self) {
        let all = self.shared.places.acquire_many(self.shared.limits.max).await;
        self.shared.places.close();
        drop(all);
        while let Some(open) = self.shared.pop() {
            // A server that does not hear the farewell notices the closed socket.
            let _ = timeout(self.shared.limits.statement, open.inner.close()).await;
        }
    }
}

impl<C: Connection + 'static> Shared<C> {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Open<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Open<C>> {
        self.idle().pop()
    }

    fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// The right to use one connection. Who finds one free does not wait behind anybody.
    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let closed = || StoreError::Unavailable(sqlx::Error::PoolClosed);
        match self.places.clone().try_acquire_owned() {
            Ok(place) => {
                if let Some(meter) = self.meter.get() {
                    meter.no_wait();
                }
                return Ok(place);
            }
            Err(TryAcquireError::Closed) => return Err(closed()),
            Err(TryAcquireError::NoPermits) => {}
        }
        let _waiting: Option<Waiting<'_>> = self.meter.get().map(Meter::waiting);
        let place = timeout(self.limits.acquire, self.places.clone().acquire_owned());
        let place = place.instrument(step!("wait for a connection", db.pool = self.limits.called.pool)).await;
        let place = place.map_err(|_| {
            self.timed_out();
            StoreError::Busy
        })?;
        place.map_err(|_| closed())
    }

    fn timed_out(&self) {
        if let Some(meter) = self.meter.get() {
            meter.timed_out();
        }
    }

    async fn connect(&self) -> Result<Open<C>, sqlx::Error> {
        let losses = self.losses();
        let counted = Counted::new(&self.open);
        let span = step!("open a connection", db.pool = self.limits.called.pool);
        let opened = C::connect_with(&self.options).instrument(span.clone()).await;
        if opened.is_err() {
            failed(&span);
        }
        let inner = opened?;
        Ok(Open { inner, born: Instant::now(), losses, _counted: counted })
    }

    /// Whether the connection answers, after whatever was left of an abandoned statement.
    async fn check(&self, open: &mut Open<C>) -> bool {
        let losses = self.losses();
        let span = step!("check a connection", db.pool = self.limits.called.pool);
        let answers = matches!(timeout(self.limits.statement, open.inner.ping()).instrument(span).await, Ok(Ok(())));
        open.losses = losses;
        answers
    }

    fn put_back(&self, open: Open<C>) {
        if open.born.elapsed() < MAX_AGE && !self.places.is_closed() {
            self.idle().push(open);
        }
    }
}

/// A connection that is in use. Given back when dropped, unless it is lost; if it was abandoned in the middle of a
/// statement, it is given back once it answers again, which nobody waits for, or closed if it is a pooler's.
pub(super) struct Lease<C: Connection + 'static> {
    open: Option<Open<C>>,
    place: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared<C>>,
    state: State,
    /// The statement that is under way.
    running: Option<Running>,
}

#[derive(PartialEq)]
enum State {
    Settled,
    Running,
    Lost,
}

impl<C: Connection + 'static> Lease<C> {
    /// A statement is asked for: from now on it takes time. What waits for its end does so in this span.
    pub(super) fn ask(&mut self, statement: Statement) -> Span {
        let running = Running::begin(statement, self.shared.limits.called);
        let span = running.span();
        self.running = Some(running);
        span
    }

    /// Counts the statement that is under way, if there is one.
    fn ended(&mut self, outcome: Outcome, rows: Option<u64>) {
        if let Some(running) = self.running.take() {
            running.end(outcome, rows, self.shared.meter.get(), self.shared.limits.slow);
        }
    }

    /// The connection, to run a statement on, which counts as abandoned until it is [settled](Self::settle).
    pub(super) fn begin(&mut self) -> &mut C {
        self.state = State::Running;
        &mut self.open.as_mut().expect("only drop takes it").inner
    }

    /// Takes the end of what [`begin`](Self::begin) began. `rows` counts what an answer has or is about.
    ///
    /// # Errors
    ///
    /// What the server said, or [`StoreError::TimedOut`] if it said nothing in time.
    pub(super) fn settle<T>(
        &mut self,
        ended: Result<Result<T, sqlx::Error>, Elapsed>,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<T, StoreError> {
        let Ok(result) = ended else {
            self.ended(Outcome::Timeout, None);
            return Err(StoreError::TimedOut);
        };
        let result = result.map_err(StoreError::from);
        self.ended(Outcome::of(&result), result.as_ref().ok().map(rows));
        match &result {
            // After an answer that was not understood, nobody knows what comes next.
            Err(StoreError::Unavailable(_) | StoreError::Internal(sqlx::Error::Protocol(_))) => self.lose(),
            _ => self.state = State::Settled,
        }
        result
    }

    /// How long one statement may take.
    pub(super) fn limit(&self) -> Duration {
        self.shared.limits.statement
    }

    /// What begins the transaction that each statement needs, if it needs one.
    pub(super) fn transaction(&self) -> Option<Arc<str>> {
        self.shared.limits.transaction.clone()
    }

    /// Keeps the connection from being used again: it is lost, or in a state that nobody should meet.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
        self.shared.losses.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the server answers on this connection. If not, it is not used again.
    pub(super) async fn alive(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        self.state = State::Running;
        // As long as one waits for a connection: this is still about getting one that works.
        let alive = matches!(timeout(self.shared.limits.acquire, self.shared.check(open)).await, Ok(true));
        if alive {
            self.state = State::Settled;
        } else {
            self.lose();
        }
        alive
    }
}

impl<C: Connection + 'static> Drop for Lease<C> {
    fn drop(&mut self) {
        self.ended(Outcome::Abandoned, None);
        let Some(mut open) = self.open.take() else { return };
        match self.state {
            State::Settled => self.shared.put_back(open),
            State::Lost => {}
            // Whatever it was in the middle of must not become the next one's: closed, it is rolled back.
            State::Running if self.shared.limits.transaction.is_some() => {}
            State::Running => {
                // Its place goes with it: a statement that nobody waits for is still work for the server.
                let (shared, place) = (self.shared.clone(), self.place.take());
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(async move {
                        if shared.check(&mut open).await {
                            shared.put_back(open);
                        }
                        drop(place);
                    });
                }
            }
        }
    }
}
