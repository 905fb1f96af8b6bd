//! How much is taken on: from one client, and in all.

use std::time::Instant;

use crate::{
    client::Connection,
    service::{SHOP, Service, order},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_its_burst_and_then_its_rate() {
    let settings = [("http.rate_limit", "1"), ("http.rate_burst", "50"), ("http.trust_forwarded_for", "true")];
    let service = Service::sqlite_with(&settings).await;
    let from = async |client: &str| service.request("GET", "/api/stats").header("X-Forwarded-For", client).send().await;
    let (start, mut admitted) = (Instant::now(), 0);
    let refused = loop {
        let answer = from("10.0.0.1").await;
        if answer.status != 200 {
            break answer;
        }
        admitted += 1;
        assert!(admitted < 1_000, "there is no limit");
    };
    // The burst, and one for each second that this took: on a machine at rest exactly 50.
    let most = 50 + start.elapsed().as_secs() + 1;
    assert!((50..=most).contains(&admitted), "{admitted} of {most}");
    refused.problem("rate-limited");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    from("10.0.0.2").await.ok(200);
    let spoofed = from("10.0.0.2, 10.0.0.1").await.status;
    assert!(spoofed == 429 || start.elapsed().as_secs() >= 1, "the last address counts: {spoofed}");
    for _ in 0..20 {
        for probe in ["/healthz", "/healthz/ready", "/healthz/live"] {
            service.request("GET", probe).header("X-Forwarded-For", "10.0.0.1").send().await.ok(200);
        }
    }
    // Whoever does as it is told is served again.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    from("10.0.0.1").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_sent_along_counts_only_if_that_is_configured() {
    let service = Service::sqlite_with(&[("http.rate_limit", "1"), ("http.rate_burst", "5")]).await;
    let mut refused = 0;
    for at in 0..100 {
        let request = service.request("GET", "/api/stats").header("X-Forwarded-For", format!("10.0.1.{at}"));
        refused += usize::from(request.send().await.status == 429);
    }
    assert!(refused > 0, "whoever makes up an address gets no burst of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_most_at_once_the_answer_is_503_and_instant() {
    let service = Service::sqlite_with(&[("http.max_in_flight", "3")]).await;
    let body = order(1, &[(1, 1)]);
    let request = service.request("POST", "/api/orders").key(SHOP).header("Content-Type", "application/json");
    let head = request.header("Expect", "100-continue").header("Content-Length", body.len().to_string()).bytes();
    let mut slow = vec![];
    for _ in 0..3 {
        let mut connection = Connection::open(service.public).await;
        connection.write(&head).await;
        // The service has the request in its hands once it asks for the body.
        assert_eq!(connection.answer(false).await.expect("a word to go on").status, 100);
        slow.push(connection);
    }
    for _ in 0..10 {
        let refused = service.get("/api/products/1").await;
        refused.problem("overloaded");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        for probe in ["/healthz", "/healthz/ready", "/healthz/live"] {
            service.get(probe).await.ok(200);
        }
    }
    let mut first = slow.remove(0);
    first.write(body.as_bytes()).await;
    assert_eq!(first.answer(false).await.expect("an answer").status, 201);
    service.get("/api/products/1").await.ok(200);
    // Who goes away in the middle leaves no slot taken.
    drop(slow);
    let start = Instant::now();
    loop {
        let (one, two, three) = tokio::join!(
            service.get("/api/products/1"),
            service.get("/api/products/2"),
            service.get("/api/products/3")
        );
        if [one, two, three].iter().all(|answer| answer.status == 200) {
            break;
        }
        assert!(start.elapsed().as_secs() < 60, "the slots do not come back");
    }
}
