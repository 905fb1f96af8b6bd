//! When a retry is made, and whether.

use std::time::Duration;

use orderflow::{
    metrics::Metrics,
    resilience::{Backoff, Budget},
};
use proptest::prelude::*;

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_000_u64).prop_map(Duration::from_millis),
        (0..u64::MAX).prop_map(Duration::from_secs),
        Just(Duration::MAX),
        Just(Duration::ZERO),
    ]
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_longest_at_any_attempt(
        base in duration(), most in duration(), failed in prop_oneof![0..100_u32, Just(u32::MAX)],
    ) {
        let wait = Backoff { base, most }.after(failed);
        prop_assert!(wait <= most, "{wait:?} of at most {most:?}");
    }

    #[test]
    fn waits_double_give_or_take_a_half_until_they_are_the_longest(base in 1..1_000_u64, failed in 1..20_u32) {
        let base = Duration::from_millis(base);
        let most = Duration::from_hours(1000);
        let middle = base * 2_u32.pow(failed - 1);
        let wait = Backoff { base, most }.after(failed);
        prop_assert!(wait >= middle / 2 && wait <= middle / 2 * 3 + Duration::from_nanos(3), "{wait:?} around {middle:?}");
    }

    #[test]
    fn retries_are_at_most_a_tenth_of_first_calls_and_the_purse(steps in prop::collection::vec(any::<bool>(), 0..2_000)) {
        let metrics = Metrics::default();
        let budget = Budget::new("reads", metrics.clone());
        let (mut first, mut retries, mut denied) = (0, 0, 0);
        for again in steps {
            if !again {
                budget.first();
                first += 1;
            } else if budget.again() {
                retries += 1;
            } else {
                denied += 1;
            }
            prop_assert!(retries <= 10 + first / 10, "{retries} retries of {first} calls");
        }
        let text = metrics.text();
        for (family, count) in [("retries", retries), ("retries_denied", denied)] {
            let line = format!("{family}_total{{name=\"reads\"}} {count}");
            prop_assert!(count == 0 || text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}

#[test]
fn those_who_failed_together_do_not_come_back_together_even_at_the_longest() {
    let most = Duration::from_mins(10);
    let backoff = Backoff { base: Duration::from_secs(1), most };
    let waits: Vec<_> = (0..1_000).map(|_| backoff.after(50)).collect();
    let (least, longest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least >= most / 3 && *longest <= most);
    assert!(longest.saturating_sub(*least) > most / 3, "from {least:?} to {longest:?}");
}

#[test]
fn an_outage_is_met_with_ten_retries_and_then_a_tenth() {
    let budget = Budget::new("reads", Metrics::default());
    let made = (0..1_000).filter(|_| {
        budget.first();
        budget.again()
    });
    // The purse of ten is full at the beginning, so that the first call adds nothing.
    assert!((109..=110).contains(&made.count()));
    for _ in 0..1_000_000 {
        budget.first();
    }
    let saved = (0..100).filter(|_| budget.again()).count();
    assert_eq!(saved, 10, "a quiet time saves no more than the purse holds");
}
