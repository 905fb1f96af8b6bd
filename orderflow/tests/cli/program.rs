//! Running the program in a directory of its own, for as long as a test allows.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Far more than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its status; `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An empty directory to run programs in.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        command.env_clear().current_dir(self.path()).args(args).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        Running::start(self.command(args, env)).end()
    }

    /// Runs it to its end without any variables.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    /// Starts it and waits until it said where it listens.
    #[track_caller]
    pub(crate) fn serve(&self, args: &[&str]) -> Serving {
        let mut running = Running::start(self.command(args, &[("ORDERFLOW_DATABASE__SEED_ORDERS", "20")]));
        let mut said = Vec::new();
        let mut address = |running: &mut Running, name: &str| {
            loop {
                match running.lines.recv_timeout(PATIENCE) {
                    Ok(line) => said.push(line),
                    Err(RecvTimeoutError::Timeout) => panic!("no line {name:?} in {PATIENCE:?}: {said:?}"),
                    Err(RecvTimeoutError::Disconnected) => panic!("it ended: {said:?}\n{}", running.take_stderr()),
                }
                let line = &said[said.len() - 1];
                if line.starts_with(name) {
                    let url = line.split("http://").nth(1).unwrap();
                    break url.split('/').next().unwrap().parse().unwrap();
                }
            }
        };
        let public = address(&mut running, "OrderFlow ");
        let ops = address(&mut running, "operators ");
        Serving { running, public, ops }
    }
}

/// A program, killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<thread::JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { child, lines, stderr: Some(stderr) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it has not ended in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(5));
        };
        let stdout = self.lines.iter().map(|line| line + "\n").collect();
        Ended { status: status.code(), stdout, stderr: self.take_stderr() }
    }

    fn take_stderr(&mut self) -> String {
        self.stderr.take().map(|reader| reader.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that listens.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
}

/// The status of a request to a path, with the body's beginning.
pub(crate) fn request(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}
