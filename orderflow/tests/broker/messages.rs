//! What comes of messages while nothing is broken.

use std::time::Duration;

use lapin::{
    BasicProperties,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};
use orderflow::{jobs::NotificationId, telemetry::TraceContext};

use crate::stage::{Stage, Worker, shared, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_queue_and_send_each_notification_once() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&server.url(), 2_000);
    let processes = [stage.process(Worker::Sends), stage.process(Worker::Sends)];
    stage.all_sent_once().await;
    stage.table.add(2_001..=2_010);
    stage.all_sent_once().await;
    stage.until_empty().await;
    // Each was published by one of the two. A broker that has no time refuses some, which are published again.
    assert_eq!(processes.iter().map(|process| process.published("confirmed")).sum::<u64>(), 2_010);
    for process in processes {
        assert_eq!(process.published("unknown"), 0);
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_comes_when_it_is_due() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&server.url(), 100);
    let process = stage.process(Worker::SendsLater(Duration::from_millis(300)));
    stage.all_sent_once().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_no_notification_is_thrown_away_and_what_names_none_that_is_left_is_ignored() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&server.url(), 10);
    assert_eq!(stage.waiting().await, 0);
    let (connection, channel) = stage.channel().await;
    for body in [&b"none"[..], b"", b"\xff\xfe", b"9223372036854775808", b"77", b"1", b"1"] {
        let queue = stage.queue.name.as_str().into();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish("".into(), queue, options, body, properties).await.unwrap().await.unwrap();
    }
    let process = stage.process(Worker::Sends);
    stage.all_sent_once().await;
    until("all are dealt with", async || process.metrics.broker_rejected.get() == 4).await;
    stage.until_empty().await;
    process.stop().await;
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_nobody_empties_does_not_grow_with_each_round() {
    let Some(server) = shared() else { return };
    let mut stage = Stage::new(&server.url(), 6_000);
    // Everything is to be published again all the time.
    stage.queue.republish = Duration::from_millis(1);
    let publisher = stage.publisher();
    until("the queue is full", async || stage.waiting().await >= 5_000).await;
    // The publisher sees the queue once a round at least.
    tokio::time::sleep(stage.queue.poll * 10).await;
    let waiting = stage.waiting().await;
    assert!(waiting < 5_500, "{waiting} messages wait");
    publisher.stop().await;
    stage.queue.republish = Duration::from_hours(1);
    let process = stage.process(Worker::Sends);
    stage.all_sent_once().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_gone_loses_nothing() {
    let Some(server) = shared() else { return };
    let mut stage = Stage::new(&server.url(), 100);
    stage.queue.claim = Duration::from_secs(1);
    let hanging = stage.process(Worker::Hangs);
    until("it has as much as it takes", async || stage.table.claimed() == 10).await;
    until("all are published", async || hanging.published("confirmed") == 100).await;
    // The hour of `republish` is longer than the test: what it claimed comes again because taking it cleared the mark, and
    // the rest because its messages were never acknowledged.
    let process = stage.process(Worker::Sends);
    drop(hanging);
    stage.all_sent_once().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_and_is_nowhere_is_published_again() {
    let Some(server) = shared() else { return };
    let mut stage = Stage::new(&server.url(), 10);
    stage.queue.republish = Duration::from_secs(1);
    let ids: Vec<_> = (1..=10).map(NotificationId).collect();
    orderflow::jobs::JobStore::published(&*stage.table, &ids).await.unwrap();
    let process = stage.process(Worker::Sends);
    stage.all_sent_once().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_says_where_it_stands_in_a_trace_and_else_its_row_does() {
    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let Some(server) = shared() else { return };
    let stage = Stage::new(&server.url(), 5);
    let row = TraceContext::root(false);
    (1..=5).for_each(|id| stage.table.trace(id, row));
    assert_eq!(stage.waiting().await, 0);
    let (connection, channel) = stage.channel().await;
    let long = |text: &str| AMQPValue::LongString(text.to_owned().into());
    let header = |value| {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), value);
        BasicProperties::default().with_headers(headers)
    };
    let messages = [
        ("1", header(long(TRACEPARENT)), TRACEPARENT.parse().unwrap()),
        ("2", header(long("00-nothing")), row),
        ("3", header(long("\u{fc}")), row),
        ("4", header(AMQPValue::LongInt(7)), row),
        ("5", BasicProperties::default(), row),
    ];
    for (body, properties, _) in &messages {
        let (queue, options) = (stage.queue.name.as_str().into(), BasicPublishOptions::default());
        let publishing = channel.basic_publish("".into(), queue, options, body.as_bytes(), properties.clone());
        publishing.await.unwrap().await.unwrap();
    }
    let (mut offers, consumer) = stage.consumer();
    for (body, _, expected) in messages {
        let (claimed, receipt) = offers.recv().await.expect("an offer").take().await.expect("it is due");
        assert_eq!((claimed.id.0.to_string().as_str(), claimed.trace), (body, Some(expected)));
        drop(receipt);
    }
    consumer.stop().await;
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_of_a_trace_is_published_with_it() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&server.url(), 2);
    let trace = TraceContext::root(false);
    stage.table.trace(1, trace);
    let publisher = stage.publisher();
    until("both are published", async || publisher.published("confirmed") == 2).await;
    publisher.stop().await;
    let (mut offers, consumer) = stage.consumer();
    for _ in 0..2 {
        // The row has lost it meanwhile.
        let offer = offers.recv().await.expect("an offer");
        stage.table.forget_traces();
        let (claimed, receipt) = offer.take().await.expect("it is due");
        assert_eq!(claimed.trace, (claimed.id.0 == 1).then_some(trace));
        drop(receipt);
    }
    consumer.stop().await;
}
