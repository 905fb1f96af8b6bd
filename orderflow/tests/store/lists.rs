//! Lists and details: every row once, in order, whatever happens meanwhile.

use orderflow::{
    domain::{Category, OrderId, OrderStatus, OrdersByStatus},
    store::Rows,
};

use crate::{
    on_both_stores,
    stage::{Stage, after, order, page, product},
};

on_both_stores!(
    an_empty_store_has_empty_lists,
    pages_hold_every_product_once,
    a_cursor_keeps_its_place,
    a_page_takes_as_many_as_its_limit,
    products_of_one_category,
    orders_come_latest_first_and_complete,
    orders_of_one_status,
    details_leave_out_what_is_unknown,
    stats_count_everything,
    the_pool_tells_how_busy_it_is,
);

fn category(word: &str) -> Category {
    word.parse().unwrap()
}

async fn an_empty_store_has_empty_lists(stage: Stage) {
    let store = &stage.store;
    assert_eq!(store.products(None, page(1, 20)).await.unwrap(), Rows { rows: vec![], more: false });
    assert_eq!(store.products(Some(&category("kitchen")), after(5, 20)).await.unwrap().rows, []);
    assert_eq!(store.orders(None, page(1000, 100)).await.unwrap(), Rows { rows: vec![], more: false });
    assert_eq!(store.orders(Some(OrderStatus::Paid), page(1, 1)).await.unwrap().rows, []);
    assert_eq!(store.customers(after(i64::MAX, 20)).await.unwrap().rows, []);
    assert_eq!(store.products_by_id(&[]).await.unwrap(), []);
    assert_eq!(store.orders_by_id(&[]).await.unwrap(), []);
    assert_eq!(store.customers_by_id(&[]).await.unwrap(), []);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.products, stats.customers, stats.revenue_cents), (0, 0, 0));
    assert_eq!(stats.orders, OrdersByStatus::default());
    store.ping().await.unwrap();
}

async fn pages_hold_every_product_once(stage: Stage) {
    stage.products(1..=45, "kitchen", 100, 1).await;
    let mut seen = vec![];
    for (number, rows, more) in [(1, 20, true), (2, 20, true), (3, 5, false), (4, 0, false), (1000, 0, false)] {
        let found = stage.store.products(None, page(number, 20)).await.unwrap();
        assert_eq!((found.rows.len(), found.more), (rows, more), "page {number}");
        seen.extend(found.rows.iter().map(|product| product.id.get()));
    }
    assert_eq!(seen, (1..=45).collect::<Vec<_>>());
}

async fn a_cursor_keeps_its_place(stage: Stage) {
    stage.products(1..=10, "kitchen", 100, 1).await;
    stage.products(100..=110, "kitchen", 100, 1).await;
    let first = stage.store.products(None, page(1, 5)).await.unwrap();
    assert_eq!(first.rows.last().unwrap().id, product(5));
    // The row that the cursor names goes, and others come before and after it.
    stage.sql("DELETE FROM products WHERE id IN (5, 6)").await;
    stage.products(50..=51, "kitchen", 100, 1).await;
    let (mut at, mut seen) = (5, vec![]);
    loop {
        let found = stage.store.products(None, after(at, 4)).await.unwrap();
        seen.extend(found.rows.iter().map(|product| product.id.get()));
        at = *seen.last().unwrap();
        if !found.more {
            break;
        }
    }
    assert_eq!(seen, (7..=10).chain(50..=51).chain(100..=110).collect::<Vec<_>>());
}

async fn a_page_takes_as_many_as_its_limit(stage: Stage) {
    stage.products(1..=100, "kitchen", 100, 1).await;
    for (limit, count, more) in [(1, 1, true), (99, 99, true), (100, 100, false)] {
        let found = stage.store.products(None, page(1, limit)).await.unwrap();
        assert_eq!((found.rows.len(), found.more), (count, more), "limit {limit}");
        let found = stage.store.products(None, after(1, limit)).await.unwrap();
        assert_eq!((found.rows.len(), found.more), (count.min(99), limit < 99), "limit {limit} after 1");
    }
    stage.products(101..=101, "kitchen", 100, 1).await;
    assert!(stage.store.products(None, page(1, 100)).await.unwrap().more);
}

async fn products_of_one_category(stage: Stage) {
    for id in 1..=30 {
        stage.products(id..=id, if id % 3 == 0 { "garden" } else { "kitchen" }, 100, 1).await;
    }
    let garden = category("garden");
    let found = stage.store.products(Some(&garden), page(2, 4)).await.unwrap();
    assert_eq!(found.rows.iter().map(|product| product.id.get()).collect::<Vec<_>>(), [15, 18, 21, 24]);
    assert!(found.more && found.rows.iter().all(|product| product.category == garden));
    let found = stage.store.products(Some(&garden), after(24, 4)).await.unwrap();
    assert_eq!(found.rows.iter().map(|product| product.id.get()).collect::<Vec<_>>(), [27, 30]);
    assert!(!found.more);
    assert_eq!(stage.store.products(Some(&category("games")), page(1, 4)).await.unwrap().rows, []);
}

async fn orders_come_latest_first_and_complete(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 1000).await;
    let (ada, bob) = (stage.customer("ada").await, stage.customer("bob").await);
    let mut receipts = vec![];
    for (customer, lines) in [(ada, vec![(3, 1), (1, 2), (2, 3)]), (bob, vec![(2, 1)]), (ada, vec![(1, 5), (3, 1)])] {
        receipts.push(stage.order(&order(customer, &lines)).await.receipt);
    }
    assert!(stage.store.delete_customer(bob).await.unwrap());
    let found = stage.store.orders(None, page(1, 20)).await.unwrap();
    assert!(!found.more);
    for (order, receipt) in found.rows.iter().rev().zip(&receipts) {
        assert_eq!(
            (order.id, order.placed_at, order.total_cents),
            (receipt.id, receipt.placed_at, receipt.total_cents)
        );
        assert_eq!((order.status, order.customer.id), (OrderStatus::Pending, receipt.customer_id));
        let name = order.customer.name.as_ref().map(orderflow::domain::Name::as_str);
        assert_eq!(name, (order.customer.id == ada).then_some("ada"));
        assert_eq!(order.items.len(), receipt.items.len());
        for (item, sent) in order.items.iter().zip(&receipt.items) {
            assert_eq!((item.product_id, item.quantity), (sent.product_id, sent.quantity));
            assert_eq!(item.unit_price_cents, sent.unit_price_cents);
            assert_eq!(item.product_name.as_str(), format!("Product {}", item.product_id));
        }
    }
    assert_eq!(found.rows.len(), 3);
    let second = stage.store.orders(None, after(found.rows[0].id.get(), 1)).await.unwrap();
    assert_eq!((second.rows.as_slice(), second.more), (&found.rows[1..2], true));
    assert_eq!(stage.store.orders(None, page(3, 1)).await.unwrap().rows, found.rows[2..]);
    let mut details = stage.store.orders_by_id(&[receipts[0].id, receipts[2].id]).await.unwrap();
    details.sort_by_key(|order| order.id);
    assert_eq!(details, [found.rows[2].clone(), found.rows[0].clone()]);
}

async fn orders_of_one_status(stage: Stage) {
    stage.products(1..=1, "kitchen", 250, 1000).await;
    let ada = stage.customer("ada").await;
    for _ in 0..12 {
        stage.order(&order(ada, &[(1, 1)])).await;
    }
    stage
        .sql("UPDATE orders SET status = 'paid' WHERE id % 2 = 0; UPDATE orders SET status = 'cancelled' WHERE id = 3")
        .await;
    let ids = |rows: &[orderflow::domain::Order]| rows.iter().map(|order| order.id.get()).collect::<Vec<_>>();
    let paid = stage.store.orders(Some(OrderStatus::Paid), page(1, 4)).await.unwrap();
    assert_eq!((ids(&paid.rows), paid.more), (vec![12, 10, 8, 6], true));
    let paid = stage.store.orders(Some(OrderStatus::Paid), after(6, 4)).await.unwrap();
    assert_eq!((ids(&paid.rows), paid.more), (vec![4, 2], false));
    assert!(paid.rows.iter().all(|order| order.status == OrderStatus::Paid && order.items.len() == 1));
    assert_eq!(ids(&stage.store.orders(Some(OrderStatus::Cancelled), page(1, 4)).await.unwrap().rows), [3]);
    assert_eq!(ids(&stage.store.orders(Some(OrderStatus::Shipped), page(1, 4)).await.unwrap().rows), [0; 0]);
}

async fn details_leave_out_what_is_unknown(stage: Stage) {
    stage.products(1..=500, "kitchen", 250, 1000).await;
    let ada = stage.customer("ada").await;
    let placed = stage.order(&order(ada, &[(1, 1)])).await.receipt.id;
    let ids: Vec<_> = [i64::MAX, 7, 501, 1].into_iter().chain(1..=500).map(product).collect();
    let mut found = stage.store.products_by_id(&ids).await.unwrap();
    found.sort_by_key(|product| product.id);
    assert_eq!(found.iter().map(|product| product.id.get()).collect::<Vec<_>>(), (1..=500).collect::<Vec<_>>());
    assert_eq!((found[0].stock, found[0].price_cents.get(), found[0].name.as_str()), (999, 250, "Product 1"));
    let unknown = OrderId::try_from(i64::MAX).unwrap();
    let found = stage.store.orders_by_id(&[unknown, placed]).await.unwrap();
    assert_eq!(found.iter().map(|order| order.id).collect::<Vec<_>>(), [placed]);
    assert_eq!(stage.store.orders_by_id(&[unknown]).await.unwrap(), []);
}

async fn stats_count_everything(stage: Stage) {
    stage.products(1..=7, "kitchen", 250, 1000).await;
    let (ada, bob) = (stage.customer("ada").await, stage.customer("bob").await);
    for quantity in 1..=5 {
        stage.order(&order(ada, &[(1, quantity)])).await;
    }
    stage
        .sql("UPDATE orders SET status = 'cancelled' WHERE id = 5; UPDATE orders SET status = 'paid' WHERE id = 1")
        .await;
    stage.store.delete_customer(bob).await.unwrap();
    let before = orderflow::domain::Timestamp::now();
    let stats = stage.store.stats().await.unwrap();
    assert_eq!((stats.products, stats.customers), (7, 1));
    assert_eq!(stats.orders, OrdersByStatus { pending: 3, paid: 1, cancelled: 1, ..OrdersByStatus::default() });
    assert_eq!(stats.revenue_cents, 250 * (1 + 2 + 3 + 4));
    assert!((stats.as_of.micros() - before.micros()).abs() < 60_000_000);
}

async fn the_pool_tells_how_busy_it_is(stage: Stage) {
    stage.store.ping().await.unwrap();
    let usage = stage.store.pool();
    assert_eq!(usage.max, 8);
    assert!(usage.open >= 1 && usage.idle == usage.open && usage.open <= usage.max, "{usage:?}");
    stage.store.close().await;
    assert_eq!(stage.store.pool().open, 0);
    assert!(stage.store.ping().await.is_err() && stage.store.delete_customer(1.try_into().unwrap()).await.is_err());
}
