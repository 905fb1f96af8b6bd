//! PostgreSQL goes away, comes back, drops connections, falls silent.

use std::time::Duration;

use futures_util::future::join_all;
use orderflow::store::StoreError;
use orderflow_servers::{Postgres, Settings, Stop, needs};
use sqlx::{Connection, PgConnection};

use crate::stage::{Stage, order, page, product, until};

const MAX: u32 = 4;

/// Proves that as many statements run at once as there may be connections: all of them wait for the same lock.
async fn every_place_can_be_taken(stage: &Stage) {
    let postgres = stage.postgres.as_ref().unwrap();
    let mut other = PgConnection::connect(postgres.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE products").execute(&mut other).await.unwrap();
    let reads: Vec<_> = (0..3 * MAX)
        .map(|_| {
            let store = stage.store.clone();
            // On a busy machine one may run out of time before the others have begun, and begins again.
            tokio::spawn(async move {
                loop {
                    match store.products(None, page(1, 1)).await {
                        Err(StoreError::TimedOut | StoreError::Busy) => {}
                        read => return read,
                    }
                }
            })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'orderflow' AND wait_event_type = 'Lock'";
    until("all connections wait for the lock", async || stage.ask(waiting).await == i64::from(MAX)).await;
    assert_eq!((stage.store.pool().open, stage.store.pool().idle), (MAX, 0));
    other.close().await.unwrap();
    for read in join_all(reads).await {
        assert_eq!(read.unwrap().unwrap().rows.len(), 1);
    }
    until("all connections are idle", async || stage.store.pool().idle == MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_are_replaced_and_never_missed() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let stage = Stage::on(&server, |database| database.max_connections = MAX).await;
    stage.products(1..=10, "kitchen", 100, 100_000).await;
    let ada = stage.customer("ada").await;
    let name = stage.postgres.as_ref().unwrap().name().to_owned();
    let mut placed = 0;
    for round in 0..12 {
        let ids = [product(1)];
        let reads = || join_all((0..2 * MAX).map(|_| stage.store.products_by_id(&ids)));
        for read in reads().await {
            assert_eq!(read.unwrap().len(), 1, "round {round}");
        }
        server.terminate_backends(&name).unwrap();
        // Every idle connection is dead now: neither reads nor writes may notice.
        if round % 2 == 0 {
            stage.store.place_order(&order(ada, &[(1, 1)]), None).await.unwrap();
            placed += 1;
        }
        for read in reads().await {
            assert_eq!(read.unwrap().len(), 1, "round {round}");
        }
    }
    assert_eq!(stage.count("orders").await, placed);
    every_place_can_be_taken(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_killed_in_the_midst_of_work_are_replaced() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let stage = Stage::on(&server, |database| database.max_connections = MAX).await;
    stage.products(1..=10, "kitchen", 100, 100_000).await;
    let ada = stage.customer("ada").await;
    let name = stage.postgres.as_ref().unwrap().name().to_owned();
    let draft = order(ada, &[(1, 1), (2, 2)]);
    let mut accepted = 0;
    for _ in 0..15 {
        let work = join_all((0..40).map(|number| {
            let (store, draft) = (stage.store.clone(), draft.clone());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    return store.place_order(&draft, None).await.map(|_| 1);
                }
                store.products_by_id(&[product(1)]).await.map(|_| 0)
            })
        }));
        let (kill, work) = (server.clone(), tokio::spawn(work));
        let name = name.clone();
        tokio::task::spawn_blocking(move || kill.terminate_backends(&name).unwrap()).await.unwrap();
        for done in work.await.unwrap() {
            match done.unwrap() {
                Ok(orders) => accepted += orders,
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    // Whoever was told "unavailable" may have been served all the same; whoever was told "accepted" was.
    assert!(stage.count("orders").await >= accepted);
    assert_eq!(stage.ask("SELECT sum(stock) FROM products").await, 1_000_000 - 3 * stage.count("orders").await);
    every_place_can_be_taken(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_calls_goes_unnoticed_and_an_outage_is_told_at_once() {
    let Some(server) = needs(Postgres::own(&Settings::default())) else { return };
    let stage = Stage::on(&server, |database| database.max_connections = MAX).await;
    stage.products(1..=10, "kitchen", 100, 100_000).await;
    let ada = stage.customer("ada").await;
    every_place_can_be_taken(&stage).await;
    for how in [Stop::Fast, Stop::Immediate] {
        server.stop(how).unwrap();
        let start = std::time::Instant::now();
        for _ in 0..5 {
            let read = stage.store.products(None, page(1, 1)).await;
            assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
            let write = stage.store.place_order(&order(ada, &[(1, 1)]), None).await;
            assert!(matches!(write, Err(StoreError::Unavailable(_))), "{write:?}");
            assert!(matches!(stage.store.ping().await, Err(StoreError::Unavailable(_))));
        }
        // Not after the twenty seconds that a call may wait for a place.
        assert!(start.elapsed() < Duration::from_secs(15));
        server.start().unwrap();
        assert_eq!(stage.store.products(None, page(1, 1)).await.unwrap().rows.len(), 1);
        stage.store.place_order(&order(ada, &[(1, 1)]), None).await.unwrap();
        server.restart().unwrap();
        stage.store.place_order(&order(ada, &[(1, 1)]), None).await.unwrap();
        for read in join_all((0..2 * MAX).map(|_| stage.store.orders(None, page(1, 1)))).await {
            assert_eq!(read.unwrap().rows.len(), 1);
        }
        every_place_can_be_taken(&stage).await;
    }
    assert_eq!(stage.count("orders").await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_does_not_keep_the_places() {
    let Some(server) = needs(Postgres::own(&Settings::default())) else { return };
    let stage = Stage::on(&server, |database| {
        database.max_connections = MAX;
        database.statement_timeout = Duration::from_secs(3);
        database.acquire_timeout = Duration::from_secs(5);
    })
    .await;
    stage.products(1..=10, "kitchen", 100, 100_000).await;
    let ada = stage.customer("ada").await;
    every_place_can_be_taken(&stage).await;
    server.pause().unwrap();
    // Some wait until they are told, some are abandoned; each connection is asked for a sign of life and given up.
    for read in join_all((0..MAX).map(|_| stage.store.products(None, page(1, 1)))).await {
        assert!(matches!(read, Err(StoreError::TimedOut | StoreError::Unavailable(_))), "{read:?}");
    }
    let draft = order(ada, &[(1, 1)]);
    let abandoned = stage.store.place_order(&draft, None);
    assert!(tokio::time::timeout(Duration::from_millis(100), abandoned).await.is_err());
    until("no connection to the silent server is left", async || stage.store.pool().open == 0).await;
    server.resume().unwrap();
    until("the server answers again", async || stage.store.ping().await.is_ok()).await;
    every_place_can_be_taken(&stage).await;
    assert!(stage.count("orders").await <= 1);
}
