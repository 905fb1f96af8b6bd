//! Customers: one address each, and orders that stay when they go.

use crate::{
    on_both_stores,
    service::{OFFICE, Service, order},
};

on_both_stores! {
    no_two_customers_share_an_address,
    orders_of_a_deleted_customer_stay_without_the_name,
    a_customer_that_is_not_acceptable_is_refused_by_field,
}

async fn no_two_customers_share_an_address(service: Service) {
    let create = async |email: &str| {
        service.send("POST", "/api/customers", format!(r#"{{"name":"N","email":"{email}"}}"#)).await
    };
    let one = create("one@example.com").await.ok(201);
    let two = create("two@example.com").await.ok(201);
    for taken in ["one@example.com", "ONE@EXAMPLE.COM"] {
        let refused = create(taken).await;
        assert_eq!(refused.status, 409);
        assert_eq!(refused.fault("email-taken", "email"), "another customer has this e-mail address");
    }
    let place = format!("/api/customers/{}", two["id"]);
    let put = async |email: &str| service.send("PUT", &place, format!(r#"{{"name":"N","email":"{email}"}}"#)).await;
    put("One@example.com").await.fault("email-taken", "email");
    put("TWO@example.com").await.ok(200);
    let gone = service.request("DELETE", &format!("/api/customers/{}", one["id"])).key(OFFICE).send().await;
    assert_eq!(gone.status, 204);
    put("one@example.com").await.ok(200);
}

async fn orders_of_a_deleted_customer_stay_without_the_name(service: Service) {
    let placed = service.send("POST", "/api/orders", order(11, &[(1, 1)])).await.ok(201);
    let place = format!("/api/orders/{}", placed["id"]);
    let before = service.get(&place).await;
    assert!(before.ok(200)["customer"]["name"].is_string());
    let deleted = service.request("DELETE", "/api/customers/11").key(OFFICE).send().await;
    assert_eq!(deleted.status, 204);
    let tag = before.header("etag").unwrap();
    let after = service.request("GET", &place).header("If-None-Match", tag).send().await.ok(200);
    assert_eq!(after["customer"], serde_json::json!({"id": 11, "name": null}));
    let listed = service.get("/api/orders?limit=1").await.ok(200);
    assert_eq!(listed["items"][0], after);
    let list = service.get("/api/customers?limit=100").await;
    assert!(list.json()["items"].as_array().unwrap().iter().all(|customer| customer["id"] != 11));
    let again = service.send("POST", "/api/orders", order(11, &[(1, 1)])).await;
    assert_eq!(again.fault("invalid-body", "customer_id"), "there is no customer 11");
}

async fn a_customer_that_is_not_acceptable_is_refused_by_field(service: Service) {
    let with = |field: &str, value: &str| {
        let mut body = serde_json::json!({"name": "N", "email": "n@example.com", "birthday": null});
        body[field] = serde_json::from_str(value).unwrap();
        body.to_string()
    };
    let long = |count: usize| format!("\"{}\"", "é".repeat(count));
    let address = |count: usize| format!("\"{}@{}com\"", "a".repeat(64), "x.".repeat((count - 68) / 2));
    for (field, value, message) in [
        ("name", "\"\"", "must not be empty"),
        ("name", "\" Ada\"", "must not begin or end with a space"),
        ("name", "\"A\\u0000da\"", "must not contain control characters"),
        ("name", "\"A\\nda\"", "must not contain control characters"),
        ("name", &long(121), "must be at most 120 characters"),
        ("name", "7", "must be a string"),
        ("name", "null", "must be a string"),
        ("email", "\"ada\"", "must be an e-mail address such as ada@example.com"),
        ("email", "\"a\\u0000@example.com\"", "must be an e-mail address such as ada@example.com"),
        ("email", &address(256), "must be at most 254 characters"),
        ("birthday", "\"2001-02-29\"", "must be a day of the calendar, written YYYY-MM-DD"),
        ("birthday", "\"2101-01-01\"", "must be a day from 1900-01-01 to 2100-12-31"),
        ("birthday", "19900101", "must be a string"),
        ("birthday", "[]", "must be a string"),
    ] {
        let answer = service.send("POST", "/api/customers", with(field, value)).await;
        assert_eq!(answer.status, 422, "{field} {value}");
        assert_eq!(answer.fault("invalid-body", field), message, "{value}");
        let replaced = service.send("PUT", "/api/customers/1", with(field, value)).await;
        assert_eq!(replaced.fault("invalid-body", field), message, "{value}");
    }
    for (field, value) in [("name", long(120)), ("email", address(254)), ("birthday", "\"2100-12-31\"".to_owned())] {
        service.send("PUT", "/api/customers/1", with(field, &value)).await.ok(200);
    }
}
