//! A primary with replicas, and instances of the service on them.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
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
use orderflow_servers::{Database, Postgres, Replica, Settings, needs};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::client::{Answer, send};

/// May do everything.
pub(crate) const KEY: &str = "of_office";
/// What a shop begins with; its products and customers are at least 50 each.
pub(crate) const ORDERS: i64 = 500;

/// A server with a small shop, and what replicates it. The parts end in this order.
pub(crate) struct Stage {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) database: Database,
    pub(crate) primary: Postgres,
}

/// A running service, which ends with the handle.
pub(crate) struct Instance {
    pub(crate) public: SocketAddr,
    ops: SocketAddr,
    _running: Running,
    _dir: TempDir,
}

pub(crate) fn config(dir: &Path, settings: &[(&str, &str)]) -> Config {
    let key = format!(r#"[{{ name = "office", role = "admin", sha256 = "{}" }}]"#, hex(&Sha256::digest(KEY)));
    let base = [
        ("data_dir", dir.to_str().expect("UTF-8")),
        ("http.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("http.rate_limit", "0"),
        // Others use both cores while this runs.
        ("http.request_timeout", "60s"),
        ("database.acquire_timeout", "20s"),
        ("database.statement_timeout", "20s"),
        ("database.max_connections", "8"),
        ("replicas.timeout", "5s"),
        ("replicas.max_lag", "1m"),
        ("auth.keys", &key),
    ];
    let flags = base.iter().chain(settings).map(|(key, value)| Flag::set(*key, *value)).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Stage {
    /// A server of the test's own with so many replicas, where there is one.
    pub(crate) async fn with(replicas: usize) -> Option<Self> {
        let primary = needs(Postgres::own(&Settings::default()))?;
        let database = primary.database().unwrap();
        let dir = TempDir::new().unwrap();
        let settings = config(dir.path(), &[("database.url", database.url())]).database;
        store::migrate(&settings, dir.path()).await.unwrap();
        seed(&settings, dir.path(), Plan { orders: ORDERS.unsigned_abs() }, &mut |_| {}).await.unwrap();
        let replicas = (0..replicas).map(|_| primary.replica().unwrap()).collect();
        Some(Self { replicas, database, primary })
    }

    /// An instance that reads from all replicas, once it has found each well.
    pub(crate) async fn instance(&self, settings: &[(&str, &str)]) -> Instance {
        let urls: Vec<_> = self.replicas.iter().map(|replica| replica.url(self.database.name())).collect();
        let urls = urls.join(",");
        let base = [("database.url", self.database.url()), ("replicas.urls", &urls)];
        let instance = Instance::start(&[&base, settings].concat()).await;
        for number in 0..self.replicas.len() {
            instance.until_replica_is(number, "ready").await;
        }
        instance
    }

    /// Waits until every replica has all of it.
    pub(crate) fn caught_up(&self) {
        let position = self.primary.wal_position().unwrap();
        self.replicas.iter().for_each(|replica| replica.wait_for(position).unwrap());
    }
}

impl Instance {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let running = server::start(config(dir.path(), settings)).await.unwrap();
        Self { public: running.public, ops: running.ops, _running: running, _dir: dir }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.public, "GET", path, &[], "").await
    }

    /// A read of a client who has this position.
    pub(crate) async fn get_at(&self, path: &str, position: &str) -> Answer {
        send(self.public, "GET", path, &[("X-OrderFlow-Position", position)], "").await
    }

    pub(crate) async fn write(&self, method: &str, path: &str, body: &str) -> Answer {
        send(self.public, method, path, &[], body).await
    }

    /// An order of one customer, which must be accepted.
    pub(crate) async fn order(&self, lines: &[(i64, i64)]) -> Answer {
        let answer = self.write("POST", "/api/orders", &order(lines)).await;
        answer.is(201);
        answer
    }

    /// What a family counts under these labels, as `/metrics` shows it; 0 if there is no such line.
    pub(crate) async fn counted(&self, metric: &str) -> u64 {
        let text = send(self.ops, "GET", "/metrics", &[], "").await;
        let value = text.text().lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) async fn by_replica(&self) -> u64 {
        self.counted(r#"replica_reads_total{source="replica"}"#).await
    }

    pub(crate) async fn by_primary(&self) -> u64 {
        self.counted(r#"replica_reads_total{source="primary"}"#).await
    }

    pub(crate) async fn fallbacks(&self, reason: &str) -> u64 {
        self.counted(&format!("replica_fallbacks_total{{reason=\"{reason}\"}}")).await
    }

    /// What the report says of a replica.
    pub(crate) async fn replica(&self, number: usize) -> Value {
        send(self.ops, "GET", "/healthz", &[], "").await.json()["replicas"][number].clone()
    }

    pub(crate) async fn until_replica_is(&self, number: usize, state: &str) {
        until(&format!("replica {number} is {state}"), async || self.replica(number).await["state"] == state).await;
    }

    /// How many of a product are left, as this instance says.
    pub(crate) async fn stock(&self, product: i64) -> i64 {
        self.get(&format!("/api/products/{product}")).await.is(200)["stock"].as_i64().unwrap()
    }
}

/// An order as JSON: lines of product and quantity.
pub(crate) fn order(lines: &[(i64, i64)]) -> String {
    let lines: Vec<_> =
        lines.iter().map(|(id, quantity)| format!(r#"{{"product_id":{id},"quantity":{quantity}}}"#)).collect();
    format!(r#"{{"customer_id":1,"items":[{}]}}"#, lines.join(","))
}

/// Waits until `so` says yes.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_mins(1), "waited a minute until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
