//! A program that ends when this process does, however this process ends.
//!
//! Between the two stands a small process, this program's own command `keep`: it starts the program, and reads from a pipe
//! that only this process writes to. When the pipe closes, it asks the program to end, and sees to it that it does.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(20);
/// What the keeper has for itself, beyond what its program may take.
const MARGIN: Duration = Duration::from_secs(5);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program that has the command `keep`.
    pub keeper: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All variables that it has beside PATH.
    pub variables: Vec<(String, String)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Where it prints.
    pub log: PathBuf,
    /// How long it may take to end after SIGTERM; then it is killed.
    pub grace: Duration,
}

/// A program that runs. It ends with this value.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
    pipe: Option<ChildStdin>,
    pid: u32,
    grace: Duration,
}

impl Kept {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started. That it ends at once is for [`Kept::ended`] to say.
    pub fn start(plan: &Plan) -> Result<Self> {
        let mut command = Command::new(&plan.keeper);
        command.arg("keep").arg("--log").arg(&plan.log).arg("--grace-ms").arg(plan.grace.as_millis().to_string());
        command.arg("--").arg(&plan.program).args(&plan.arguments).current_dir(&plan.directory);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(plan.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut keeper = command.spawn().context("the keeper of a program cannot be started")?;
        let pipe = keeper.stdin.take();
        let mut line = String::new();
        let said = keeper.stdout.take().context("the output is a pipe")?;
        BufReader::new(said).read_line(&mut line).context("the keeper of a program says nothing")?;
        let Ok(pid) = line.trim().parse() else {
            let _ = keeper.wait();
            anyhow::bail!("{} cannot be started: {}", plan.program.display(), line.trim())
        };
        Ok(Self { keeper, pipe, pid, grace: plan.grace })
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, in words, once it has.
    pub fn ended(&mut self) -> Option<String> {
        match self.keeper.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.code(), status.signal()) {
                (Some(code @ 129..), _) => format!("ended by signal {}", code - 128),
                (Some(code), _) => format!("ended with status {code}"),
                (None, signal) => format!("ended with its keeper, by signal {}", signal.unwrap_or_default()),
            }),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Asks it to end, and does not wait.
    pub fn begin_end(&mut self) {
        self.pipe = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.begin_end();
        let deadline = Instant::now() + self.grace + MARGIN;
        while matches!(self.keeper.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // The program is in the keeper's group.
                let _ = kill_process_group(Pid::from_child(&self.keeper), Signal::KILL);
                let _ = self.keeper.wait();
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

/// The command `keep`: runs a program until it ends or standard input does.
///
/// # Errors
/// When the log cannot be opened; that the program cannot be run is said on standard output.
pub fn keep(log: &Path, grace: Duration, program: &[String]) -> Result<ExitCode> {
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    let Some((name, arguments)) = program.split_first() else { anyhow::bail!("no program was named") };
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut out = io::stdout();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            writeln!(out, "{error}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&told);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        teller.store(true, Ordering::SeqCst);
    });
    // Whoever started this may be gone; then the pipe says so too.
    let _ = writeln!(out, "{}", child.id());
    let mut deadline = None;
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        match deadline {
            None if told.load(Ordering::SeqCst) => {
                let _ = kill_process(Pid::from_child(&child), Signal::TERM);
                deadline = Some(Instant::now() + grace);
            }
            Some(time) if Instant::now() > time => {
                let _ = child.kill();
            }
            _ => {}
        }
        thread::sleep(LOOK);
    }
}
