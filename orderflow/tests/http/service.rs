//! The real service, in this process: both listeners on free ports, a fresh store filled with a small shop.

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
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::client::{Answer, Request};

/// A shop of 500 orders: 50 products, 100 customers.
pub(crate) const ORDERS: i64 = 500;

/// May write.
pub(crate) const SHOP: &str = "of_shop";
/// Another client, which may write too.
pub(crate) const TILL: &str = "of_till";
/// May do everything.
pub(crate) const OFFICE: &str = "of_office";

/// A service that ends with the test.
pub(crate) struct Service {
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
    running: Option<Running>,
    dir: TempDir,
    _postgres: Option<orderflow_servers::Database>,
}

/// The configuration of a test in this directory, with these settings on top.
pub(crate) fn config(dir: &Path, url: &str, settings: &[(&str, &str)]) -> Config {
    let key = |(name, role, key)| {
        let hash = hex(&Sha256::digest(key));
        format!(r#"{{ name = "{name}", role = "{role}", sha256 = "{hash}" }}"#)
    };
    let keys = [("shop", "writer", SHOP), ("shop/1", "writer", TILL), ("office", "admin", OFFICE)].map(key).join(", ");
    let base = [
        ("data_dir", dir.to_str().expect("UTF-8")),
        ("http.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("http.rate_limit", "0"),
        ("http.drain_notice", "0s"),
        // Others use both cores while this runs.
        ("database.acquire_timeout", "30s"),
        ("database.statement_timeout", "30s"),
        ("http.request_timeout", "60s"),
        ("database.url", url),
        ("auth.keys", &format!("[{keys}]")),
    ];
    let flags = base.iter().chain(settings).map(|(key, value)| Flag::set(*key, *value)).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Service {
    /// On SQLite.
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(&[]).await
    }

    /// On SQLite, with these settings.
    pub(crate) async fn sqlite_with(settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("shop.db").display());
        Self::start(dir, &url, settings, None).await
    }

    /// On PostgreSQL, where there is one.
    pub(crate) async fn postgresql() -> Option<Self> {
        let database = orderflow_servers::postgres()?.database().unwrap();
        let url = database.url().to_owned();
        Some(Self::start(TempDir::new().unwrap(), &url, &[], Some(database)).await)
    }

    async fn start(
        dir: TempDir,
        url: &str,
        settings: &[(&str, &str)],
        postgres: Option<orderflow_servers::Database>,
    ) -> Self {
        let config = config(dir.path(), url, settings);
        store::migrate(&config.database, dir.path()).await.unwrap();
        seed(&config.database, dir.path(), Plan { orders: ORDERS as u64 }, &mut |_| {}).await.unwrap();
        let running = server::start(config).await.unwrap();
        Self { public: running.public, ops: running.ops, running: Some(running), dir, _postgres: postgres }
    }

    /// The file of a service on SQLite.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.dir.path().join("shop.db")
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.public, method, target)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.request("GET", target).send().await
    }

    /// Sends a body with the key of the shop.
    pub(crate) async fn send(&self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request(method, target).key(SHOP).json(body).send().await
    }

    /// Takes the service out, to stop it.
    pub(crate) fn into_running(mut self) -> (Running, TempDir) {
        (self.running.take().expect("it runs"), self.dir)
    }
}

/// An order as JSON: lines of product and quantity.
pub(crate) fn order(customer: i64, lines: &[(i64, i64)]) -> String {
    let lines: Vec<_> =
        lines.iter().map(|(id, quantity)| format!(r#"{{"product_id":{id},"quantity":{quantity}}}"#)).collect();
    format!(r#"{{"customer_id":{customer},"items":[{}]}}"#, lines.join(","))
}
