//! Prometheus and Alertmanager, each run with the files that the caller gives, and the tools that check such files.

mod alertmanager;
mod asked;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::{
    keeper::Keeper,
    process::{Launch, Process},
    programs,
    user::User,
};
pub use alertmanager::Alertmanager;
use asked::{ask, encoded};

/// For making a directory.
const SOON: Duration = Duration::from_mins(1);
/// For each question of those that find out whether a server has started.
const READY: Duration = Duration::from_secs(1);

/// A running Prometheus that keeps exemplars too. Clones are handles to the same one; the last handle ends it.
#[derive(Clone)]
pub struct Prometheus {
    process: Arc<Process>,
}

/// Where `promtool` is, which checks what Prometheus reads.
///
/// # Errors
/// [`Missing`](crate::Missing) where it is not installed.
pub fn promtool() -> Result<PathBuf> {
    Ok(programs::server("promtool", "prometheus")?)
}

/// Where `amtool` is, which checks what Alertmanager reads.
///
/// # Errors
/// [`Missing`](crate::Missing) where it is not installed.
pub fn amtool() -> Result<PathBuf> {
    Ok(programs::server("amtool", "prometheus-alertmanager")?)
}

impl Prometheus {
    /// Starts a server on these files, each a name and its text: `prometheus.yml` is the configuration, and the others are
    /// what it names. A name may be in one directory, such as `rules/alerts.yml`.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where Prometheus is not installed; else what keeps it from starting, with the end of its log.
    pub fn start(files: &[(&str, &str)]) -> Result<Self> {
        let program = programs::server("prometheus", "prometheus")?;
        let mut keeper = Keeper::new(User::instead_of_root(&["prometheus", "nobody"])?.as_ref(), "TERM")?;
        let launch = Launch::on_free_port(&mut keeper, |keeper, port| {
            write(keeper, files)?;
            let dir = keeper.dir().display();
            let arguments = vec![
                format!("--config.file={dir}/prometheus.yml"),
                format!("--storage.tsdb.path={dir}/data"),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--web.enable-lifecycle".to_owned(),
                "--enable-feature=exemplar-storage".to_owned(),
            ];
            Ok(launch(&program, arguments, port))
        })?;
        Ok(Self { process: Arc::new(Process::new(keeper, launch)) })
    }

    /// Has the server read these files in the place of those of the same name, and waits until it has.
    ///
    /// # Errors
    /// When it does not answer, or refuses them; then it goes on with what it had, and its answer says why.
    pub fn reload(&self, files: &[(&str, &str)]) -> Result<()> {
        write(&mut self.process.keeper(), files)?;
        let (status, said) = ask(self.port(), "POST", "/-/reload", "", SOON)?;
        ensure!(status == 200, "the files are refused: {said}");
        Ok(())
    }

    /// What an expression is now: the answer of `/api/v1/query`, which is JSON and may say that there was an error.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn query(&self, expression: &str) -> Result<String> {
        self.get(&format!("/api/v1/query?query={}", encoded(expression)))
    }

    /// The exemplars that the series of an expression had within these seconds since 1970: the answer of
    /// `/api/v1/query_exemplars`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn exemplars(&self, expression: &str, start: u64, end: u64) -> Result<String> {
        self.get(&format!("/api/v1/query_exemplars?query={}&start={start}&end={end}", encoded(expression)))
    }

    /// The body of its answer to a GET of a path, whatever its status.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn get(&self, path: &str) -> Result<String> {
        self.process.answers()?;
        Ok(ask(self.port(), "GET", path, "", SOON)?.1)
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// The server's own directory, which holds its files, `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.process.dir()
    }

    /// The server's process id; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Ends the server in an orderly way; [`Prometheus::start_again`] brings it back. Nothing where it is stopped already.
    ///
    /// # Errors
    /// When it does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.process.stop(Signal::TERM)
    }

    /// Starts a stopped server again, with what it had kept.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start_again(&self) -> Result<()> {
        self.process.start()
    }
}

/// How a server of this family is started: each says at the same path whether it is ready.
fn launch(program: &Path, arguments: Vec<String>, port: u16) -> Launch {
    let ready = move |_: &Keeper| ask(port, "GET", "/-/ready", "", READY).is_ok_and(|(status, _)| status == 200);
    Launch { program: program.to_owned(), arguments, ports: vec![port], ready: Box::new(ready) }
}

/// Writes files into the server's directory, and the directories that they are in.
fn write(keeper: &mut Keeper, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        if let Some((directory, _)) = name.rsplit_once('/') {
            let directory = keeper.dir().join(directory).display().to_string();
            let mkdir = programs::server("mkdir", "coreutils")?;
            keeper.run(&mkdir, &["-p".to_owned(), directory], SOON).context("a directory cannot be made")?;
        }
        keeper.write(name, text)?;
    }
    Ok(())
}
