//! Coming back: what was missed is sent, once, and what cannot be is said.

use serde_json::json;
use tokio::time::timeout;

use crate::{
    client::{Client, PATIENCE, ask},
    on_both_stores,
    stage::Stage,
};

on_both_stores!(
    an_order_is_told_with_its_number_and_nothing_of_before,
    who_comes_back_misses_nothing_and_hears_nothing_twice,
    a_thousand_missed_events_are_sent_and_one_more_is_a_reset,
    an_identifier_that_is_none_is_a_reset_and_events_go_on,
    what_came_too_long_ago_is_a_reset,
);

async fn an_order_is_told_with_its_number_and_nothing_of_before(stage: Stage) {
    let mut first = Client::open(stage.public(), None).await;
    first.ready().await;
    let before = stage.order().await;
    assert_eq!(first.order().await, before);
    // An empty identifier is none.
    let request = "GET /api/orders/stream?last_event_id= HTTP/1.1\r\nHost: shop\r\n\r\n";
    let mut client = ask(stage.public(), request, None).await;
    assert!(client.head.contains("cache-control: no-store") && client.head.contains("x-accel-buffering: no"));
    client.ready().await;
    let id = stage.order().await;
    let event = timeout(PATIENCE, client.event()).await.expect("an event in time").unwrap();
    assert_eq!(event.event.as_deref(), Some("order.placed"));
    let (_, order) = crate::stage::get(stage.public(), &format!("/api/orders/{id}")).await;
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    let expected = json!({
        "order_id": id, "customer_id": 1, "total_cents": order["total_cents"], "placed_at": order["placed_at"],
    });
    assert_eq!(event.data, Some(expected));
    stage.instances[0].metric_is("events_sent_total", 3).await;
    stage.instances[0].metric_is("event_streams", 2).await;
    drop((first, client));
    stage.instances[0].metric_is("event_streams", 0).await;
}

async fn who_comes_back_misses_nothing_and_hears_nothing_twice(stage: Stage) {
    let mut client = Client::open(stage.public(), None).await;
    let mut last = client.ready().await;
    let (mut placed, mut heard) = (vec![], vec![]);
    for round in 0..12 {
        // Some while it listens, some while it is away; sometimes it was told nothing before it was cut off.
        for _ in 0..round % 4 {
            placed.push(stage.order().await);
            heard.push(client.order().await);
        }
        last = client.last_id.take().unwrap_or(last);
        drop(client);
        for _ in 0..round % 3 {
            placed.push(stage.order().await);
        }
        client = Client::open(stage.public(), Some(&last)).await;
        for _ in 0..round % 3 {
            heard.push(client.order().await);
        }
    }
    assert_eq!(heard, placed);
    // By the query as by the header.
    let first = stage.order().await;
    let last = client.last_id.take().unwrap();
    let request = format!("GET /api/orders/stream?last_event_id={last} HTTP/1.1\r\nHost: shop\r\n\r\n");
    let mut tool = ask(stage.public(), &request, None).await;
    assert_eq!(tool.order().await, first);
    let second = stage.order().await;
    assert_eq!(tool.order().await, second);
}

/// What a client with this identifier is told first.
async fn reset(stage: &Stage, id: &str) -> (Client, serde_json::Value) {
    let mut client = Client::open(stage.public(), Some(id)).await;
    let event = timeout(PATIENCE, client.event()).await.expect("an event in time").unwrap();
    assert_eq!(event.event.as_deref(), Some("reset"), "{id}");
    assert!(event.id.is_some());
    (client, event.data.unwrap()["reason"].clone())
}

/// After a reset events go on with this order. What was placed just before it may come first: while a transaction of another
/// database in the same server is older, that is not yet past.
async fn goes_on(client: &mut Client, order: i64) {
    loop {
        let heard = client.order().await;
        assert!(heard <= order, "{heard} comes without {order}");
        if heard == order {
            return;
        }
    }
}

async fn a_thousand_missed_events_are_sent_and_one_more_is_a_reset(stage: Stage) {
    let mut client = Client::open(stage.public(), None).await;
    let start = client.ready().await;
    drop(client);
    stage.many(10_000, 1_000).await;
    let mut client = Client::open(stage.public(), Some(&start)).await;
    for number in 10_000..11_000 {
        assert_eq!(client.order().await, number);
    }
    let next = stage.order().await;
    assert_eq!(client.order().await, next);
    drop(client);
    // Those, and the one just now, are one more than a thousand.
    let mut client = Client::open(stage.public(), Some(&start)).await;
    for number in 10_000..11_000 {
        assert_eq!(client.order().await, number);
    }
    let event = timeout(PATIENCE, client.event()).await.expect("an event in time").unwrap();
    assert_eq!((event.event.as_deref(), event.data), (Some("reset"), Some(json!({ "reason": "too_many" }))));
    let next = stage.order().await;
    goes_on(&mut client, next).await;
}

async fn an_identifier_that_is_none_is_a_reset_and_events_go_on(stage: Stage) {
    let missed = stage.order().await;
    for id in ["x", "1.2", "1.2.3.4", "-1.0.0", "9223372036854775807.9223372036854775807.9223372036854775807", "é"] {
        let (mut client, reason) = reset(&stage, id).await;
        assert_eq!(reason, "unknown", "{id}");
        let next = stage.order().await;
        assert!(next > missed);
        goes_on(&mut client, next).await;
    }
}

async fn what_came_too_long_ago_is_a_reset(stage: Stage) {
    let mut client = Client::open(stage.public(), None).await;
    let id = client.ready().await;
    drop(client);
    let (place, at) = id.rsplit_once('.').unwrap();
    let at: u64 = at.parse().unwrap();
    let missed = stage.order().await;
    // Kept for a day: what is a minute younger is sent, what is a minute older is not.
    let day = 24 * 60 * 60;
    let mut young = Client::open(stage.public(), Some(&format!("{place}.{}", at - day + 600))).await;
    assert_eq!(young.order().await, missed);
    let (mut old, reason) = reset(&stage, &format!("{place}.{}", at - day - 600)).await;
    assert_eq!(reason, "too_old");
    let next = stage.order().await;
    goes_on(&mut old, next).await;
}
