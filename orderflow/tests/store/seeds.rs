//! Example data: the same everywhere, all of it or nothing.

use std::time::Duration;

use orderflow::{
    domain::{Order, OrderStatus, Product},
    store::{
        SharedStore,
        seed::{Plan, Progress, SeedError, Seeded, seed},
    },
};
use sha2::{Digest, Sha256};

use crate::{
    on_both_stores,
    stage::{Stage, after, customer, order, page},
};

on_both_stores!(
    the_data_are_the_same_everywhere,
    what_is_written_is_what_was_planned,
    data_of_others_are_left_alone,
    a_seed_that_is_cut_short_leaves_nothing,
    a_seeded_shop_is_open,
    the_smallest_shop_has_no_orders,
);

#[test]
fn a_plan_is_in_proportion() {
    let sizes = |orders| (Plan { orders }.products(), Plan { orders }.customers());
    assert_eq!(sizes(0), (50, 10));
    assert_eq!(sizes(10_000), (1_000, 2_000));
    assert_eq!(sizes(1_000_000), (10_000, 200_000));
    assert_eq!(sizes(10_000_000), (10_000, 2_000_000));
}

async fn plant(stage: &Stage, orders: u64) -> Result<Seeded, SeedError> {
    seed(&stage.database, stage.path(), Plan { orders }, &mut |_| {}).await
}

async fn everything(store: &SharedStore) -> (Vec<Product>, Vec<Order>) {
    let (mut products, mut orders) = (vec![], vec![]);
    let mut at = 0;
    loop {
        let found = store.products(None, if at == 0 { page(1, 100) } else { after(at, 100) }).await.unwrap();
        at = found.rows.last().unwrap().id.get();
        products.extend(found.rows);
        if !found.more {
            break;
        }
    }
    at = i64::MAX;
    loop {
        let found = store.orders(None, after(at, 100)).await.unwrap();
        at = found.rows.last().unwrap().id.get();
        orders.extend(found.rows);
        if !found.more {
            return (products, orders);
        }
    }
}

async fn the_data_are_the_same_everywhere(stage: Stage) {
    plant(&stage, 700).await.unwrap();
    let (products, orders) = everything(&stage.store).await;
    let customers = stage.store.customers(page(1, 100)).await.unwrap().rows;
    let text = serde_json::to_string(&(products, customers, orders)).unwrap();
    let digest = format!("{:016x}", u64::from_be_bytes(Sha256::digest(&text)[..8].try_into().unwrap()));
    // Whoever changes what is drawn changes this; scenarios and figures that were made with the data are then out of date.
    assert_eq!(digest, "c291d74d18ccaa44");
}

async fn what_is_written_is_what_was_planned(stage: Stage) {
    let mut told = vec![];
    let plan = Plan { orders: 10_000 };
    let seeded = seed(&stage.database, stage.path(), plan, &mut |progress| told.push(progress)).await.unwrap();
    assert_eq!((seeded.products, seeded.customers, seeded.orders), (1_000, 2_000, 10_000));
    for (table, rows) in [
        ("products", seeded.products),
        ("customers", seeded.customers),
        ("orders", seeded.orders),
        ("order_items", seeded.items),
    ] {
        assert_eq!(stage.count(table).await, rows.cast_signed(), "{table}");
    }
    assert!((24_000..28_000).contains(&seeded.items), "{}", seeded.items);
    assert!(told.is_sorted_by_key(|progress| progress.done) && told.len() > 1);
    assert_eq!(told.last(), Some(&Progress { done: 20_000, of: 20_000 }));
    let wrong = "SELECT count(*) FROM orders o WHERE total_cents <> \
                 (SELECT sum(quantity * unit_price_cents) FROM order_items i WHERE i.order_id = o.id)";
    assert_eq!(stage.ask(wrong).await, 0);
    let stats = stage.store.stats().await.unwrap();
    let by = stats.orders;
    assert!(by.delivered > 8_500 && by.pending > 10 && by.paid > 10 && by.shipped > 50 && by.cancelled > 400, "{by:?}");
    // The favourite product is in far more orders than an average one, which is in about 26.
    let top = "SELECT max(n) FROM (SELECT count(*) AS n FROM order_items GROUP BY product_id) AS counts";
    assert!(stage.ask(top).await > 500);
}

async fn data_of_others_are_left_alone(stage: Stage) {
    let ada = stage.customer("ada").await;
    assert!(matches!(plant(&stage, 100).await, Err(SeedError::NotEmpty)));
    assert_eq!((stage.count("customers").await, stage.count("products").await), (1, 0));
    assert!(stage.store.customers_by_id(&[ada]).await.unwrap()[0].name.as_str() == "ada");
}

async fn a_seed_that_is_cut_short_leaves_nothing(stage: Stage) {
    let database = stage.database.clone();
    let (send, mut told) = tokio::sync::mpsc::unbounded_channel();
    let dir = stage.path().to_owned();
    let planting = tokio::spawn(async move {
        let progress = &mut |progress| assert!(send.send(progress).is_ok(), "somebody listens");
        seed(&database, &dir, Plan { orders: 60_000 }, progress).await
    });
    // In the midst of it.
    let progress = told.recv().await.unwrap();
    assert!(progress.done < progress.of);
    planting.abort();
    assert!(planting.await.unwrap_err().is_cancelled());
    for table in ["products", "customers", "orders", "order_items"] {
        assert_eq!(stage.count(table).await, 0, "{table}");
    }
    // The next one meets no trace of it, not even a lock for long.
    tokio::time::timeout(Duration::from_mins(1), plant(&stage, 100)).await.unwrap().unwrap();
}

/// Everything that PostgreSQL knows of the schema, apart from the data.
const SCHEMA: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
    SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' UNION ALL \
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated \
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace) AS lines";

async fn a_seeded_shop_is_open(stage: Stage) {
    let schema = |stage: &Stage| stage.postgres.as_ref().map(|postgres| postgres.psql(SCHEMA).unwrap());
    let before = schema(&stage);
    plant(&stage, 200).await.unwrap();
    assert_eq!(schema(&stage), before);
    let ada = stage.store.create_customer(&customer("ada")).await.unwrap();
    assert_eq!(ada.id.get(), 41);
    let placed = stage.order(&order(ada.id, &[(1, 1), (50, 2)])).await.receipt;
    assert_eq!(placed.id.get(), 201);
    assert_eq!(stage.store.orders(None, page(1, 1)).await.unwrap().rows[0].id, placed.id);
    let orphan =
        "INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents) VALUES (999, 1, 1, 1, 1)";
    match &stage.postgres {
        Some(postgres) => assert!(postgres.psql(orphan).is_err()),
        None => assert!(sqlx::query(orphan).execute(&mut stage.file().await).await.is_err()),
    }
    assert!(!stage.store.orders(Some(OrderStatus::Delivered), page(1, 100)).await.unwrap().rows.is_empty());
}

async fn the_smallest_shop_has_no_orders(stage: Stage) {
    let seeded = plant(&stage, 0).await.unwrap();
    assert_eq!(seeded, Seeded { products: 50, customers: 10, orders: 0, items: 0 });
    assert_eq!(stage.order(&order(1.try_into().unwrap(), &[(1, 1)])).await.receipt.id.get(), 1);
    assert!(matches!(plant(&stage, 0).await, Err(SeedError::NotEmpty)));
}
