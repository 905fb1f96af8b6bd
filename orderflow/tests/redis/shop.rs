//! Several instances of the service in this process, on one database.

use std::{net::SocketAddr, path::Path};

use orderflow::{
    auth::hex,
    config::{Config, Flag, Sources},
    server::{self, Running},
    store::{
        self,
        seed::{Plan, seed},
    },
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::client::{Answer, Request};

const KEY: &str = "of_shop";

/// A database of 500 orders and 50 products, and the instances that were started on it.
pub(crate) struct Shop {
    dir: TempDir,
    instances: Vec<Instance>,
}

/// One instance.
pub(crate) struct Instance {
    pub(crate) public: SocketAddr,
    ops: SocketAddr,
    _running: Running,
}

/// A configuration in this directory, with these settings on top.
pub(crate) fn config(dir: &Path, settings: &[(&str, &str)]) -> Config {
    let url = format!("sqlite:{}", dir.join("shop.db").display());
    let keys = format!(r#"[{{ name = "shop", role = "writer", sha256 = "{}" }}]"#, hex(&Sha256::digest(KEY)));
    let base = [
        ("data_dir", dir.to_str().expect("UTF-8")),
        ("http.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("http.rate_limit", "0"),
        ("database.url", &url),
        ("auth.keys", &keys),
        // Others use both cores while this runs, and what is old is to be seen as old.
        ("database.acquire_timeout", "30s"),
        ("database.statement_timeout", "30s"),
        ("http.request_timeout", "60s"),
        ("redis.timeout", "5s"),
        ("cache.ttl", "1h"),
        ("cache.redis_ttl", "1h"),
        ("worker.in_process", "off"),
    ];
    let flags = base.iter().chain(settings).map(|(key, value)| Flag::set(*key, *value)).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Shop {
    /// An instance for each of these addresses of Redis.
    pub(crate) async fn open(redis: &[impl AsRef<str>], settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let config = config(dir.path(), &[]);
        store::migrate(&config.database, dir.path()).await.unwrap();
        seed(&config.database, dir.path(), Plan { orders: 500 }, &mut |_| {}).await.unwrap();
        let mut shop = Self { dir, instances: Vec::new() };
        for url in redis {
            shop.another(url.as_ref(), settings).await;
        }
        shop
    }

    /// One more instance.
    pub(crate) async fn another(&mut self, redis: &str, settings: &[(&str, &str)]) -> &Instance {
        let settings: Vec<_> = settings.iter().copied().chain([("redis.url", redis)]).collect();
        let instance = Instance::start(self.dir.path(), &settings).await;
        instance.joins().await;
        self.instances.push(instance);
        self.instances.last().unwrap()
    }

    /// One more instance, without Redis.
    pub(crate) async fn alone(&self) -> Instance {
        Instance::start(self.dir.path(), &[]).await
    }

    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }
}

impl Instance {
    async fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let running = server::start(config(dir, settings)).await.unwrap();
        Self { public: running.public, ops: running.ops, _running: running }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        Request::new(self.public, "GET", target).send().await
    }

    /// How many of a product it says are left.
    pub(crate) async fn stock(&self, product: i64) -> i64 {
        self.get(&format!("/api/products/{product}")).await.ok(200)["stock"].as_i64().unwrap()
    }

    /// Orders one of a product.
    pub(crate) async fn order(&self, product: i64) {
        let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{product},"quantity":1}}]}}"#);
        Request::new(self.public, "POST", "/api/orders").key(KEY).json(body).send().await.ok(201);
    }

    pub(crate) async fn health(&self) -> Value {
        self.get("/healthz").await.json()
    }

    /// A counter or gauge of the instance, all its series with these words together.
    pub(crate) async fn count(&self, name: &str, words: &[&str]) -> u64 {
        let text = Request::new(self.ops, "GET", "/metrics").send().await;
        let series = text.text().lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && words.iter().all(|w| line.contains(w))
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until it uses Redis, if it can be reached.
    pub(crate) async fn joins(&self) {
        let joined = async || self.count("redis_operations_total", &["join", "\"ok\""]).await > 0;
        let heard = async || self.count("redis_operations_total", &["subscribe", "\"ok\""]).await > 0;
        crate::waiting::until("the instance uses Redis", async || joined().await && heard().await).await;
    }
}
