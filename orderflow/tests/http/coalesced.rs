//! Point reads that meet go out together; a lone one goes out at once.

use crate::watched::{Stage, Trouble};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_meet_share_statements() {
    let stage = Stage::new().await;
    for (resource, name, count) in
        [("products", "products_by_id", 50), ("orders", "orders_by_id", 500), ("customers", "customers_by_id", 100)]
    {
        stage.store.hold();
        let asked: Vec<_> = (1..=count).map(|id| stage.start_get(format!("/api/{resource}/{id}"))).collect();
        stage.store.holds(2).await;
        stage.store.release();
        for (id, answer) in (1..).zip(asked) {
            assert_eq!(answer.await.unwrap().ok(200)["id"], id, "to each its own");
        }
        let statements = stage.store.calls(name);
        // Two go out at once; what gathered behind them follows, at most 256 together. The rest is for a busy machine, on
        // which some ask after the others were answered.
        assert!((2..=count / 4).contains(&statements), "{statements} statements for {count} {resource}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_read_is_one_statement_that_waits_for_nothing() {
    let stage = Stage::new().await;
    for read in 1..=5 {
        stage.get("/api/customers/1").await.ok(200);
        assert_eq!(stage.store.calls("customers_by_id"), read);
    }
    stage.get("/api/customers/4000").await.problem("not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_it_every_read_is_a_statement() {
    let stage = Stage::with(&[("database.coalesce_reads", "false")]).await;
    let asked: Vec<_> = (1..=30).map(|id| stage.start_get(format!("/api/orders/{id}"))).collect();
    for answer in asked {
        answer.await.unwrap().ok(200);
    }
    assert_eq!(stage.store.calls("orders_by_id"), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_or_failure_is_told_to_those_who_shared_it_only() {
    for (trouble, word) in [(Trouble::Panics, "internal"), (Trouble::Fails, "unavailable")] {
        let stage = Stage::new().await;
        stage.store.hold();
        // Two under way, so that the others gather behind them.
        let under_way = [stage.start_get("/api/orders/1"), stage.start_get("/api/orders/2")];
        stage.store.holds(2).await;
        stage.store.next(trouble);
        let gathered: Vec<_> = (3..=20).map(|id| stage.start_get(format!("/api/orders/{id}"))).collect();
        stage.store.release();
        for answer in under_way {
            answer.await.unwrap().ok(200);
        }
        let mut failed = 0;
        for answer in gathered {
            let answer = answer.await.unwrap();
            if answer.status == 200 {
                continue;
            }
            answer.problem(word);
            failed += 1;
        }
        assert!(failed >= 1, "somebody shared it");
        for id in 1..=20 {
            stage.get(&format!("/api/orders/{id}")).await.ok(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_goes_away_takes_nobody_along() {
    let stage = Stage::new().await;
    stage.store.hold();
    let leaving = [stage.start_get("/api/orders/1"), stage.start_get("/api/orders/2")];
    stage.store.holds(2).await;
    let staying: Vec<_> = (1..=40).map(|id| stage.start_get(format!("/api/orders/{id}"))).collect();
    for leaving in &leaving {
        leaving.abort();
    }
    stage.store.release();
    for answer in staying {
        answer.await.unwrap().ok(200);
    }
}
