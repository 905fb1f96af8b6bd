//! Time and room: a statement that takes too long, a database that is locked, no place left in the pool, and what a URL
//! may say.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use orderflow::store::{ConnectError, StoreError, connect};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::stage::{Stage, customer, database, order, page};

/// A session that keeps everybody from the products until it is closed.
pub(crate) async fn lock_products(stage: &Stage) -> PgConnection {
    let mut other = PgConnection::connect(stage.postgres.as_ref().unwrap().url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE products").execute(&mut other).await.unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_cut_off_at_its_limit() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let stage = Stage::on(&server, |database| database.statement_timeout = Duration::from_secs(2)).await;
    stage.products(1..=1, "kitchen", 100, 5).await;
    let ada = stage.customer("ada").await;
    let other = lock_products(&stage).await;
    for _ in 0..2 {
        let read = stage.store.products(None, page(1, 1)).await;
        assert!(matches!(read, Err(StoreError::TimedOut)), "{read:?}");
        let write = stage.store.place_order(&order(ada, &[(1, 1)]), None).await;
        assert!(matches!(write, Err(StoreError::TimedOut)), "{write:?}");
    }
    // What needs no product is not held up.
    assert!(stage.store.create_customer(&customer("bob")).await.is_ok());
    other.close().await.unwrap();
    assert_eq!(stage.store.products(None, page(1, 1)).await.unwrap().rows.len(), 1);
    assert_eq!((stage.count("orders").await, stage.ask("SELECT stock FROM products").await), (0, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_for_a_place_as_long_as_it_may() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let stage = Stage::on(&server, |database| {
        database.max_connections = 2;
        database.acquire_timeout = Duration::from_secs(3);
    })
    .await;
    stage.products(1..=1, "kitchen", 100, 5).await;
    let other = lock_products(&stage).await;
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            let store = stage.store.clone();
            tokio::spawn(async move { store.products(None, page(1, 1)).await })
        })
        .collect();
    crate::stage::until("both connections are in use", async || {
        let usage = stage.store.pool();
        usage.open == 2 && usage.idle == 0
    })
    .await;
    let start = Instant::now();
    let refused = stage.store.customers(page(1, 1)).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(start.elapsed() >= Duration::from_secs(3));
    other.close().await.unwrap();
    for read in join_all(stuck).await {
        assert_eq!(read.unwrap().unwrap().rows.len(), 1);
    }
    assert!(stage.store.customers(page(1, 1)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_another_process_as_long_as_it_may() {
    let mut stage = Stage::sqlite().await;
    stage.database.acquire_timeout = Duration::from_secs(2);
    let store = connect(&stage.database, stage.path()).await.unwrap();
    let mut other = stage.file().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = store.create_customer(&customer("ada")).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    // Readers do not wait for a writer.
    assert_eq!(store.customers(page(1, 1)).await.unwrap().rows, []);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(store.create_customer(&customer("ada")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_write_is_seen_by_the_next_read_and_by_the_next_process() {
    let stage = Stage::sqlite().await;
    for number in 0..100 {
        let made = stage.store.create_customer(&customer(&format!("c{number}"))).await.unwrap();
        assert_eq!(stage.store.customers_by_id(&[made.id]).await.unwrap(), [made]);
    }
    stage.store.close().await;
    // Closed, the file is all there is: the log is in it.
    assert!(!stage.path().join("orders.db-wal").exists());
    let again = connect(&stage.database, stage.path()).await.unwrap();
    assert_eq!(again.stats().await.unwrap().customers, 100);
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_leads_nowhere_is_told() {
    let dir = TempDir::new().unwrap();
    let error = async |url: &str| connect(&database(url.to_owned()), dir.path()).await.err().unwrap();
    for url in ["mysql://localhost/orders", "orders.db", "SQLITE:orders.db"] {
        assert!(matches!(error(url).await, ConnectError::Scheme), "{url}");
    }
    for url in ["sqlite::memory:", "sqlite:", "sqlite://"] {
        assert!(matches!(error(url).await, ConnectError::InMemory), "{url}");
    }
    assert!(matches!(error("postgres://u:p@host:port/db").await, ConnectError::Url(_)));
    let missing = format!("sqlite:{}/missing/orders.db", dir.path().display());
    assert!(matches!(error(&missing).await, ConnectError::Directory(..)));
    let port = orderflow_servers::free_port().unwrap();
    let refused = error(&format!("postgres://user:hunter2@127.0.0.1:{port}/db")).await;
    assert!(matches!(refused, ConnectError::Unreachable(StoreError::Unavailable(_))), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
    std::fs::write(dir.path().join("text.db"), "this is no database, but long enough to be read as one".repeat(30))
        .unwrap();
    let text = error(&format!("sqlite:{}/text.db", dir.path().display())).await;
    assert!(matches!(text, ConnectError::Unreachable(_)), "{text:?}");
    // The data directory is made when it is missing.
    let deep = dir.path().join("a/b");
    connect(&database(String::new()), &deep).await.unwrap().close().await;
    assert!(deep.join("orderflow.db").exists());
}
