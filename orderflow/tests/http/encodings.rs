//! One body, three encodings: tags, revalidation, and what may be kept by whom.

use std::io::Read;

use crate::{
    client::Answer,
    service::{SHOP, Service},
};

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        None => plain.clone_from(&answer.body),
        Some("gzip") => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap()),
        Some("br") => drop(brotli::Decompressor::new(&*answer.body, 4_096).read_to_end(&mut plain).unwrap()),
        Some(other) => panic!("{other} was not asked for"),
    }
    plain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_encoding_decodes_to_the_plain_body_and_revalidates() {
    let service = Service::sqlite().await;
    for target in ["/api/products?limit=100", "/api/orders?limit=100", "/api/openapi.json"] {
        let plain = service.get(target).await;
        assert_eq!(plain.header("content-encoding"), None);
        let mut tags = vec![];
        for (accepted, encoding) in [("identity", None), ("gzip", Some("gzip")), ("br, gzip", Some("br"))] {
            let request = service.request("GET", target).header("Accept-Encoding", accepted);
            let answer = request.send().await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding));
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            assert_eq!(decoded(&answer), plain.body, "{target} {accepted}");
            assert!(encoding.is_none() || answer.body.len() < plain.body.len() / 2);

            let tag = answer.header("etag").unwrap().to_owned();
            let same = request.clone().header("If-None-Match", &tag).send().await;
            assert_eq!((same.status, same.body.len(), same.header("content-type")), (304, 0, None));
            for kept in ["etag", "vary", "cache-control"] {
                assert_eq!(same.header(kept), answer.header(kept), "{kept} is sent again, as RFC 9110, 15.4.5 asks");
            }
            for held in [format!("\"x\", W/{tag}"), "*".to_owned()] {
                assert_eq!(request.clone().header("If-None-Match", held).send().await.status, 304);
            }
            assert_eq!(request.clone().header("If-None-Match", "\"0123456789abcdef\"").send().await.status, 200);
            tags.push(tag);
        }
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 3, "bytes that differ have tags that differ");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_body_is_sent_as_it_is() {
    let service = Service::sqlite().await;
    let answer = service.request("GET", "/api/products/1").header("Accept-Encoding", "gzip, br").send().await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, None));
    answer.json();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_data_says_how_long_it_may_be_kept() {
    let service = Service::sqlite().await;
    let public = "public, max-age=60, stale-while-revalidate=300";
    for (target, caching, tagged) in [
        ("/api/products", public, true),
        ("/api/products/1", public, true),
        ("/api/stats", "public, max-age=10", true),
        ("/api/orders", "private, no-cache", true),
        ("/api/orders/1", "private, no-cache", true),
        ("/api/openapi.json", "private, no-cache", true),
        ("/docs", "no-cache", false),
        ("/api/customers", "no-store", false),
        ("/api/customers/1", "no-store", false),
        ("/healthz", "no-store", false),
        ("/healthz/ready", "no-store", false),
        ("/healthz/live", "no-store", false),
    ] {
        let answer = service.get(target).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some(caching)), "{target}");
        assert_eq!(answer.header("etag").is_some(), tagged, "{target}");
    }
    // Personal data is sent whatever the client says it holds.
    assert_eq!(service.request("GET", "/api/customers/1").header("If-None-Match", "*").send().await.status, 200);
    let body = r#"{"name":"Eva","email":"eva@example.com"}"#;
    let created =
        service.request("POST", "/api/customers").key(SHOP).json(body).header("If-None-Match", "*").send().await;
    assert_eq!((created.status, created.header("cache-control")), (201, Some("no-store")));
    let place = created.header("location").unwrap();
    assert_eq!(service.send("PUT", place, body).await.header("cache-control"), Some("no-store"));
    let deleted = service.request("DELETE", place).key(crate::service::OFFICE).send().await;
    assert_eq!((deleted.status, deleted.header("cache-control")), (204, Some("no-store")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_a_get_without_the_body() {
    let service = Service::sqlite().await;
    for target in [
        "/api/products?limit=50",
        "/api/products/1",
        "/api/orders",
        "/api/customers/1",
        "/api/stats",
        "/docs",
        "/healthz/live",
    ] {
        let get = service.request("GET", target).header("Accept-Encoding", "gzip").send().await;
        let head = service.request("HEAD", target).header("Accept-Encoding", "gzip").send().await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["content-type", "content-encoding", "content-length", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{target} {name}");
        }
    }
    let missing = service.request("HEAD", "/api/products/999").send().await;
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("application/problem+json")));
}
