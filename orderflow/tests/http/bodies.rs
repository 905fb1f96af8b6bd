//! Bodies that are not what they should be: each is refused with the field that is wrong, and none does anything.

use crate::{
    client::Answer,
    service::{SHOP, Service, order},
};

async fn post(service: &Service, body: impl AsRef<[u8]>) -> Answer {
    service.send("POST", "/api/orders", body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_json_is_a_malformed_request() {
    let service = Service::sqlite().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"   ".to_vec(),
        b"{".to_vec(),
        br#"{"customer_id":1,"items":[}"#.to_vec(),
        br#"{"customer_id":1,}"#.to_vec(),
        b"{'customer_id':1}".to_vec(),
        br#"{"customer_id":1e400}"#.to_vec(),
        br#"{"customer_id":01}"#.to_vec(),
        br#"{"customer_id":NaN}"#.to_vec(),
        br#"{"customer_id":"\ud800"}"#.to_vec(),
        b"{\"customer_id\":\"\xff\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"{\"customer_id\":\"a\0b\"}".to_vec(),
        [order(1, &[(1, 1)]).as_bytes(), b"x"].concat(),
        [order(1, &[(1, 1)]).as_bytes(), order(1, &[(1, 1)]).as_bytes()].concat(),
    ];
    for body in bodies {
        let message = post(&service, &body).await.fault("bad-request", "body");
        assert!(message.starts_with("is not JSON (line ") || message.starts_with("something follows"), "{message}");
    }
    // Refused before anything is made of it.
    let nested = format!(r#"{{"customer_id":{}}}"#, deep("[", "]"));
    assert_eq!(
        post(&service, nested).await.fault("invalid-body", "customer_id"),
        "must be a whole number that fits 64 bits"
    );
    let nested = post(&service, deep("{\"a\":", "}")).await;
    nested.any_problem();
    assert!((400..500).contains(&nested.status));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_not_an_order_is_refused_by_field() {
    let service = Service::sqlite().await;
    let whole = "must be a whole number that fits 64 bits";
    let lines = |count: i64| order(1, &(1..=count).map(|id| (id, 1)).collect::<Vec<_>>());
    let line = |line: &str| format!(r#"{{"customer_id":1,"items":[{{"product_id":1,"quantity":1}},{line}]}}"#);
    for (body, field, message) in [
        ("null".to_owned(), "body", "must be an object"),
        ("3".to_owned(), "body", "must be an object"),
        ("[]".to_owned(), "body", "must be an object"),
        (r#"[1,[{"product_id":1,"quantity":1}]]"#.to_owned(), "body", "must be an object"),
        ("{}".to_owned(), "customer_id", "is missing"),
        (r#"{"customer_id":1}"#.to_owned(), "items", "is missing"),
        (r#"{"customer_id":"1"}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":1.0}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":true}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":null}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":0}"#.to_owned(), "customer_id", "must be 1 or more"),
        (r#"{"customer_id":-1}"#.to_owned(), "customer_id", "must be 1 or more"),
        (r#"{"customer_id":9223372036854775808}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":-9223372036854775809}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":1e300}"#.to_owned(), "customer_id", whole),
        (r#"{"customer_id":1,"items":{}}"#.to_owned(), "items", "must be an array"),
        (r#"{"customer_id":1,"items":null}"#.to_owned(), "items", "must be an array"),
        (r#"{"customer_id":1,"items":[]}"#.to_owned(), "items", "must have from 1 to 50 lines"),
        (lines(51), "items", "must have from 1 to 50 lines"),
        (order(1, &[(1, 1), (2, 1), (1, 1)]), "items", "product 1 is listed twice; add the quantities"),
        (line("[1,1]"), "items[1]", "must be an object"),
        (line("7"), "items[1]", "must be an object"),
        (line(r#"{"product_id":2}"#), "items[1].quantity", "is missing"),
        (line(r#"{"product_id":2,"quantity":0}"#), "items[1].quantity", "must be from 1 to 1000"),
        (line(r#"{"product_id":2,"quantity":1001}"#), "items[1].quantity", "must be from 1 to 1000"),
        (line(r#"{"product_id":2,"quantity":"1"}"#), "items[1].quantity", whole),
        (line(r#"{"product_id":0,"quantity":1}"#), "items[1].product_id", "must be 1 or more"),
        (
            line(r#"{"product_id":2,"quantity":1,"price":1}"#),
            "items[1].price",
            "is not a field here; there are `product_id` or `quantity`",
        ),
        (r#"{"customer_id":1,"customer_id":2,"items":[]}"#.to_owned(), "customer_id", "is given twice"),
        (line(r#"{"product_id":2,"quantity":1,"quantity":1}"#), "items[1].quantity", "is given twice"),
    ] {
        let answer = post(&service, &body).await;
        assert_eq!(answer.status, 422, "{body}");
        let document = answer.problem("invalid-body");
        assert_eq!(document["errors"][0]["field"], field, "{body}");
        assert_eq!(answer.fault("invalid-body", field), message, "{body}");
    }
    post(&service, lines(50)).await.ok(201);
    // What was sent is not repeated at length.
    let long = "x".repeat(60_000);
    for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"customer_id":"{long}"}}"#), format!("\"{long}\"")] {
        assert!(post(&service, body).await.body.len() < 600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_json_is_taken() {
    let service = Service::sqlite().await;
    let request = service.request("POST", "/api/orders").key(SHOP).body(order(1, &[(1, 1)]));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/problem+json",
        "",
        "\u{e9}",
    ] {
        let answer = request.clone().header("Content-Type", kind).send().await;
        assert_eq!(answer.fault("unsupported-media-type", "Content-Type"), "must be application/json");
    }
    request.clone().send().await.fault("unsupported-media-type", "Content-Type");
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;"] {
        request.clone().header("Content-Type", kind).send().await.ok(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let service = Service::sqlite().await;
    let padded = |bytes: usize| {
        let order = order(1, &[(1, 1)]);
        let rest = " ".repeat(bytes - order.len());
        order + &rest
    };
    post(&service, padded(65_536)).await.ok(201);
    for bytes in [65_537, 100_000, 5_000_000] {
        let answer = post(&service, padded(bytes)).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.problem("body-too-large")["detail"], "At most 65536 bytes are taken.");
    }
    let chunked = |bytes: usize| {
        let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", padded(bytes));
        let head = service.request("POST", "/api/orders").key(SHOP).header("Content-Type", "application/json");
        [head.header("Transfer-Encoding", "chunked").bytes(), body.into_bytes()].concat()
    };
    for (bytes, status) in [(65_536, 201), (65_537, 413)] {
        let mut connection = crate::client::Connection::open(service.public).await;
        connection.write(&chunked(bytes)).await;
        assert_eq!(connection.answer(false).await.unwrap().status, status);
    }
}
