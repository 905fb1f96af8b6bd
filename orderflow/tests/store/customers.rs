//! Customers: one address each, and forgotten when they ask.

use futures_util::future::join_all;
use orderflow::{
    domain::{CustomerDraft, CustomerId, Day},
    store::{Refused, StoreError},
};
use time::{Date, Month};

use crate::{
    on_both_stores,
    stage::{Stage, after, customer, order, page},
};

on_both_stores!(
    a_customer_is_kept_as_written,
    no_two_customers_share_an_address,
    an_address_is_given_once_however_many_ask,
    a_customer_can_be_replaced,
    a_deleted_customer_is_forgotten,
    lists_leave_out_deleted_customers,
);

fn day(year: i32, month: Month, day: u8) -> Day {
    Date::from_calendar_date(year, month, day).unwrap().try_into().unwrap()
}

async fn a_customer_is_kept_as_written(stage: Stage) {
    for (name, birthday) in [
        ("O'Neil \\ \"x\" \u{1f980}", Some(day(2000, Month::February, 29))),
        ("Z", Some(day(1900, Month::January, 1))),
        ("Y", None),
    ] {
        let email = format!("Mixed.Case+{}@Example.com", usize::from(birthday.is_some()) + name.len());
        let draft = CustomerDraft { name: name.parse().unwrap(), email: email.parse().unwrap(), birthday };
        let made = stage.store.create_customer(&draft).await.unwrap();
        assert_eq!((&made.name, &made.email, made.birthday), (&draft.name, &draft.email, birthday));
        assert_eq!(made.created_at, made.updated_at);
        assert_eq!(stage.store.customers_by_id(&[made.id]).await.unwrap(), [made]);
    }
}

async fn no_two_customers_share_an_address(stage: Stage) {
    let ada = stage.customer("ada").await;
    let bob = stage.customer("bob").await;
    let shouting = CustomerDraft { email: "ADA@EXAMPLE.COM".parse().unwrap(), ..customer("carol") };
    let taken = |error| matches!(error, StoreError::Refused(Refused::EmailTaken));
    assert!(taken(stage.store.create_customer(&shouting).await.unwrap_err()));
    assert!(taken(stage.store.replace_customer(bob, &shouting).await.unwrap_err()));
    assert_eq!(stage.count("customers").await, 2);
    // Their own address, written otherwise, is theirs.
    assert_eq!(stage.store.replace_customer(ada, &shouting).await.unwrap().unwrap().email, shouting.email);
    // After its owner is forgotten, an address is free.
    assert!(stage.store.delete_customer(ada).await.unwrap());
    assert!(stage.store.create_customer(&customer("ada")).await.is_ok());
}

async fn an_address_is_given_once_however_many_ask(stage: Stage) {
    let draft = customer("ada");
    let made = join_all((0..20).map(|_| stage.store.create_customer(&draft))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(
        made.into_iter().filter_map(Result::err).all(|error| matches!(error, StoreError::Refused(Refused::EmailTaken)))
    );
    assert_eq!(stage.count("customers").await, 1);
}

async fn a_customer_can_be_replaced(stage: Stage) {
    let before = stage.store.create_customer(&customer("ada")).await.unwrap();
    let draft = CustomerDraft { birthday: Some(day(2100, Month::December, 31)), ..customer("lovelace") };
    let after = stage.store.replace_customer(before.id, &draft).await.unwrap().unwrap();
    assert_eq!((&after.name, &after.email, after.birthday), (&draft.name, &draft.email, draft.birthday));
    assert_eq!((after.id, after.created_at), (before.id, before.created_at));
    assert!(after.updated_at > before.updated_at);
    assert_eq!(stage.store.customers_by_id(&[before.id]).await.unwrap(), [after]);
    let nobody = CustomerId::try_from(i64::MAX).unwrap();
    assert_eq!(stage.store.replace_customer(nobody, &customer("x")).await.unwrap(), None);
}

async fn a_deleted_customer_is_forgotten(stage: Stage) {
    stage.products(1..=1, "kitchen", 100, 10).await;
    let ada = stage.customer("ada").await;
    let placed = stage.order(&order(ada, &[(1, 1)])).await.receipt.id;
    assert!(stage.store.delete_customer(ada).await.unwrap());
    assert!(!stage.store.delete_customer(ada).await.unwrap());
    assert_eq!(stage.store.replace_customer(ada, &customer("ada")).await.unwrap(), None);
    assert_eq!(stage.store.customers_by_id(&[ada]).await.unwrap(), []);
    let orders = stage.store.orders_by_id(&[placed]).await.unwrap();
    assert_eq!((orders[0].customer.id, &orders[0].customer.name, orders[0].items.len()), (ada, &None, 1));
    let left = "SELECT count(*) FROM customers WHERE name IS NOT NULL OR email IS NOT NULL OR birthday IS NOT NULL";
    assert_eq!(stage.ask(left).await, 0);
    let refused = stage.store.place_order(&order(ada, &[(1, 1)]), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refused::UnknownCustomer(id)) if id == ada));
}

async fn lists_leave_out_deleted_customers(stage: Stage) {
    let mut ids = vec![];
    for number in 0..9 {
        ids.push(stage.customer(&format!("c{number}")).await);
    }
    for id in [ids[0], ids[4], ids[5]] {
        stage.store.delete_customer(id).await.unwrap();
    }
    let first = stage.store.customers(page(1, 4)).await.unwrap();
    assert_eq!(first.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[1], ids[2], ids[3], ids[6]]);
    assert!(first.more);
    let rest = stage.store.customers(after(ids[6].get(), 4)).await.unwrap();
    assert_eq!(rest.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[7], ids[8]]);
    assert!(!rest.more);
    assert_eq!(stage.store.customers(page(2, 4)).await.unwrap().rows, rest.rows);
}
