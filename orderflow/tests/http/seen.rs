//! What is seen of requests from outside: where they stand in a trace, and what is counted of them, whatever becomes of them.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, StatusCode, Uri},
    middleware::{Next, from_fn},
    routing::get as route,
};
use http_body_util::BodyExt;
use orderflow::{http::route::Route, telemetry::TraceContext};
use tower::ServiceExt;

use crate::{
    client::Answer,
    service::{SHOP, Service},
    watched::{Stage, Trouble, until},
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn get(target: &str) -> axum::http::request::Builder {
    Request::get(target)
}

fn empty(request: axum::http::request::Builder) -> Request<Body> {
    request.body(Body::empty()).unwrap()
}

/// Where an answer says that its request stands.
#[track_caller]
pub(crate) fn trace(answer: &Answer) -> TraceContext {
    let told = answer.header("traceresponse").unwrap_or_else(|| panic!("no trace: {answer:?}"));
    assert!(told.starts_with("00-") && told.len() == TraceContext::LENGTH, "{told}");
    told.parse().unwrap()
}

/// The value of a metric, by the start of its line.
fn number(stage: &Stage, start: &str) -> Option<u64> {
    let text = stage.metrics.text();
    let mut values = text.lines().filter_map(|line| line.strip_prefix(start)?.strip_prefix(' '));
    let value = values.next()?;
    Some(value.split(' ').next().unwrap().parse().unwrap())
}

fn requests(stage: &Stage, method: &str, route: &str, status: &str) -> u64 {
    let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
    number(stage, &format!("http_requests_total{labels}")).unwrap_or(0)
}

fn in_flight(stage: &Stage, route: &str) -> Option<u64> {
    number(stage, &format!("http_requests_in_flight{{route=\"{route}\"}}"))
}

/// How many series of requests there are.
fn series(stage: &Stage) -> usize {
    stage.metrics.text().lines().filter(|line| line.starts_with("http_") || line.starts_with("traces_")).count()
}

/// What axum says of a path, of routes that all answer with their own: that of the route, or `other` where there is none.
async fn by_axum(router: &Router, uri: Uri) -> String {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    if answer.status() == StatusCode::NOT_FOUND {
        return "other".to_owned();
    }
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_the_route_that_axum_takes_it_for() {
    let known: BTreeSet<_> = Route::all().map(Route::path).filter(|path| *path != "other").collect();
    let table = known.iter().copied().fold(Router::new(), |router, path| router.route(path, route(async move || path)));
    // The service's own routes, which say only that there is one.
    let stage = Stage::new().await;
    let service = stage.router().route_layer(from_fn(async |_: Request<Body>, _: Next| Response::new(Body::empty())));
    let described = serde_json::to_value(orderflow::http::openapi()).unwrap();
    for path in described["paths"].as_object().unwrap().keys() {
        assert!(known.contains(path.as_str()), "{path} is described and not in the table");
    }
    let odd = [
        "/",
        "//",
        "/api",
        "/api/",
        "/api/products/",
        "/api/products//",
        "/api//products",
        "/api/products/1/",
        "/api/products/1/2",
        "/api/products/%2F",
        "/api/products/%00",
        "/api/products/..",
        "/api/%70roducts",
        "/API/products",
        "/api/orders/stream/",
        "/api/orders/streams",
        "/api/orders/strea",
        "/api/orders/stream%20",
        "/api/orders/{id}",
        "/api/stats/",
        "/healthz/",
        "/healthz/live/",
        "/healthz/x",
        "/docs/",
        "/docs/page.css/",
        "/docs/page",
        "/api/openapi.json?x=1",
        "/api/products?page=1",
        "/api/products/;x=1",
        "/other",
        "other",
        "http://orderflow.test/api/products/1",
        "http://orderflow.test",
        "*",
    ];
    let mut paths: BTreeSet<String> = known.iter().map(|path| path.replace("{id}", "7")).collect();
    paths.extend(odd.map(str::to_owned));
    // Random ones of pieces that routes are made of, so that many are nearly right.
    let mut random = fastrand::Rng::with_seed(5);
    let pieces = [
        "api",
        "products",
        "orders",
        "customers",
        "stats",
        "stream",
        "healthz",
        "ready",
        "live",
        "docs",
        "page.css",
        "openapi.json",
        "1",
        "",
        "%2F",
        "%20",
        ".",
        "..",
        "{id}",
        "x",
        "page.js",
        "~",
        "a-b_c",
    ];
    while paths.len() < 10_000 + known.len() {
        let parts = (0..random.usize(1..5)).map(|_| {
            let piece = random.choice(pieces).unwrap().to_owned();
            if random.u8(..) < 40 { piece + &random.u16(..).to_string() } else { piece }
        });
        paths.insert(parts.fold(String::new(), |path, part| format!("{path}/{part}")));
    }
    let mut found = BTreeSet::new();
    for path in paths {
        let Ok(uri) = path.parse::<Uri>() else { continue };
        let route = Route::of(&Method::GET, uri.path()).path();
        assert_eq!(by_axum(&service, uri.clone()).await == "other", route == "other", "{path}");
        assert_eq!(route, by_axum(&table, uri).await, "{path}");
        found.insert(route);
    }
    assert_eq!(found.len(), known.len() + 1, "every route was met, and paths of none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_names_a_trace_whatever_became_of_its_request() {
    let settings = [
        ("http.request_timeout", "1s"),
        ("http.max_in_flight", "1"),
        ("cache.enabled", "false"),
        ("database.coalesce_reads", "false"),
    ];
    let stage = Stage::with(&settings).await;
    let mut traces = BTreeSet::new();
    let mut see = |answer: &Answer, status: u16| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(traces.insert(trace(answer).trace.to_string()), "two requests have one trace");
    };
    see(&stage.get("/api/products/1").await, 200);
    see(&stage.get("/nowhere").await, 404);
    see(&stage.get("/api/products/x").await, 400);
    see(&stage.answer(empty(Request::delete("/api/products"))).await, 405);
    see(&stage.answer(empty(Request::delete("/api/customers/1"))).await, 401);
    stage.store.next(Trouble::Panics);
    see(&stage.get("/api/products/1").await, 500);
    stage.store.next(Trouble::Fails);
    see(&stage.get("/api/products/1").await, 503);
    stage.store.hold();
    let late = stage.start_get("/api/products/1");
    stage.store.holds(1).await;
    see(&stage.get("/api/products/2").await, 503);
    see(&late.await.unwrap(), 503);
    stage.store.release();

    let limited = Stage::with(&[("http.rate_limit", "1"), ("http.rate_burst", "1")]).await;
    for _ in 0..100 {
        let answer = limited.get("/api/products/1").await;
        trace(&answer);
        if answer.status == 429 {
            assert_eq!(requests(&limited, "GET", "/api/products/{id}", "429"), 1);
            return;
        }
    }
    panic!("the limit was never met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_s_trace_goes_on_and_what_is_none_is_as_good_as_nothing() {
    let stage = Stage::with(&[("telemetry.traces_ratio", "0"), ("telemetry.traces_per_route", "0")]).await;
    let caller: TraceContext = PARENT.parse().unwrap();
    let ask = async |values: &[&[u8]]| {
        let request = values.iter().fold(get("/healthz/live"), |request, value| request.header("traceparent", *value));
        let answer = stage.answer(empty(request)).await;
        assert_eq!(answer.status, 200);
        trace(&answer)
    };
    let told = ask(&[PARENT.as_bytes()]).await;
    assert!(told.trace == caller.trace && told.span != caller.span && told.sampled);
    let told = ask(&[PARENT.replace("-01", "-00").as_bytes()]).await;
    assert!(told.trace == caller.trace && !told.sampled);
    let long = format!("{}-{}", PARENT.replacen("00", "cc", 1), "x".repeat(30_000));
    let upper = PARENT.to_uppercase();
    let bad: [&[&[u8]]; 9] = [
        &[b""],
        &[b"00"],
        &[b"\xff\xfe"],
        &[upper.as_bytes()],
        &[long.as_bytes()],
        &[PARENT.as_bytes(), PARENT.as_bytes()],
        &[b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        &[b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
        &[b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
    ];
    for values in bad {
        let told = ask(values).await;
        assert!(told.trace != caller.trace && !told.sampled, "{values:?}");
    }
    let text = stage.metrics.text();
    assert!(text.contains("traces_begun_total{why=\"parent\"} 1\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_else_that_a_caller_says_of_its_trace_is_kept() {
    let service = Service::sqlite().await;
    let small = service
        .request("GET", "/api/products/1")
        .header("traceparent", PARENT)
        .header("tracestate", "vendor=marked-state")
        .header("baggage", "user=marked-baggage")
        .send()
        .await;
    assert_eq!(small.status, 200);
    assert!(!format!("{:?}", small.headers).contains("marked"), "{small:?}");
    // Refused before it is anybody's request, or not looked at.
    let large = service.request("GET", "/api/products/1").header("baggage", "k=v,".repeat(16 * 1024)).send().await;
    assert_eq!(large.status, 431);
    let metrics = crate::client::Request::new(service.ops, "GET", "/metrics").send().await;
    assert!(!metrics.text().contains("marked"));
    for listener in ["public", "ops"] {
        assert!(metrics.text().contains(&format!("active_connections{{listener=\"{listener}\"}} ")), "{listener}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measurement_names_the_trace_that_shows_it() {
    let stage = Stage::with(&[("telemetry.traces_ratio", "1")]).await;
    let answer = stage.get("/api/products/1").await;
    let named = format!("# {{trace_id=\"{}\"}}", trace(&answer).trace);
    let text = stage.metrics.text();
    let start = "http_request_duration_seconds_bucket";
    let route = "route=\"/api/products/{id}\"";
    let exemplar = |line: &&str| line.starts_with(start) && line.contains(route) && line.contains(&named);
    assert!(text.lines().any(|line| exemplar(&line)), "{named} is not in:\n{text}");
    let quiet = Stage::with(&[("telemetry.traces", "false")]).await;
    let answer = quiet.answer(empty(get("/api/products/1").header("traceparent", PARENT))).await;
    assert!(!trace(&answer).sampled);
    assert!(!quiet.metrics.text().contains("trace_id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_clients_leave_are_under_way_no_more_and_counted_as_gone() {
    const PATH: &str = "/api/products/{id}";
    let stage = Stage::with(&[("database.coalesce_reads", "false"), ("cache.enabled", "false")]).await;
    stage.store.hold();
    let gone: Vec<_> = (1..=20).map(|id| stage.start_get(format!("/api/products/{id}"))).collect();
    stage.store.holds(20).await;
    assert_eq!(in_flight(&stage, PATH), Some(20));
    for request in &gone {
        request.abort();
    }
    until("nothing is under way", || in_flight(&stage, PATH) == Some(0)).await;
    assert_eq!(requests(&stage, "GET", PATH, "gone"), 20);
    let count = format!("http_request_duration_seconds_count{{method=\"GET\",route=\"{PATH}\"}}");
    assert_eq!(number(&stage, &count), Some(20), "what they took until then is known");
    stage.store.release();
    stage.get("/api/products/1").await.ok(200);
    assert_eq!((requests(&stage, "GET", PATH, "200"), in_flight(&stage, PATH)), (1, Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_methods_and_agents_of_strangers_make_no_series() {
    let settings =
        [("telemetry.follow_parent", "false"), ("telemetry.traces_ratio", "0"), ("telemetry.traces_per_route", "1")];
    let stage = Stage::with(&settings).await;
    stage.get("/nowhere").await;
    stage.get("/healthz/live").await;
    stage.answer(empty(Request::builder().method("BREW").uri("/nowhere"))).await;
    let before = series(&stage);
    for number in 0..10_000 {
        let method = if number % 2 == 0 { "GET".to_owned() } else { format!("BREW{number}") };
        let request = Request::builder().method(&*method).uri(format!("/nowhere/{number}"));
        assert_eq!(stage.answer(empty(request)).await.status, 404);
    }
    for number in 0..100_000 {
        let request = get("/healthz/live").header("user-agent", format!("agent/{number}"));
        assert_eq!(stage.answer(empty(request)).await.status, 200);
    }
    assert_eq!(series(&stage), before);
    assert_eq!(requests(&stage, "GET", "/healthz/live", "200"), 100_001);
    assert_eq!(requests(&stage, "GET", "other", "404"), 5_001);
    assert_eq!(requests(&stage, "other", "other", "404"), 5_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_measured_nothing_is_counted() {
    let stage = Stage::with(&[("telemetry.metrics", "false")]).await;
    trace(&stage.get("/api/products/1").await);
    let text = stage.metrics.text();
    assert!(!text.lines().any(|line| line.starts_with("http_")), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_counted_by_their_own_method() {
    let service = Service::sqlite().await;
    let order = crate::service::order(1, &[(1, 1)]);
    assert_eq!(service.send("POST", "/api/orders", order).await.status, 201);
    assert_eq!(service.request("POST", "/api/orders").key(SHOP).json("{").send().await.status, 400);
    let metrics = crate::client::Request::new(service.ops, "GET", "/metrics").send().await;
    for status in ["201", "400"] {
        let line = format!("http_requests_total{{method=\"POST\",route=\"/api/orders\",status=\"{status}\"}} 1\n");
        assert!(metrics.text().contains(&line), "{}", metrics.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_counted_for_the_request_that_asked_for_them() {
    let service = Service::sqlite().await;
    service.get("/api/orders").await.ok(200);
    service.get("/healthz/live").await.ok(200);
    let metrics = crate::client::Request::new(service.ops, "GET", "/metrics").send().await;
    let sum = |route: &str| {
        let start = format!("http_request_statements_sum{{route=\"{route}\"}} ");
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned);
        value.unwrap_or_else(|| panic!("{start} is not in:\n{}", metrics.text())).parse::<f64>().unwrap() as u64
    };
    assert!((1..=2).contains(&sum("/api/orders")), "{}", metrics.text());
    assert_eq!(sum("/healthz/live"), 0);
}
