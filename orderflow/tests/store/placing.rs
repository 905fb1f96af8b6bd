//! Placing one order at a time: all of it or nothing, and once.

use orderflow::{
    domain::{Cents, CustomerId, MAX_LINES, Quantity},
    store::{Refused, StoreError},
};

use crate::{
    on_both_stores,
    stage::{Stage, order, product},
};

on_both_stores!(
    an_accepted_order_is_complete,
    an_order_may_have_fifty_lines,
    a_refused_order_leaves_nothing,
    what_is_refused_first,
    a_total_may_reach_its_limit_and_not_exceed_it,
    a_repeated_order_gets_its_receipt_again,
    a_replay_comes_before_every_other_rule,
    a_key_belongs_to_one_order,
    a_refused_order_does_not_use_its_key_up,
);

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refused {
    match result {
        Err(StoreError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

async fn an_accepted_order_is_complete(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 10).await;
    stage.sql("UPDATE products SET price_cents = 999 WHERE id = 2").await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(3, 4), (2, 10)]);
    let placed = stage.order(&draft).await;
    assert!(!placed.replayed);
    let receipt = placed.receipt;
    assert_eq!((receipt.customer_id, receipt.total_cents.get()), (ada, 4 * 250 + 10 * 999));
    let lines: Vec<_> = receipt
        .items
        .iter()
        .map(|item| (item.product_id.get(), item.quantity.get(), item.unit_price_cents.get()))
        .collect();
    assert_eq!(lines, [(3, 4, 250), (2, 10, 999)]);
    let stock: Vec<_> = stage.store.products_by_id(&[product(1), product(2), product(3)]).await.unwrap();
    assert_eq!(stock.iter().map(|product| product.stock).sum::<i64>(), 10 + 6);
    assert!(stock.iter().all(|found| found.stock
        == if found.id == product(1) {
            10
        } else if found.id == product(2) {
            0
        } else {
            6
        }));
    let payload = |field: &str| match &stage.postgres {
        Some(_) => format!("(payload ->> '{field}')::bigint"),
        None => format!("payload ->> '{field}'"),
    };
    let event = format!(
        "SELECT count(*) FROM outbox WHERE kind = 'order.placed' AND published_at IS NULL AND {} = {} AND {} = {} AND {} = {}",
        payload("order_id"),
        receipt.id,
        payload("customer_id"),
        ada,
        payload("total_cents"),
        receipt.total_cents.get(),
    );
    assert_eq!((stage.ask(&event).await, stage.count("outbox").await), (1, 1));
    assert_eq!(stage.count("idempotency_keys").await, 0);
}

async fn an_order_may_have_fifty_lines(stage: Stage) {
    stage.products(1..=50, "kitchen", 1, Quantity::MAX).await;
    let ada = stage.customer("ada").await;
    let lines: Vec<_> = (1..=50).rev().map(|id| (id, Quantity::MAX)).collect();
    let receipt = stage.order(&order(ada, &lines)).await.receipt;
    assert_eq!((receipt.items.len(), MAX_LINES), (50, 50));
    assert_eq!(receipt.total_cents.get(), 50 * Quantity::MAX);
    let stored = stage.store.orders_by_id(&[receipt.id]).await.unwrap();
    assert_eq!(
        stored[0].items.iter().map(|item| item.product_id.get()).collect::<Vec<_>>(),
        (1..=50).rev().collect::<Vec<_>>()
    );
    assert_eq!(stage.ask("SELECT max(stock) FROM products").await, 0);
}

async fn a_refused_order_leaves_nothing(stage: Stage) {
    stage.products(1..=2, "kitchen", 250, 10).await;
    let ada = stage.customer("ada").await;
    let nobody = CustomerId::try_from(99).unwrap();
    for (number, draft) in
        [order(nobody, &[(1, 1)]), order(ada, &[(1, 1), (3, 1)]), order(ada, &[(1, 1), (2, 11)])].iter().enumerate()
    {
        refusal(stage.store.place_order(draft, None).await);
        refusal(stage.order_once(draft, &format!("key-{number}")).await);
    }
    for table in ["orders", "order_items", "outbox", "idempotency_keys"] {
        assert_eq!(stage.count(table).await, 0, "{table}");
    }
    assert_eq!(stage.ask("SELECT sum(stock) FROM products").await, 20);
}

async fn what_is_refused_first(stage: Stage) {
    stage.products(1..=2, "kitchen", 250, 10).await;
    let ada = stage.customer("ada").await;
    let nobody = CustomerId::try_from(99).unwrap();
    let place = async |draft| refusal(stage.store.place_order(&draft, None).await);
    assert_eq!(place(order(nobody, &[(9, 1), (1, 99)])).await, Refused::UnknownCustomer(nobody));
    assert_eq!(place(order(ada, &[(1, 1), (9, 1), (8, 1)])).await, Refused::UnknownProduct(product(9)));
    let out = |id, asked| Refused::OutOfStock { product: product(id), asked, left: 10 };
    assert_eq!(place(order(ada, &[(2, 12), (1, 11)])).await, out(2, 12));
    assert_eq!(place(order(ada, &[(1, 11), (9, 1)])).await, out(1, 11));
    stage.order(&order(ada, &[(1, 10)])).await;
    assert_eq!(place(order(ada, &[(1, 1)])).await, Refused::OutOfStock { product: product(1), asked: 1, left: 0 });
}

async fn a_total_may_reach_its_limit_and_not_exceed_it(stage: Stage) {
    stage.products(1..=1, "kitchen", Cents::MAX / 2, 1000).await;
    stage.products(2..=2, "kitchen", 1, 1000).await;
    stage.products(3..=52, "kitchen", Cents::MAX, 1000).await;
    let ada = stage.customer("ada").await;
    assert_eq!(stage.order(&order(ada, &[(1, 2)])).await.receipt.total_cents.get(), Cents::MAX);
    let all: Vec<_> = (3..=52).map(|id| (id, 1000)).collect();
    for lines in [&[(1, 2), (2, 1)][..], &[(1, 3)], &all] {
        assert_eq!(refusal(stage.store.place_order(&order(ada, lines), None).await), Refused::TotalTooLarge);
    }
    assert_eq!(stage.count("orders").await, 1);
}

async fn a_repeated_order_gets_its_receipt_again(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 10).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(3, 2), (1, 1)]);
    let first = stage.order_once(&draft, "key").await.unwrap();
    assert!(!first.replayed);
    // What the receipt says is what was agreed, whatever became of it since.
    stage.sql("UPDATE products SET price_cents = 1; UPDATE orders SET status = 'cancelled'").await;
    for _ in 0..3 {
        let again = stage.order_once(&draft, "key").await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.receipt, first.receipt);
    }
    for table in ["orders", "outbox", "idempotency_keys"] {
        assert_eq!(stage.count(table).await, 1, "{table}");
    }
    assert_eq!(stage.ask("SELECT sum(stock) FROM products").await, 27);
    let other = stage.order_once(&draft, "Key").await.unwrap();
    assert!(!other.replayed && other.receipt.id != first.receipt.id);
}

async fn a_replay_comes_before_every_other_rule(stage: Stage) {
    stage.products(1..=1, "kitchen", 250, 3).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(1, 3)]);
    let first = stage.order_once(&draft, "key").await.unwrap();
    assert_eq!(stage.order_once(&draft, "key").await.unwrap().receipt, first.receipt);
    assert!(stage.store.delete_customer(ada).await.unwrap());
    let again = stage.order_once(&draft, "key").await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.receipt, first.receipt);
}

async fn a_key_belongs_to_one_order(stage: Stage) {
    stage.products(1..=2, "kitchen", 250, 10).await;
    let ada = stage.customer("ada").await;
    let bob = stage.customer("bob").await;
    stage.order_once(&order(ada, &[(1, 1), (2, 1)]), "key").await.unwrap();
    let others = [
        order(ada, &[(1, 2), (2, 1)]),
        order(bob, &[(1, 1), (2, 1)]),
        order(ada, &[(2, 1), (1, 1)]),
        order(ada, &[(1, 99), (7, 1)]),
    ];
    for other in others {
        assert_eq!(refusal(stage.order_once(&other, "key").await), Refused::KeyReused);
    }
    assert_eq!((stage.count("orders").await, stage.ask("SELECT sum(stock) FROM products").await), (1, 18));
}

async fn a_refused_order_does_not_use_its_key_up(stage: Stage) {
    stage.products(1..=1, "kitchen", 250, 1).await;
    let ada = stage.customer("ada").await;
    let draft = order(ada, &[(1, 2)]);
    assert!(matches!(refusal(stage.order_once(&draft, "key").await), Refused::OutOfStock { .. }));
    stage.sql("UPDATE products SET stock = 2").await;
    assert!(!stage.order_once(&draft, "key").await.unwrap().replayed);
    let longest = "k".repeat(255);
    assert!(matches!(refusal(stage.order_once(&draft, &longest).await), Refused::OutOfStock { left: 0, .. }));
    stage.sql("UPDATE products SET stock = 2").await;
    assert!(!stage.order_once(&draft, &longest).await.unwrap().replayed);
}
