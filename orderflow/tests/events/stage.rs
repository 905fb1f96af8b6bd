//! Instances of the service in this process, on one database with a small shop.

use std::{net::SocketAddr, time::Duration};

use orderflow::{
    auth::hex,
    config::{Config, Flag, Sources},
    server::{self, Running},
    store,
};
use orderflow_servers::{Database, Postgres};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::client::{PATIENCE, ask};

const KEY: &str = "of_shop";
/// One customer, and one product of which there is plenty: stock is no matter here.
const SHOP: &str = "INSERT INTO customers (name, email, created_at, updated_at) \
                    VALUES ('Ann', 'ann@example.com', MOMENT, MOMENT); \
                    INSERT INTO products (name, category, price_cents, stock, updated_at) \
                    VALUES ('tea', 'drinks', 450, 1000000000, MOMENT)";

/// A database, and the instances on it.
pub(crate) struct Stage {
    pub(crate) instances: Vec<Instance>,
    settings: Vec<(String, String)>,
    pub(crate) postgres: Option<Database>,
    dir: TempDir,
}

/// One of them.
pub(crate) struct Instance {
    pub(crate) public: SocketAddr,
    ops: SocketAddr,
    running: Option<Running>,
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(&[]).await
    }

    pub(crate) async fn sqlite_with(settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("shop.db").display());
        Self::start(dir, &url, settings, None).await
    }

    pub(crate) async fn postgresql() -> Option<Self> {
        Self::postgresql_with(&[]).await
    }

    pub(crate) async fn postgresql_with(settings: &[(&str, &str)]) -> Option<Self> {
        Some(Self::on(&orderflow_servers::postgres()?, settings).await)
    }

    /// On a server of the test's choice.
    pub(crate) async fn on(server: &Postgres, settings: &[(&str, &str)]) -> Self {
        let database = server.database().unwrap();
        let url = database.url().to_owned();
        Self::start(TempDir::new().unwrap(), &url, settings, Some(database)).await
    }

    async fn start(dir: TempDir, url: &str, settings: &[(&str, &str)], postgres: Option<Database>) -> Self {
        let hash = hex(&Sha256::digest(KEY));
        let base = [
            ("data_dir", dir.path().to_str().unwrap()),
            ("http.listen", "127.0.0.1:0"),
            ("ops.listen", "127.0.0.1:0"),
            ("http.rate_limit", "0"),
            ("http.drain_notice", "0s"),
            // Whoever waited for a stream would wait longer than a test does.
            ("http.drain_timeout", "1h"),
            // Others use both cores while this runs.
            ("database.acquire_timeout", "30s"),
            ("database.statement_timeout", "30s"),
            ("database.max_connections", "6"),
            ("events.poll", "50ms"),
            ("http.request_timeout", "60s"),
            ("database.url", url),
            ("auth.keys", &format!(r#"[{{ name = "shop", role = "writer", sha256 = "{hash}" }}]"#)),
        ];
        let settings = base.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut stage = Self { instances: vec![], settings: settings.collect(), postgres, dir };
        let config = stage.config();
        store::migrate(&config.database, stage.dir.path()).await.unwrap();
        let moment = if stage.postgres.is_some() { "now()" } else { "unixepoch() * 1000000" };
        stage.sql(&SHOP.replace("MOMENT", moment)).await;
        stage.instance().await;
        stage
    }

    fn config(&self) -> Config {
        let flags = self.settings.iter().map(|(key, value)| Flag::set(key, value)).collect();
        Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Starts one more instance.
    pub(crate) async fn instance(&mut self) -> &Instance {
        let running = server::start(self.config()).await.unwrap();
        let (public, ops) = (running.public, running.ops);
        self.instances.push(Instance { public, ops, running: Some(running) });
        self.instances.last().unwrap()
    }

    /// Where the first instance is.
    pub(crate) fn public(&self) -> SocketAddr {
        self.instances[0].public
    }

    /// Places an order at the first instance.
    pub(crate) async fn order(&self) -> i64 {
        order(self.public()).await
    }

    /// Runs SQL past the service.
    pub(crate) async fn sql(&self, sql: &str) {
        if let Some(postgres) = &self.postgres {
            postgres.psql(sql).unwrap();
        } else {
            let url = format!("sqlite:{}", self.dir.path().join("shop.db").display());
            let mut file = SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut file).await.unwrap();
            file.close().await.unwrap();
        }
    }

    /// So many events of one moment, in one transaction, about orders from this number on.
    pub(crate) async fn many(&self, from: i64, count: i64) {
        let to = from + count - 1;
        self.sql(&if self.postgres.is_some() {
            format!(
                "INSERT INTO outbox (kind, payload) SELECT 'order.placed', jsonb_build_object('order_id', n, \
                 'customer_id', 1, 'total_cents', 100) FROM generate_series({from}, {to}) AS n"
            )
        } else {
            format!(
                "WITH RECURSIVE s (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n < {to}) \
                 INSERT INTO outbox (kind, payload, created_at) SELECT 'order.placed', json_object('order_id', n, \
                 'customer_id', 1, 'total_cents', 100), unixepoch() * 1000000 FROM s"
            )
        })
        .await;
    }
}

impl Instance {
    /// A number among what the instance counts; 0 where it has not counted.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = get(self.ops, "/metrics").await.1;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a number among what the instance counts is this.
    pub(crate) async fn metric_is(&self, name: &str, wanted: u64) {
        until(name, async || self.metric(name).await == wanted).await;
    }

    /// Takes the service out, to stop it.
    pub(crate) fn take(&mut self) -> Running {
        self.running.take().expect("it runs")
    }
}

/// Places an order, and gives its number.
pub(crate) async fn order(at: SocketAddr) -> i64 {
    let body = r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#;
    let request = format!(
        "POST /api/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, text) = answered(at, &request).await;
    assert_eq!(status, 201, "{text}");
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["id"].as_i64().unwrap()
}

/// A whole answer: its status and its body.
pub(crate) async fn get(at: SocketAddr, path: &str) -> (u16, String) {
    answered(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")).await
}

async fn answered(at: SocketAddr, request: &str) -> (u16, String) {
    let mut answer = ask(at, request, None).await;
    let text = timeout(PATIENCE, answer.text()).await.expect("an answer in time");
    (answer.status, text)
}

/// Waits until `is_so` says yes.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited a minute until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
