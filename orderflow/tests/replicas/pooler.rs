//! A pooler that lends a connection for one transaction at a time.

use std::time::Duration;

use orderflow::{
    domain::{ProductId, Window},
    store::{self, StoreError},
};
use orderflow_servers::{Database, PgBouncer, needs};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::stage::{Instance, Stage, config, order, until};

struct Pooled {
    pooler: PgBouncer,
    stage: Stage,
}

impl Pooled {
    async fn new() -> Option<Self> {
        let stage = Stage::with(0).await?;
        let pooler = needs(PgBouncer::own(&stage.primary))?;
        Some(Self { pooler, stage })
    }

    fn database(&self) -> &Database {
        &self.stage.database
    }

    fn settings<'a>(&'a self, url: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("database.url", url),
            ("database.direct_url", self.database().url()),
            ("database.pooler", "transaction"),
            ("cache.enabled", "false"),
        ]
    }

    async fn instance(&self, settings: &[(&str, &str)]) -> Instance {
        let url = self.pooler.url(self.database().name());
        Instance::start(&[&self.settings(&url), settings].concat()).await
    }

    /// Connections of the server that are within a transaction and do nothing.
    fn stuck(&self) -> String {
        self.database().psql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_share_four_connections() {
    let Some(pooled) = Pooled::new().await else { return };
    let instance = pooled.instance(&[("database.max_connections", "40")]).await;
    let to = instance.public;
    let clients = (0..48_i64).map(|number| {
        tokio::spawn(async move {
            for round in 0..4 {
                let (product, body) = (1 + number % 40, order(&[(1 + number % 40, 1), (41 + round, 1)]));
                let placed = crate::client::send(to, "POST", "/api/orders", &[], &body).await;
                placed.is(201);
                let path = placed.header("location").unwrap();
                crate::client::send(to, "GET", path, &[], "").await.is(200);
                for path in [format!("/api/products/{product}"), "/api/orders?limit=5&status=pending".to_owned()] {
                    crate::client::send(to, "GET", &path, &[], "").await.is(200);
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(pooled.database().psql("SELECT count(*) FROM outbox").unwrap(), (48 * 4).to_string());
    let servers = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderflow' \
                   AND datname = current_database()";
    let servers: u32 = pooled.database().psql(servers).unwrap().parse().unwrap();
    assert!((1..=4).contains(&servers), "{servers} connections of the server");
    assert_eq!(pooled.stuck(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_is_started_again_is_used_again() {
    let Some(pooled) = Pooled::new().await else { return };
    let instance = pooled.instance(&[]).await;
    let mut accepted = 0;
    for _ in 0..3 {
        instance.order(&[(1, 1)]).await;
        instance.get("/api/orders?limit=5").await.is(200);
        // Between two requests nobody notices.
        tokio::task::block_in_place(|| pooled.pooler.restart().unwrap());
        instance.order(&[(1, 1)]).await;
        accepted += 2;
        tokio::task::block_in_place(|| pooled.pooler.stop().unwrap());
        assert_eq!(instance.get("/healthz/ready").await.status, 503);
        instance.get("/api/orders?limit=5").await.is(503);
        instance.write("POST", "/api/orders", &order(&[(1, 1)])).await.is(503);
        tokio::task::block_in_place(|| pooled.pooler.start().unwrap());
        until("it is ready", async || instance.get("/healthz/ready").await.status == 200).await;
    }
    assert_eq!(pooled.database().psql("SELECT count(*) FROM outbox").unwrap(), accepted.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_abandoned_in_the_middle_leaves_no_transaction() {
    let Some(pooled) = Pooled::new().await else { return };
    let dir = TempDir::new().unwrap();
    let url = pooled.pooler.url(pooled.database().name());
    let settings = [&pooled.settings(&url)[..], &[("database.statement_timeout", "2s")]].concat();
    let store = store::connect(&config(dir.path(), &settings).database, dir.path()).await.unwrap();
    let ids = [ProductId::try_from(1).unwrap()];
    let page = Window { start: orderflow::domain::Start::Page("1".parse().unwrap()), limit: "5".parse().unwrap() };

    let mut other = PgConnection::connect(pooled.database().url()).await.unwrap();
    other.execute("BEGIN; LOCK TABLE products").await.unwrap();
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'products'::regclass";
    let reads: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.products_by_id(&ids).await })
        })
        .collect();
    until("the reads wait for the lock", async || pooled.database().psql(waiting).unwrap() == "4").await;
    reads.iter().for_each(tokio::task::JoinHandle::abort);
    until("what was abandoned is closed", async || store.pool().open == store.pool().idle).await;
    // What is limited is limited here too, and by the server: it says so, and the connection is used on.
    let open = until_open(&store).await;
    assert!(matches!(store.products_by_id(&ids).await, Err(StoreError::TimedOut)));
    assert_eq!(store.pool().idle, open);
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();

    for micros in 0..200 {
        let _ = tokio::time::timeout(Duration::from_micros(micros * 40), store.orders(None, page)).await;
        assert_eq!(store.products_by_id(&ids).await.unwrap().len(), 1, "after {micros}");
    }
    until("nothing is left in a transaction", async || pooled.stuck() == "0").await;
    assert_eq!(store.orders(None, page).await.unwrap().rows.len(), 5);
    store.close().await;
}

/// How many connections are open after one was needed.
async fn until_open(store: &store::SharedStore) -> u32 {
    until("the store answers", async || store.ping().await.is_ok()).await;
    store.pool().open
}
