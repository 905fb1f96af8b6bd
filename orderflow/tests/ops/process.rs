//! The service as a process of its own: a profile is of a whole process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use orderflow::auth::hex;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::client::{Answer, Connection, Request};

/// How long anything may take before a test says that it does not come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// May do everything.
pub(crate) const OFFICE: &str = "of_office";
/// May write.
pub(crate) const SHOP: &str = "of_shop";

/// A running service, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
    _dir: TempDir,
}

/// The keys of both, as a setting.
pub(crate) fn keys() -> String {
    let key = |(name, role, key)| {
        let hash = hex(&Sha256::digest(key));
        format!(r#"{{ name = "{name}", role = "{role}", sha256 = "{hash}" }}"#)
    };
    format!("[{}]", [("shop", "writer", SHOP), ("office", "admin", OFFICE)].map(key).join(", "))
}

impl Process {
    /// Starts it with a small shop, and waits until it says where it is.
    pub(crate) fn start(variables: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        command.env_clear().current_dir(dir.path()).envs(variables.iter().copied()).arg("serve");
        let keys = keys();
        let usual = [
            ("http.listen", "127.0.0.1:0"),
            ("ops.listen", "127.0.0.1:0"),
            ("http.rate_limit", "0"),
            ("http.drain_notice", "0s"),
            ("database.seed_orders", "200"),
            ("log.filter", "warn"),
            ("auth.keys", &keys),
        ];
        for (key, value) in usual.iter().chain(settings) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut process = Self { child, public: nowhere, ops: nowhere, _dir: dir };
        let address = |name: &str| {
            loop {
                let line = lines.recv_timeout(PATIENCE).expect("it says where it is");
                if line.starts_with(name) {
                    return line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
                }
            }
        };
        process.public = address("OrderFlow");
        process.ops = address("operators");
        process
    }

    /// What the operators' listener answers.
    pub(crate) async fn look(&self, target: &str) -> Answer {
        Request::new(self.ops, "GET", target).send().await
    }

    /// A number of `/metrics`: a name with its labels.
    pub(crate) async fn number(&self, series: &str) -> Option<f64> {
        let answer = self.look("/metrics").await;
        answer.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// A file that the system keeps about it.
    pub(crate) fn proc(&self, file: &str) -> std::path::PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    /// Asks it for lists of products over and over, until this is dropped.
    pub(crate) fn load(&self) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for client in 0..4 {
            let (stop, answered, address) = (Arc::clone(&stop), Arc::clone(&answered), self.public);
            clients.spawn(async move {
                let mut connection = Connection::open(address).await;
                for round in 0_usize.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // Orders are not cached, and neither is the answer to a key that nobody asked for before.
                    let target = format!("/api/orders?limit=50&page={}", 1 + (round + client) % 4);
                    connection.write(&Request::new(address, "GET", &target).bytes()).await;
                    connection.answer(false).await.expect("an answer").ok(200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Load { stop, answered, clients }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits until it has.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it has not ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients that ask, each on its connection, and expect every answer to be one.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<()>,
}

impl Load {
    /// Ends it, and gives how many answers there were, all of them good.
    pub(crate) async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("every request is answered");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
