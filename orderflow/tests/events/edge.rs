//! How many may listen, what a stream costs others, and how it ends.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    client::{Client, PATIENCE, ask},
    on_both_stores,
    stage::{Stage, get, until},
};

const STREAM: &str = "GET /api/orders/stream HTTP/1.1\r\nHost: shop\r\n\r\n";

on_both_stores!(a_stop_ends_streams_at_once_even_those_that_take_nothing);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_may_listen_and_none_of_them_is_a_request_under_way() {
    let settings = [("events.max_streams", "3"), ("http.max_in_flight", "1"), ("http.request_timeout", "1s")];
    let stage = Stage::sqlite_with(&settings).await;
    let mut clients = vec![];
    for _ in 0..3 {
        let mut client = Client::open(stage.public(), None).await;
        client.ready().await;
        clients.push(client);
    }
    for refused in 1..=3 {
        let answer = Client::answer(stage.public(), None).await;
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after: 1") && answer.head.contains("application/problem+json"));
        stage.instances[0].metric_is("bulkhead_refusals_total{group=\"streams\"}", refused).await;
    }
    assert_eq!(get(stage.public(), "/api/orders").await.0, 200);
    // Longer than a request may take.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let id = stage.order().await;
    for client in &mut clients {
        assert_eq!(client.order().await, id);
    }
    clients.pop();
    until("a place is free", async || Client::answer(stage.public(), None).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_not_known_is_refused() {
    let stage = Stage::sqlite().await;
    assert_eq!(get(stage.public(), "/api/orders/stream?since=1").await.0, 400);
}

/// Tells so many events in portions that whoever follows can take.
async fn tell(stage: &Stage, client: &mut Client, events: i64) {
    for start in (1..=events).step_by(500) {
        stage.many(start, 500).await;
        for number in start..start + 500 {
            assert_eq!(client.order().await, number);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_dropped_while_others_go_on() {
    let settings = [("events.buffer", "1024"), ("http.idle_timeout", "2s")];
    let Some(stage) = Stage::postgresql_with(&settings).await else { return };
    let instance = &stage.instances[0];
    let mut client = Client::open(stage.public(), None).await;
    client.ready().await;
    let _stuck = ask(stage.public(), STREAM, Some(4096)).await;
    instance.metric_is("event_streams", 2).await;
    // More than the buffers of a connection within the kernel hold.
    tell(&stage, &mut client, 40_000).await;
    instance.metric_is("event_streams", 1).await;
    instance.metric_is("event_streams_dropped_total{reason=\"lagged\"}", 1).await;
    let id = stage.order().await;
    assert_eq!(client.order().await, id);
}

async fn a_stop_ends_streams_at_once_even_those_that_take_nothing(mut stage: Stage) {
    let mut clients = vec![];
    for _ in 0..5 {
        let mut client = Client::open(stage.public(), None).await;
        client.ready().await;
        clients.push(client);
    }
    let stuck = ask(stage.public(), STREAM, Some(4096)).await;
    stage.instances[0].metric_is("event_streams", 6).await;
    let mut first = clients.remove(0);
    tell(&stage, &mut first, 20_000).await;
    let running = stage.instances[0].take();
    // Neither the 20 seconds for requests under way nor the 75 of a connection that takes nothing.
    let began = std::time::Instant::now();
    timeout(PATIENCE, running.stop()).await.expect("a stop does not wait for streams");
    assert!(began.elapsed() < Duration::from_secs(15));
    let blocks = first.rest().await;
    assert!(blocks.last().expect("a last word").retry.is_some(), "{blocks:?}");
    drop(stuck);
}
