//! A connection that breaks at the worst moment, or says nothing more.

use std::time::Duration;

use orderflow_servers::{Link, needs};

use crate::stage::{Stage, Worker, shared, until};

/// What the broker's confirmations begin with: class 60, method 80.
const CONFIRMATION: &[u8] = &[0, 60, 0, 80];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_whose_confirmation_is_lost_are_published_again_and_sent_once() {
    let Some(server) = shared() else { return };
    let link = needs(Link::to(server.port()).map_err(Into::into)).unwrap();
    let stage = Stage::new(&link.url(&server.url()), 50);
    link.cut_before_reply(CONFIRMATION);
    let publisher = stage.publisher();
    until("all are published", async || stage.table.marked() == 50).await;
    assert!(publisher.published("unknown") > 0, "no confirmation was lost");
    assert!(publisher.metrics.broker_reconnects.get() > 0);
    assert!(stage.waiting().await > 50, "nothing is in the queue twice");
    let process = stage.process(Worker::Sends);
    stage.all_sent_once().await;
    stage.until_empty().await;
    process.stop().await;
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let Some(server) = shared() else { return };
    let link = needs(Link::to(server.port()).map_err(Into::into)).unwrap();
    let stage = Stage::new(&link.url(&server.url()), 0);
    let process = stage.process(Worker::Sends);
    for round in 0..5 {
        stage.table.add(round * 200 + 1..=round * 200 + 200);
        stage.until_sent(round as usize * 200 + 20).await;
        link.cut();
    }
    stage.all_sent_once().await;
    process.until_connected().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_carries_nothing_more_is_noticed_and_replaced() {
    let Some(server) = shared() else { return };
    let link = needs(Link::to(server.port()).map_err(Into::into)).unwrap();
    let stage = Stage::new(&link.url(&server.url()), 50);
    let process = stage.process(Worker::Sends);
    stage.all_sent_once().await;
    process.until_connected().await;
    link.hang(true);
    stage.table.add(51..=100);
    until("the silence is noticed", async || !process.broker.is_connected()).await;
    // Connections can be made meanwhile, and nobody answers on them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.hang(false);
    stage.all_sent_once().await;
    process.until_connected().await;
    process.stop().await;
}
