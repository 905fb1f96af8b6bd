//! The service itself killed, as by a crash or for want of memory, under load.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{load::Load, service::Service, shop::Shop};

/// How often.
const TIMES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_on_sqlite() {
    killed("sqlite", Shop::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_on_postgresql() {
    let Some(server) = orderflow_servers::postgres() else { return };
    killed("postgresql", Shop::postgres(&server).await).await;
}

async fn killed(name: &str, shop: Shop) {
    let mut service = Service::start(&shop, &[]);
    let load = Load::start(name, &shop, &service, 4, 2);
    let mut slowest = Duration::ZERO;
    for _ in 0..TIMES {
        load.more(30).await;
        service.kill();
        let began = Instant::now();
        service = Service::start(&shop, &[]);
        load.turn_to(&service);
        load.more(1).await;
        slowest = slowest.max(began.elapsed());
    }
    load.more(30).await;
    let tally = load.tally.clone();
    let sent = load.finish().await;
    service.quiet().await;
    assert_eq!(shop.check(&sent).await, 0);
    let broken = tally.broken.load(Ordering::Relaxed);
    println!(
        "killed ({name}): {TIMES} times, {} orders, {broken} broken connections, the next order within {slowest:?}",
        sent.len()
    );
    assert!(broken >= TIMES as u64, "nobody noticed: {broken}");
}
