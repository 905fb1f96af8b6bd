//! A table, a queue of its own at a broker, and processes that publish, consume and send: each is what a process would
//! have, as tasks.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use orderflow::{
    background::Background,
    config::Queue,
    jobs::{
        JobStore, NotificationId, Outcome, Settled,
        broker::{Broker, Offer},
    },
    metrics::Metrics,
};
use orderflow_servers::{RabbitMq, needs};
use tokio::sync::{Notify, mpsc};

use crate::table::Table;

/// Far more than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How many notifications a process sends at once.
const CONCURRENCY: usize = 10;

/// The broker that tests share.
pub(crate) fn shared() -> Option<RabbitMq> {
    needs(RabbitMq::shared())
}

/// Notifications, and where their messages go.
pub(crate) struct Stage {
    pub(crate) table: Arc<Table>,
    pub(crate) queue: Queue,
    /// What was sent, in order.
    pub(crate) sent: Arc<Mutex<Vec<NotificationId>>>,
}

/// A process that works for the queue. Dropped, it is gone at once, as by SIGKILL.
pub(crate) struct Process {
    pub(crate) metrics: Metrics,
    pub(crate) broker: Broker,
    background: Background,
}

/// What a process does with work.
#[derive(Clone, Copy)]
pub(crate) enum Worker {
    /// Sends it.
    Sends,
    /// Sends it the second time, and lets it wait so long before.
    SendsLater(Duration),
    /// Keeps it and does nothing.
    Hangs,
}

impl Stage {
    /// With so many notifications that are due, on a queue of its own at the broker with this address.
    pub(crate) fn new(url: &str, notifications: i64) -> Self {
        static QUEUES: LazyLock<AtomicU32> = LazyLock::new(AtomicU32::default);
        let queue = Queue {
            broker: url.to_owned().into(),
            name: format!("test.{}", QUEUES.fetch_add(1, Ordering::Relaxed)),
            poll: Duration::from_millis(50),
            claim: Duration::from_secs(30),
            // Long, so that a test notices what only comes again by it.
            republish: Duration::from_hours(1),
        };
        Self { table: Arc::new(Table::of(notifications)), queue, sent: Arc::default() }
    }

    fn broker(&self, metrics: &Metrics) -> Broker {
        Broker::new(&self.queue, metrics).unwrap().expect("a broker is configured")
    }

    /// A process that only publishes.
    pub(crate) fn publisher(&self) -> Process {
        let (metrics, mut background) = (Metrics::default(), Background::default());
        let broker = self.broker(&metrics);
        let (publisher, store) = (broker.clone(), Arc::clone(&self.table));
        background.spawn(|stop| publisher.publish(store, Arc::new(Notify::new()), stop));
        Process { metrics, broker, background }
    }

    /// A process that publishes, consumes and works.
    pub(crate) fn process(&self, worker: Worker) -> Process {
        let mut process = self.publisher();
        let (worker_of, offers) = mpsc::channel(CONCURRENCY);
        let (consumer, store) = (process.broker.clone(), Arc::clone(&self.table));
        process.background.spawn(|stop| consumer.consume(store, worker_of, stop));
        let (table, sent) = (Arc::clone(&self.table), Arc::clone(&self.sent));
        process.background.spawn(|_| work(worker, offers, table, sent));
        process
    }

    /// A process that only consumes, and what it is offered.
    pub(crate) fn consumer(&self) -> (mpsc::Receiver<Offer>, Process) {
        let (metrics, mut background) = (Metrics::default(), Background::default());
        let broker = self.broker(&metrics);
        let (worker, offers) = mpsc::channel(CONCURRENCY);
        let (consumer, store) = (broker.clone(), Arc::clone(&self.table));
        background.spawn(|stop| consumer.consume(store, worker, stop));
        (offers, Process { metrics, broker, background })
    }

    pub(crate) fn sent(&self) -> Vec<i64> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|id| id.0).collect()
    }

    /// Waits until so many were sent.
    pub(crate) async fn until_sent(&self, count: usize) {
        until("notifications are sent", async || self.sent().len() >= count).await;
    }

    /// Waits until nothing is left to do, and makes sure that each notification was sent once.
    pub(crate) async fn all_sent_once(&self) {
        until("all notifications are sent", async || self.table.unsent() == 0).await;
        let mut sent = self.sent();
        sent.sort_unstable();
        assert_eq!(sent, (1..=self.table.len()).collect::<Vec<_>>(), "each is sent, and once");
    }

    /// Waits until the queue is empty: messages that came twice are acknowledged too.
    pub(crate) async fn until_empty(&self) {
        until("the queue is empty", async || self.waiting().await == 0).await;
    }

    /// How many messages wait in the queue.
    pub(crate) async fn waiting(&self) -> u32 {
        let (_connection, channel) = self.channel().await;
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let name = self.queue.name.as_str().into();
        channel.queue_declare(name, QueueDeclareOptions::durable(), quorum).await.unwrap().message_count()
    }

    /// A way to the queue past the program.
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let connection =
            Connection::connect(self.queue.broker.expose(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

impl Process {
    /// How many messages it has published that ended so.
    pub(crate) fn published(&self, outcome: &'static str) -> u64 {
        self.metrics.broker_published.get_or_create(&[("outcome", outcome)]).get()
    }

    pub(crate) async fn until_connected(&self) {
        until("it is connected to the broker", async || self.broker.is_connected()).await;
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) {
        assert!(self.background.end(Duration::from_secs(20)).await, "it does not end");
    }
}

async fn work(
    worker: Worker,
    mut offers: mpsc::Receiver<Offer>,
    table: Arc<Table>,
    sent: Arc<Mutex<Vec<NotificationId>>>,
) {
    let mut kept = vec![];
    while let Some(offer) = offers.recv().await {
        let Some((claimed, receipt)) = offer.take().await else { continue };
        let outcome = match worker {
            Worker::Hangs => {
                kept.push(receipt);
                continue;
            }
            Worker::SendsLater(wait) if claimed.attempt == 1 => Outcome::Retry(wait),
            Worker::Sends | Worker::SendsLater(_) => {
                sent.lock().unwrap_or_else(PoisonError::into_inner).push(claimed.id);
                Outcome::Sent
            }
        };
        let settled = Settled { id: claimed.id, claim: claimed.claim, outcome };
        assert_eq!(table.settle(&[settled]).await.unwrap(), [claimed.id], "nobody else has it");
        drop(receipt);
    }
}

/// Asks until the answer is yes.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
