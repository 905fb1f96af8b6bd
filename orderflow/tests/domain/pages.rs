//! Cursors, limits and page numbers.

use orderflow::domain::{Cursor, Limit, PageNumber, Start, Window};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_cursor_comes_back_as_it_was(id in prop_oneof![1..=i64::MAX, 1..1_000_i64, Just(i64::MAX)]) {
        let text = Cursor::after(id).encode();
        prop_assert!(text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        prop_assert_eq!(text.parse::<Cursor>().unwrap(), Cursor::after(id));
        prop_assert_eq!(Cursor::after(id).id(), id);
    }

    #[test]
    fn nothing_else_is_a_cursor(text in "([A-Za-z0-9_-]{0,14}|A[A-Za-z0-9_-]{11}|\\PC{0,14})") {
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.encode(), text);
            prop_assert!(cursor.id() >= 1);
        }
    }

    #[test]
    fn a_limit_is_from_one_to_a_hundred(number in 0..300_u32, text in "([+ 0-]{0,2}[0-9]{0,12}|\\PC{0,5})") {
        prop_assert_eq!(number.to_string().parse::<Limit>().ok().map(Limit::get), Some(number).filter(|n| (1..=100).contains(n)));
        if let Ok(limit) = text.parse::<Limit>() {
            prop_assert!((1..=100).contains(&limit.get()) && text.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn a_page_is_from_one_to_a_thousand(number in 0..3_000_u32) {
        let page = number.to_string().parse::<PageNumber>();
        prop_assert_eq!(page.as_ref().ok().map(|page| page.get()), Some(number).filter(|n| (1..=1_000).contains(n)));
        if let Err(invalid) = page {
            prop_assert!(invalid.to_string().contains("next_cursor"));
        }
    }

    #[test]
    fn a_window_skips_whole_pages(page in 1..=1_000_u32, limit in 1..=100_u32, id in 1..=i64::MAX) {
        let limit: Limit = limit.to_string().parse().unwrap();
        let window = Window { start: Start::Page(page.to_string().parse().unwrap()), limit };
        prop_assert_eq!(window.offset(), i64::from(page - 1) * i64::from(limit.get()));
        prop_assert_eq!(window.after(), None);
        let window = Window { start: Start::After(Cursor::after(id)), limit };
        prop_assert_eq!((window.offset(), window.after()), (0, Some(id)));
    }
}

#[test]
fn what_is_not_said_is_the_first_page_of_twenty() {
    assert_eq!((Limit::default().get(), PageNumber::default().get()), (20, 1));
}
