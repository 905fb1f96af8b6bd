//! The program as a process of its own, on an embedded store in a directory of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// Far more than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Settings that every process has. Later ones override them.
const BASE: &[(&str, &str)] = &[
    ("http.listen", "127.0.0.1:0"),
    ("ops.listen", "127.0.0.1:0"),
    ("http.rate_limit", "0"),
    ("http.drain_notice", "0s"),
    ("database.seed_orders", "20"),
    ("database.acquire_timeout", "30s"),
    ("database.statement_timeout", "30s"),
    ("http.request_timeout", "30s"),
    ("worker.in_process", "off"),
    ("telemetry.traces_ratio", "1"),
];

/// A running process, killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
    dir: TempDir,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The trace and the span that answered, as the answer says.
    pub(crate) fn trace(&self) -> (String, String) {
        let line = self.head.lines().find_map(|line| line.strip_prefix("traceresponse: "));
        let parts: Vec<_> = line.unwrap_or_else(|| panic!("no trace: {}", self.head)).split('-').collect();
        (parts[1].to_owned(), parts[2].to_owned())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Service {
    /// Starts `orderflow serve` and waits until it says where it listens.
    pub(crate) fn start(settings: &[(&str, &str)], env: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        command.env_clear().envs(env.iter().copied()).current_dir(dir.path()).arg("serve");
        for (key, value) in BASE.iter().chain(settings) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut service = Self { child, public: nowhere, ops: nowhere, dir };
        while let Ok(line) = lines.recv_timeout(LONG) {
            let Some((_, url)) = line.split_once("http://") else { continue };
            let address = url.split('/').next().unwrap().parse().unwrap();
            if line.starts_with("operators ") {
                service.ops = address;
                return service;
            }
            service.public = address;
        }
        panic!("it did not start");
    }

    /// The file of its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join(".orderflow/orderflow.db")
    }

    /// Takes the products away, so that reading one fails.
    pub(crate) fn lose_products(&self) {
        let url = format!("sqlite:{}", self.database().display());
        let lose = async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query("ALTER TABLE products RENAME TO lost").execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(lose);
    }

    /// The answer of the public listener.
    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.public, path)
    }

    /// The answer of the operators' listener.
    pub(crate) fn look(&self, path: &str) -> Answer {
        ask(self.ops, path)
    }

    /// How many records of a kind had this outcome.
    pub(crate) fn records(&self, kind: &str, outcome: &str) -> u64 {
        let metrics = self.look("/metrics").body;
        let line = metrics.lines().find(|line| {
            let labels = [format!("kind=\"{kind}\""), format!("outcome=\"{outcome}\"")];
            line.starts_with("telemetry_records_total{") && labels.iter().all(|label| line.contains(label))
        });
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
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
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(address: SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
