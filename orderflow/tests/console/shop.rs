//! A real service with a small shop, in this process, and clients that ask it for a little.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orderflow::{
    auth::hex,
    config::{Config, Flag, Sources},
    server::{self, Running},
    store::{
        self,
        seed::{Plan, seed},
    },
};
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
    running: Option<Running>,
    dir: TempDir,
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
    pub(crate) async fn open() -> Self {
        let dir = TempDir::new().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let config = config(&dir, free);
        store::migrate(&config.database, dir.path()).await.unwrap();
        seed(&config.database, dir.path(), Plan { orders: 200 }, &mut |_| {}).await.unwrap();
        let running = server::start(config).await.unwrap();
        Self { public: running.public, ops: running.ops, running: Some(running), dir }
    }

    pub(crate) fn console(&self, fragment: &str) -> String {
        format!("http://{}/console{fragment}", self.ops)
    }

    /// Stops answering, on both listeners.
    pub(crate) async fn close(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    /// Begins anew, with operators where they were.
    pub(crate) async fn reopen(&mut self) {
        let running = server::start(config(&self.dir, self.ops)).await.unwrap();
        self.public = running.public;
        self.running = Some(running);
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

fn config(dir: &TempDir, ops: SocketAddr) -> Config {
    let hash = hex(&Sha256::digest(KEY));
    let settings = [
        ("data_dir", dir.path().to_str().expect("UTF-8")),
        ("http.listen", "127.0.0.1:0"),
        ("ops.listen", &ops.to_string()),
        ("http.rate_limit", "0"),
        ("http.drain_notice", "0s"),
        ("worker.in_process", "on"),
        // Others use both cores while this runs.
        ("database.acquire_timeout", "30s"),
        ("database.statement_timeout", "30s"),
        ("http.request_timeout", "60s"),
        ("telemetry.traces_ratio", "1"),
        // So that some statement is slow.
        ("database.slow_statement", "1ms"),
        ("database.url", &format!("sqlite:{}", dir.path().join("shop.db").display())),
        ("auth.keys", &format!(r#"[{{ name = "shop", role = "writer", sha256 = "{hash}" }}]"#)),
    ];
    let flags = settings.iter().map(|(key, value)| Flag::set(*key, *value)).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
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
