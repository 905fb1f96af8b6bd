//! Reverse proxies: nginx and HAProxy, each run with a configuration that the caller gives.

mod haproxy;
mod nginx;

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Missing, freeze,
    keeper::Keeper,
    process::{Launch, Process},
    user::User,
};

/// nginx. Its configuration has a line `http {`; `daemon` and `pid` are not for it. Where it does not say where logs and
/// temporary files are to be, they are in the server's own directory.
pub type Nginx = Proxy<nginx::Nginx>;
/// HAProxy in its master-worker mode. In its configuration `chroot`, and a `user` other than the one that runs it, need root.
pub type HaProxy = Proxy<haproxy::HaProxy>;

/// For a look at a configuration, on a machine that is busy beyond reason.
const CHECK: Duration = Duration::from_mins(1);

/// What one kind of proxy does otherwise than another.
pub trait Kind: 'static {
    /// The configuration's name in the server's directory.
    const FILE: &'static str;
    /// Ends the server at once.
    const END: &'static str;
    /// Has the server read its configuration again.
    const RELOAD: Signal;
    /// Whom it runs as instead of root, the first that the machine knows.
    const USERS: &'static [&'static str];
    /// Where its program is.
    ///
    /// # Errors
    /// [`Missing`] where there is none.
    fn program() -> Result<PathBuf, Missing>;
    /// The configuration with what the caller need not say.
    fn completed(config: &str) -> String;
    /// The arguments for a check of the configuration.
    fn checks(dir: &str) -> Vec<String>;
    /// The arguments for a server that stays in the foreground and writes its process id into `pid`.
    fn serves(dir: &str) -> Vec<String>;
}

/// A running proxy. Clones are handles to the same one; the last handle ends it.
///
/// In its configuration `{dir}` stands for the server's own directory; what it listens on is best a
/// [`free_port`](crate::free_port) of 127.0.0.1.
pub struct Proxy<K> {
    server: Arc<Server>,
    kind: PhantomData<K>,
}

struct Server {
    program: PathBuf,
    process: Process,
}

impl<K> Clone for Proxy<K> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), kind: PhantomData }
    }
}

impl<K: Kind> Proxy<K> {
    /// Starts a server with this configuration, and returns when it listens.
    ///
    /// # Errors
    /// [`Missing`] where the program is not installed; what is wrong with the configuration, in the program's words; what
    /// keeps it from starting.
    pub fn start(config: &str) -> Result<Self> {
        let (program, mut keeper) = checked::<K>(config)?;
        let dir = keeper.dir().display().to_string();
        let launch = Launch {
            program: program.clone(),
            arguments: K::serves(&dir),
            ports: ports(config),
            ready: Box::new(ready),
        };
        launch.begin(&mut keeper)?;
        let server = Server { program, process: Process::new(keeper, launch) };
        Ok(Self { server: Arc::new(server), kind: PhantomData })
    }

    /// Whether a server would take this configuration, by its own check.
    ///
    /// # Errors
    /// [`Missing`] where the program is not installed, and what is wrong, in the program's words.
    pub fn check(config: &str) -> Result<()> {
        checked::<K>(config).map(drop)
    }

    /// Has the server read its configuration again without losing a connection, and returns when the new one is at work.
    /// Workers with the old one finish what they have; for a moment they may still take a new connection.
    ///
    /// # Errors
    /// When the server is stopped or paused, or does not take the configuration, which its check says first.
    pub fn reload(&self) -> Result<()> {
        let mut keeper = self.server.process.keeper();
        let server = keeper.server().context("the server is stopped")?;
        ensure!(!keeper.frozen(), "the server is paused, so that it would not answer");
        let dir = keeper.dir().display().to_string();
        keeper.run(&self.server.program, &K::checks(&dir), CHECK)?;
        let old = freeze::family(server)?;
        kill_process(server, K::RELOAD).context("the server cannot be told to reload")?;
        let deadline = Instant::now() + CHECK;
        while keeper.alive()? {
            if freeze::family(server)?.iter().any(|process| !old.contains(process)) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "no new worker came within {CHECK:?}; the log ends:\n{}",
                keeper.log_tail()
            );
        }
        Err(anyhow::anyhow!("the server ended while it reloaded; its log ends:\n{}", keeper.log_tail()))
    }

    /// [`Proxy::reload`] with another configuration, for instance with other upstreams.
    ///
    /// # Errors
    /// Those of [`Proxy::check`], which leave the server as it is, and those of [`Proxy::reload`].
    pub fn reconfigure(&self, config: &str) -> Result<()> {
        Self::check(config)?;
        let mut keeper = self.server.process.keeper();
        write::<K>(&mut keeper, config)?;
        drop(keeper);
        self.reload()
    }

    /// What the server has printed, its errors among it.
    pub fn log(&self) -> String {
        self.server.process.keeper().log()
    }

    /// The server's own directory, which is `{dir}` in the configuration.
    pub fn dir(&self) -> PathBuf {
        self.server.process.dir()
    }

    /// The process id of the server's first process; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// Ends the server, its connections too; [`Proxy::start_again`] brings it back. A paused server is resumed first.
    /// Nothing where it is stopped already.
    ///
    /// # Errors
    /// When the server does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.server.process.stop(Signal::TERM)
    }

    /// Starts a stopped server again, with its configuration as it is now.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start_again(&self) -> Result<()> {
        self.server.process.start()
    }

    /// [`Proxy::stop`] and [`Proxy::start_again`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Ends all of the server's processes by SIGKILL. Nothing where it is stopped already.
    ///
    /// # Errors
    /// When they cannot be killed.
    pub fn kill(&self) -> Result<()> {
        self.server.process.kill()
    }

    /// Keeps all of the server's processes from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When the server does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.process.pause()
    }

    /// Lets a paused server go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When its processes cannot be woken.
    pub fn resume(&self) -> Result<()> {
        self.server.process.resume()
    }
}

/// The program and a directory with a configuration that it takes.
fn checked<K: Kind>(config: &str) -> Result<(PathBuf, Keeper)> {
    let program = K::program()?;
    let mut keeper = Keeper::new(User::instead_of_root(K::USERS)?.as_ref(), K::END)?;
    write::<K>(&mut keeper, config)?;
    let dir = keeper.dir().display().to_string();
    keeper.run(&program, &K::checks(&dir), CHECK)?;
    Ok((program, keeper))
}

fn write<K: Kind>(keeper: &mut Keeper, config: &str) -> Result<()> {
    let dir = keeper.dir().display().to_string();
    keeper.write(K::FILE, &K::completed(config).replace("{dir}", &dir))
}

/// Whether the server has written its process id, which it does when it listens. An earlier run's is another one.
fn ready(keeper: &Keeper) -> bool {
    let written = std::fs::read_to_string(keeper.dir().join("pid")).unwrap_or_default();
    let pid = written.trim().parse().ok().and_then(Pid::from_raw);
    pid.is_some() && pid == keeper.server()
}

/// The ports of 127.0.0.1 that a configuration listens on, to be kept for the server while it is stopped.
fn ports(config: &str) -> Vec<u16> {
    let places = config.lines().filter_map(|line| {
        let mut words = line.split([' ', '\t', ';']).filter(|word| !word.is_empty());
        matches!(words.next(), Some("listen" | "bind")).then(|| words.next())?
    });
    places.filter_map(|place| place.strip_prefix("127.0.0.1:")?.parse().ok()).collect()
}

/// A file or directory of the server's own, as its configuration names it.
fn within(dir: &str, name: &str) -> String {
    Path::new(dir).join(name).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_what_is_listened_on() {
        let config = "http {\n  # listen 127.0.0.1:1\n  listen 127.0.0.1:8080;\n\tlisten 127.0.0.1:8081 reuseport;\n\
                      listen unix:/x;\n server 127.0.0.1:3;\n bind 127.0.0.1:9000 name x\n bind :9001\n}";
        assert_eq!(ports(config), [8080, 8081, 9000]);
    }
}
