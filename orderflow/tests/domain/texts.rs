//! Names, addresses, categories and keys.

use orderflow::domain::{Category, Email, IdempotencyKey, Name, OrderStatus};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_name_has_no_control_characters_and_no_space_at_its_ends(text in r"(\PC|\s|[\x00-\x1f]){0,130}") {
        let may = !text.is_empty()
            && text.chars().count() <= 120
            && !text.chars().any(char::is_control)
            && !text.starts_with(char::is_whitespace)
            && !text.ends_with(char::is_whitespace);
        prop_assert_eq!(text.parse::<Name>().is_ok(), may);
        let json = serde_json::to_string(&text).unwrap();
        match serde_json::from_str::<Name>(&json) {
            Ok(name) => prop_assert_eq!((name.to_string(), serde_json::to_string(&name).unwrap()), (text, json)),
            Err(_) => prop_assert!(!may),
        }
    }

    #[test]
    fn a_name_counts_characters_and_not_bytes(length in 110..130_usize, letter in "[aé🦀]") {
        prop_assert_eq!(letter.repeat(length).parse::<Name>().is_ok(), length <= 120);
    }

    #[test]
    fn addresses_as_people_have_them_are_accepted(
        text in "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[A-Za-z0-9_+-]{1,10}){0,3}@([a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\\.){1,3}[A-Za-z]{2,8}",
    ) {
        let email: Email = text.parse().unwrap();
        prop_assert_eq!(email.as_str(), text);
    }

    #[test]
    fn an_accepted_address_can_be_put_in_a_header(text in r"(\PC|[@.\r\n<> ,;a-c]){0,40}@(\PC|[@.\r\n<> ,;a-c-]){0,40}") {
        if let Ok(email) = text.parse::<Email>() {
            let (local, host) = email.as_str().split_once('@').unwrap();
            prop_assert!(!local.is_empty() && local.len() <= 64 && !host.contains('@') && host.contains('.'));
            prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"<>(),;:\\\"[]".contains(&byte)));
            prop_assert!(email.as_str().len() <= Email::MAX);
            for part in host.split('.') {
                prop_assert!((1..=63).contains(&part.len()) && !part.starts_with('-') && !part.ends_with('-'));
            }
        }
    }

    #[test]
    fn a_category_is_words_and_hyphens(text in "([a-z0-9-]{0,42}|\\PC{0,10})") {
        let words = text.split('-').all(|word| {
            !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        });
        prop_assert_eq!(text.parse::<Category>().is_ok(), words && text.len() <= 40);
    }

    #[test]
    fn a_key_is_visible_ascii(text in "(\\PC{0,20}|[!-~]{0,260}|[ -~]{0,30})") {
        let may = (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        let key = text.parse::<IdempotencyKey>();
        prop_assert_eq!(key.is_ok(), may);
        if let Ok(key) = key {
            prop_assert_eq!(key.as_str(), text);
        }
    }

    #[test]
    fn a_status_is_one_of_five_words(text in "(pending|paid|shipped|delivered|cancelled|[a-zA-Z]{0,9})") {
        let known = OrderStatus::ALL.iter().any(|status| status.as_str() == text);
        prop_assert_eq!(text.parse::<OrderStatus>().is_ok(), known);
        let json = format!("{text:?}");
        prop_assert_eq!(serde_json::from_str::<OrderStatus>(&json).is_ok(), known);
    }
}

#[test]
fn the_limits_of_an_address() {
    let local = |length| format!("{}@example.com", "a".repeat(length));
    assert!(local(64).parse::<Email>().is_ok() && local(65).parse::<Email>().is_err());
    let label = |length| format!("a@{}.com", "b".repeat(length));
    assert!(label(63).parse::<Email>().is_ok() && label(64).parse::<Email>().is_err());
    let whole = |length: usize| {
        let host = format!("{}.{}.{}.", "b".repeat(63), "c".repeat(63), "d".repeat(61));
        format!("{}@{host}{}", "a".repeat(length - host.len() - 3), "ee")
    };
    assert_eq!(whole(254).len(), 254);
    assert!(whole(254).parse::<Email>().is_ok() && whole(255).parse::<Email>().is_err());
}
