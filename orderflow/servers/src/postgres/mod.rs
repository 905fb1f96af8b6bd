//! PostgreSQL: a server process with a data directory of its own, and the faults that a test may inject into it.

mod client;
mod database;
mod programs;
mod settings;

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;

use crate::{Missing, keeper::Keeper, ports, user::User};
use programs::Programs;

pub use database::Database;
pub use settings::Settings;

/// `initdb` takes about half a second; this is for a machine that is busy beyond reason.
const INITIALISE: Duration = Duration::from_mins(2);
/// Starting includes the recovery after a crash, and stopping a checkpoint.
const START: Duration = Duration::from_mins(1);
/// The superuser that each server is made with.
const USER: &str = "orderflow";
const STATEMENTS: &str = "pg_stat_statements";

/// How [`Postgres::stop`] ends a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Connections are closed, open transactions rolled back, everything written: an orderly shutdown.
    Fast,
    /// As in a crash: all processes end at once, and the next start recovers from the log.
    Immediate,
}

/// A running PostgreSQL server. Clones are handles to the same one; the last handle, a [`Database`] included, ends it.
///
/// It listens on 127.0.0.1 only, for one superuser with a random password (SCRAM-SHA-256).
#[derive(Clone)]
pub struct Postgres {
    server: Arc<Server>,
}

struct Server {
    programs: Programs,
    port: u16,
    password: String,
    /// The server's parameters, as `name=value`.
    parameters: Vec<String>,
    shared: bool,
    databases: AtomicU32,
    keeper: Mutex<Keeper>,
}

impl Postgres {
    /// A server of the caller's own, in about a second.
    ///
    /// # Errors
    /// [`Missing`] where PostgreSQL is not installed; else what keeps it from starting, with the end of its log.
    pub fn own(settings: &Settings) -> Result<Self> {
        Self::new(settings, false)
    }

    /// The server that all callers in this process share, with the default [`Settings`]; it runs until the process ends.
    ///
    /// # Errors
    /// Those of [`Postgres::own`]; a second call gives the first one's error and does not try again.
    pub fn shared() -> Result<Self> {
        static SHARED: OnceLock<Result<Postgres>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::new(&Settings::default(), true)) {
            Ok(server) => Ok(server.clone()),
            Err(error) => Err(match error.downcast_ref::<Missing>() {
                Some(missing) => missing.clone().into(),
                None => anyhow!("{error:#}"),
            }),
        }
    }

    fn new(settings: &Settings, shared: bool) -> Result<Self> {
        let programs = Programs::find()?;
        let mut keeper = Keeper::new(User::instead_of_root(&["postgres", "nobody"])?.as_ref(), "QUIT")?;
        let password = secret()?;
        keeper.write("password", &password)?;
        let dir = keeper.dir().display().to_string();
        let options = [
            format!("--pgdata={dir}/data"),
            format!("--username={USER}"),
            format!("--pwfile={dir}/password"),
            "--auth=scram-sha-256".to_owned(),
            "--encoding=UTF8".to_owned(),
            // Sorting by bytes is the same on every machine, and what SQLite does.
            "--locale=C".to_owned(),
            "--no-sync".to_owned(),
        ];
        keeper.run(&programs.program("initdb")?, &options, INITIALISE)?;
        let mut parameters = settings.parameters();
        let fixed = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", ""), ("ssl", "off")];
        parameters.extend(fixed.map(|(name, value)| format!("{name}={value}")));
        let mut port = ports::free_port()?;
        let preload = format!("shared_preload_libraries={STATEMENTS}");
        if !settings.names("shared_preload_libraries") {
            parameters.push(preload.clone());
        }
        let mut attempts = 5;
        while let Err(error) = begin(&mut keeper, &programs, port, &parameters) {
            let log = keeper.log();
            attempts -= 1;
            ensure!(attempts > 0 && !keeper.alive()?, error);
            if log.contains("could not access file") && log.contains(STATEMENTS) && parameters.contains(&preload) {
                parameters.retain(|parameter| *parameter != preload);
            } else if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") {
                port = ports::free_port()?;
            } else {
                return Err(error);
            }
        }
        let server = Server {
            programs,
            port,
            password,
            parameters,
            shared,
            databases: AtomicU32::new(0),
            keeper: keeper.into(),
        };
        Ok(Self { server: Arc::new(server) })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The address of a database in it: `postgres://user:password@127.0.0.1:port/name`.
    pub fn url(&self, database: &str) -> String {
        let Server { port, password, .. } = &*self.server;
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// The server's own directory, which holds `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.server.keeper().dir().to_owned()
    }

    /// The process id of the server's first process; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.keeper().server().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Ends the server; its data stay, and [`Postgres::start`] brings it back. Nothing where it is stopped already.
    /// A paused server is resumed first, since it could not end otherwise.
    ///
    /// # Errors
    /// When the server is shared, or does not end within a minute.
    pub fn stop(&self, how: Stop) -> Result<()> {
        let mut keeper = self.server.own_keeper()?;
        keeper.end(if how == Stop::Fast { Signal::INT } else { Signal::QUIT }, START)?;
        ports::reserve(self.server.port);
        Ok(())
    }

    /// Starts a stopped server again, on the same port and with its data.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        let Server { programs, port, parameters, .. } = &*self.server;
        begin(&mut *self.server.own_keeper()?, programs, *port, parameters)
    }

    /// [`Postgres::stop`], fast, and [`Postgres::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop(Stop::Fast)?;
        self.start()
    }

    /// Keeps all of the server's processes from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When the server is shared or does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.own_keeper()?.freeze()
    }

    /// Lets a paused server go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn resume(&self) -> Result<()> {
        self.server.own_keeper()?.thaw()
    }
}

impl Server {
    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        // A test that panicked while it held the keeper leaves it in order: requests are numbered.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keeper, for what other users of a shared server would not survive.
    fn own_keeper(&self) -> Result<MutexGuard<'_, Keeper>> {
        ensure!(!self.shared, "other tests use this server: take one of your own by Postgres::own");
        Ok(self.keeper())
    }
}

/// Starts the server and waits until it takes connections.
fn begin(keeper: &mut Keeper, programs: &Programs, port: u16, parameters: &[String]) -> Result<()> {
    let data = keeper.dir().join("data");
    let mut arguments = vec!["-D".to_owned(), data.display().to_string(), "-p".to_owned(), port.to_string()];
    for parameter in parameters {
        arguments.extend(["-c".to_owned(), parameter.clone()]);
    }
    keeper.launch(&programs.program("postgres")?, &arguments)?;
    let server = keeper.server().context("the server was launched")?.as_raw_nonzero().to_string();
    let deadline = Instant::now() + START;
    while keeper.alive()? {
        if ready(&data, &server) {
            return Ok(());
        }
        if Instant::now() > deadline {
            keeper.end(Signal::QUIT, START)?;
            bail!("PostgreSQL was not ready within {START:?}; its log ends:\n{}", keeper.log_tail());
        }
    }
    bail!("PostgreSQL ended while it started; its log ends:\n{}", keeper.log_tail())
}

/// Whether the server says so in its lock file: the first line is its process, the eighth its state.
fn ready(data: &Path, server: &str) -> bool {
    let Ok(lock) = std::fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = lock.lines().map(str::trim);
    lines.next() == Some(server) && lines.nth(6) == Some("ready")
}

/// A password of 128 random bits, in hexadecimal.
fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
