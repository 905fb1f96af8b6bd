//! Orders as clients write them, and what tells one from another.

use orderflow::domain::{CustomerDraft, Fingerprint, OrderDraft};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lines() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((-1..60_i64, -1..1_005_i64), 0..55)
}

fn write(customer: i64, lines: &[(i64, i64)]) -> Value {
    let items: Vec<_> = lines.iter().map(|(id, quantity)| json!({ "product_id": id, "quantity": quantity })).collect();
    json!({ "customer_id": customer, "items": items })
}

proptest! {
    #[test]
    fn an_order_has_one_to_fifty_lines_and_no_product_twice(customer in -1..5_i64, lines in lines()) {
        let mut products: Vec<_> = lines.iter().map(|(id, _)| *id).collect();
        products.sort_unstable();
        products.dedup();
        let may = customer >= 1
            && (1..=50).contains(&lines.len())
            && products.len() == lines.len()
            && lines.iter().all(|(id, quantity)| *id >= 1 && (1..=1_000).contains(quantity));
        let written = write(customer, &lines);
        match serde_json::from_value::<OrderDraft>(written.clone()) {
            Ok(draft) => {
                prop_assert!(may);
                prop_assert_eq!(serde_json::to_value(draft).unwrap(), written);
            }
            Err(_) => prop_assert!(!may),
        }
    }

    #[test]
    fn fifty_different_lines_are_an_order(quantity in 1..=1_000_i64, count in 48..53_i64) {
        let lines: Vec<_> = (1..=count).map(|id| (id, quantity)).collect();
        prop_assert_eq!(serde_json::from_value::<OrderDraft>(write(1, &lines)).is_ok(), count <= 50);
    }

    #[test]
    fn a_fingerprint_is_of_what_is_said(a in 1..4_i64, b in 1..4_i64, quantity in 1..3_i64, other in 1..3_i64) {
        let read = |value: Value| serde_json::from_value::<OrderDraft>(value).unwrap();
        let (one, two) = (read(write(a, &[(a, quantity), (9, 1)])), read(write(b, &[(b, other), (9, 1)])));
        prop_assert_eq!(Fingerprint::of(&one) == Fingerprint::of(&two), one == two);
        // The sequence of the lines is part of it, the sequence of the fields is not.
        let turned = read(write(a, &[(9, 1), (a, quantity)]));
        prop_assert!(Fingerprint::of(&one) != Fingerprint::of(&turned));
        let respelled = format!(r#"{{ "items": [{{"quantity":{quantity},"product_id":{a}}},{{"quantity":1,"product_id":9}}], "customer_id": {a} }}"#);
        prop_assert_eq!(Fingerprint::of(&serde_json::from_str(&respelled).unwrap()), Fingerprint::of(&one));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "(\\PC{0,60}|[\\[\\]{}:,\"0-9a-z_ -]{0,60})") {
        let _ = serde_json::from_str::<OrderDraft>(&text);
        let _ = serde_json::from_str::<CustomerDraft>(&text);
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    let mut order = write(1, &[(1, 1)]);
    order["coupon"] = json!("free");
    assert!(serde_json::from_value::<OrderDraft>(order).is_err());
    let mut order = write(1, &[(1, 1)]);
    order["items"][0]["price_cents"] = json!(0);
    assert!(serde_json::from_value::<OrderDraft>(order).is_err());
    assert!(serde_json::from_value::<CustomerDraft>(json!({ "name": "A", "email": "a@b.c", "id": 1 })).is_err());
    assert!(serde_json::from_value::<CustomerDraft>(json!({ "name": "A", "email": "a@b.c" })).is_ok());
}
