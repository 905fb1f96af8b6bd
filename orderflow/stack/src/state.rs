//! What is known about a stack by those who did not start it: a directory with a lock, which the supervisor holds for as long
//! as it lives, and a file that says what runs where.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How far the stack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Parts are being started.
    Starting,
    /// Everything was started.
    Up,
    /// It is being ended.
    Ending,
    /// It could not be started; `problem` says why.
    Failed,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has not answered yet.
    Starting,
    /// It answers.
    Healthy,
    /// It does not answer, or not as it should.
    Unhealthy,
}

/// One part of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// Where it is, without any password.
    pub address: String,
    /// How it is.
    pub health: Health,
    /// Why it is not healthy, if it is not.
    pub detail: String,
    /// How often it was started again.
    pub restarts: u32,
    /// Its process.
    pub pid: Option<u32>,
    /// Where it prints.
    pub log: Option<PathBuf>,
}

/// Where a person finds things.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// nginx, with TLS.
    pub nginx: String,
    /// nginx, without TLS.
    pub nginx_internal: String,
    /// `HAProxy`, with TLS.
    pub haproxy: String,
    /// `HAProxy`, without TLS.
    pub haproxy_internal: String,
    /// The certificate that both have.
    pub certificate: PathBuf,
    /// Prometheus; empty where it is not installed.
    #[serde(default)]
    pub prometheus: String,
    /// A key that allows everything.
    pub api_key: String,
    /// The database, with its password.
    pub database: String,
    /// A directory with a file for each mail.
    pub mails: PathBuf,
}

/// Everything about a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The supervisor's process.
    pub pid: u32,
    /// What `orderflow --version` says.
    pub version: String,
    /// How far it is.
    pub phase: Phase,
    /// Why it failed.
    pub problem: String,
    /// Programs that this machine lacks, a sentence each.
    pub missing: Vec<String>,
    /// Every part.
    pub parts: Vec<Part>,
    /// Where a person finds things.
    pub access: Access,
}

impl State {
    /// Whether all parts answer.
    pub fn healthy(&self) -> bool {
        self.phase == Phase::Up && self.parts.iter().all(|part| part.health == Health::Healthy)
    }
}

/// The directory of a stack.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    /// A directory, which need not exist yet. It is removed with the stack.
    ///
    /// # Errors
    /// When the working directory is not known.
    pub fn new(directory: &Path) -> Result<Self> {
        Ok(Self(std::path::absolute(directory)?))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file or directory in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The lock, if nobody has it; it is held until the file is closed.
    ///
    /// # Errors
    /// When the directory cannot be made or the file not opened.
    pub fn try_lock(&self) -> Result<Option<File>> {
        fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))?;
        let path = self.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Whether a supervisor lives.
    ///
    /// # Errors
    /// Those of [`Place::try_lock`].
    pub fn is_taken(&self) -> Result<bool> {
        // Looking must not make what is not there.
        Ok(self.join("lock").exists() && self.try_lock()?.is_none())
    }

    /// What the file says; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Option<State>> {
        let path = self.join("state.json");
        match fs::read_to_string(&path) {
            Ok(text) => {
                Ok(Some(serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the file, whole or not at all, for its owner's eyes: it holds a key and a password.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, state: &State) -> Result<()> {
        let draft = self.join("state.json.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(serde_json::to_string_pretty(state)?.as_bytes())?;
        drop(file);
        fs::rename(draft, self.join("state.json")).context("the state cannot be written")
    }

    /// Removes what an earlier stack left: whoever calls holds the lock.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<()> {
        // A supervisor that was killed could not remove its certificate.
        if let Ok(Some(state)) = self.read()
            && let Some(dir) = state.access.certificate.parent()
            && dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("orderflow-tls-"))
        {
            let _ = fs::remove_dir_all(dir);
        }
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }
}
