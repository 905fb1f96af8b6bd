//! Amounts, quantities and identifiers.

use orderflow::domain::{Cents, OrderId, ProductId, Quantity};
use proptest::prelude::*;

/// Any number, and often one at an edge.
fn number() -> impl Strategy<Value = i64> {
    let edges = [i64::MIN, -1, 0, 1, 1_000, 1_001, Cents::MAX, Cents::MAX + 1, i64::MAX];
    prop_oneof![any::<i64>(), -10..2_000_i64, proptest::sample::select(edges.to_vec())]
}

proptest! {
    #[test]
    fn an_amount_is_from_nothing_to_its_limit(number in number()) {
        prop_assert_eq!(Cents::try_from(number).is_ok(), (0..=1_000_000_000_000).contains(&number));
        let read = serde_json::from_str::<Cents>(&number.to_string());
        prop_assert_eq!(read.is_ok(), Cents::try_from(number).is_ok());
        if let Ok(cents) = read {
            prop_assert_eq!(serde_json::to_string(&cents).unwrap(), number.to_string());
        }
    }

    #[test]
    fn sums_and_products_are_exact_or_none(a in number(), b in number()) {
        let Ok(cents) = Cents::try_from(a) else { return Ok(()) };
        let exact = |wide: i128| i64::try_from(wide).ok().and_then(|sum| Cents::try_from(sum).ok());
        prop_assert_eq!(cents.times(b), exact(i128::from(a) * i128::from(b)));
        if let Ok(other) = Cents::try_from(b) {
            prop_assert_eq!(cents.plus(other), exact(i128::from(a) + i128::from(b)));
        }
    }

    #[test]
    fn a_quantity_is_from_one_to_a_thousand(number in number()) {
        prop_assert_eq!(Quantity::try_from(number).is_ok(), (1..=1_000).contains(&number));
        prop_assert_eq!(serde_json::from_str::<Quantity>(&number.to_string()).is_ok(), (1..=1_000).contains(&number));
    }

    #[test]
    fn an_identifier_is_positive_and_has_one_spelling(number in number()) {
        let text = number.to_string();
        prop_assert_eq!(ProductId::try_from(number).is_ok(), number >= 1);
        prop_assert_eq!(text.parse::<ProductId>().ok().map(ProductId::get), Some(number).filter(|number| *number >= 1));
        if let Ok(id) = OrderId::try_from(number) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn no_other_spelling_is_an_identifier(text in r"([+0 -]{0,2}[0-9]{1,20}[ .,e0-9]{0,2}|\PC{0,8})") {
        if let Ok(id) = text.parse::<OrderId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_whole_number_is_no_amount(text in r#"(-?[0-9]{1,5}\.[0-9]{1,3}|"[0-9]{1,5}"|[0-9]{1,5}e[0-9]|true|null|\[\])"#) {
        prop_assert!(serde_json::from_str::<Cents>(&text).is_err(), "{}", text);
    }
}
