//! What comes of messages while nothing is broken.

use std::time::Duration;

use lapin::{BasicProperties, options::BasicPublishOptions};
use orderflow::jobs::NotificationId;

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
    for process in processes {
        eprintln!("published {}", process.published("confirmed"));
        assert_eq!((process.published("refused"), process.published("unknown")), (0, 0));
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
    until("all are published", async || stage.table.marked() == 90).await;
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
