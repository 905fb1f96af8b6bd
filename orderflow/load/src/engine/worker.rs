//! One thread: its event loop, its connections, and the end of its part of the run.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{runtime::LocalOptions, task::JoinHandle};

use super::{
    READY, Shared, closed, cpu, open,
    user::{Common, User},
};
use crate::{
    client::{Connection, Prepared, Totals},
    record::Recorder,
    scenario::Pace,
};

/// How long each connection may take to open ahead of the run.
const OPEN: Duration = Duration::from_secs(1);
/// How long what is on its way has after an interruption.
const GRACE: Duration = Duration::from_secs(1);
/// How often the end is looked for.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// What a thread hands back.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) recorder: Recorder,
    pub(crate) totals: Totals,
    /// Share of a processor that this thread used, 0 to 1, where the system tells.
    pub(crate) cpu: Option<f64>,
    /// Whether the run was ended early.
    pub(crate) interrupted: bool,
}

/// Does the part of thread `index`.
pub(crate) fn work(shared: &Arc<Shared>, index: u32) -> io::Result<Measured> {
    // Sockets and the pacer's ring are looked at after so many tasks: with the default of 61, an arrival would wait for
    // 61 answers to be dealt with.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(13)
        .build_local(LocalOptions::default());
    let ready = runtime.map(|runtime| {
        let connections = runtime.block_on(connections(shared, index));
        (runtime, connections)
    });
    shared.ready.fetch_add(1, Ordering::Relaxed);
    let start = loop {
        if let Some(start) = shared.start.get() {
            break *start;
        }
        std::thread::sleep(READY);
    };
    let (runtime, connections) = ready?;
    runtime.block_on(part(shared, index, start, connections))
}

/// This thread's share of the connections, open where the target lets them.
async fn connections(shared: &Shared, index: u32) -> Vec<Connection> {
    let total = match shared.scenario.pace {
        Pace::Open { connections, .. } => connections,
        Pace::Closed { users, .. } => users,
    };
    let mut connections = Vec::new();
    let mut reachable = true;
    for _ in (index..total).step_by(shared.threads as usize) {
        let mut connection = Connection::new(shared.target.address);
        if reachable && !shared.stopped() {
            // The run itself will say why, when a request fails to connect.
            reachable = matches!(tokio::time::timeout(OPEN, connection.open()).await, Ok(Ok(())));
        }
        connections.push(connection);
    }
    connections
}

async fn part(shared: &Arc<Shared>, index: u32, start: Instant, connections: Vec<Connection>) -> io::Result<Measured> {
    let scenario = &shared.scenario;
    let planned = scenario.duration();
    let live = shared.live[index as usize].clone();
    let is_open = matches!(scenario.pace, Pace::Open { .. });
    let recorder = |routes| Recorder::new(start, scenario.warmup, planned, is_open, routes, live.clone());
    let prepare = |steps: &Vec<_>| steps.iter().map(|step| Prepared::new(step, &shared.target)).collect();
    let common = Rc::new(Common {
        shared: shared.clone(),
        mix: scenario.mix.entries.iter().map(|(_, steps)| prepare(steps)).collect(),
        recorder: RefCell::new(recorder(scenario.routes.len())),
        totals: Cell::default(),
    });
    let users: Vec<User> = connections.into_iter().map(|connection| User::new(connection, shared.timeout)).collect();
    let cpu_before = cpu::used();
    let wall = Instant::now();
    match &scenario.pace {
        Pace::Open { schedule, backlog, .. } => open::run(&common, index, start, users, schedule, *backlog).await?,
        Pace::Closed { users: of, think, .. } => {
            closed::run(&common, index, *of, start, start + planned, users, *think).await;
        }
    }
    let cpu = cpu::used()
        .zip(cpu_before)
        .map(|(now, before)| now.saturating_sub(before).as_secs_f64() / wall.elapsed().as_secs_f64());
    // Connections that did not end in time still hold the common state, but are not run any more.
    let mut recorder = common.recorder.replace(recorder(0));
    recorder.close();
    Ok(Measured { recorder, totals: common.totals.get(), cpu, interrupted: shared.stopped() })
}

/// Waits for connections that are still busy: as long as requests can take, or a second after an interruption.
pub(crate) async fn finish(shared: &Shared, tasks: Vec<JoinHandle<()>>) {
    let ended = Instant::now();
    while tasks.iter().any(|task| !task.is_finished()) {
        let patience = if shared.stopped() { GRACE } else { shared.timeout + GRACE };
        if ended.elapsed() > patience {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for task in tasks {
        if task.is_finished()
            && let Err(error) = task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
