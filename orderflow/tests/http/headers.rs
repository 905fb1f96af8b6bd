//! The headers that every answer has, whatever became of the request.

use crate::{
    client::Answer,
    service::{SHOP, Service, order},
};

#[track_caller]
fn has_them_all(answer: &Answer) {
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?}");
    assert!(answer.header("date").is_some());
    assert_eq!(answer.header("server"), None, "what runs here is nobody's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_an_identifier_and_the_headers_of_security() {
    let service = Service::sqlite_with(&[("http.rate_limit", "1"), ("http.rate_burst", "14")]).await;
    let post = |body: &str| service.request("POST", "/api/orders").key(SHOP).json(body);
    for (status, request) in [
        (200, service.request("GET", "/api/products")),
        (200, service.request("GET", "/docs")),
        (200, service.request("GET", "/docs/page.js")),
        (200, service.request("GET", "/healthz/live")),
        (201, post(&order(1, &[(1, 1)]))),
        (304, service.request("GET", "/api/products").header("If-None-Match", "*")),
        (400, service.request("GET", "/api/products/x")),
        (401, service.request("DELETE", "/api/customers/1")),
        (403, service.request("DELETE", "/api/customers/1").key(SHOP)),
        (404, service.request("GET", "/")),
        (404, service.request("GET", "/api/products/999")),
        (405, service.request("PATCH", "/api/orders/1")),
        (413, post(&" ".repeat(70_000))),
        (415, service.request("POST", "/api/orders").key(SHOP).body("{}")),
        (422, post("{}")),
    ] {
        let answer = request.send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        has_them_all(&answer);
    }
    // One a second comes back: ask until the limit is met.
    for _ in 0..200 {
        let answer = service.get("/api/products").await;
        has_them_all(&answer);
        if answer.status == 429 {
            return;
        }
    }
    panic!("the limit was never met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decent_identifier_is_taken_over_and_any_other_replaced() {
    let service = Service::sqlite().await;
    let told = async |id: &[u8]| {
        let answer = service.request("GET", "/healthz/live").header("X-Request-Id", id).send().await;
        assert_eq!(answer.status, 200);
        answer.header("x-request-id").unwrap().to_owned()
    };
    let longest = "a".repeat(64);
    for id in ["7", "0af7651916cd43dd-8448eb211c80319c", "a_b.c:d/e+f=", &longest] {
        assert_eq!(told(id.as_bytes()).await, id);
    }
    let too_long = "a".repeat(65);
    let bad: [&[u8]; 9] = [
        b"",
        b"two words",
        b"a\tb",
        b"<script>",
        b"a\"b",
        b"a;b",
        "h\u{e9}".as_bytes(),
        b"\xff\xfe",
        too_long.as_bytes(),
    ];
    let mut made = vec![];
    for id in bad {
        let told = told(id).await;
        assert!(told.len() == 24 && told.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
        made.push(told);
    }
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 9, "no two requests share one");
}
