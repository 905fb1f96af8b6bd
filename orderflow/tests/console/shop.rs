//! The real program with a small shop, and clients that ask it for a little.

use std::{
    io::{BufRead, BufReader, Lines},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orderflow::auth::hex;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use crate::chrome::PATIENCE;

const KEY: &str = "of_shop";
const ORDER: &str = r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#;

/// A service that ends with the test.
pub(crate) struct Shop {
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
    program: Program,
    dir: TempDir,
}

/// It is killed when it goes. Its output stays open, as a terminal would.
struct Program {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(dir: &TempDir, ops: &str) -> Self {
        let hash = hex(&Sha256::digest(KEY));
        let keys = format!(r#"[{{ name = "shop", role = "writer", sha256 = "{hash}" }}]"#);
        let settings = [
            ("http.listen", "127.0.0.1:0"),
            ("ops.listen", ops),
            ("http.rate_limit", "0"),
            ("http.drain_notice", "0s"),
            ("database.seed_orders", "200"),
            // Others use both cores while this runs.
            ("database.acquire_timeout", "30s"),
            ("database.statement_timeout", "30s"),
            ("http.request_timeout", "60s"),
            ("telemetry.traces_ratio", "1"),
            // So that some statement is slow.
            ("database.slow_statement", "1ms"),
            ("auth.keys", &keys),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        command.env_clear().current_dir(dir.path()).arg("serve");
        for (key, value) in settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The address in the line that begins so.
    fn address(&mut self, name: &str) -> SocketAddr {
        let line = self.lines.find_map(|line| line.ok().filter(|line| line.starts_with(name)));
        let line = line.unwrap_or_else(|| panic!("the program says where {name} is"));
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        address.parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a client got.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Shop {
    pub(crate) fn open() -> Self {
        let dir = TempDir::new().unwrap();
        let mut program = Program::start(&dir, "127.0.0.1:0");
        let public = program.address("OrderFlow");
        Self { public, ops: program.address("operators"), program, dir }
    }

    pub(crate) fn console(&self, fragment: &str) -> String {
        format!("http://{}/console{fragment}", self.ops)
    }

    /// Ends in order.
    pub(crate) fn close(&mut self) {
        let process = &mut self.program.process;
        kill_process(Pid::from_child(process), Signal::TERM).unwrap();
        assert!(process.wait().unwrap().success());
    }

    /// Begins anew, with operators where they were.
    pub(crate) fn reopen(&mut self) {
        self.program = Program::start(&self.dir, &self.ops.to_string());
        self.public = self.program.address("OrderFlow");
    }

    /// Clients that ask for a bit of everything until they are dropped.
    pub(crate) fn visited(&self) -> Visit {
        let (done, public) = (Arc::new(AtomicBool::new(false)), self.public);
        let ended = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let mut turn = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                turn += 1;
                for target in [
                    format!("/api/products/{}", turn % 20 + 1),
                    format!("/api/orders/{}", turn % 200 + 1),
                    "/api/products?limit=5".to_owned(),
                    "/api/customers/999999999".to_owned(),
                ] {
                    ask(public, "GET", &target, "").await;
                }
                ask(public, "POST", "/api/orders", ORDER).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Visit { done, task }
    }
}

/// Ends the clients when it goes.
pub(crate) struct Visit {
    done: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Visit {
    /// Waits for the last of them, so that no request is cut off.
    pub(crate) async fn end(self) {
        self.done.store(true, Ordering::Relaxed);
        self.task.await.expect("every visit was answered");
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, method: &str, target: &str, body: &str) -> Answer {
    ask_with(address, method, target, "", body).await
}

/// The same with more headers, each with its line end.
pub(crate) async fn ask_with(address: SocketAddr, method: &str, target: &str, more: &str, body: &str) -> Answer {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await?;
        std::io::Result::Ok(read)
    };
    let read = timeout(PATIENCE, exchange).await.expect("an answer in time").unwrap();
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(read[..end].to_vec()).expect("a head is ASCII").to_ascii_lowercase();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: read[end + 4..].to_vec() }
}
