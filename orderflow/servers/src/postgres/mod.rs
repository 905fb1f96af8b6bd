//! PostgreSQL: a server process with a data directory of its own, and the faults that a test may inject into it.

mod client;
mod database;
mod programs;
mod replica;
mod settings;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::AtomicU32},
    time::Duration,
};

use anyhow::Result;
use rustix::process::{Pid, Signal};

use crate::{
    keeper::Keeper,
    process::{self, Launch, Process},
    user::User,
};
use programs::Programs;

pub use database::Database;
pub use replica::Replica;
pub use settings::Settings;

/// `initdb` takes about half a second; this is for a machine that is busy beyond reason.
const INITIALISE: Duration = Duration::from_mins(2);
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
    password: String,
    /// What it was started with, each as `name=value`.
    parameters: Vec<String>,
    databases: AtomicU32,
    process: Process,
}

impl Postgres {
    /// A server of the caller's own, in about a second.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where PostgreSQL is not installed; else what keeps it from starting, with the end of its
    /// log.
    pub fn own(settings: &Settings) -> Result<Self> {
        Ok(Self { server: Arc::new(Server::new(settings)?) })
    }

    /// The server that all callers in this process share, with the default [`Settings`]; it runs until the process ends.
    ///
    /// # Errors
    /// Those of [`Postgres::own`]; a second call gives the first one's error and does not try again.
    pub fn shared() -> Result<Self> {
        static SHARED: OnceLock<Result<Postgres>> = OnceLock::new();
        process::once(&SHARED, || {
            let server = Server::new(&Settings::default())?;
            let process = server.process.shared("Postgres::own");
            Ok(Self { server: Arc::new(Server { process, ..server }) })
        })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.server.process.port()
    }

    /// The address of a database in it: `postgres://user:password@127.0.0.1:port/name`.
    pub fn url(&self, database: &str) -> String {
        self.url_by(self.port(), database)
    }

    /// The same by way of another port that leads here.
    pub(crate) fn url_by(&self, port: u16, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{port}/{database}", self.server.password)
    }

    /// The name and the password that it is logged in to with.
    pub(crate) fn login(&self) -> (&str, &str) {
        (USER, &self.server.password)
    }

    /// The server's own directory, which holds `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.server.process.dir()
    }

    /// The process id of the server's first process; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// Ends the server; its data stay, and [`Postgres::start`] brings it back. Nothing where it is stopped already.
    /// A paused server is resumed first, since it could not end otherwise.
    ///
    /// # Errors
    /// When the server is shared, or does not end within two minutes.
    pub fn stop(&self, how: Stop) -> Result<()> {
        self.server.process.stop(if how == Stop::Fast { Signal::INT } else { Signal::QUIT })
    }

    /// Starts a stopped server again, on the same port and with its data.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        self.server.process.start()
    }

    /// [`Postgres::stop`], fast, and [`Postgres::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop(Stop::Fast)?;
        self.start()
    }

    /// Ends all of the server's processes by SIGKILL, as when its machine is lost; [`Postgres::start`] brings it back with
    /// what it had written. Nothing where it is stopped already.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn kill(&self) -> Result<()> {
        self.server.process.kill()
    }

    /// Keeps all of the server's processes from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When the server is shared or does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.process.pause()
    }

    /// Lets a paused server go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn resume(&self) -> Result<()> {
        self.server.process.resume()
    }
}

impl Server {
    fn new(settings: &Settings) -> Result<Self> {
        let programs = Programs::find()?;
        let mut keeper = keeper()?;
        let password = process::secret()?;
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
        let without = parameters.clone();
        if !settings.names("shared_preload_libraries") {
            parameters.push(format!("shared_preload_libraries={STATEMENTS}"));
        }
        let launch = match begin(&mut keeper, &programs, &parameters) {
            // The library is in a package of its own on some systems.
            Err(_) if parameters != without && lacks_statements(&keeper.log()) => {
                parameters = without;
                begin(&mut keeper, &programs, &parameters)?
            }
            begun => begun?,
        };
        Ok(Self { programs, password, parameters, databases: AtomicU32::new(0), process: Process::new(keeper, launch) })
    }
}

/// Starts the server whose data are in the keeper's directory.
fn begin(keeper: &mut Keeper, programs: &Programs, parameters: &[String]) -> Result<Launch> {
    let program = programs.program("postgres")?;
    Launch::on_free_port(keeper, |keeper, port| {
        let data = keeper.dir().join("data").display().to_string();
        let mut arguments = vec!["-D".to_owned(), data, "-p".to_owned(), port.to_string()];
        for parameter in parameters {
            arguments.extend(["-c".to_owned(), parameter.clone()]);
        }
        Ok(Launch { program: program.clone(), arguments, ports: vec![port], ready: Box::new(ready) })
    })
}

fn lacks_statements(log: &str) -> bool {
    log.contains("could not access file") && log.contains(STATEMENTS)
}

fn keeper() -> Result<Keeper> {
    Keeper::new(User::instead_of_root(&["postgres", "nobody"])?.as_ref(), "QUIT")
}

/// Whether the server says so in its lock file: the first line is its process, the eighth its state.
fn ready(keeper: &Keeper) -> bool {
    let Ok(lock) = std::fs::read_to_string(keeper.dir().join("data/postmaster.pid")) else { return false };
    let mut lines = lock.lines().map(str::trim);
    let process = lines.next().and_then(|number| number.parse().ok()).and_then(Pid::from_raw);
    process.is_some() && process == keeper.server() && lines.nth(6) == Some("ready")
}
