//! The program as a process of its own, killed with its handle.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::{Answer, Connection, get},
    shop::Shop,
    waiting::{PATIENCE, until},
};

/// Settings of a service with little patience, so that outages are short. Later ones override them.
const BRISK: &[(&str, &str)] = &[
    ("http.listen", "127.0.0.1:0"),
    ("ops.listen", "127.0.0.1:0"),
    ("http.rate_limit", "0"),
    ("http.request_timeout", "8s"),
    ("http.idle_timeout", "8s"),
    ("http.drain_notice", "100ms"),
    ("database.max_connections", "4"),
    ("database.acquire_timeout", "2s"),
    ("database.statement_timeout", "2s"),
    ("cache.ttl", "20s"),
];
/// What is kept of what the service says on standard error, in bytes.
const SAID: usize = 1 << 20;

/// A running service.
pub(crate) struct Service {
    child: Child,
    pub(crate) public: SocketAddr,
    said: Arc<Mutex<String>>,
}

/// The program on a shop, with settings over [`BRISK`].
pub(crate) fn arguments(shop: &Shop, settings: &[(&str, &str)]) -> Vec<String> {
    let all = BRISK.iter().chain(settings);
    let set = all.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
    [env!("CARGO_BIN_EXE_orderflow").to_owned(), "serve".to_owned()]
        .into_iter()
        .chain(set)
        .chain(shop.flags())
        .collect()
}

impl Service {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let arguments = arguments(shop, settings);
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]);
        Self::run(shop, command).unwrap_or_else(|said| panic!("the service did not start: {said}"))
    }

    /// The same by a command of the caller's, or what it said instead of starting.
    pub(crate) fn run(shop: &Shop, mut command: Command) -> Result<Self, String> {
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).current_dir(shop.dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stderr.take().unwrap(), Arc::clone(&said));
        let lines = lines(child.stdout.take().unwrap());
        let mut service = Self { child, public: ([127, 0, 0, 1], 0).into(), said };
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if let Some((_, url)) = line.split_once("OrderFlow  http://") {
                let address = url.split('/').next().unwrap_or_default();
                service.public = address.parse().unwrap();
                // Nobody reads on, as after `| head -1`, and it must not mind.
                return Ok(service);
            }
        }
        let _ = service.child.kill();
        let _ = service.child.wait();
        // What it said is complete once its end of the pipe is closed, a moment after its end.
        thread::sleep(Duration::from_millis(100));
        Err(service.said())
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a crash would, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself: how it did, and after how long.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "the service has not ended; it said:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The answer to one request on a connection of its own, and how long it took.
    pub(crate) async fn ask(&self, request: &[u8]) -> (Answer, Duration) {
        let began = Instant::now();
        let mut connection = Connection::open(self.public).await.unwrap();
        let answer = connection.ask(request).await.unwrap_or_else(|error| panic!("no answer: {error}"));
        (answer, began.elapsed())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&get(path)).await.0
    }

    /// Waits until it says that it is ready, and gives how long that took.
    pub(crate) async fn ready(&self) -> Duration {
        until("the service is ready", async || self.get("/healthz/ready").await.status == 200).await
    }

    /// Waits until no database connection is in use: what clients left behind has been done or given up.
    pub(crate) async fn quiet(&self) {
        until("all database connections are idle", async || {
            let report = self.get("/healthz").await.json();
            report["database"]["connections_idle"] == report["database"]["connections_open"]
        })
        .await;
    }

    /// The memory that it has, in KiB. Linux only.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many sockets it has open. Linux only.
    pub(crate) fn sockets(&self) -> usize {
        let files = fs::read_dir(self.proc("fd")).unwrap();
        let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    }

    /// What the kernel tells of it under this name. Linux only.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the service said:\n{}", self.said());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut some) {
            let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < SAID {
                *said += &String::from_utf8_lossy(&some[..count]);
            }
        }
    });
}

fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    // Ends, and closes the pipe, once nobody receives.
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}
