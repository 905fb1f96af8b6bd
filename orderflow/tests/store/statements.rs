//! How many statements an answer takes, as the driver counts them.

use crate::{
    recorder,
    stage::{QUIET, Stage, after, order, page, product},
};

/// How many statements a call takes. Nothing else may run meanwhile: SQLite's statements are run, and so counted, by threads
/// that belong to no test.
async fn statements<T, E: std::fmt::Debug>(call: impl Future<Output = Result<T, E>>) -> usize {
    let before = recorder::statements();
    call.await.unwrap();
    recorder::statements() - before
}

async fn answers_take_two_statements_at_most(stage: Stage) {
    recorder::record();
    stage.products(1..=60, "kitchen", 250, 100_000).await;
    let ada = stage.customer("ada").await;
    let mut placed = vec![];
    for id in 1..=30 {
        placed.push(stage.order(&order(ada, &[(id, 1), (id + 1, 1), (id + 2, 1)])).await.receipt.id);
    }
    let (store, kitchen) = (&stage.store, "kitchen".parse().unwrap());
    let products: Vec<_> = (1..=60).map(product).collect();
    for window in [page(1, 20), after(30, 20)] {
        assert_eq!(statements(store.products(None, window)).await, 1);
        assert_eq!(statements(store.products(Some(&kitchen), window)).await, 1);
        assert_eq!(statements(store.customers(window)).await, 1);
        assert_eq!(statements(store.orders(None, window)).await, 2);
        assert_eq!(statements(store.orders(Some(orderflow::domain::OrderStatus::Pending), window)).await, 2);
    }
    assert_eq!(statements(store.orders(Some(orderflow::domain::OrderStatus::Paid), page(1, 20))).await, 1);
    assert_eq!(statements(store.products_by_id(&products)).await, 1);
    assert_eq!(statements(store.customers_by_id(&[ada])).await, 1);
    assert_eq!(statements(store.orders_by_id(&placed)).await, 2);
    assert_eq!(statements(store.stats()).await, 1);
    if store.kind() == "postgresql" {
        // One round trip: the locks are held no longer than the server needs.
        assert_eq!(statements(store.place_order(&order(ada, &[(1, 1), (2, 1)]), None)).await, 1);
        assert_eq!(statements(store.create_customer(&crate::stage::customer("bob"))).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _alone = QUIET.clone().write_owned().await;
    answers_take_two_statements_at_most(Stage::sqlite_alone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql() {
    let _alone = QUIET.clone().write_owned().await;
    let Some(stage) = Stage::postgresql_alone().await else { return };
    answers_take_two_statements_at_most(stage).await;
}
