//! Rows that the domain does not allow, written by somebody else.

use orderflow::{
    domain::OrderStatus,
    store::{Store, StoreError},
};

use crate::{
    on_both_stores,
    stage::{Stage, order, page, product},
};

on_both_stores!(an_invalid_value_is_told_and_not_shown, one_bad_row_does_not_spoil_the_others);

async fn an_invalid_value_is_told_and_not_shown(stage: Stage) {
    stage.products(1..=1, "kitchen", 250, 1000).await;
    let ada = stage.customer("ada").await;
    let id = stage.order(&order(ada, &[(1, 1)])).await.receipt.id;
    let store: &dyn Store = &*stage.store;
    let corrupt = |error: StoreError| match error {
        StoreError::Corrupt(what) => what,
        other => panic!("{other:?}"),
    };
    stage.sql("UPDATE products SET category = 'Not A Category'").await;
    assert_eq!(corrupt(store.products(None, page(1, 1)).await.unwrap_err()), "category");
    assert_eq!(corrupt(store.products_by_id(&[product(1)]).await.unwrap_err()), "category");
    stage.sql("UPDATE products SET category = 'kitchen', name = ' '").await;
    assert_eq!(corrupt(store.orders(None, page(1, 1)).await.unwrap_err()), "product name");
    stage.sql("UPDATE customers SET email = 'nobody'").await;
    assert_eq!(corrupt(store.customers(page(1, 1)).await.unwrap_err()), "e-mail address");
    stage.sql("UPDATE customers SET name = ''").await;
    assert_eq!(corrupt(store.orders_by_id(&[id]).await.unwrap_err()), "customer name");
}

async fn one_bad_row_does_not_spoil_the_others(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 1000).await;
    stage.sql("UPDATE products SET name = '' WHERE id = 2").await;
    assert_eq!(stage.store.products_by_id(&[product(1), product(3)]).await.unwrap().len(), 2);
    assert!(stage.store.products_by_id(&[product(2)]).await.is_err());
    stage.store.ping().await.unwrap();
    assert_eq!(stage.store.orders(Some(OrderStatus::Paid), page(1, 1)).await.unwrap().rows, []);
}
