//! What every call of `JobStore` promises, on both databases.

use std::time::Duration;

use orderflow::{
    jobs::{Backlog, Claim, Kind, NotificationId, Outcome, Settled},
    telemetry::{TraceContext, Work},
};

use crate::{
    on_both_stores,
    stage::{LONG, Stage, until},
};

on_both_stores!(
    a_placed_order_becomes_one_notification,
    an_order_that_was_relayed_before_is_not_told_twice,
    a_claimed_one_is_nobody_elses_until_its_lease_ends,
    who_comes_too_late_records_nothing,
    outcomes_are_recorded_together,
    a_retry_waits_and_counts,
    one_that_is_given_back_counts_no_attempt,
    the_longest_due_comes_first,
    the_customer_of_a_deleted_one_is_nobody,
    one_is_taken_by_its_name,
    what_the_broker_has_is_not_given_to_it_again_too_soon,
    dead_letters_are_listed_retried_and_dropped,
    old_outbox_rows_are_forgotten_and_others_kept,
    settling_nothing_or_the_unknown_is_nothing,
    the_trace_of_an_order_goes_along_and_none_is_as_good,
);

async fn a_placed_order_becomes_one_notification(stage: Stage) {
    let ada = stage.customer("ada").await;
    let order = stage.order(ada).await;
    assert!(stage.jobs.claim(10, LONG).await.unwrap().is_empty());
    assert_eq!(stage.jobs.relay(10).await.unwrap().len(), 1);
    assert_eq!(stage.jobs.relay(10).await.unwrap().len(), 0);
    assert_eq!(stage.jobs.backlog().await.unwrap(), Backlog { queued: 1, dead: 0 });
    let claimed = stage.claim().await;
    assert_eq!((claimed.customer_id, claimed.kind, claimed.attempt), (ada, Kind::Order, 1));
    assert_eq!(claimed.customer, Some(("ada".to_owned(), "ada@example.com".to_owned())));
    assert_eq!(claimed.occasion, format!("order:{order}"));
    let payload = serde_json::json!({"order_id": order.get(), "customer_id": ada.get(), "total_cents": 250});
    assert_eq!(claimed.payload, payload);
    assert!(claimed.claim > 0 && !claimed.maybe_sent);
    assert!(stage.settle(&claimed, Outcome::Sent).await);
    assert!(stage.is(claimed.id, "sent").await);
    assert_eq!(stage.count("notifications WHERE sent_at IS NOT NULL AND claim IS NULL").await, 1);
    assert_eq!(stage.jobs.backlog().await.unwrap(), Backlog::default());
}

async fn an_order_that_was_relayed_before_is_not_told_twice(stage: Stage) {
    stage.notifications(1).await;
    stage.sql("UPDATE outbox SET published_at = NULL").await;
    stage
        .sql("INSERT INTO outbox (kind, payload, created_at) SELECT 'order.paid', payload, created_at FROM outbox")
        .await;
    assert_eq!(stage.jobs.relay(10).await.unwrap().len(), 2);
    assert_eq!(stage.count("notifications").await, 1);
    assert_eq!(stage.count("outbox WHERE published_at IS NULL").await, 0);
}

async fn a_claimed_one_is_nobody_elses_until_its_lease_ends(stage: Stage) {
    stage.notifications(1).await;
    let first = stage.jobs.claim(5, Duration::from_millis(300)).await.unwrap().remove(0);
    assert_eq!(stage.jobs.claim_one(first.id, LONG).await.unwrap(), Claim::Later);
    let mut second = Vec::new();
    let began = std::time::Instant::now();
    while second.is_empty() {
        assert!(began.elapsed() < LONG);
        second = stage.jobs.claim(5, LONG).await.unwrap();
    }
    assert_eq!(second.len(), 1);
    assert_eq!((second[0].id, second[0].attempt, second[0].maybe_sent), (first.id, 2, true));
    assert_ne!(second[0].claim, first.claim);
    assert!(stage.jobs.claim(5, LONG).await.unwrap().is_empty());
}

async fn who_comes_too_late_records_nothing(stage: Stage) {
    stage.notifications(1).await;
    let slow = stage.claim().await;
    stage.expire().await;
    let quick = stage.claim().await;
    for outcome in [Outcome::Sent, Outcome::Dead("slow".to_owned()), Outcome::Returned, Outcome::Dropped] {
        assert!(!stage.settle(&slow, outcome).await);
    }
    assert!(stage.is(slow.id, "queued").await);
    assert!(stage.settle(&quick, Outcome::Retry(Duration::ZERO)).await);
    assert!(!stage.settle(&quick, Outcome::Sent).await, "it was settled");
    let third = stage.claim().await;
    assert_eq!((third.attempt, third.maybe_sent), (3, false));
    assert_eq!(stage.count("dead_letters").await, 0);
}

async fn outcomes_are_recorded_together(stage: Stage) {
    stage.notifications(6).await;
    let claimed = stage.jobs.claim(6, LONG).await.unwrap();
    assert_eq!(claimed.len(), 6);
    let outcomes = [
        Outcome::Sent,
        Outcome::Retry(Duration::ZERO),
        Outcome::Dead("no such mailbox; it's \"quoted\"".to_owned()),
        Outcome::Dropped,
        Outcome::Returned,
        Outcome::Sent,
    ];
    let mut settled: Vec<_> = claimed
        .iter()
        .zip(outcomes)
        .map(|(claimed, outcome)| Settled { id: claimed.id, claim: claimed.claim, outcome })
        .collect();
    settled[5].claim = 1 + settled[5].claim % 1000;
    let mut done = stage.jobs.settle(&settled).await.unwrap();
    done.sort_unstable();
    let mut expected: Vec<_> = claimed[..5].iter().map(|claimed| claimed.id).collect();
    expected.sort_unstable();
    assert_eq!(done, expected);
    for (claimed, state) in claimed.iter().zip(["sent", "queued", "dead", "dropped", "queued", "queued"]) {
        assert!(stage.is(claimed.id, state).await, "{state}");
    }
    let letters = stage.jobs.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].id, letters[0].attempts), (claimed[2].id, 1));
    assert_eq!(letters[0].error, "no such mailbox; it's \"quoted\"");
    let mut again: Vec<_> =
        stage.jobs.claim(10, LONG).await.unwrap().iter().map(|claimed| (claimed.id, claimed.attempt)).collect();
    again.sort_unstable();
    let mut due = [(claimed[1].id, 2), (claimed[4].id, 1)];
    due.sort_unstable();
    assert_eq!(again, due);
}

async fn a_retry_waits_and_counts(stage: Stage) {
    stage.notifications(1).await;
    let first = stage.claim().await;
    assert!(stage.settle(&first, Outcome::Retry(LONG)).await);
    assert!(stage.jobs.claim(1, LONG).await.unwrap().is_empty());
    stage.expire().await;
    let second = stage.claim().await;
    assert_eq!((second.attempt, second.maybe_sent), (2, false));
    assert!(stage.settle(&second, Outcome::Retry(Duration::from_millis(100))).await);
    until("the second retry is due", async || !stage.jobs.claim(1, LONG).await.unwrap().is_empty()).await;
}

async fn one_that_is_given_back_counts_no_attempt(stage: Stage) {
    stage.notifications(1).await;
    let first = stage.claim().await;
    assert!(stage.settle(&first, Outcome::Returned).await);
    let second = stage.claim().await;
    assert_eq!((second.id, second.attempt, second.maybe_sent), (first.id, 1, false));
}

async fn the_longest_due_comes_first(stage: Stage) {
    stage.notifications(4).await;
    // The last one has been due for longest.
    stage.expire().await;
    let earlier = if stage.postgres.is_some() { "due_at - id * interval '1 minute'" } else { "due_at - id" };
    stage.sql(&format!("UPDATE notifications SET due_at = {earlier}")).await;
    let last = stage.ask("SELECT max(id) FROM notifications").await;
    let mut two: Vec<_> = stage.jobs.claim(2, LONG).await.unwrap().iter().map(|claimed| claimed.id.0).collect();
    two.sort_unstable();
    assert_eq!(two, [last - 1, last]);
    assert_eq!(stage.claim().await.id.0, last - 2);
}

async fn the_customer_of_a_deleted_one_is_nobody(stage: Stage) {
    stage.notifications(1).await;
    let ada = stage.claim().await.customer_id;
    stage.expire().await;
    assert!(stage.store.delete_customer(ada).await.unwrap());
    let claimed = stage.claim().await;
    assert_eq!((claimed.customer_id, &claimed.customer), (ada, &None));
    assert!(stage.settle(&claimed, Outcome::Dropped).await);
    assert!(stage.is(claimed.id, "dropped").await);
}

async fn one_is_taken_by_its_name(stage: Stage) {
    stage.notifications(2).await;
    let first = NotificationId(stage.ask("SELECT min(id) FROM notifications").await);
    let Claim::Taken(claimed) = stage.jobs.claim_one(first, LONG).await.unwrap() else { panic!("it is due") };
    assert_eq!((claimed.id, claimed.attempt), (first, 1));
    assert_eq!(stage.jobs.claim_one(first, LONG).await.unwrap(), Claim::Later);
    assert!(stage.settle(&claimed, Outcome::Retry(LONG)).await);
    assert_eq!(stage.jobs.claim_one(first, LONG).await.unwrap(), Claim::Later, "not due yet");
    stage.expire().await;
    let Claim::Taken(claimed) = stage.jobs.claim_one(first, LONG).await.unwrap() else { panic!("it is due") };
    assert!(stage.settle(&claimed, Outcome::Sent).await);
    assert_eq!(stage.jobs.claim_one(first, LONG).await.unwrap(), Claim::Done);
    assert_eq!(stage.jobs.claim_one(NotificationId(4_000_000_000), LONG).await.unwrap(), Claim::Done);
    assert_ne!(stage.claim().await.id, first);
}

async fn what_the_broker_has_is_not_given_to_it_again_too_soon(stage: Stage) {
    stage.notifications(3).await;
    let unpublished = async |most, republish| {
        let due = stage.jobs.unpublished(most, republish).await.unwrap();
        due.into_iter().map(|due| due.id).collect::<Vec<_>>()
    };
    let two = unpublished(2, LONG).await;
    assert_eq!(two.len(), 2);
    stage.jobs.published(&two).await.unwrap();
    let third = unpublished(10, LONG).await;
    assert_eq!(third.len(), 1);
    assert!(!two.contains(&third[0]));
    // Whoever was given it has it to himself until he says what became of it.
    assert_eq!(unpublished(10, LONG).await, []);
    stage.jobs.unconfirmed(&third).await.unwrap();
    assert_eq!(unpublished(10, LONG).await, third);
    assert_eq!(unpublished(10, Duration::ZERO).await.len(), 3);
    // Who takes one up ends the note, and the confirmation that comes late makes no new one.
    let Claim::Taken(taken) = stage.jobs.claim_one(two[0], LONG).await.unwrap() else { panic!("it is due") };
    stage.jobs.published(&two).await.unwrap();
    assert!(unpublished(10, Duration::ZERO).await.iter().all(|id| *id != taken.id));
    assert!(stage.settle(&taken, Outcome::Retry(Duration::ZERO)).await);
    assert_eq!(unpublished(10, LONG).await, [two[0]]);
}

async fn dead_letters_are_listed_retried_and_dropped(stage: Stage) {
    stage.notifications(5).await;
    for claimed in stage.jobs.claim(5, LONG).await.unwrap() {
        assert!(stage.settle(&claimed, Outcome::Dead(format!("refused {}", claimed.id.0))).await);
    }
    assert_eq!(stage.jobs.backlog().await.unwrap(), Backlog { queued: 0, dead: 5 });
    let first = stage.jobs.dead_letters(None, 2).await.unwrap();
    let rest = stage.jobs.dead_letters(Some(first[1].id), 10).await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 3));
    assert!(first.iter().chain(&rest).is_sorted_by_key(|letter| letter.id));
    let letter = &first[0];
    assert!(letter.error == format!("refused {}", letter.id.0) && letter.occasion.starts_with("order:"));

    assert_eq!(stage.jobs.retry_dead(Some(&[letter.id, NotificationId(4_000_000_000)])).await.unwrap(), 1);
    assert_eq!(stage.jobs.retry_dead(Some(&[letter.id])).await.unwrap(), 0, "it is no dead letter any more");
    let again = stage.claim().await;
    assert_eq!((again.id, again.attempt, again.maybe_sent), (letter.id, 1, false));
    assert!(stage.settle(&again, Outcome::Dead("again".to_owned())).await);
    assert_eq!(stage.jobs.drop_dead(Some(&[letter.id])).await.unwrap(), 1);
    assert!(stage.is(letter.id, "dropped").await);
    assert_eq!(stage.jobs.retry_dead(Some(&[])).await.unwrap(), 0);
    assert_eq!(stage.jobs.retry_dead(None).await.unwrap(), 4);
    assert_eq!(stage.jobs.backlog().await.unwrap(), Backlog { queued: 4, dead: 0 });
    for claimed in stage.jobs.claim(5, LONG).await.unwrap() {
        assert!(stage.settle(&claimed, Outcome::Dead(String::new())).await);
    }
    assert_eq!(stage.jobs.drop_dead(None).await.unwrap(), 4);
    assert_eq!(stage.jobs.backlog().await.unwrap(), Backlog::default());
    assert_eq!(stage.count("notifications WHERE state = 'dropped'").await, 5);
}

async fn old_outbox_rows_are_forgotten_and_others_kept(stage: Stage) {
    let ada = stage.customer("ada").await;
    for _ in 0..5 {
        stage.order(ada).await;
    }
    assert_eq!(stage.jobs.relay(4).await.unwrap().len(), 4);
    assert_eq!(stage.jobs.forget_published(LONG, 10).await.unwrap(), 0);
    assert_eq!(stage.jobs.forget_published(Duration::ZERO, 3).await.unwrap(), 3);
    assert_eq!(stage.jobs.forget_published(Duration::ZERO, 3).await.unwrap(), 1);
    assert_eq!(stage.jobs.forget_published(Duration::ZERO, 3).await.unwrap(), 0);
    assert_eq!(stage.count("outbox WHERE published_at IS NULL").await, 1);
    assert_eq!(stage.count("notifications").await, 4);
}

async fn settling_nothing_or_the_unknown_is_nothing(stage: Stage) {
    assert!(stage.jobs.settle(&[]).await.unwrap().is_empty());
    let unknown_id = NotificationId(4_000_000_000);
    let unknown = Settled { id: unknown_id, claim: 1, outcome: Outcome::Sent };
    assert!(stage.jobs.settle(&[unknown]).await.unwrap().is_empty());
    stage.jobs.published(&[unknown_id]).await.unwrap();
}

async fn the_trace_of_an_order_goes_along_and_none_is_as_good(stage: Stage) {
    let ada = stage.customer("ada").await;
    let (traced, outlined) = (TraceContext::root(true), TraceContext::root(false));
    for trace in [traced, outlined] {
        Work::new(trace, None).scope(stage.order(ada)).await;
    }
    // One that an older version wrote, and one that nobody can read.
    stage.order(ada).await;
    stage.order(ada).await;
    stage.sql("UPDATE outbox SET trace = '00-nothing' WHERE id = (SELECT max(id) FROM outbox)").await;
    let expected = [Some(traced), Some(outlined), None, None];
    let mut relayed = stage.jobs.relay(10).await.unwrap();
    let sequence = |trace: &Option<TraceContext>| expected.iter().position(|one| one == trace);
    relayed.sort_by_key(sequence);
    assert_eq!(relayed, expected);
    let due = stage.jobs.unpublished(10, LONG).await.unwrap();
    let mut claimed = stage.jobs.claim(10, LONG).await.unwrap();
    claimed.sort_by_key(|claimed| claimed.id);
    assert_eq!(claimed.iter().map(|claimed| claimed.trace).collect::<Vec<_>>(), expected);
    for due in due {
        assert!(claimed.iter().any(|claimed| claimed.id == due.id && claimed.trace == due.trace));
    }
    // It stays with the notification, however often that is tried.
    assert!(stage.settle(&claimed[0], Outcome::Retry(Duration::ZERO)).await);
    let Claim::Taken(again) = stage.jobs.claim_one(claimed[0].id, LONG).await.unwrap() else { panic!("it is due") };
    assert_eq!(again.trace, Some(traced));
}
