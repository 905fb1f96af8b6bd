//! What is Alertmanager's own.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{SOON, ask, launch};
use crate::{
    keeper::Keeper,
    process::{Launch, Process},
    programs,
    user::User,
};

/// A running Alertmanager, alone. Clones are handles to the same one; the last handle ends it.
#[derive(Clone)]
pub struct Alertmanager {
    process: Arc<Process>,
}

impl Alertmanager {
    /// Starts a server with the text of an `alertmanager.yml`.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where Alertmanager is not installed; else what keeps it from starting, with the end of
    /// its log.
    pub fn start(config: &str) -> Result<Self> {
        // Debian has another program called alertmanager.
        let program = programs::server("prometheus-alertmanager", "prometheus-alertmanager")
            .or_else(|missing| programs::server("alertmanager", "prometheus-alertmanager").map_err(|_| missing))?;
        let mut keeper = Keeper::new(User::instead_of_root(&["prometheus", "nobody"])?.as_ref(), "TERM")?;
        let launch = Launch::on_free_port(&mut keeper, |keeper, port| {
            keeper.write("alertmanager.yml", config)?;
            let dir = keeper.dir().display();
            let arguments = vec![
                format!("--config.file={dir}/alertmanager.yml"),
                format!("--storage.path={dir}/data"),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--cluster.listen-address=".to_owned(),
            ];
            Ok(launch(&program, arguments, port))
        })?;
        Ok(Self { process: Arc::new(Process::new(keeper, launch)) })
    }

    /// Tells it of alerts, a JSON array as `POST /api/v2/alerts` takes it.
    ///
    /// # Errors
    /// When it does not answer, or refuses them.
    pub fn tell(&self, alerts: &str) -> Result<()> {
        self.process.answers()?;
        let (status, said) = ask(self.port(), "POST", "/api/v2/alerts", alerts, SOON)?;
        ensure!(status == 200, "the alerts are refused: {said}");
        Ok(())
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

    /// The server's own directory, which holds its file, `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.process.dir()
    }

    /// The server's process id; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Ends the server in an orderly way; [`Alertmanager::start_again`] brings it back. Nothing where it is stopped already.
    ///
    /// # Errors
    /// When it does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.process.stop(Signal::TERM)
    }

    /// Starts a stopped server again.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start_again(&self) -> Result<()> {
        self.process.start()
    }
}
