//! The spans of a traced request: which steps there are, what each is part of, and what is never in them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use opentelemetry::trace::{SpanKind, Status};
use orderflow::{
    auth::Keys,
    coalesce::Coalescer,
    config::{Config, Flag, Sources},
    domain::{CustomerDraft, Product, ProductId},
    http::{App, Shared, router},
    metrics::Metrics,
    store::{Position, Refused, StoreError},
    telemetry::Work,
};
use sqlx::Connection;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::{
    limits::lock_products,
    on_both_stores, recorder,
    seen::Counting,
    stage::{Stage, customer, order, page, product},
};

/// The API on this store, as it is behind the edge.
fn api(stage: &Stage, counting: &Counting) -> axum::Router {
    let flags = [("data_dir", stage.path().to_str().unwrap()), ("database.url", stage.database.url.expose())]
        .map(|(key, value)| Flag::set(key, value));
    let config = Config::load(&Sources { flags: flags.into(), ..Sources::default() }).unwrap();
    let keys = Keys::from_config(&config.auth);
    let shared = Shared { telemetry: counting.telemetry.clone(), ..Shared::default() };
    router(App::new(Arc::new(config), counting.store.clone(), keys, shared))
}

/// Asks for something as this request, and gives how many statements that took.
async fn get(api: &axum::Router, request: &str, target: &str) -> u32 {
    let work = recorder::work(request, true);
    let asked = Request::get(target).body(Body::empty()).unwrap();
    let response = recorder::answer(&work, api.clone().oneshot(asked)).await.unwrap();
    assert_eq!(response.status(), 200, "{target}");
    work.statements()
}

/// A future that has begun, and waits.
fn begun<F: Future>(mut future: Pin<Box<F>>) -> Pin<Box<F>> {
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future
}

/// A name that no other test has for its request.
fn unique(request: &str, stage: &Stage) -> String {
    format!("{request} in {}", stage.path().display())
}

async fn the_steps_of_an_answer_are_its_spans(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 100).await;
    let ada = stage.customer("ada").await;
    stage.order(&order(ada, &[(1, 1), (2, 1)])).await;
    let counting = Counting::on(&stage, |_| {}).await;
    let api = api(&stage, &counting);
    let [list, first, second] = ["list", "first", "second"].map(|request| unique(request, &stage));

    assert_eq!(get(&api, &list, "/api/orders?limit=20").await, 2);
    let spans = recorder::spans(&list).await;
    assert_eq!(recorder::tree(&spans), "GET /test\n  statement: orders\n  statement: items\n");
    let statement = spans.iter().find(|span| recorder::name(span) == "statement: items").unwrap();
    let system = if stage.postgres.is_some() { "postgresql" } else { "sqlite" };
    let pool = if stage.postgres.is_some() { "primary" } else { "readers" };
    let said = ["db.system.name", "db.pool", "rows"].map(|name| recorder::text(statement, name).unwrap());
    assert_eq!(said, [system, pool, "2"]);
    assert_eq!((&statement.span_kind, &statement.status), (&SpanKind::Client, &Status::Unset));

    assert_eq!(get(&api, &first, "/api/products/1").await, 1);
    let spans = recorder::spans(&first).await;
    assert_eq!(recorder::tree(&spans), "GET /test\n  cache\n    statement: products by id\n");
    let cache = spans.iter().find(|span| span.name == "cache").unwrap();
    assert_eq!(recorder::text(cache, "cache.hit").as_deref(), Some("false"));

    assert_eq!(get(&api, &second, "/api/products/1").await, 0);
    let spans = recorder::spans(&second).await;
    assert_eq!(recorder::tree(&spans), "GET /test\n", "memory is no step");
    assert_eq!(recorder::text(&spans[0], "cache.hit").as_deref(), Some("true"));
}

async fn a_write_in_a_task_of_its_own_is_part_of_its_request(stage: Stage) {
    let counting = Counting::on(&stage, |_| {}).await;
    let [name, again] = ["create", "again"].map(|request| unique(request, &stage));
    let draft = CustomerDraft { email: "marked-address@example.com".parse().unwrap(), ..customer("marked-name") };
    let create = async |request: &str| {
        let work = recorder::work(request, true);
        (recorder::answer(&work, counting.store.create_customer(&draft)).await, work.statements())
    };
    let (created, statements) = create(&name).await;
    created.unwrap();
    let steps = if stage.postgres.is_some() {
        "GET /test\n  check a connection\n  statement: create customer\n"
    } else {
        "GET /test\n  statement: begin\n  statement: create customer\n  statement: commit\n"
    };
    assert_eq!(recorder::tree(&recorder::spans(&name).await), steps);
    assert_eq!(statements as usize, steps.matches("statement: ").count());

    let (refused, _) = create(&again).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refused::EmailTaken))), "{refused:?}");
    let spans = recorder::spans(&again).await;
    let failed = spans.iter().find(|span| recorder::name(span) == "statement: create customer").unwrap();
    assert!(matches!(failed.status, Status::Error { .. }), "{failed:?}");
    assert_eq!(recorder::text(failed, "error.type").as_deref(), Some("error"));

    let everything = recorder::everything();
    for never in ["SELECT", "INSERT", "UPDATE", "VALUES", "marked-"] {
        assert!(!everything.contains(never), "{never} is in {everything}");
    }
}

on_both_stores!(the_steps_of_an_answer_are_its_spans, a_write_in_a_task_of_its_own_is_part_of_its_request);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_connection_is_a_step_and_no_wait_is_none() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.products(1..=1, "kitchen", 250, 100).await;
    let counting = Counting::on(&stage, |database| database.max_connections = 1).await;
    let lock = lock_products(&stage).await;
    let [holding, waiting] = ["holding", "waiting"].map(|request| unique(request, &stage));
    let works = [&holding, &waiting].map(|request| recorder::work(request, true));
    let read = |work| Box::pin(recorder::answer(work, counting.store.products(None, page(1, 1))));
    // There is one connection. The first has it and is held up, so that the second waits.
    let reads = [begun(read(&works[0])), begun(read(&works[1]))];
    lock.close().await.unwrap();
    for read in join_all(reads).await {
        read.unwrap();
    }
    assert_eq!(recorder::tree(&recorder::spans(&holding).await), "GET /test\n  statement: products\n");
    let waited = recorder::tree(&recorder::spans(&waiting).await);
    assert_eq!(waited, "GET /test\n  wait for a connection\n  statement: products\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_statement_belongs_to_one_and_is_named_by_the_others() {
    let stage = Stage::sqlite().await;
    stage.products(1..=9, "kitchen", 250, 100).await;
    let (counting, metrics) = (Counting::on(&stage, |_| {}).await, Metrics::default());
    let gate = Arc::new(Semaphore::new(0));
    let (store, closed) = (counting.store.clone(), Arc::clone(&gate));
    let load = move |ids: Vec<ProductId>, _: Position| {
        let (store, closed) = (store.clone(), Arc::clone(&closed));
        async move {
            closed.acquire().await.unwrap().forget();
            store.products_by_id(&ids).await
        }
    };
    let coalescer = Coalescer::new("products", &metrics, true, |product: &Product| product.id, load);
    // Two under way keep the others waiting, of whom the first is not traced.
    let request = |id: i64| unique(&format!("product {id}"), &stage);
    let works = [(1, true), (2, true), (3, false), (4, true), (5, true)]
        .map(|(id, sampled)| recorder::work(&request(id), sampled));
    let reads = (1..)
        .zip(&works)
        .map(|(id, work)| begun(Box::pin(recorder::answer(work, coalescer.get(product(id), Position::START)))));
    let reads: Vec<_> = reads.collect();
    gate.add_permits(3);
    for (id, found) in (1..).zip(join_all(reads).await) {
        assert_eq!(found.unwrap().unwrap().id, product(id));
    }

    assert_eq!(works.each_ref().map(Work::statements), [1, 1, 0, 1, 0]);
    let spans_of = async |id: i64| recorder::spans(&request(id)).await;
    let alone = recorder::tree(&spans_of(1).await);
    assert_eq!(alone, "GET /test\n  statement: products by id\n");
    let (first, other) = (spans_of(4).await, spans_of(5).await);
    assert_eq!(recorder::tree(&first), "GET /test\n  shared statement\n    statement: products by id\n");
    assert_eq!(recorder::tree(&other), "GET /test\n  shared statement\n");
    for spans in [first, other] {
        let shared = spans.iter().find(|span| span.name == "shared statement").unwrap();
        let said = ["batch.size", "statement.trace_id"].map(|name| recorder::text(shared, name).unwrap());
        assert_eq!(said, ["3".to_owned(), works[3].trace().trace.to_string()]);
    }
    assert!(metrics.text().contains("db_batch_size_sum{what=\"products\"} 5"), "{}", metrics.text());
}
