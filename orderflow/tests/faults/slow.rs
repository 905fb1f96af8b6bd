//! Clients who take their time: with the head, with the body, and with reading the answer.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::{sleep, timeout},
};

use crate::{
    client::{Connection, get, post},
    service::Service,
    shop::Shop,
    waiting::{PATIENCE, until},
};

/// How long a head may take, or an answer may be left unread.
const HEAD: Duration = Duration::from_secs(1);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(2);
const SETTINGS: &[(&str, &str)] = &[("http.idle_timeout", "1s"), ("http.request_timeout", "2s")];
/// Clients who do not read, and what each asks for at once.
const DEAF: usize = 30;
const ASKED: usize = 2_000;
/// What those clients may cost, in KiB. Their answers together are some hundred MiB.
const COST: u64 = 64 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_trickles_is_cut_off() {
    let shop = Shop::sqlite().await;
    let service = Service::start(&shop, SETTINGS);
    let mut slow = Connection::open(service.public).await.unwrap();
    let began = Instant::now();
    slow.send(b"GET /api/products/1 HTTP/1.1\r\nHost: shop\r\nX-Never-Ending: ").await.unwrap();
    while began.elapsed() < PATIENCE && slow.send(b"x").await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    slow.closed().await;
    println!("slow head: cut off after {took:?} (limit {HEAD:?})");
    assert!(took >= HEAD, "cut off early, after {took:?}");
    assert_eq!(service.get("/api/products/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_is_answered_with_408() {
    let shop = Shop::sqlite().await;
    let service = Service::start(&shop, SETTINGS);
    let mut slow = Connection::open(service.public).await.unwrap();
    let request = post(shop.key(), "slow", &" ".repeat(1_000));
    let head = request.len() - 1_000;
    slow.send(&request[..head]).await.unwrap();
    let began = Instant::now();
    let (mut read, mut write) = slow.stream.into_split();
    let trickle = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut text = Vec::new();
    // A reset after the answer is all the same: it is in `text`.
    let _ = timeout(PATIENCE, read.read_to_end(&mut text)).await.unwrap();
    let (took, text) = (began.elapsed(), String::from_utf8(text).unwrap());
    trickle.abort();
    println!("slow body: 408 after {took:?} (limit {REQUEST:?})");
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("/docs#request-timeout"), "{text}");
    assert!(took >= REQUEST, "after {took:?}");
    assert_eq!(shop.check(&[]).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_let_go_and_cost_little() {
    let shop = Shop::sqlite().await;
    let service = Service::start(&shop, SETTINGS);
    let list = service.get("/api/products?limit=100").await;
    let large: usize = list.header("content-length").unwrap().parse().unwrap();
    let (sockets, before) = (service.sockets(), service.resident_kib());
    let requests = get("/api/products?limit=100").repeat(ASKED);
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut connection = Connection::on(socket.connect(service.public).await.unwrap());
        // What does not fit into the system's buffers is not for now.
        let _ = timeout(Duration::from_millis(50), connection.send(&requests)).await;
        deaf.push(connection);
    }
    let (mut most, mut slowest, mut asked) = (before, Duration::ZERO, 0);
    let took = until("those who do not read are let go", async || {
        let (answer, took) = service.ask(&get("/api/products/2")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (most, slowest, asked) = (most.max(service.resident_kib()), slowest.max(took), asked + 1);
        service.sockets() <= sockets
    })
    .await;
    let grown = most - before;
    println!(
        "deaf: {DEAF} clients asked for {} MiB and read nothing; let go after {took:?} (limit {HEAD:?}); memory grew by \
         {grown} KiB; {asked} other requests meanwhile took at most {slowest:?}",
        (DEAF * ASKED * large) >> 20
    );
    assert!(grown < COST, "{grown} KiB");
    assert!(asked > 1, "nobody else asked meanwhile");
    drop(deaf);
}
