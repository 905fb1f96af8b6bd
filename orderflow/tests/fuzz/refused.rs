//! Whatever is sent, an answer comes, it is well-formed, it is no fault of the service, and it says nothing of the inside.

use std::future::Future;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{
    client::Answer,
    parts,
    service::{SHOP, Service},
};

const CASES: u32 = 250;

/// What no client should ever read.
const INSIDE: [&str; 12] = [
    "SELECT",
    "INSERT",
    "sqlx",
    "sqlite",
    "constraint",
    "i64",
    "struct",
    "OrderDraft",
    "ItemDraft",
    "CustomerDraft",
    "::",
    ".rs",
];

/// Tries a case with each of the inputs, the same ones in every run.
fn each<S: Strategy, F: Future<Output = ()>>(inputs: &S, case: impl Fn(S::Value) -> F, runtime: &Runtime) {
    let config =
        ProptestConfig { cases: CASES, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tried = TestRunner::new_with_rng(config, random).run(inputs, |input| {
        runtime.block_on(case(input));
        Ok(())
    });
    tried.unwrap_or_else(|failed| panic!("{failed}"));
}

fn stage() -> (Runtime, Service) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let service = runtime.block_on(Service::sqlite());
    (runtime, service)
}

#[track_caller]
fn is_well_formed(answer: &Answer, sent: &[u8]) {
    assert!((200..500).contains(&answer.status), "{answer:?}");
    for name in ["x-request-id", "x-content-type-options", "content-security-policy", "date"] {
        assert!(answer.header(name).is_some(), "{name}: {answer:?}");
    }
    match answer.header("content-type") {
        Some("application/json") if answer.header("content-encoding").is_none() => drop(answer.json()),
        Some("application/json") => {}
        Some("application/problem+json") => {
            answer.any_problem();
            let sent = String::from_utf8_lossy(sent);
            for word in INSIDE {
                assert!(!answer.text().contains(word) || sent.contains(word), "{word}: {}", answer.text());
            }
        }
        kind => assert!([204, 304].contains(&answer.status) && kind.is_none(), "{answer:?}"),
    }
    assert_eq!(answer.status >= 400, answer.header("content-type") == Some("application/problem+json"));
}

#[test]
fn any_address_is_answered() {
    let (runtime, service) = stage();
    let lists = prop::sample::select(vec!["products", "orders", "customers", "stats"]);
    let one = (lists, prop::option::of(parts::segment()), prop::option::of(parts::query()));
    let case = async |(list, segment, query): (&str, Option<String>, Option<String>)| {
        let mut target = format!("/api/{list}");
        for (sign, part) in [("/", segment), ("?", query)] {
            target += &part.map_or_else(String::new, |part| format!("{sign}{part}"));
        }
        is_well_formed(&service.get(&target).await, target.as_bytes());
    };
    each(&one, case, &runtime);
}

#[test]
fn any_body_is_answered() {
    let (runtime, service) = stage();
    let routes = [("POST", "/api/orders"), ("POST", "/api/customers"), ("PUT", "/api/customers/1")];
    let one = (prop::sample::select(routes.to_vec()), parts::body());
    let case = async |((method, target), body): ((&str, &str), Vec<u8>)| {
        is_well_formed(&service.send(method, target, &body).await, &body);
    };
    each(&one, case, &runtime);
    runtime.block_on(async { service.get("/healthz/ready").await.ok(200) });
}

#[test]
fn any_header_is_answered() {
    let (runtime, service) = stage();
    let one = (any::<bool>(), any::<bool>(), prop::collection::vec(parts::header(), 1..6));
    let case = async |(write, key, headers): (bool, bool, Vec<(String, Vec<u8>)>)| {
        let mut request = service.request(if write { "POST" } else { "GET" }, "/api/orders");
        if key {
            request = request.key(SHOP);
        }
        if write {
            request = request.body(crate::service::order(1, &[(1, 1)]));
        }
        let mut sent = vec![];
        for (name, value) in headers {
            sent.extend(&value);
            request = request.header(&name, value);
        }
        is_well_formed(&request.send().await, &sent);
    };
    each(&one, case, &runtime);
}
