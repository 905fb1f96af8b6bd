//! The broker goes away, in every way that it can, while notifications are under way.

use std::sync::LazyLock;

use orderflow_servers::{RabbitMq, needs};
use tokio::sync::{Mutex, MutexGuard};

use crate::stage::{Process, Stage, Worker, shared, until};

/// A server that is broken by one test at a time. Each leaves it in order.
static BREAKABLE: LazyLock<Mutex<Option<Option<RabbitMq>>>> = LazyLock::new(Mutex::default);

struct Breakable(MutexGuard<'static, Option<Option<RabbitMq>>>);

impl Breakable {
    async fn take() -> Option<Self> {
        let mut guard = BREAKABLE.lock().await;
        if guard.is_none() {
            *guard = Some(tokio::task::spawn_blocking(|| needs(RabbitMq::own())).await.unwrap());
        }
        guard.as_ref().is_some_and(Option::is_some).then_some(Self(guard))
    }

    fn server(&self) -> RabbitMq {
        self.0.clone().flatten().expect("it was there when this was made")
    }

    /// Does something to the server that takes its time.
    async fn now(&self, what: fn(&RabbitMq) -> anyhow::Result<()>) {
        let server = self.server();
        tokio::task::spawn_blocking(move || what(&server)).await.unwrap().unwrap();
    }
}

/// A process that works, with some notifications sent and many to come.
async fn in_the_middle(url: &str) -> (Stage, Process) {
    let stage = Stage::new(url, 1_000);
    let process = stage.process(Worker::Sends);
    stage.until_sent(100).await;
    (stage, process)
}

/// After an outage: what was there before and what came meanwhile is sent, once each.
async fn afterwards(stage: &Stage, process: Process) {
    stage.all_sent_once().await;
    process.until_connected().await;
    stage.table.add(1_201..=1_210);
    stage.all_sent_once().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_comes_back_to_what_waits() {
    let Some(server) = Breakable::take().await else { return };
    let (stage, process) = in_the_middle(&server.server().url()).await;
    server.now(RabbitMq::stop).await;
    stage.table.add(1_001..=1_200);
    until("it is noticed", async || !process.broker.is_connected()).await;
    server.now(RabbitMq::start).await;
    afterwards(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_crashes_has_what_it_confirmed() {
    let Some(server) = Breakable::take().await else { return };
    let (stage, process) = in_the_middle(&server.server().url()).await;
    server.now(RabbitMq::kill).await;
    stage.table.add(1_001..=1_200);
    server.now(RabbitMq::start).await;
    afterwards(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_left_and_found_again() {
    let Some(server) = Breakable::take().await else { return };
    let (stage, process) = in_the_middle(&server.server().url()).await;
    server.now(RabbitMq::pause).await;
    stage.table.add(1_001..=1_200);
    until("it is noticed", async || !process.broker.is_connected()).await;
    server.now(RabbitMq::resume).await;
    afterwards(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_an_operator_closes_are_made_anew() {
    let Some(server) = Breakable::take().await else { return };
    let (stage, process) = in_the_middle(&server.server().url()).await;
    server.now(RabbitMq::close_connections).await;
    stage.table.add(1_001..=1_200);
    until("it is noticed", async || process.metrics.broker_reconnects.get() > 0).await;
    afterwards(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_is_waited_for() {
    let Some(server) = Breakable::take().await else { return };
    let stage = Stage::new(&server.server().url(), 0);
    let process = stage.process(Worker::Sends);
    process.until_connected().await;
    server.now(|server| server.ctl(&["set_vm_memory_high_watermark", "0"]).map(drop)).await;
    stage.table.add(1..=1_200);
    // Longer than a confirmation may take otherwise.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let (published, connected) = (process.published("confirmed"), process.broker.is_connected());
    server.now(|server| server.ctl(&["set_vm_memory_high_watermark", "0.6"]).map(drop)).await;
    assert_eq!(published, 0, "it takes messages");
    assert!(connected, "a blocked connection is no lost one");
    afterwards(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_is_made_anew_and_its_messages_are_published_again() {
    let Some(server) = shared() else { return };
    let mut stage = Stage::new(&server.url(), 1_000);
    // A deleted message was confirmed: only time tells that it is nowhere.
    stage.queue.republish = std::time::Duration::from_secs(1);
    let hanging = stage.process(Worker::Hangs);
    until("messages wait", async || stage.table.marked() > 500).await;
    drop(hanging);
    stage.queue.claim = std::time::Duration::from_secs(1);
    let process = stage.process(Worker::Sends);
    let (connection, channel) = stage.channel().await;
    channel.queue_delete(stage.queue.name.as_str().into(), Default::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
    stage.table.add(1_001..=1_200);
    afterwards(&stage, process).await;
}
