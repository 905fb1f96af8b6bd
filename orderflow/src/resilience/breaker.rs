//! A circuit breaker: whoever fails again and again is left alone for a while, then tried by a few.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::metrics::Metrics;

/// Calls that are looked at when it is decided whether to open, and for how long they are.
const WINDOW: u32 = 20;
const SPAN: Duration = Duration::from_secs(10);
/// The fewest calls to decide on.
const LEAST: u32 = 5;
/// Probes that may be under way at once while half open, and that must succeed to close.
const PROBES: u32 = 3;
/// How long it stays open before probes are let through.
const REST: Duration = Duration::from_secs(1);

/// Whether calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All are.
    Closed,
    /// A few are, to see how they fare.
    HalfOpen,
    /// None is.
    Open,
}

/// A call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has failed too often and is left alone for a moment")]
pub struct Open(pub &'static str);

/// A circuit breaker around one dependency. Clones share it.
#[derive(Debug, Clone)]
pub struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    metrics: Metrics,
    circuit: Mutex<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    state: State,
    calls: u32,
    failures: u32,
    /// When the state began or, while closed, the window.
    since: Instant,
    probing: u32,
    succeeded: u32,
    /// Counts changes of state: the outcome of a call that began before the last one decides nothing.
    turn: u64,
}

/// A call that was let through. Dropped without a word it counts for nothing, and its place is free again: whoever wanted it
/// went away, which says nothing of the dependency. So who makes a call bounds its time, and says that it failed when that is
/// over.
#[derive(Debug)]
pub struct Permit {
    breaker: Breaker,
    turn: u64,
    said: bool,
}

impl Breaker {
    /// A closed one. It opens when of at least five calls within ten seconds half have failed, rests for a second, and then
    /// closes again once three probes have succeeded.
    pub fn new(name: &'static str, metrics: Metrics) -> Self {
        let now = Instant::now();
        let circuit =
            Circuit { state: State::Closed, calls: 0, failures: 0, since: now, probing: 0, succeeded: 0, turn: 0 };
        metrics.circuit_state.get_or_create(&[("name", name)]).set(0);
        Self(Arc::new(Inner { name, metrics, circuit: circuit.into() }))
    }

    /// Lets a call through, or not. The caller says how it ended.
    ///
    /// # Errors
    /// [`Open`] while the dependency is left alone.
    pub fn enter(&self) -> Result<Permit, Open> {
        let mut circuit = self.circuit();
        if circuit.state == State::Open && circuit.since.elapsed() >= REST {
            self.turn(&mut circuit, State::HalfOpen);
        }
        let admitted = match circuit.state {
            State::Closed => true,
            State::HalfOpen if circuit.probing < PROBES => {
                circuit.probing += 1;
                true
            }
            State::HalfOpen | State::Open => false,
        };
        if !admitted {
            self.0.metrics.circuit_refusals.get_or_create(&[("name", self.0.name)]).inc();
            return Err(Open(self.0.name));
        }
        Ok(Permit { breaker: self.clone(), turn: circuit.turn, said: false })
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.circuit().state
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Nothing panics while it is held.
        self.0.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, circuit: &mut Circuit, state: State) {
        // What changes every second while a dependency is away is not told each time.
        let dependency = self.0.name;
        match (circuit.state, state) {
            (State::Closed, _) => tracing::warn!(dependency, "calls fail too often and are not made for a while"),
            (_, State::Closed) => tracing::info!(dependency, "calls are made again"),
            _ => tracing::debug!(dependency, ?state, "circuit breaker"),
        }
        let turn = circuit.turn + 1;
        *circuit = Circuit { state, calls: 0, failures: 0, since: Instant::now(), probing: 0, succeeded: 0, turn };
        let shown = match state {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        };
        self.0.metrics.circuit_state.get_or_create(&[("name", dependency)]).set(shown);
    }

    /// `well` is nothing for a call that was given up.
    fn ended(&self, turn: u64, well: Option<bool>) {
        let mut circuit = self.circuit();
        if circuit.turn != turn {
            return;
        }
        if circuit.state == State::HalfOpen {
            circuit.probing -= 1;
        }
        let Some(well) = well else { return };
        match circuit.state {
            State::Closed => {
                if circuit.calls >= WINDOW || circuit.since.elapsed() >= SPAN {
                    (circuit.calls, circuit.failures, circuit.since) = (0, 0, Instant::now());
                }
                circuit.calls += 1;
                circuit.failures += u32::from(!well);
                // A call that ended well opens nothing, whatever those before it did.
                if !well && circuit.calls >= LEAST && circuit.failures * 2 >= circuit.calls {
                    self.turn(&mut circuit, State::Open);
                }
            }
            State::HalfOpen if !well => self.turn(&mut circuit, State::Open),
            State::HalfOpen => {
                circuit.succeeded += 1;
                if circuit.succeeded >= PROBES {
                    self.turn(&mut circuit, State::Closed);
                }
            }
            State::Open => {}
        }
    }
}

impl Permit {
    /// The call ended well, as far as the dependency is concerned.
    pub fn succeeded(mut self) {
        self.said = true;
        self.breaker.ended(self.turn, Some(true));
    }

    /// The dependency failed.
    pub fn failed(mut self) {
        self.said = true;
        self.breaker.ended(self.turn, Some(false));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.said {
            self.breaker.ended(self.turn, None);
        }
    }
}
