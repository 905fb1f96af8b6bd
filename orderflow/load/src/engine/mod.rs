//! The run: threads, each with its share of the connections and of the schedule, and nothing shared on the way of a request.

mod closed;
mod cpu;
mod dispatch;
mod open;
mod pacer;
mod user;
mod worker;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
pub(crate) use dispatch::{Arrival, Notice};
pub(crate) use worker::Measured;

use crate::{
    outcome::{Outcome, gather},
    record::Live,
    scenario::{Pace, Scenario},
    target::Target,
};

/// The most threads a run may have.
pub const MAX_THREADS: u32 = 64;
/// The longest timeout: the histograms reach no further.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);
/// How often threads look whether all are ready.
pub(crate) const READY: Duration = Duration::from_millis(1);
/// From the moment that every thread is ready to the start, so that none begins late.
const LEAD: Duration = Duration::from_millis(5);
/// How often the threads are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often progress is told, in looks.
const TELL: u32 = 10;

/// What does not depend on the scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads, 1 to [`MAX_THREADS`]; never more than connections. A request costs one some 8 us of processor.
    pub threads: u32,
    /// How long a request may take from its send to the last byte of its answer, connecting included.
    pub timeout: Duration,
    /// Set it, and the run ends early: what is on its way has one more second.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, timeout: Duration::from_secs(10), stop: Arc::default() }
    }
}

/// How a run is doing. Counts include the warm-up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// Since the first arrival could be due.
    pub elapsed: Duration,
    /// How long requests are started for.
    pub planned: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Expected answers.
    pub ok: u64,
    /// Errors of any kind.
    pub errors: u64,
    /// Arrivals that found the backlog full.
    pub dropped: u64,
    /// The 99th percentile of the last whole second, of the slowest thread, in milliseconds.
    pub p99_ms: f64,
}

/// What every thread of a run can see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) scenario: Scenario,
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) stop: Arc<AtomicBool>,
    /// A number that no other run has, for idempotency keys and e-mail addresses.
    pub(crate) run: u64,
    pub(crate) threads: u32,
    /// Threads whose connections are open.
    pub(crate) ready: AtomicU32,
    /// Set when all of them are.
    pub(crate) start: OnceLock<Instant>,
    pub(crate) live: Vec<Arc<Live>>,
}

impl Shared {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs `scenario` against `target` and returns what was measured; `progress` is told five times a second.
///
/// It blocks the calling thread. However many requests fail, that is a result and not an error.
///
/// # Errors
/// The options are out of range, the scenario needs a key that the target lacks, or a thread cannot be started.
pub fn run(
    scenario: &Scenario,
    target: &Target,
    options: &Options,
    progress: &mut dyn FnMut(&Snapshot),
) -> Result<Outcome> {
    if !(1..=MAX_THREADS).contains(&options.threads) {
        bail!("{} threads; give it 1 to {MAX_THREADS}", options.threads);
    }
    if options.timeout < Duration::from_millis(1) || options.timeout > MAX_TIMEOUT {
        bail!("a timeout of {:?}; give it 1 ms to 60 s, which is as far as the histograms reach", options.timeout);
    }
    if scenario.needs_key() && target.key.is_none() {
        bail!("scenario {} writes, which needs a key: give it with --key or in ORDERFLOW_API_KEY", scenario.name);
    }
    let connections = match scenario.pace {
        Pace::Open { connections, .. } => connections,
        Pace::Closed { users, .. } => users,
    };
    let threads = options.threads.min(connections);
    let shared = Arc::new(Shared {
        scenario: scenario.clone(),
        target: target.clone(),
        timeout: options.timeout,
        stop: options.stop.clone(),
        run: fastrand::u64(..),
        threads,
        ready: AtomicU32::new(0),
        start: OnceLock::new(),
        live: (0..threads).map(|_| Arc::default()).collect(),
    });
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut workers: Vec<thread::JoinHandle<io::Result<Measured>>> = Vec::new();
    for index in 0..threads {
        let mine = shared.clone();
        match thread::Builder::new().name(format!("load-{index}")).spawn(move || worker::work(&mine, index)) {
            Ok(worker) => workers.push(worker),
            Err(error) => {
                // Those that were started wait for the start, and then see that there is nothing to do.
                shared.stop.store(true, Ordering::Relaxed);
                shared.start.get_or_init(Instant::now);
                return Err(error).context("a thread cannot be started");
            }
        }
    }
    while shared.ready.load(Ordering::Relaxed) < threads && !workers.iter().any(thread::JoinHandle::is_finished) {
        thread::sleep(READY);
    }
    shared.start.get_or_init(|| Instant::now() + LEAD);
    let mut look = 0;
    while workers.iter().any(|worker| !worker.is_finished()) {
        thread::sleep(LOOK);
        look += 1;
        if look % TELL == 0 {
            progress(&snapshot(&shared));
        }
    }
    progress(&snapshot(&shared));
    let mut measured = Vec::new();
    for worker in workers {
        match worker.join() {
            Ok(one) => measured.push(one.context("a thread of the generator has no event loop")?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(gather(&shared, started, &measured))
}

fn snapshot(shared: &Shared) -> Snapshot {
    let sum = |of: fn(&Live) -> u64| shared.live.iter().map(|live| of(live)).sum();
    let p99_us = shared.live.iter().map(|live| live.p99_us.load(Ordering::Relaxed)).max().unwrap_or(0);
    Snapshot {
        elapsed: shared.start.get().map_or(Duration::ZERO, Instant::elapsed),
        planned: shared.scenario.duration(),
        sent: sum(|live| live.sent.load(Ordering::Relaxed)),
        ok: sum(|live| live.ok.load(Ordering::Relaxed)),
        errors: sum(|live| live.errors.load(Ordering::Relaxed)),
        dropped: sum(|live| live.dropped.load(Ordering::Relaxed)),
        p99_ms: p99_us as f64 / 1000.0,
    }
}
