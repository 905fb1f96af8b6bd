//! Every route's answer to a good request, to the byte. The shop is the same on every machine and in both stores.

use crate::{
    client::Answer,
    on_both_stores,
    service::{OFFICE, SHOP, Service, order},
};

on_both_stores! {
    reads_answer_with_the_same_bytes_from_every_store,
    writes_answer_with_what_was_written,
}

/// The text of a good answer in JSON.
#[track_caller]
fn text(answer: &Answer, status: u16) -> String {
    answer.ok(status);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.text().to_owned()
}

async fn reads_answer_with_the_same_bytes_from_every_store(service: Service) {
    let mut all = String::new();
    for target in [
        "/api/products?limit=2",
        "/api/products?limit=2&category=garden",
        "/api/products?category=no-such-category",
        "/api/products/50",
        "/api/orders?limit=2",
        "/api/orders?limit=1&status=cancelled",
        "/api/orders/1",
        "/api/customers?limit=2",
        "/api/customers/100",
        "/healthz/live",
        "/healthz/ready",
    ] {
        all += &format!("GET {target}\n{}\n\n", text(&service.get(target).await, 200));
    }
    insta::assert_snapshot!("reads", all);

    let mut stats = service.get("/api/stats").await.ok(200);
    let as_of = stats["as_of"].take();
    assert!(as_of.as_str().is_some_and(|moment| moment.starts_with("20") && moment.ends_with('Z')), "{as_of}");
    insta::assert_snapshot!("stats", stats);
}

async fn writes_answer_with_what_was_written(service: Service) {
    let placed = service.send("POST", "/api/orders", order(7, &[(3, 2), (1, 1)])).await;
    let receipt = placed.ok(201);
    let id = receipt["id"].as_i64().unwrap();
    assert_eq!(placed.header("location"), Some(&*format!("/api/orders/{id}")));
    assert_eq!(placed.header("idempotent-replayed"), None);
    let moment = receipt["placed_at"].as_str().unwrap();
    let stable = |text: &str, moment: &str| text.replace(moment, "MOMENT");
    insta::assert_snapshot!("receipt", stable(placed.text(), moment));
    let read = service.get(&format!("/api/orders/{id}")).await;
    assert_eq!(read.ok(200)["placed_at"], moment);
    insta::assert_snapshot!("order", stable(&text(&read, 200), moment));

    let body = r#"{"name":"Ada Lovelace","email":"Ada@Example.com","birthday":"1815-12-10"}"#;
    let wrong = service.send("POST", "/api/customers", body).await;
    assert_eq!(wrong.fault("invalid-body", "birthday"), "must be a day from 1900-01-01 to 2100-12-31");
    let created = service.send("POST", "/api/customers", body.replace("1815", "1915")).await;
    let customer = created.ok(201);
    let place = format!("/api/customers/{}", customer["id"]);
    assert_eq!(created.header("location"), Some(&*place));
    assert_eq!(customer["created_at"], customer["updated_at"]);
    let since = customer["created_at"].as_str().unwrap();
    insta::assert_snapshot!("customer", stable(&text(&created, 201), since));
    assert_eq!(text(&service.get(&place).await, 200), created.text(), "what was told is what is read");

    let replaced = service.send("PUT", &place, r#"{"name":"Ada King","email":"ada@example.com"}"#).await.ok(200);
    assert_eq!([&replaced["name"], &replaced["email"]], ["Ada King", "ada@example.com"]);
    assert!(replaced["birthday"].is_null(), "what a PUT leaves out is gone");
    assert_eq!(replaced["created_at"], since);
    assert!(replaced["updated_at"].as_str() > Some(since));
    assert_eq!(service.get(&place).await.ok(200), replaced);

    let gone = service.request("DELETE", &place).key(OFFICE).send().await;
    assert_eq!((gone.status, gone.body.len(), gone.header("content-type")), (204, 0, None));
    service.get(&place).await.problem("not-found");
    service.request("DELETE", &place).key(OFFICE).send().await.problem("not-found");
    service.request("PUT", &place).key(SHOP).json(body.replace("1815", "1915")).send().await.problem("not-found");
}
