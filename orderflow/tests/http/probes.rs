//! Probes: what they say, on both listeners, also while the service ends; and that they change nothing.

use std::time::Duration;

use crate::{
    client::{Connection, Request},
    on_both_stores,
    service::{SHOP, Service, order},
    watched::until,
};

on_both_stores! {
    both_listeners_tell_how_the_service_is,
}

async fn both_listeners_tell_how_the_service_is(service: Service) {
    for address in [service.public, service.ops] {
        let probe = async |target: &str| Request::new(address, "GET", target).send().await.ok(200);
        assert_eq!(probe("/healthz/live").await["status"], "ok");
        assert_eq!(probe("/healthz/ready").await["status"], "ok");
        let full = probe("/healthz").await;
        assert_eq!((&full["ready"], &full["draining"]), (&true.into(), &false.into()));
        let database = &full["database"];
        assert_eq!((&database["ok"], &database["critical"]), (&true.into(), &true.into()));
        assert!(["sqlite", "postgresql"].contains(&database["kind"].as_str().unwrap()));
        let number = |name: &str| database[name].as_f64().unwrap();
        assert!(number("connections_idle") <= number("connections_open"));
        assert!(number("connections_open") <= number("connections_max") && number("connections_max") >= 1.0);
        assert!((0.0..1_000.0).contains(&number("latency_ms")));
        assert_eq!(full["version"], env!("CARGO_PKG_VERSION"));
        let mut fields: Vec<_> = full.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(fields, ["database", "draining", "ready", "uptime_seconds", "version"]);
    }
    // The rest of the API is not the operators'.
    assert_eq!(Request::new(service.ops, "GET", "/api/products").send().await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_writes_nothing() {
    let service = Service::sqlite().await;
    let files = || {
        ["shop.db", "shop.db-wal"]
            .map(|name| std::fs::read(service.database().with_file_name(name)).unwrap_or_default())
    };
    service.get("/healthz").await.ok(200);
    let before = files();
    for address in [service.public, service.ops] {
        for probe in ["/healthz", "/healthz/ready", "/healthz/live"] {
            for _ in 0..10 {
                Request::new(address, "GET", probe).send().await.ok(200);
            }
        }
    }
    assert!(files() == before, "the database and its log are the same to the byte");
    service.send("POST", "/api/orders", order(1, &[(1, 1)])).await.ok(201);
    assert!(files() != before, "which they are not after a write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_ends_says_so_first_and_finishes_what_it_took_on() {
    let service = Service::sqlite_with(&[("http.drain_notice", "20s"), ("http.drain_timeout", "60s")]).await;
    let (public, ops) = (service.public, service.ops);
    // An order of which half has arrived keeps a connection open.
    let body = order(1, &[(1, 1)]);
    let mut slow = Connection::open(public).await;
    let request = Request::new(public, "POST", "/api/orders").key(SHOP).header("Content-Type", "application/json");
    slow.write(&request.header("Expect", "100-continue").header("Content-Length", body.len().to_string()).bytes())
        .await;
    assert_eq!(slow.answer(false).await.unwrap().status, 100);

    let (running, _dir) = service.into_running();
    let stopping = tokio::spawn(running.stop());
    let ready = async |address| Request::new(address, "GET", "/healthz/ready").send().await;
    let start = std::time::Instant::now();
    while ready(public).await.status == 200 {
        assert!(start.elapsed().as_secs() < 60, "it never says that it ends");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for address in [public, ops] {
        let answer = ready(address).await;
        assert_eq!((answer.status, &answer.json()["status"]), (503, &"shutting down".into()));
        let full = Request::new(address, "GET", "/healthz").send().await;
        assert_eq!((full.status, &full.json()["ready"], &full.json()["draining"]), (503, &false.into(), &true.into()));
        assert_eq!(full.json()["database"]["ok"], true);
        Request::new(address, "GET", "/healthz/live").send().await.ok(200);
    }
    // Who has not noticed yet is still served, and told to go.
    let mut late = Connection::open(public).await;
    late.write(&Request::new(public, "GET", "/api/products/1").bytes()).await;
    let answer = late.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    late.ended().await;

    slow.write(body.as_bytes()).await;
    let placed = slow.answer(false).await.unwrap();
    assert_eq!((placed.status, placed.header("connection")), (201, Some("close")));
    slow.ended().await;
    until("the service ends", || stopping.is_finished()).await;
    assert!(tokio::net::TcpStream::connect(public).await.is_err(), "nobody listens any more");
}
