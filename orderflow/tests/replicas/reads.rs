//! Who answers a read, and what a client sees of its own writes while the replica is behind.

use crate::{
    client::send,
    stage::{Stage, order, until},
};

const LISTS: [&str; 3] = ["/api/orders?limit=5", "/api/orders?status=paid", "/api/customers?limit=5"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_to_the_replicas_and_writes_to_the_primary() {
    let Some(stage) = Stage::with(2).await else { return };
    stage.caught_up();
    let instance = stage.instance(&[]).await;
    let (before, primary) = (instance.by_replica().await, instance.by_primary().await);
    let paths = ["/api/orders/7", "/api/customers/7", "/api/products/7", "/api/products?limit=5", "/api/stats"];
    for path in LISTS.iter().chain(&paths) {
        let answer = instance.get(path).await;
        answer.is(200);
        assert_eq!((answer.header("set-cookie"), answer.header("x-orderflow-position")), (None, None), "{path}");
    }
    assert_eq!(instance.by_replica().await - before, 8, "each was one read of a replica");
    assert_eq!(instance.by_primary().await, primary);
    let placed = instance.order(&[(1, 1)]).await;
    assert_eq!(placed.cookie(), format!("orderflow_position={}", placed.position()));
    let attributes = placed.header("set-cookie").unwrap();
    assert!(attributes.ends_with("; Path=/api; Max-Age=120; HttpOnly; SameSite=Lax"), "{attributes}");
    assert_eq!(stage.database.psql("SELECT count(*) FROM outbox").unwrap(), "1", "it is in the primary");
    for number in 0..2 {
        let check = instance.replica(number).await;
        assert_eq!((check["ok"].as_bool(), check["critical"].as_bool()), (Some(true), Some(false)), "{check}");
        assert!(check["lag_ms"].is_number() && check["latency_ms"].is_number(), "{check}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_sees_its_own_writes_at_every_instance_however_far_the_replica_is_behind() {
    let Some(stage) = Stage::with(1).await else { return };
    let (one, other) = (stage.instance(&[]).await, stage.instance(&[]).await);
    stage.caught_up();
    let replica = &stage.replicas[0];
    replica.pause_replay().unwrap();

    let placed = one.order(&[(1, 2)]).await;
    let path = placed.header("location").unwrap().to_owned();
    for instance in [&one, &other] {
        instance.get_at(&path, placed.position()).await.is(200);
        send(instance.public, "GET", &path, &[("Cookie", &format!("a=b; {}", placed.cookie()))], "").await.is(200);
        let list = instance.get_at("/api/orders?limit=1", placed.position()).await.is(200);
        assert_eq!(list["items"][0]["id"], placed.json()["id"]);
        // The newer of the two counts, and what is none is as good as nothing.
        let both = [("X-OrderFlow-Position", "1"), ("Cookie", placed.cookie())];
        send(instance.public, "GET", &path, &both, "").await.is(200);
        for headers in [&[][..], &[("X-OrderFlow-Position", "1")], &[("Cookie", "orderflow_position=nonsense")]] {
            send(instance.public, "GET", &path, headers, "").await.is(404);
        }
        assert!(instance.fallbacks("behind").await >= 4);
    }

    let ada = r#"{"name":"Ada","email":"ada@replicas.test"}"#;
    let created = one.write("POST", "/api/customers", ada).await;
    let customer = created.header("location").unwrap().to_owned();
    created.is(201);
    other.get(&customer).await.is(404);
    assert_eq!(other.get_at(&customer, created.position()).await.is(200)["name"], "Ada");
    let replaced = one.write("PUT", &customer, &ada.replace("Ada", "Augusta")).await;
    replaced.is(200);
    assert_eq!(other.get_at(&customer, replaced.position()).await.is(200)["name"], "Augusta");
    let deleted = one.write("DELETE", &customer, "").await;
    deleted.is(204);
    other.get_at(&customer, deleted.position()).await.is(404);

    // A refused write has no position: it has changed nothing.
    let refused = one.write("POST", "/api/orders", &order(&[(1, 1_000_000)])).await;
    refused.is(409);
    assert_eq!(refused.header("x-orderflow-position"), None);

    replica.resume_replay().unwrap();
    stage.caught_up();
    until("the replica is known to have the order", async || {
        let before = other.by_replica().await;
        other.get_at(&path, placed.position()).await.is(200);
        other.by_replica().await > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_position_takes_only_its_sender_to_the_primary() {
    let Some(stage) = Stage::with(1).await else { return };
    let instance = stage.instance(&[]).await;
    stage.caught_up();
    for made_up in ["primary", "fffffffffffffffe", "7fffffffffffffff"] {
        let primary = instance.by_primary().await;
        instance.get_at("/api/orders/7", made_up).await.is(200);
        assert_eq!(instance.by_primary().await, primary + 1, "{made_up}");
        let replica = instance.by_replica().await;
        instance.get("/api/orders/7").await.is(200);
        assert_eq!(instance.by_replica().await, replica + 1, "after {made_up}");
    }
    // What is read for the cache needs no more than the primary's own position, which the replica is soon known to have.
    let mut product = 0;
    until("products are read from the replica again", async || {
        product += 1;
        let before = instance.by_replica().await;
        instance.get(&format!("/api/products?limit={product}")).await.is(200);
        instance.by_replica().await > before
    })
    .await;
}
