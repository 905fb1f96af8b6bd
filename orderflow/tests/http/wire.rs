//! What is wrong on the wire: heads without end, bodies that come slowly or never, lengths that contradict each other.

use std::time::Duration;

use crate::{
    client::{Answer, Connection},
    service::{SHOP, Service, order},
};

const QUICK: [(&str, &str); 2] = [("http.request_timeout", "400ms"), ("http.idle_timeout", "400ms")];

async fn sent(service: &Service, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(service.public).await;
    connection.write(bytes).await;
    connection.answer(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_bounded() {
    let service = Service::sqlite().await;
    let request = service.request("GET", "/api/products/1");
    let with = |count: usize, bytes: usize| {
        (0..count).fold(request.clone(), |request, at| request.header(&format!("X-{at}"), "v".repeat(bytes))).bytes()
    };
    assert_eq!(sent(&service, &with(90, 10)).await.unwrap().status, 200);
    assert_eq!(sent(&service, &with(1, 30_000)).await.unwrap().status, 200);
    for head in [with(200, 1), with(1, 70_000), with(10, 8_000)] {
        let answer = sent(&service, &head).await.expect("it is told why");
        assert_eq!(answer.status, 431);
    }
    let long = service.request("GET", &format!("/api/products?{}", "x".repeat(70_000))).bytes();
    assert!([414, 431].contains(&sent(&service, &long).await.unwrap().status));
    service.get("/api/products/1").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_http_is_refused_and_hung_up_on() {
    let service = Service::sqlite().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"GET /api/products HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /api/products HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"GET /api/pro\x7fducts HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /api/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ] {
        let mut connection = Connection::open(service.public).await;
        connection.write(bytes).await;
        if let Some(answer) = connection.answer(false).await {
            assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(bytes));
        }
        connection.ended().await;
    }
    service.get("/healthz/ready").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_cannot_be_hidden_in_the_body_of_another() {
    let service = Service::sqlite().await;
    // Two lengths: whoever believes the wrong one sees a second request in the body.
    let hidden = "0\r\n\r\nGET /api/customers HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = "POST /api/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    let mut connection = Connection::open(service.public).await;
    connection.write(request.as_bytes()).await;
    let first = connection.answer(false).await.expect("an answer");
    assert!((400..500).contains(&first.status), "{first:?}");
    while let Some(next) = connection.answer(false).await {
        assert_ne!(next.status, 200, "RFC 9112, 6.1: the connection must end after such a message: {next:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_waited_for_only_so_long() {
    let service = Service::sqlite_with(&QUICK).await;
    let head = service.request("POST", "/api/orders").key(SHOP).header("Content-Type", "application/json");
    for (head, part) in [
        (head.clone().header("Content-Length", "100"), &b"{\"customer_id\""[..]),
        (head.clone().header("Transfer-Encoding", "chunked"), b"5\r\n{\"cus"),
        (head.clone().header("Transfer-Encoding", "chunked"), b""),
    ] {
        let mut connection = Connection::open(service.public).await;
        connection.write(&[&head.bytes(), part].concat()).await;
        connection.answer(false).await.expect("an answer").problem("request-timeout");
        connection.ended().await;
    }
    // A byte now and then does not help.
    let mut connection = Connection::open(service.public).await;
    connection.write(&head.header("Transfer-Encoding", "chunked").bytes()).await;
    while !connection.has_sent_within(Duration::from_millis(50)).await {
        connection.write(b"1\r\n \r\n").await;
    }
    connection.answer(false).await.expect("an answer").problem("request-timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let service = Service::sqlite_with(&QUICK).await;
    for part in [&b""[..], b"GET /api/pro", b"GET /api/products HTTP/1.1\r\nHost: x\r\n"] {
        let mut connection = Connection::open(service.public).await;
        connection.write(part).await;
        connection.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_cut_off_places_nothing() {
    let service = Service::sqlite().await;
    let body = order(1, &[(1, 1)]);
    let request = service.request("POST", "/api/orders").key(SHOP).json(&body).bytes();
    for cut in [1, body.len() / 2, body.len()] {
        let mut connection = Connection::open(service.public).await;
        connection.write(&request[..request.len() - cut]).await;
        drop(connection);
    }
    let latest = service.get("/api/orders?limit=1").await.ok(200);
    assert_eq!(latest["items"][0]["id"], crate::service::ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_one_connection_are_answered_in_their_order() {
    let service = Service::sqlite().await;
    let mut connection = Connection::open(service.public).await;
    let all: Vec<_> = (1..=50).flat_map(|id| service.request("GET", &format!("/api/products/{id}")).bytes()).collect();
    connection.write(&all).await;
    for id in 1..=50 {
        assert_eq!(connection.answer(false).await.expect("an answer").ok(200)["id"], id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_first_is_told_to_go_on_or_not() {
    let service = Service::sqlite().await;
    let body = order(1, &[(1, 1)]);
    let head = |key: &str| {
        let request = service.request("POST", "/api/orders").key(key).header("Content-Type", "application/json");
        request.header("Expect", "100-continue").header("Content-Length", body.len().to_string()).bytes()
    };
    let mut connection = Connection::open(service.public).await;
    connection.write(&head(SHOP)).await;
    assert_eq!(connection.answer(false).await.expect("a word to go on").status, 100);
    connection.write(body.as_bytes()).await;
    assert_eq!(connection.answer(false).await.expect("an answer").status, 201);

    let mut connection = Connection::open(service.public).await;
    connection.write(&head("of_nobody")).await;
    connection.answer(false).await.expect("an answer at once").problem("unauthorized");
}
