//! The programs that are compared: started on free ports, told apart by their addresses, ended when they are dropped.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

/// How long a program may take until it says where it listens. A large database may have to be opened first.
const START: Duration = Duration::from_mins(1);

/// A program that serves.
pub(crate) struct Program {
    child: Child,
    /// Where, as `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Program {
    /// Starts a program and waits for the first line of its output that holds an address. What it logs goes into a file,
    /// away from the findings, and is told if it does not start.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut log = tempfile::tempfile().context("no file for a log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().context("no file for a log")?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let output = child.stdout.take().context("the output is a pipe")?;
        let mut program = Self { child, url: String::new() };
        program.url = address(output).map_err(|error| {
            let mut said = Vec::new();
            let _ = log.rewind().and_then(|()| log.read_to_end(&mut said));
            let said = String::from_utf8_lossy(&said);
            let log = if said.is_empty() { String::new() } else { format!("; its log:\n{}", said.trim_end()) };
            anyhow!("{name} did not say where it listens: {error}{log}")
        })?;
        Ok(program)
    }

    /// Resident memory now, in bytes. `None` where the system does not tell.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// What it has computed so far, in seconds of one processor. `None` where the system does not tell.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name before may hold anything but the last parenthesis; then the state is the third field of all.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(ticks / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the program's output; what else it prints is read and dropped, so that it never waits for a reader.
fn address(output: ChildStdout) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            let found = line.split_whitespace().find(|word| word.starts_with("http://"));
            let origin = found.map(|url| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"));
            if let Some(origin) = origin {
                let _ = sender.send(origin);
                break;
            }
            line.clear();
        }
        let _ = lines.read_to_end(&mut Vec::new());
    });
    match receiver.recv_timeout(START) {
        Ok(url) => Ok(url),
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("nothing for {} s", START.as_secs()),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended"),
    }
}

/// Where the programs are.
pub(crate) struct Programs {
    pub(crate) orderflow: PathBuf,
    pub(crate) bare_peer: PathBuf,
    pub(crate) trivial_server: PathBuf,
}

impl Programs {
    /// A command of OrderFlow's that sees neither the caller's settings nor a file in the caller's directory.
    pub(crate) fn orderflow(&self, directory: &Path, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.orderflow);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERFLOW_") {
                command.env_remove(name);
            }
        }
        // What it would say at the usual level is what the comparison does to it.
        command.current_dir(directory).args(["--set", "log.filter=warn"]);
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command
    }

    /// The service on free ports, with the rate limit where load does not meet it, which costs what it costs at any height.
    pub(crate) fn serve(&self, directory: &Path, settings: &[(&str, &str)]) -> Result<Program> {
        let mut all = vec![
            ("http.listen", "127.0.0.1:0"),
            ("ops.listen", "127.0.0.1:0"),
            ("http.rate_limit", "1000000"),
            ("http.rate_burst", "1000000"),
        ];
        all.extend(settings);
        let mut command = self.orderflow(directory, &all);
        command.arg("serve");
        Program::start(command)
    }

    /// Fills an empty PostgreSQL database.
    pub(crate) fn fill(&self, directory: &Path, url: &str, orders: u64) -> Result<()> {
        let orders = orders.to_string();
        for arguments in [&["migrate"][..], &["seed", "--orders", &orders]] {
            let mut command = self.orderflow(directory, &[]);
            command.env("ORDERFLOW_DATABASE__URL", url).args(arguments).stdout(Stdio::null());
            if !command.status()?.success() {
                bail!("orderflow {} failed; its own message is above", arguments[0]);
            }
        }
        Ok(())
    }

    /// The peer on this source: `memory`, or a database.
    pub(crate) fn peer(&self, source: &str) -> Result<Program> {
        let mut command = Command::new(&self.bare_peer);
        command.arg(source);
        Program::start(command)
    }
}
