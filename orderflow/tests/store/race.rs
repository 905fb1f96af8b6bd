//! Many at once: one order a key, nothing sold twice, nobody waits in a circle.

use std::collections::HashSet;

use futures_util::future::join_all;
use orderflow::store::{Refused, StoreError};

use crate::{
    on_both_stores,
    stage::{Stage, order},
};

on_both_stores!(
    fifty_of_one_key_are_one_order,
    the_last_of_a_product_go_to_as_many_as_there_are,
    the_last_one_under_one_key_goes_to_all_who_sent_it,
    lines_in_opposite_order_do_not_deadlock,
);

async fn fifty_of_one_key_are_one_order(stage: Stage) {
    stage.products(1..=2, "kitchen", 250, 1000).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(2, 3), (1, 2)]);
    for round in 1..=4 {
        let key = format!("key-{round}");
        let placed: Vec<_> =
            join_all((0..50).map(|_| stage.order_once(&draft, &key))).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(placed.iter().filter(|placed| !placed.replayed).count(), 1);
        assert!(placed.iter().all(|other| other.receipt == placed[0].receipt));
        for table in ["orders", "outbox", "idempotency_keys"] {
            assert_eq!(stage.count(table).await, round, "{table}");
        }
        assert_eq!(stage.ask("SELECT sum(stock) FROM products").await, 2000 - 5 * round);
    }
}

async fn the_last_of_a_product_go_to_as_many_as_there_are(stage: Stage) {
    stage.products(1..=1, "kitchen", 250, 101).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(1, 3)]);
    let placed = join_all((0..200).map(|_| stage.store.place_order(&draft, None))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = placed.into_iter().partition(Result::is_ok);
    assert_eq!(accepted.len(), 33);
    let ids: HashSet<_> = accepted.into_iter().map(|placed| placed.unwrap().receipt.id).collect();
    assert_eq!(ids.len(), 33);
    for refused in refused {
        match refused.unwrap_err() {
            StoreError::Refused(Refused::OutOfStock { asked: 3, left: 2, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.ask("SELECT stock FROM products").await, 2);
    assert_eq!(stage.ask("SELECT sum(quantity) FROM order_items").await, 99);
    assert_eq!((stage.count("orders").await, stage.count("outbox").await), (33, 33));
}

async fn the_last_one_under_one_key_goes_to_all_who_sent_it(stage: Stage) {
    let ada = stage.customer("ada").await;
    for round in 1..=10 {
        stage.products(round..=round, "kitchen", 250, 1).await;
        let (draft, key) = (order(ada, &[(round, 1)]), format!("key-{round}"));
        let placed = join_all((0..10).map(|_| stage.order_once(&draft, &key))).await;
        let receipts: HashSet<_> = placed.into_iter().map(|placed| placed.unwrap().receipt.id).collect();
        assert_eq!((receipts.len(), stage.count("orders").await), (1, round));
    }
}

async fn lines_in_opposite_order_do_not_deadlock(stage: Stage) {
    stage.products(1..=10, "kitchen", 250, 100_000).await;
    let ada = stage.customer("ada").await;
    let up: Vec<_> = (1..=10).map(|id| (id, 1)).collect();
    let down: Vec<_> = up.iter().rev().copied().collect();
    let drafts = [order(ada, &up), order(ada, &down)];
    let placed = join_all((0..200).map(|number| stage.store.place_order(&drafts[number % 2], None))).await;
    for placed in placed {
        placed.unwrap();
    }
    assert_eq!(stage.ask("SELECT sum(stock) FROM products").await, 10 * 100_000 - 2_000);
}
