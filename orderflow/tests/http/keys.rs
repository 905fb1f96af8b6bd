//! Who may write.

use crate::service::{OFFICE, SHOP, Service, order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_needs_a_key_and_says_so() {
    let service = Service::sqlite().await;
    let basic = "Basic c2hvcDpvZl9zaG9w";
    for (method, target) in [
        ("POST", "/api/orders"),
        ("POST", "/api/customers"),
        ("PUT", "/api/customers/1"),
        ("DELETE", "/api/customers/1"),
    ] {
        let request = service.request(method, target).json(order(1, &[(1, 1)]));
        let authorized = |value: &str| request.clone().header("Authorization", value);
        for (request, message) in [
            (request.clone(), "must be there: Bearer, a space, and an API key"),
            (authorized(basic), "must be Bearer, a space, and an API key"),
            (authorized("Bearer"), "must be Bearer, a space, and an API key"),
            (authorized(SHOP), "must be Bearer, a space, and an API key"),
            (authorized(""), "must be Bearer, a space, and an API key"),
            (authorized("Bearer of_nobody"), "is not a key that this service knows"),
            (authorized("Bearer of_shop of_shop"), "is not a key that this service knows"),
            (authorized("Bearer OF_SHOP"), "is not a key that this service knows"),
            (authorized("Bearer \u{e9}"), "must be Bearer, a space, and an API key"),
            (request.clone().key(SHOP).key(SHOP), "is given twice"),
        ] {
            let answer = request.send().await;
            assert_eq!(answer.fault("unauthorized", "Authorization"), message);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"orderflow\""));
            assert!(!answer.text().contains("of_"), "what was sent is not repeated");
        }
    }
    assert_eq!(service.get("/api/customers/1").await.status, 200, "none of it did anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_may_write_and_only_an_admin_delete() {
    let service = Service::sqlite().await;
    for key in [SHOP, OFFICE] {
        service.request("POST", "/api/orders").key(key).json(order(1, &[(1, 1)])).send().await.ok(201);
    }
    let delete = |key| service.request("DELETE", "/api/customers/2").key(key);
    let refused = delete(SHOP).send().await;
    assert_eq!(refused.problem("forbidden")["detail"], "This needs a key with the role admin.");
    assert_eq!(refused.header("www-authenticate"), None);
    assert_eq!(service.get("/api/customers/2").await.status, 200);
    assert_eq!(delete(OFFICE).send().await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scheme_is_read_in_any_case() {
    let service = Service::sqlite().await;
    for value in ["bearer of_shop", "BEARER of_shop", "Bearer  of_shop", "Bearer of_shop "] {
        let request = service.request("POST", "/api/orders").header("Authorization", value);
        request.json(order(1, &[(1, 1)])).send().await.ok(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_the_body_of_a_stranger() {
    let service = Service::sqlite().await;
    // The answer is there although the body is not.
    let request = service.request("POST", "/api/orders").header("Content-Type", "application/json");
    let answer = request.header("Content-Length", "1000").send().await;
    answer.problem("unauthorized");
}
