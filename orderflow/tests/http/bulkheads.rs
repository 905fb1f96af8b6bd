//! Requests of one group that get stuck leave the others alone.

use crate::watched::{Stage, until};

/// Refused at once, before the store was asked.
async fn refused(stage: &Stage, target: &str) {
    let answer = stage.get(target).await;
    answer.problem("overloaded");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{target}");
}

fn counted(stage: &Stage, group: &str) -> u64 {
    let start = format!("bulkhead_refusals_total{{group=\"{group}\"}} ");
    let text = stage.metrics.text();
    text.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_stuck_lists_as_may_be_leave_single_reads_writes_and_probes_untouched() {
    let stage = Stage::new().await;
    stage.store.hold();
    let stuck: Vec<_> = (0..255).map(|page| stage.start_get(format!("/api/orders?page={}", page % 20 + 1))).collect();
    stage.store.holds(255).await;
    let last = stage.start_get("/api/customers");
    stage.store.holds(256).await;
    for (at, target) in ["/api/orders", "/api/customers?limit=1", "/api/products", "/api/stats"].into_iter().enumerate()
    {
        refused(&stage, target).await;
        assert_eq!(counted(&stage, "lists"), at as u64 + 1);
    }
    for _ in 0..20 {
        for (target, call) in [
            ("/api/orders/1", "orders_by_id"),
            ("/api/products/1", "products_by_id"),
            ("/api/customers/1", "customers_by_id"),
            ("/healthz/ready", "ping"),
            ("/healthz", "ping"),
        ] {
            stage.store.release_only(call);
            assert_eq!(stage.get(target).await.status, 200, "{target}");
        }
        stage.store.release_only("place_order");
        assert_eq!(stage.order(&[(1, 1)]).await.status, 201);
    }
    stage.store.holds(256).await;
    stage.store.release();
    for answer in stuck.into_iter().chain([last]) {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    stage.get("/api/orders").await.ok(200);
    assert_eq!((counted(&stage, "lists"), counted(&stage, "writes"), counted(&stage, "all")), (4, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_stuck_writes_as_may_be_leave_reads_untouched() {
    let stage = Stage::with(&[("http.max_writes_in_flight", "3")]).await;
    stage.store.hold();
    let order = || {
        let stage = stage.clone();
        tokio::spawn(async move { stage.order(&[(1, 1)]).await })
    };
    let stuck: Vec<_> = (0..3).map(|_| order()).collect();
    stage.store.holds(3).await;
    for _ in 0..5 {
        let answer = stage.order(&[(1, 1)]).await;
        answer.problem("overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    for (target, call) in [("/api/orders", "orders"), ("/api/orders/1", "orders_by_id"), ("/api/stats", "stats")] {
        stage.store.release_only(call);
        stage.get(target).await.ok(200);
    }
    stage.store.release();
    for answer in stuck {
        assert_eq!(answer.await.unwrap().status, 201);
    }
    assert_eq!((counted(&stage, "writes"), counted(&stage, "lists")), (5, 0));
    assert_eq!(stage.store.calls("place_order"), 3, "what was refused was not begun");
    assert_eq!(stage.order(&[(1, 1)]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_whose_client_goes_away_leaves_its_place() {
    let stage = Stage::with(&[("http.max_lists_in_flight", "1")]).await;
    stage.store.hold();
    let gone = stage.start_get("/api/orders");
    stage.store.holds(1).await;
    refused(&stage, "/api/orders").await;
    gone.abort();
    until("the task has ended", || gone.is_finished()).await;
    stage.store.release();
    stage.get("/api/orders").await.ok(200);
}
