//! The end of the service: by one signal under load, by two, and with a request that never ends.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::{
    client::{Connection, get, post},
    load::Sent,
    service::Service,
    shop::Shop,
    waiting::until,
};

const CLIENTS: usize = 8;
/// What the kernel holds for a service that does not run for a moment, if it may hold as many.
const QUEUED: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_under_load_loses_no_request() {
    let shop = Shop::sqlite().await;
    let mut service = Service::start(&shop, &[("http.drain_notice", "3s"), ("http.drain_timeout", "20s")]);
    // With somebody connected the notice is not cut short.
    let mut idle = Connection::open(service.public).await.unwrap();
    assert_eq!(idle.ask(&get("/healthz/live")).await.unwrap().status, 200);
    let taken_out = Arc::<AtomicBool>::default();
    let clients: Vec<_> = (0..CLIENTS).map(|number| client(number, &shop, service.public, &taken_out)).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    service.signal(Signal::TERM);
    let began = Instant::now();
    until("the probe says that nothing should be sent here", async || {
        service.get("/healthz/ready").await.status == 503
    })
    .await;
    let noticed = began.elapsed();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // A balancer has noticed: it makes no new connections, and goes on with those that it has.
    taken_out.store(true, Ordering::Relaxed);
    let (mut sent, mut answers, mut connections) = (Vec::new(), 0, 0);
    for client in clients {
        let done = client.await.unwrap();
        answers += done.answers;
        connections += done.connections;
        sent.extend(done.sent);
    }
    let (status, _) = service.ended().await;
    let took = began.elapsed();
    assert_eq!(shop.check(&sent).await, 0);
    println!(
        "ending: {answers} answers on {connections} connections, none lost; not ready after {noticed:?}, ended {took:?} \
         after the signal"
    );
    assert_eq!(status.code(), Some(0), "{}", service.said());
    assert!(connections > CLIENTS, "no client was told to reconnect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_in_the_kernel_when_the_signal_comes_are_answered() {
    let shop = Shop::sqlite().await;
    let mut service = Service::start(&shop, &[("http.drain_notice", "0s"), ("http.drain_timeout", "20s")]);
    assert_eq!(service.get("/api/products/1").await.status, 200);
    service.signal(Signal::STOP);
    let mut waiting = Vec::new();
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").map_or(128, |text| text.trim().parse().unwrap());
    let queued = QUEUED.min(most - 1);
    for _ in 0..queued {
        let mut connection = Connection::open(service.public).await.unwrap();
        connection.send(&get("/api/products/1")).await.unwrap();
        waiting.push(connection);
    }
    service.signal(Signal::TERM);
    service.signal(Signal::CONT);
    let mut lost = 0;
    for mut connection in waiting {
        match tokio::time::timeout(crate::waiting::PATIENCE, connection.answer()).await.unwrap() {
            Ok(answer) => assert_eq!(answer.status, 200, "{answer:?}"),
            Err(_) => lost += 1,
        }
    }
    let (status, _) = service.ended().await;
    println!("ending: {queued} requests were in the kernel's queue when the signal came, {lost} were lost");
    assert_eq!((lost, status.code()), (0, Some(0)), "{}", service.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_ends_is_given_up_after_the_drain_timeout() {
    let (mut service, _slow, _shop) = with_a_request_that_never_ends("1s").await;
    let began = Instant::now();
    service.signal(Signal::TERM);
    let (status, _) = service.ended().await;
    let took = began.elapsed();
    println!("ending: a request that never ends was given up after {took:?} (limit 1 s)");
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert_eq!(status.code(), Some(0));
    assert!(service.said().contains("some requests did not end in time"), "{}", service.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_waits_for_nothing() {
    let (mut service, _slow, _shop) = with_a_request_that_never_ends("10m").await;
    service.signal(Signal::TERM);
    until("the service drains", async || service.said().contains("draining")).await;
    let began = Instant::now();
    service.signal(Signal::TERM);
    let (status, _) = service.ended().await;
    println!("ending: a second signal ended it after {:?}", began.elapsed());
    assert_eq!(status.code(), Some(1));
}

async fn with_a_request_that_never_ends(drain: &str) -> (Service, Connection, Shop) {
    let shop = Shop::sqlite().await;
    let settings = [("http.request_timeout", "20m"), ("http.drain_timeout", drain), ("http.drain_notice", "0s")];
    let service = Service::start(&shop, &settings);
    let mut slow = Connection::open(service.public).await.unwrap();
    let request = post(shop.key(), "never", "{\"customer_id\":1}");
    // The answer to the first request shows that the second is at least in the same buffer.
    let bytes = [get("/healthz/live"), request[..request.len() - 5].to_vec()].concat();
    slow.send(&bytes).await.unwrap();
    assert_eq!(slow.answer().await.unwrap().status, 200);
    (service, slow, shop)
}

/// What a client did.
struct Done {
    sent: Vec<Sent>,
    answers: usize,
    connections: usize,
}

/// A client that asks all the time, reconnects when it is told to, and takes a request without an answer for a loss.
fn client(number: usize, shop: &Shop, to: SocketAddr, taken_out: &Arc<AtomicBool>) -> JoinHandle<Done> {
    let (api_key, taken_out) = (shop.key().to_owned(), Arc::clone(taken_out));
    tokio::spawn(async move {
        let mut random = fastrand::Rng::with_seed(number as u64);
        let mut done = Done { sent: Vec::new(), answers: 0, connections: 0 };
        while !taken_out.load(Ordering::Relaxed) {
            let mut connection = match Connection::open(to).await {
                Ok(connection) => connection,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
                Err(error) => panic!("no connection: {error}"),
            };
            done.connections += 1;
            loop {
                let writes = number.is_multiple_of(2);
                let mut order = Sent::random(format!("ending-{number}-{}", done.sent.len()), &mut random);
                let request = if writes { order.request(&api_key) } else { get("/api/orders?limit=20") };
                let asked = Instant::now();
                let answer = match connection.ask(&request).await {
                    Ok(answer) => answer,
                    Err(error) => panic!("LOST after {:?}: {error}", asked.elapsed()),
                };
                done.answers += 1;
                let closes = answer.closes();
                if writes {
                    assert_eq!(answer.status, 201, "{answer:?}");
                    order.receipt = Some(serde_json::from_value(answer.json()).unwrap());
                    done.sent.push(order);
                } else {
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
                if closes {
                    break;
                }
            }
        }
        done
    })
}
