//! What the cache promises: one load however many ask, nothing kept that failed, nothing old after a write, bounded bytes.

use crate::watched::{Stage, Trouble};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_ask_at_once_cost_one_statement() {
    let stage = Stage::with(&[("http.max_lists_in_flight", "1000")]).await;
    for (target, name) in
        [("/api/products/7", "products_by_id"), ("/api/products?page=2", "products"), ("/api/stats", "stats")]
    {
        stage.store.hold();
        let asked: Vec<_> = (0..1_000).map(|_| stage.start_get(target)).collect();
        stage.store.holds(1).await;
        stage.store.release();
        let mut bodies = vec![];
        for answer in asked {
            let answer = answer.await.unwrap();
            answer.ok(200);
            bodies.push(answer.body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]));
        assert_eq!(stage.store.calls(name), 1, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_every_answer_is_loaded() {
    let stage = Stage::with(&[("cache.enabled", "false")]).await;
    for _ in 0..5 {
        stage.get("/api/products/7").await.ok(200);
    }
    assert_eq!(stage.store.calls("products_by_id"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_and_forgotten() {
    let stage = Stage::new().await;
    for (target, name) in
        [("/api/products/7", "products_by_id"), ("/api/products", "products"), ("/api/stats", "stats")]
    {
        stage.store.next(Trouble::Fails);
        let failed = stage.get(target).await;
        assert_eq!(failed.problem("unavailable")["detail"], "The database gave no answer in time.");
        assert_eq!((failed.status, failed.header("retry-after")), (503, Some("1")));
        for _ in 0..3 {
            stage.get(target).await.ok(200);
        }
        assert_eq!(stage.store.calls(name), 2, "the failure, and the one that was kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_not_kept() {
    let stage = Stage::new().await;
    for asked in 1..=3 {
        stage.get("/api/products/999").await.problem("not-found");
        assert_eq!(stage.store.calls("products_by_id"), asked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_500_that_says_nothing_and_the_next_read_works() {
    // With and without a task between the handler and the store.
    for together in ["true", "false"] {
        let stage = Stage::with(&[("database.coalesce_reads", together)]).await;
        for target in ["/api/products/7", "/api/products", "/api/stats", "/api/orders/3", "/api/orders"] {
            stage.store.next(Trouble::Panics);
            let failed = stage.get(target).await;
            assert_eq!(failed.status, 500, "{target}");
            let document = failed.problem("internal");
            assert_eq!(document.as_object().unwrap().len(), 3, "{document}");
            stage.get(target).await.ok(200);
        }
        stage.store.next(Trouble::Panics);
        stage.order(&[(1, 1)]).await.problem("internal");
        stage.order(&[(1, 1)]).await.ok(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_takes_nobody_along() {
    let stage = Stage::new().await;
    stage.store.hold();
    let first = stage.start_get("/api/products?page=1");
    stage.store.holds(1).await;
    let others: Vec<_> = (0..20).map(|_| stage.start_get("/api/products?page=1")).collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    stage.store.release();
    for other in others {
        other.await.unwrap().ok(200);
    }
    assert!(stage.store.calls("products") <= 2, "one of them takes over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_placed_an_order_never_reads_what_was_loaded_before_it() {
    for target in ["/api/products/7", "/api/products?limit=10"] {
        let stage = Stage::new().await;
        let stock = |body: &serde_json::Value| {
            let product = body["items"].as_array().map_or(body, |items| &items[6]);
            product["stock"].as_i64().unwrap()
        };
        // A reader who has read, and has not answered yet.
        stage.store.hold();
        let early = stage.start_get(target);
        stage.store.holds(1).await;
        let order = tokio::spawn({
            let stage = stage.clone();
            async move { stage.order(&[(7, 1)]).await }
        });
        stage.store.holds(2).await;
        // The order is placed and told while the early reader still waits for a slow network, say.
        stage.store.release_only("place_order");
        order.await.unwrap().ok(201);
        let late = stage.start_get(target);
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 50 && !late.is_finished() {
            tokio::task::yield_now().await;
        }
        stage.store.release();
        early.await.unwrap().ok(200);
        assert_eq!(stock(&late.await.unwrap().ok(200)), 99_999, "{target}");
        assert_eq!(stock(&stage.get(target).await.ok(200)), 99_999);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_counts_although_its_client_went_away() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/api/products/7").await.ok(200)["stock"], 100_000);
    stage.store.hold();
    let order = tokio::spawn({
        let stage = stage.clone();
        async move { stage.order(&[(7, 1)]).await }
    });
    stage.store.holds(1).await;
    order.abort();
    assert!(order.await.unwrap_err().is_cancelled());
    stage.store.release();
    let start = std::time::Instant::now();
    while stage.get("/api/products/7").await.ok(200)["stock"] != 99_999 {
        assert!(start.elapsed().as_secs() < 30, "the cached answer is as old as before the order");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_bounded_by_their_bytes() {
    // Room for a few answers of some 20,000 bytes, compressed forms included.
    let stage = Stage::with(&[("cache.max_bytes", "64KiB")]).await;
    let targets: Vec<_> = (51..=100).map(|limit| format!("/api/products?limit={limit}")).collect();
    let again = async || {
        let before = stage.store.calls("products");
        for target in &targets {
            stage.get(target).await.ok(200);
        }
        stage.store.calls("products") - before
    };
    assert_eq!(again().await, targets.len());
    // 50 answers of more than 5,000 bytes are four times what there is room for: most of them are loaded again.
    let loaded = again().await;
    assert!(loaded >= targets.len() / 2, "{loaded} of {} had to be loaded again", targets.len());
    let ample = Stage::new().await;
    for target in targets.iter().chain(&targets) {
        ample.get(target).await.ok(200);
    }
    assert_eq!(ample.store.calls("products"), targets.len(), "where there is room, none is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_loaded_again_when_its_time_is_over() {
    let stage = Stage::with(&[("cache.ttl", "100ms")]).await;
    stage.get("/api/products/7").await.ok(200);
    let start = std::time::Instant::now();
    while stage.store.calls("products_by_id") < 3 {
        stage.get("/api/products/7").await.ok(200);
        assert!(start.elapsed().as_secs() < 60, "it is kept for ever");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(start.elapsed().as_millis() >= 180, "two times of at least 90 ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_not_called_the_clients_fault() {
    let stage = Stage::with(&[("http.request_timeout", "300ms"), ("http.idle_timeout", "300ms")]).await;
    stage.store.hold();
    for late in [stage.order(&[(7, 1)]).await, stage.get("/api/orders").await] {
        assert_eq!(late.problem("unavailable")["detail"], "The answer took too long.");
        assert_eq!((late.status, late.header("retry-after")), (503, Some("1")));
    }
    stage.store.release();
    // On a busy machine even a store that is let go may take longer than this once.
    let start = std::time::Instant::now();
    while stage.order(&[(7, 1)]).await.status != 201 {
        assert!(start.elapsed().as_secs() < 60, "it never recovers");
    }
}
