//! A replica that hangs, ends, lags or takes over: no read fails for it, and each that went elsewhere is counted with why.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use orderflow_servers::Replica;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    client::send,
    stage::{Instance, Stage, until},
};

/// Clients who read all the time, and take nothing but an answer.
struct Readers {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    fn start(instance: &Instance) -> Self {
        let (stop, answers, to) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), instance.public);
        let reader = |path: &'static str| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    send(to, "GET", path, &[], "").await.is(200);
                    answers.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5)).await;
                }
            })
        };
        let tasks = ["/api/orders?limit=3", "/api/orders/9", "/api/customers/9"].map(reader).into();
        Self { stop, answers, tasks }
    }

    /// Waits for so many answers more.
    async fn more(&self, answers: u64) {
        let goal = self.answers.load(Ordering::Relaxed) + answers;
        until("readers have their answers", async || self.answers.load(Ordering::Relaxed) >= goal).await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn outage(begin: impl Fn(&Replica), end: impl Fn(&Replica)) {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[("replicas.timeout", "1s")]).await;
    let readers = Readers::start(&instance);
    readers.more(30).await;
    for _ in 0..2 {
        let failed = instance.fallbacks("failed").await;
        tokio::task::block_in_place(|| begin(&stage.replicas[0]));
        instance.until_replica_is(0, "failed").await;
        readers.more(30).await;
        assert!(instance.fallbacks("failed").await > failed);
        assert_eq!(instance.get("/healthz/ready").await.status, 200, "no replica is critical");
        let check = instance.replica(0).await;
        assert_eq!(check["ok"], false, "{check}");
        tokio::task::block_in_place(|| end(&stage.replicas[0]));
        instance.until_replica_is(0, "ready").await;
        let before = instance.by_replica().await;
        until("the replica is read again", async || instance.by_replica().await > before).await;
    }
    readers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_hangs_fails_no_read() {
    outage(|replica| replica.pause().unwrap(), |replica| replica.resume().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_stopped_fails_no_read() {
    outage(|replica| replica.stop().unwrap(), |replica| replica.start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_fails_no_read() {
    outage(|replica| replica.kill().unwrap(), |replica| replica.start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_is_left_alone_until_it_has_caught_up() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[("replicas.max_lag", "300ms")]).await;
    let readers = Readers::start(&instance);
    stage.replicas[0].pause_replay().unwrap();
    let placed = instance.order(&[(1, 1)]).await;
    instance.until_replica_is(0, "lagging").await;
    let lag = instance.replica(0).await["lag_ms"].as_f64().unwrap();
    assert!(lag > 300.0, "{lag}");
    readers.more(30).await;
    assert!(instance.fallbacks("lagging").await > 0);
    // Whoever has no position sees it too: only the primary answers.
    instance.get(placed.header("location").unwrap()).await.is(200);
    stage.replicas[0].resume_replay().unwrap();
    instance.until_replica_is(0, "ready").await;
    let before = instance.by_replica().await;
    until("the replica is read again", async || instance.by_replica().await > before).await;
    readers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_behind_before_the_service_began_is_not_read() {
    let Some(stage) = Stage::with(1).await else { return };
    stage.caught_up();
    stage.replicas[0].pause_replay().unwrap();
    stage.database.psql("UPDATE customers SET name = 'New' WHERE id = 1").unwrap();
    let url = stage.replicas[0].url(stage.database.name());
    let settings = [("database.url", stage.database.url()), ("replicas.urls", &url)];
    let instance = Instance::start(&settings).await;
    instance.until_replica_is(0, "lagging").await;
    assert_eq!(instance.replica(0).await["lag_ms"], serde_json::Value::Null);
    assert_eq!(instance.get("/api/customers/1").await.is(200)["name"], "New");
    stage.replicas[0].resume_replay().unwrap();
    instance.until_replica_is(0, "ready").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_promoted_is_never_read() {
    let Some(stage) = Stage::with(2).await else { return };
    let instance = stage.instance(&[]).await;
    let readers = Readers::start(&instance);
    readers.more(10).await;
    tokio::task::block_in_place(|| stage.replicas[0].promote().unwrap());
    instance.until_replica_is(0, "promoted").await;
    stage.replicas[0].psql(stage.database.name(), "UPDATE customers SET name = 'Astray'").unwrap();
    let before = instance.by_replica().await;
    for _ in 0..20 {
        assert_ne!(instance.get("/api/customers/9").await.is(200)["name"], "Astray");
    }
    assert!(instance.by_replica().await > before, "the other replica is read");
    // Restarted, it still takes writes of its own.
    tokio::task::block_in_place(|| stage.replicas[0].restart().unwrap());
    instance.until_replica_is(0, "promoted").await;
    tokio::task::block_in_place(|| stage.replicas[1].stop().unwrap());
    instance.until_replica_is(1, "failed").await;
    assert_ne!(instance.get("/api/customers/9").await.is(200)["name"], "Astray");
    readers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_replica_that_was_promoted_sends_all_reads_to_the_primary() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[]).await;
    tokio::task::block_in_place(|| stage.replicas[0].promote().unwrap());
    instance.until_replica_is(0, "promoted").await;
    let before = instance.fallbacks("promoted").await;
    instance.get("/api/orders?limit=3").await.is(200);
    assert_eq!(instance.fallbacks("promoted").await, before + 1);
}
