//! What is cached is never older than the writes that an instance knows of.

use crate::stage::{Stage, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_has_written_is_in_what_it_caches() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[]).await;
    stage.caught_up();
    stage.replicas[0].pause_replay().unwrap();
    for product in 1..=20 {
        let before = instance.stock(product).await;
        instance.order(&[(product, 3)]).await;
        // By a client who has no position: the answer is kept for everybody.
        assert_eq!(instance.stock(product).await, before - 3, "product {product}");
    }
    let (replica, primary) = (instance.by_replica().await, instance.by_primary().await);
    instance.get("/api/orders?limit=1").await.is(200);
    assert_eq!(
        instance.by_replica().await,
        replica + 1,
        "orders are not kept, and need no more than their reader does"
    );
    instance.get("/api/stats").await.is(200);
    assert_eq!(instance.by_primary().await, primary + 1, "the totals are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_has_learned_from_a_client_is_in_what_it_caches() {
    let Some(stage) = Stage::with(1).await else { return };
    let (writer, reader) = (stage.instance(&[]).await, stage.instance(&[]).await);
    stage.caught_up();
    stage.replicas[0].pause_replay().unwrap();
    let before: Vec<i64> = {
        let mut stocks = vec![];
        for product in 1..=40 {
            stocks.push(writer.stock(product).await);
        }
        stocks
    };
    let lines: Vec<_> = (1..=40).map(|product| (product, 1)).collect();
    let placed = writer.order(&lines).await;
    let path = placed.header("location").unwrap();
    reader.get_at(path, placed.position()).await.is(200);
    // The position is taken for true once the primary has been seen there, which is a moment later.
    let mut next = 0;
    let mut stock = async || {
        next += 1;
        let product = i64::try_from(next).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        (reader.stock(product).await, before[next - 1])
    };
    until("the instance has learned of the order", async || {
        let (now, before) = stock().await;
        now == before - 1
    })
    .await;
    for _ in 0..5 {
        let (now, before) = stock().await;
        assert_eq!(now, before - 1, "once learned, it is not forgotten");
    }
}
