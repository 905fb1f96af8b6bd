//! The program itself as several workers, from an order to its customer's mail.

use std::time::Duration;

use orderflow_servers::{Behaviour, Link};
use serde_json::{Value, json};

use crate::{
    shop::{Shop, Worker},
    stage::{shared, until},
};

async fn orders_are_told_by_two_workers(shop: Shop) {
    let workers = [shop.worker(&[]), shop.worker(&[])];
    shop.orders(60).await;
    assert_eq!(shop.all_told(60).await, 0, "somebody was told twice");
    let metrics = workers[0].get("/metrics").await;
    assert!(metrics.contains(r#"circuit_state{name="broker"} 0"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_in_postgresql_are_told_by_two_workers() {
    let Some(server) = shared() else { return };
    let Some(shop) = Shop::postgresql(&server.url(), "told.postgresql").await else { return };
    orders_are_told_by_two_workers(shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_in_sqlite_are_told_by_two_workers() {
    let Some(server) = shared() else { return };
    orders_are_told_by_two_workers(Shop::sqlite(&server.url(), "told.sqlite").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_had_is_told_by_another() {
    let Some(server) = shared() else { return };
    let Some(shop) = Shop::postgresql(&server.url(), "killed").await else { return };
    shop.sink.behave(Behaviour::Accept { after: Duration::from_millis(200) });
    let brisk = [("queue.claim", "5s"), ("mail.timeout", "3s"), ("worker.concurrency", "5")];
    let killed = shop.worker(&brisk);
    shop.orders(60).await;
    until("it has begun", async || shop.sink.mails().len() >= 5).await;
    // It has more messages than it has sent mails, in the middle of sending some, which nobody but it knows.
    killed.kill();
    assert!(shop.notifications("state = 'queued' AND claim IS NOT NULL").await > 0, "it had nothing");
    let _other = shop.worker(&brisk);
    let repeats = shop.all_told(60).await;
    assert!(repeats <= 5, "{repeats} mails came twice, and it sent five at once");
}

/// Whether the probe says that it is ready, and what of the broker.
async fn broker_shown(worker: &Worker) -> (bool, Value) {
    let answer = worker.get("/healthz").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut report: Value = serde_json::from_str(body).unwrap();
    (report["ready"] == true, report["broker"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_orders_wait() {
    let Some(server) = shared() else { return };
    let link = Link::to(server.port()).unwrap();
    let Some(shop) = Shop::postgresql(&link.url(&server.url()), "away").await else { return };
    link.refuse(true);
    let worker = shop.worker(&[("queue.republish", "1s")]);
    shop.orders(20).await;
    until("the broker is left alone", async || {
        worker.get("/metrics").await.contains(r#"circuit_state{name="broker"} 2"#)
    })
    .await;
    until("orders are notifications", async || shop.notifications("state = 'queued'").await == 20).await;
    // Nothing goes around the broker, even though it has been away for longer than `queue.republish`.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.sink.mails().len(), 0);
    assert_eq!(broker_shown(&worker).await, (true, json!({ "ok": false, "critical": false })));
    link.refuse(false);
    assert_eq!(shop.all_told(20).await, 0, "somebody was told twice");
    assert_eq!(broker_shown(&worker).await, (true, json!({ "ok": true, "critical": false })));
}
