//! The supervisor: starts every part, watches it, and ends it.

mod board;
mod mails;
mod observed;
mod orderflow;
mod servers;
mod watch;

use std::{
    fs::{self, File},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use orderflow_servers::free_port;

use crate::{
    certificate::Certificate,
    files::Places,
    probe::Probe,
    state::{Phase, Place},
};
use board::Board;
use orderflow::OrderFlow;
use servers::Servers;
use watch::Watch;

/// How often the supervisor looks whether it was told to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long the previous supervisor's lock may take to be free, and this one's own start may.
const SOON: Duration = Duration::from_secs(20);
/// Requests a second, at once, and connections of one client: a load generator is one client.
const LIMITS: [u32; 3] = [100_000, 100_000, 10_000];

/// What a stack consists of.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shape {
    /// How many instances serve
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) instances: u16,
    /// How many workers send notifications
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=16))]
    pub(crate) workers: u16,
    /// Port of 127.0.0.1 for nginx with TLS; 0 takes any free one
    #[arg(long, default_value_t = 8443)]
    pub(crate) port: u16,
    /// How many orders the database is filled with
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) orders: u32,
    /// The program of OrderFlow
    #[arg(long, value_name = "FILE")]
    pub(crate) orderflow: PathBuf,
}

/// Runs a stack until a signal says to end. Nothing of it is left then but the directory.
pub(crate) fn run(place: &Place, shape: &Shape) -> Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&told);
    ctrlc::set_handler(move || teller.store(true, Ordering::SeqCst)).context("signals cannot be listened for")?;
    // A session of its own, which no terminal ends.
    let _ = rustix::process::setsid();
    let _lock = lock(place)?;
    for name in ["logs", "mails", "data"] {
        fs::create_dir_all(place.join(name))?;
    }
    let board = Arc::new(Board::new(place.clone())?);
    let stack = Stack { place: place.clone(), shape: shape.clone(), board: Arc::clone(&board), told };
    let outcome = stack.run();
    if let Err(error) = &outcome {
        board.failed(error);
    }
    outcome
}

/// The lock, even if somebody looks at it just now.
fn lock(place: &Place) -> Result<File> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(lock) = place.try_lock()? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            bail!("another supervisor has {}", place.path().display());
        }
        thread::sleep(LOOK);
    }
}

struct Stack {
    place: Place,
    shape: Shape,
    board: Arc<Board>,
    told: Arc<AtomicBool>,
}

impl Stack {
    fn run(&self) -> Result<()> {
        let certificate = Certificate::new();
        let ports = self.ports()?;
        let orderflow = OrderFlow::new(&self.place, &self.shape.orderflow);
        self.board.access(|access| {
            if let Ok(certificate) = &certificate {
                access.certificate = certificate.path();
            }
            access.mails = self.place.join("mails");
        });
        self.board.version(orderflow.version()?);
        let places = |certificate: String| Places {
            instances: ports.instances.iter().map(|[api, _]| format!("127.0.0.1:{api}")).collect(),
            nginx: ports.nginx,
            haproxy: ports.haproxy,
            certificate,
            limits: LIMITS,
        };
        let servers = Servers::start(&self.board, &orderflow, self.shape.orders, certificate, &places)?;
        if self.ending() {
            return Ok(());
        }
        let key = orderflow.key()?;
        self.board.access(|access| {
            let here = |scheme: &str, port: u16| format!("{scheme}://localhost:{port}");
            access.nginx = here("https", ports.nginx[1]);
            access.nginx_internal = here("http", ports.nginx[2]);
            access.haproxy = here("https", ports.haproxy[1]);
            access.haproxy_internal = here("http", ports.haproxy[2]);
            access.api_key.clone_from(&key.plain);
            access.database.clone_from(&servers.database);
        });
        let variables = servers.variables(&key.accepted);
        let (mut processes, mut targets) = (Vec::new(), Vec::new());
        let mut start = |name: String, command, api: Option<u16>, ops: u16| -> Result<()> {
            let job = match command {
                "serve" => "orderflow",
                "worker" => "orderflow-worker",
                _ => "orderflow-scheduler",
            };
            targets.push((job, name.clone(), ops));
            let mut variables = variables.clone();
            variables.push(("ORDERFLOW_OPS__LISTEN".into(), format!("127.0.0.1:{ops}")));
            let mut address = format!("operators: http://127.0.0.1:{ops}/console");
            if let Some(api) = api {
                variables.push(("ORDERFLOW_HTTP__LISTEN".into(), format!("127.0.0.1:{api}")));
                address = format!("http://127.0.0.1:{api}, {address}");
            }
            let plan = orderflow.plan(&name, command, variables)?;
            self.board.part(&name, address, Some(plan.log.clone()));
            processes.push(Watch::process(&self.board, &name, plan, Probe::Answers(ops, "/healthz/ready")));
            Ok(())
        };
        for (number, [api, ops]) in (1..).zip(&ports.instances) {
            start(format!("instance-{number}"), "serve", Some(*api), *ops)?;
        }
        for number in 1..=self.shape.workers {
            start(format!("worker-{number}"), "worker", None, free_port()?)?;
        }
        start("scheduler".to_owned(), "scheduler", None, free_port()?)?;
        let mut watched = servers.watch(&self.board);
        watched.extend(observed::start(&self.board, &targets)?);
        self.board.phase(Phase::Up);
        while !self.ending() {
            thread::sleep(LOOK);
        }
        self.board.phase(Phase::Ending);
        // Those that use the servers first.
        for watch in &processes {
            watch.end();
        }
        drop(processes);
        for watch in &watched {
            watch.end();
        }
        watched.clear();
        Ok(())
    }

    fn ending(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    /// Ports of 127.0.0.1 for everything of OrderFlow and its proxies.
    fn ports(&self) -> Result<Ports> {
        let three = || -> Result<[u16; 3]> { Ok([free_port()?, free_port()?, free_port()?]) };
        let mut nginx = three()?;
        if self.shape.port != 0 {
            nginx[1] = self.shape.port;
        }
        let pair = |_| -> Result<[u16; 2]> { Ok([free_port()?, free_port()?]) };
        let instances = (0..self.shape.instances).map(pair).collect::<Result<_>>()?;
        Ok(Ports { nginx, haproxy: three()?, instances })
    }
}

struct Ports {
    nginx: [u16; 3],
    haproxy: [u16; 3],
    /// For each instance, the API and the operators' listener.
    instances: Vec<[u16; 2]>,
}
