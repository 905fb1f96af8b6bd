//! The primary away: what a replica may answer goes on, and everything else says so.

use orderflow_servers::Stop;

use crate::{
    client::send,
    stage::{Stage, order, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_primary_is_away() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[("replicas.timeout", "1s"), ("database.acquire_timeout", "1s")]).await;
    let old = instance.order(&[(1, 1)]).await;
    stage.caught_up();
    until("the replica is known to have the order", async || {
        let before = instance.by_replica().await;
        instance.get_at(old.header("location").unwrap(), old.position()).await.is(200);
        instance.by_replica().await > before
    })
    .await;
    stage.replicas[0].pause_replay().unwrap();
    let new = instance.order(&[(2, 1)]).await;
    for how in [Stop::Fast, Stop::Immediate] {
        tokio::task::block_in_place(|| stage.primary.stop(how).unwrap());
        instance.get("/api/orders?limit=3").await.is(200);
        instance.get("/api/customers/3").await.is(200);
        instance.get_at(old.header("location").unwrap(), old.position()).await.is(200);
        // Nobody but the primary has this, and to say that it does not exist would be wrong.
        instance.get_at(new.header("location").unwrap(), new.position()).await.is(503);
        instance.write("POST", "/api/orders", &order(&[(3, 1)])).await.is(503);
        tokio::task::block_in_place(|| stage.primary.start().unwrap());
        until("the primary answers", async || instance.get("/healthz/ready").await.status == 200).await;
        instance.get_at(new.header("location").unwrap(), new.position()).await.is(200);
    }
    stage.replicas[0].resume_replay().unwrap();
    // The replica follows the restarted primary.
    let next = instance.order(&[(4, 1)]).await;
    until("the replica has what came after", async || {
        instance.get(next.header("location").unwrap()).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_are_answered_after_a_write_that_nobody_knows_the_end_of() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[("replicas.timeout", "1s"), ("database.acquire_timeout", "1s")]).await;
    stage.caught_up();
    tokio::task::block_in_place(|| stage.primary.stop(Stop::Fast).unwrap());
    instance.write("POST", "/api/orders", &order(&[(1, 1)])).await.is(503);
    for product in 1..=5 {
        instance.get(&format!("/api/products/{product}")).await.is(200);
    }
    tokio::task::block_in_place(|| stage.primary.start().unwrap());
    until("orders are taken again", async || {
        send(instance.public, "POST", "/api/orders", &[], &order(&[(1, 1)])).await.status == 201
    })
    .await;
}
