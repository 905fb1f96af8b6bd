//! Placing orders: all lines or none, once however often it is sent, and seen at once by whoever reads.

use std::sync::Arc;

use serde_json::json;

use crate::{
    client::Answer,
    on_both_stores,
    service::{OFFICE, ORDERS, SHOP, Service, TILL, order},
};

on_both_stores! {
    a_repeated_order_is_answered_alike_and_placed_once,
    fifty_at_once_with_one_key_place_one_order,
    a_key_stands_for_one_order_of_one_client,
    an_order_that_cannot_be_filled_names_the_reason_and_changes_nothing,
    an_order_is_seen_at_once_in_every_cached_answer,
}

async fn place(service: &Service, client: &str, key: &str, body: &str) -> Answer {
    service.request("POST", "/api/orders").key(client).header("Idempotency-Key", key).json(body).send().await
}

/// How many orders were placed, and how many of a product are left.
async fn state(service: &Service, product: i64) -> (usize, i64) {
    // Identifiers may have gaps: PostgreSQL takes one for a replay.
    let orders = service.get("/api/orders?limit=100").await.ok(200);
    let placed = orders["items"].as_array().unwrap().iter().filter(|order| order["id"].as_i64() > Some(ORDERS));
    let product = service.get(&format!("/api/products/{product}")).await.ok(200);
    (placed.count(), product["stock"].as_i64().unwrap())
}

async fn a_repeated_order_is_answered_alike_and_placed_once(service: Service) {
    let first = place(&service, SHOP, "cart-1", &order(5, &[(1, 2), (2, 1)])).await;
    first.ok(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    // Another spelling of the same order.
    let spelled = r#" { "items": [{"quantity":2,"product_id":1}, {"product_id":2,"quantity":1}], "customer_id": 5 } "#;
    for _ in 0..3 {
        let again = place(&service, SHOP, "cart-1", spelled).await;
        assert_eq!((again.status, again.text()), (201, first.text()));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.header("location"), first.header("location"));
    }
    assert_eq!(state(&service, 1).await, (1, 100_000 - 2));
    for _ in 0..2 {
        service.send("POST", "/api/orders", order(5, &[(1, 2)])).await.ok(201);
    }
    assert_eq!(state(&service, 1).await, (3, 100_000 - 6), "without a key each one counts");
}

async fn fifty_at_once_with_one_key_place_one_order(service: Service) {
    let service = Arc::new(service);
    let sent: Vec<_> = (0..50)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { place(&service, SHOP, "impatient", &order(9, &[(4, 3)])).await })
        })
        .collect();
    let mut answers = vec![];
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count();
    assert_eq!(first, 1, "one of them is told that it placed the order");
    assert_eq!(state(&service, 4).await, (1, 100_000 - 3));
}

async fn a_key_stands_for_one_order_of_one_client(service: Service) {
    let first = place(&service, SHOP, "k", &order(5, &[(1, 1)])).await.ok(201);
    for other in [order(6, &[(1, 1)]), order(5, &[(1, 2)]), order(5, &[(2, 1)]), order(5, &[(1, 1), (2, 1)])] {
        let answer = place(&service, SHOP, "k", &other).await;
        assert_eq!(answer.status, 422);
        answer.fault("idempotency-key-reused", "Idempotency-Key");
    }
    for client in [TILL, OFFICE] {
        let own = place(&service, client, "k", &order(6, &[(2, 1)])).await;
        assert_eq!(own.header("idempotent-replayed"), None);
        assert_ne!(own.ok(201)["id"], first["id"]);
    }
    // A name that goes on where another ends: `shop` with `1/x` is not `shop/1` with `x`.
    place(&service, SHOP, "1/x", &order(5, &[(3, 1)])).await.ok(201);
    let own = place(&service, TILL, "x", &order(5, &[(3, 1)])).await;
    assert_eq!((own.status, own.header("idempotent-replayed")), (201, None));
    let longest = "k".repeat(255);
    place(&service, SHOP, &longest, &order(5, &[(1, 1)])).await.ok(201);
    for bad in ["", "two words", &"k".repeat(256), "\u{e9}"] {
        place(&service, SHOP, bad, &order(5, &[(1, 1)])).await.fault("bad-request", "Idempotency-Key");
    }
    let twice =
        service.request("POST", "/api/orders").key(SHOP).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(twice.json(order(5, &[(1, 1)])).send().await.fault("bad-request", "Idempotency-Key"), "is given twice");
}

async fn an_order_that_cannot_be_filled_names_the_reason_and_changes_nothing(service: Service) {
    let before = state(&service, 1).await;
    for (body, word, field, message) in [
        (order(4000, &[(1, 1)]), "invalid-body", "customer_id", "there is no customer 4000"),
        (order(i64::MAX, &[(1, 1)]), "invalid-body", "customer_id", "there is no customer 9223372036854775807"),
        (order(1, &[(1, 1), (777, 1)]), "invalid-body", "items", "there is no product 777"),
    ] {
        assert_eq!(place(&service, SHOP, "refused", &body).await.fault(word, field), message);
    }
    // As many as one order may have of one product, until the shelf is empty.
    for _ in 0..100 {
        service.send("POST", "/api/orders", order(1, &[(8, 1000)])).await.ok(201);
    }
    let short = place(&service, SHOP, "refused", &order(1, &[(1, 1), (8, 1)])).await;
    assert_eq!(short.status, 409);
    assert_eq!(short.fault("out-of-stock", "items"), "0 of product 8 are left, 1 were asked for");
    assert_eq!(state(&service, 1).await, (100, before.1), "no line of a refused order is taken");
    let now = place(&service, SHOP, "refused", &order(1, &[(1, 1)])).await;
    assert_eq!(now.header("idempotent-replayed"), None, "a refused order does not use its key up");
    now.ok(201);
}

async fn an_order_is_seen_at_once_in_every_cached_answer(service: Service) {
    let targets = ["/api/products/3", "/api/products?limit=5", "/api/products?limit=5&page=1&category=kitchen"];
    let stock = async |target: &str, etag: Option<&str>| {
        let answer = service.request("GET", target).header("If-None-Match", etag.unwrap_or("\"\"")).send().await;
        let body = answer.ok(200);
        let product =
            body["items"].as_array().map_or(&body, |items| items.iter().find(|item| item["id"] == 3).unwrap());
        (product["stock"].clone(), answer.header("etag").unwrap().to_owned())
    };
    let mut tags = vec![];
    for target in targets {
        let (left, tag) = stock(target, None).await;
        assert_eq!(left, 100_000);
        tags.push(tag);
    }
    for round in 1..=10 {
        service.send("POST", "/api/orders", order(1, &[(3, 1), (20, 1)])).await.ok(201);
        for (target, tag) in targets.iter().zip(&mut tags) {
            let (left, new) = stock(target, Some(tag)).await;
            assert_eq!(left, json!(100_000 - round), "{target}");
            *tag = new;
        }
    }
    // What was not ordered is still what it was.
    let untouched = service.get("/api/products/4").await;
    let tag = untouched.header("etag").unwrap();
    assert_eq!(service.request("GET", "/api/products/4").header("If-None-Match", tag).send().await.status, 304);
}
