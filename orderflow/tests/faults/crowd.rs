//! Ten thousand connections that say nothing, and the one too many.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use orderflow_servers::{Missing, needs};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    client::{Connection, get},
    service::Service,
    shop::Shop,
    waiting::until,
};

/// How many there are to be.
const CROWD: usize = 10_000;
/// Files of the test and of the service beside the crowd's connections, with other tests of this process beside.
const OTHERS: usize = 1_000;
/// Connections that are being made at once: fewer than the kernel queues for a listener.
const AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_from_being_served() {
    let crowd = allowed();
    let shop = Shop::sqlite().await;
    let most = crowd.to_string();
    let service = Service::start(
        &shop,
        &[("http.max_connections", &most), ("http.idle_timeout", "10m"), ("http.request_timeout", "10m")],
    );
    let before = service.resident_kib();
    let began = Instant::now();
    let mut idle = connections(&service, crowd - 1).await;
    let opened = began.elapsed();
    let all = until("all are accepted", async || service.sockets() >= crowd - 1).await;
    let grown = service.resident_kib() - before;
    println!(
        "crowd: {} connections opened in {opened:?}, accepted {all:?} later; memory {before} KiB before, {} bytes each",
        crowd - 1,
        grown * 1024 / crowd as u64
    );

    // The last place is for whoever comes and goes.
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let (answer, took) = service.ask(&get("/api/products/1")).await;
        assert_eq!(answer.status, 200);
        slowest = slowest.max(took);
    }
    let mut last = Connection::open(service.public).await.unwrap();
    assert_eq!(last.ask(&get("/api/products/1")).await.unwrap().status, 200);
    let mut extra = Connection::open(service.public).await.unwrap();
    extra.send(&get("/api/products/1")).await.unwrap();
    let early = timeout(Duration::from_millis(500), extra.answer()).await;
    assert!(early.is_err(), "one connection more than allowed was served: {early:?}");
    for connection in idle.iter_mut().step_by(crowd / 50) {
        assert_eq!(connection.ask(&get("/api/products/1")).await.unwrap().status, 200);
    }
    let left = Instant::now();
    drop(idle.pop());
    assert_eq!(timeout(crate::waiting::PATIENCE, extra.answer()).await.unwrap().unwrap().status, 200);
    println!("crowd: new ones answered within {slowest:?}; the one too many {:?} after another left", left.elapsed());
    drop(idle);
    let gone = until("the crowd is gone", async || service.sockets() < crowd / 2).await;
    println!("crowd: gone after {gone:?}, memory {} KiB", service.resident_kib());
}

/// As many as this process and the service may have open at once, [`CROWD`] at most.
fn allowed() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let files = limit.current.map_or(usize::MAX, |files| files as usize);
    let allowed = CROWD.min(files.saturating_sub(OTHERS));
    if allowed < CROWD {
        let program = format!("room for {CROWD} connections (the test goes on with {allowed})");
        let how = format!("Raise the hard limit of open files (ulimit -Hn) to {}.", CROWD + OTHERS);
        let _: Option<()> = needs(Err(Missing { program, how }.into()));
    }
    allowed
}

async fn connections(service: &Service, many: usize) -> Vec<Connection> {
    let connect = |_| async { TcpStream::connect(service.public).await.map(Connection::on) };
    stream::iter(0..many).map(connect).buffer_unordered(AT_ONCE).try_collect().await.unwrap()
}
