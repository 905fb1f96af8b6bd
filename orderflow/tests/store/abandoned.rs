//! Calls that nobody waits for any more: a client went away, or a request ran out of time.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use futures_util::future::join_all;

use crate::{
    on_both_stores,
    stage::{Stage, order, page, product, until},
};

on_both_stores!(an_abandoned_order_is_whole_or_nothing, abandoned_reads_leave_their_connections_usable);

async fn an_abandoned_order_is_whole_or_nothing(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 100_000).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(2, 3), (1, 2), (3, 1)]);
    for number in 0..200_u64 {
        // Some at the first await, some at later ones, some after they are done.
        let place = stage.store.place_order(&draft, None);
        let _ = tokio::time::timeout(Duration::from_micros(number * 20), place).await;
    }
    for number in 0..100 {
        let mut place = pin!(stage.store.place_order(&draft, None));
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if place.as_mut().poll(context).is_ready() || polls > number % 5 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    // Every one that was begun goes on by itself; this one begins after them.
    stage.order(&draft).await;
    until("all connections are idle", async || stage.store.pool().idle == stage.store.pool().open).await;
    let torn = "SELECT count(*) FROM orders o WHERE \
                (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) <> 3 OR total_cents <> 1500";
    assert_eq!(stage.ask(torn).await, 0);
    // One statement sees one moment, so that orders which are still being written do not matter.
    let taken = "SELECT (SELECT sum(stock) FROM products) + (SELECT sum(quantity) FROM order_items)";
    assert_eq!(stage.ask(taken).await, 300_000);
    let events = "SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM outbox)";
    assert_eq!(stage.ask(events).await, 0);
    for read in join_all((0..32).map(|_| stage.store.orders(None, page(1, 5)))).await {
        assert_eq!(read.unwrap().rows.len(), 5);
    }
}

async fn abandoned_reads_leave_their_connections_usable(stage: Stage) {
    stage.products(1..=100, "kitchen", 250, 1000).await;
    let ada = stage.customer("ada").await;
    for id in 1..=20 {
        stage.order(&order(ada, &[(id, 1), (id + 1, 2)])).await;
    }
    let whole = stage.store.orders(None, page(1, 20)).await.unwrap();
    for round in 0..100_i64 {
        let reads = join_all((0..16).map(|_| stage.store.orders(None, page(1, 20))));
        let _ = tokio::time::timeout(Duration::from_micros(round.unsigned_abs() * 30), reads).await;
        assert_eq!(stage.store.products_by_id(&[product(round + 1)]).await.unwrap().len(), 1);
    }
    until("all connections are idle", async || stage.store.pool().idle == stage.store.pool().open).await;
    for read in join_all((0..64).map(|_| stage.store.orders(None, page(1, 20)))).await {
        assert_eq!(read.unwrap(), whole);
    }
    assert!(stage.store.pool().open <= 8);
}
