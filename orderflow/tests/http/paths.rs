//! Addresses that are not quite those of a resource, and methods that it does not have.

use crate::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identifier_has_one_spelling() {
    let service = Service::sqlite().await;
    for resource in ["products", "orders", "customers"] {
        service.get(&format!("/api/{resource}/1")).await.ok(200);
        service.get(&format!("/api/{resource}/9223372036854775807")).await.problem("not-found");
        for id in [
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e3",
            "0x1",
            "9223372036854775808",
            "99999999999999999999999",
            "x",
            "%00",
            "1%00",
            "%2e%2e",
            "..",
            ".",
            "1%2F",
            "%20",
            "1%20",
            "%EF%BC%91",
            "%ff",
            "1;x=1",
            "1'--",
            "%25",
            "null",
            &"9".repeat(5_000),
        ] {
            let answer = service.get(&format!("/api/{resource}/{id}")).await;
            assert!(answer.fault("bad-request", "id").starts_with("must be "), "{resource} {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_taken_as_it_is_written() {
    let service = Service::sqlite().await;
    for path in [
        "/",
        "//",
        "/api",
        "/api/",
        "/api/products/",
        "/api//products",
        "//api/products",
        "/api/products/../products",
        "/api/products/../x",
        "/api/../api/products",
        "/api/%2e%2e/api/products",
        "/API/products",
        "/api/products/1/",
        "/api/products/1/2",
        "/api/products//",
        "/api/products%2F1",
        "/api/products%00",
        "/healthzz",
        "/healthz/",
        "/healthz/../api/products",
        "/docs/",
        "/docs/../Cargo.toml",
        "/docs/%2e%2e/page.css",
        "/.git/config",
        "/api/%70roducts/x/y",
        "/\u{e9}".escape_default().to_string().as_str(),
    ] {
        let problem = service.get(path).await.problem("not-found");
        assert!(problem["detail"].as_str().unwrap().contains("/docs"), "{path}");
    }
    // A proxy's form of a target names the same resource.
    service.get("http://orderflow.test/api/products/1").await.ok(200);
    service.get("/api/products?").await.ok(200);
    service.get("/api/products/1?x=1").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_resource_lacks_is_told_which_there_are() {
    let service = Service::sqlite().await;
    for (path, allowed) in [
        ("/api/products", "GET,HEAD"),
        ("/api/products/1", "GET,HEAD"),
        ("/api/orders", "GET,HEAD,POST"),
        ("/api/orders/1", "GET,HEAD"),
        ("/api/customers", "GET,HEAD,POST"),
        ("/api/customers/1", "DELETE,GET,HEAD,PUT"),
        ("/api/stats", "GET,HEAD"),
        ("/api/openapi.json", "GET,HEAD"),
        ("/docs", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
        ("/healthz/ready", "GET,HEAD"),
        ("/healthz/live", "GET,HEAD"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"] {
            if allowed.split(',').any(|other| other == method) {
                continue;
            }
            let answer = service.request(method, path).send().await;
            answer.problem("method-not-allowed");
            let mut methods: Vec<_> =
                answer.header("allow").expect("RFC 9110, 15.5.6 asks for it").split(',').collect();
            methods.sort_unstable();
            assert_eq!(methods.join(","), allowed, "{method} {path}");
        }
    }
}
