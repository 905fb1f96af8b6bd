//! The program as a process of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{LONG, Stage};

/// Settings with short times. Later ones override them.
const BRISK: &[(&str, &str)] = &[
    ("ops.listen", "127.0.0.1:0"),
    ("http.listen", "127.0.0.1:0"),
    ("http.drain_notice", "0s"),
    ("database.max_connections", "8"),
    ("database.seed_orders", "0"),
    ("queue.poll", "20ms"),
    ("queue.claim", "2s"),
    ("worker.concurrency", "4"),
    ("worker.retry_base", "50ms"),
    ("worker.retry_max", "200ms"),
];

/// A running process, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) ops: SocketAddr,
    /// What it said before the address.
    pub(crate) said: String,
}

/// The program on a stage.
pub(crate) fn program(stage: &Stage, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
    command.env_clear().current_dir(stage.dir.path()).args(arguments);
    command.env("ORDERFLOW_DATABASE__URL", stage.database.url.expose());
    for (key, value) in BRISK.iter().chain(settings) {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts `orderflow worker` and waits until it says where operators look.
    pub(crate) fn worker(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        Self::start(program(stage, &["worker"], settings))
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Self { child, ops: ([127, 0, 0, 1], 0).into(), said: String::new() };
        while let Ok(line) = lines.recv_timeout(LONG) {
            if let Some(url) = line.strip_prefix("operators  http://") {
                process.ops = url.split('/').next().unwrap().parse().unwrap();
                return process;
            }
            process.said += &line;
        }
        panic!("it did not start: {}", process.said);
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < LONG, "it has not ended");
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// What the operators' listener answers.
    pub(crate) fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.ops).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.ops).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// How many notifications it has sent.
    pub(crate) fn sent(&self) -> u64 {
        let metrics = self.ask("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("jobs_processed_total{outcome=\"sent\"} "));
        line.map_or(0, |count| count.trim().parse().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
