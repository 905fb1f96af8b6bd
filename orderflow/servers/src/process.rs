//! What all servers have in common: a process that a keeper holds, started until it is ready, and the faults that a test
//! may inject into it.

use std::{
    io::Read,
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail, ensure};
use rustix::process::Signal;

use crate::{Missing, keeper::Keeper, ports};

/// Starting may include a recovery after a crash, and stopping a checkpoint.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// How many ports are tried before it is said that none can be had.
const PORTS: u32 = 5;

/// Whether a server takes requests. Asked every 20 ms or so while it starts.
pub(crate) type Ready = Box<dyn Fn(&Keeper) -> bool + Send + Sync>;

/// How a server is started, the first time and each time after.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// What it listens on, the one that its clients use first. Kept from others while it is stopped.
    pub(crate) ports: Vec<u16>,
    pub(crate) ready: Ready,
}

impl Launch {
    /// Starts a server on a free port, and on another one where somebody took it meanwhile. `plan` writes the server's
    /// files for a port and says how it is started on it.
    pub(crate) fn on_free_port(
        keeper: &mut Keeper,
        mut plan: impl FnMut(&mut Keeper, u16) -> Result<Self>,
    ) -> Result<Self> {
        let mut attempts = 0;
        loop {
            let launch = plan(keeper, ports::free_port()?)?;
            let before = keeper.log().len();
            let Err(error) = launch.begin(keeper) else { return Ok(launch) };
            attempts += 1;
            let log = keeper.log().get(before..).unwrap_or_default().to_lowercase();
            let taken = log.contains("address already in use") || log.contains("eaddrinuse");
            ensure!(taken && attempts < PORTS && !keeper.alive()?, error);
        }
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn begin(&self, keeper: &mut Keeper) -> Result<()> {
        let name = self.program.file_name().unwrap_or_default().display();
        keeper.launch(&self.program, &self.arguments)?;
        let deadline = Instant::now() + PATIENCE;
        while keeper.alive()? {
            if (self.ready)(keeper) {
                return Ok(());
            }
            if Instant::now() > deadline {
                keeper.kill()?;
                bail!("{name} was not ready within {PATIENCE:?}; its log ends:\n{}", keeper.log_tail());
            }
        }
        bail!("{name} ended while it started; its log ends:\n{}", keeper.log_tail())
    }
}

/// A server's process.
pub(crate) struct Process {
    launch: Launch,
    /// For one that others share: what to call to have one that may be stopped.
    shared: Option<&'static str>,
    keeper: Mutex<Keeper>,
}

impl Process {
    /// A server that `launch` has started.
    pub(crate) fn new(keeper: Keeper, launch: Launch) -> Self {
        Self { launch, shared: None, keeper: keeper.into() }
    }

    /// One that is not to be stopped, because others use it; `own` is what to call for one that may be.
    pub(crate) fn shared(self, own: &'static str) -> Self {
        Self { shared: Some(own), ..self }
    }

    pub(crate) fn keeper(&self) -> MutexGuard<'_, Keeper> {
        // A test that panicked while it held the keeper leaves it in order: requests are numbered.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keeper, for what other users of a shared server would not survive.
    fn own_keeper(&self) -> Result<MutexGuard<'_, Keeper>> {
        if let Some(own) = self.shared {
            bail!("other tests use this server: take one of your own by {own}");
        }
        Ok(self.keeper())
    }

    /// The port that its clients use.
    pub(crate) fn port(&self) -> u16 {
        self.launch.ports[0]
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.keeper().dir().to_owned()
    }

    /// The first process's id; `None` while the server is stopped.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.keeper().server().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// An error where a question to the server would be in vain.
    pub(crate) fn answers(&self) -> Result<()> {
        let keeper = self.keeper();
        ensure!(keeper.server().is_some(), "the server is stopped");
        ensure!(!keeper.frozen(), "the server is paused, so that it would not answer");
        Ok(())
    }

    /// Asks the server to end by a signal, waits until it has, and keeps its ports for it.
    pub(crate) fn stop(&self, signal: Signal) -> Result<()> {
        self.own_keeper()?.end(signal, PATIENCE)?;
        self.reserve();
        Ok(())
    }

    /// Starts a stopped server again, in the same way.
    pub(crate) fn start(&self) -> Result<()> {
        self.launch.begin(&mut *self.own_keeper()?)
    }

    /// Ends all of the server's processes by SIGKILL.
    pub(crate) fn kill(&self) -> Result<()> {
        self.own_keeper()?.kill()?;
        self.reserve();
        Ok(())
    }

    /// Keeps all of the server's processes from running.
    pub(crate) fn pause(&self) -> Result<()> {
        self.own_keeper()?.freeze()
    }

    /// Lets a paused server go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.own_keeper()?.thaw()
    }

    fn reserve(&self) {
        self.launch.ports.iter().copied().for_each(ports::reserve);
    }
}

/// The server that all callers in this process share: made at the first call, whose error later calls give too.
pub(crate) fn once<T: Clone>(place: &OnceLock<Result<T>>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    match place.get_or_init(make) {
        Ok(server) => Ok(server.clone()),
        Err(error) => Err(match error.downcast_ref::<Missing>() {
            Some(missing) => missing.clone().into(),
            None => anyhow!("{error:#}"),
        }),
    }
}

/// A password of 128 random bits, in hexadecimal.
pub(crate) fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
