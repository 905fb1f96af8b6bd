//! Whose birthday it is, day by day.

use orderflow::metrics::Metrics;
use time::macros::date;

use crate::{
    on_both_stores,
    stage::{Stage, found},
};

on_both_stores!(
    the_29th_of_february_is_celebrated_every_year,
    a_day_begins_and_ends_at_its_offset,
    the_first_start_begins_with_today_and_a_day_is_done_once,
    missed_days_are_caught_up_within_bounds,
    a_deleted_customer_is_left_out,
    a_clock_that_was_wrong_is_not_believed_for_ever,
    ten_thousand_birthdays_are_found_once_and_counted,
    a_rehearsal_leaves_the_record_alone,
    a_failure_in_the_middle_is_mended_by_the_next_look,
);

async fn the_29th_of_february_is_celebrated_every_year(stage: Stage) {
    stage.born(&["2000-02-28", "2000-02-29", "2000-03-01", "1999-02-27"]).await;
    for (now, birthdays) in [
        ("2026-02-27T12:00:00Z", 1),
        ("2026-02-28T12:00:00Z", 2),
        ("2026-03-01T12:00:00Z", 1),
        ("2028-02-27T12:00:00Z", 1),
        ("2028-02-28T12:00:00Z", 1),
        ("2028-02-29T12:00:00Z", 1),
        ("2028-03-01T12:00:00Z", 1),
    ] {
        stage.sql("DELETE FROM scheduler_progress").await;
        assert_eq!(stage.look(now).await, found(birthdays, 0), "{now}");
    }
    let told = ["1 birthday:2026", "1 birthday:2028", "2 birthday:2026", "2 birthday:2028"];
    assert_eq!(stage.told().await[..4], told);
    let payloads =
        stage.lines("SELECT DISTINCT kind || ' ' || (payload ->> 'year') FROM notifications ORDER BY 1").await;
    assert_eq!(payloads, ["birthday 2026", "birthday 2028"]);
    assert_eq!(stage.ask("SELECT count(*) FROM notifications WHERE state = 'queued' AND attempts = 0").await, 8);
}

async fn a_day_begins_and_ends_at_its_offset(stage: Stage) {
    stage.born(&["1990-12-31", "1990-01-01"]).await;
    let west = [("scheduler.utc_offset", "-03:30")];
    let east = [("scheduler.utc_offset", "+02:00")];
    // In the west it is still the old year when it is the new one in the east.
    assert_eq!(stage.look_with("2026-01-01T03:29:59Z", &west).await, found(1, 0));
    assert_eq!(stage.told().await, ["1 birthday:2025"]);
    assert_eq!(stage.look_with("2026-01-01T03:30:00Z", &west).await, found(1, 0));
    assert_eq!(stage.told().await, ["1 birthday:2025", "2 birthday:2026"]);
    stage.sql("DELETE FROM scheduler_progress").await;
    assert_eq!(stage.look_with("2026-12-31T21:59:59Z", &east).await, found(1, 0));
    assert_eq!(stage.look_with("2026-12-31T22:00:00Z", &east).await, found(1, 0));
    assert_eq!(stage.told().await, ["1 birthday:2025", "1 birthday:2026", "2 birthday:2026", "2 birthday:2027"]);
    // The offset moves the other way, and a day that was done is not done again.
    assert_eq!(stage.look_with("2026-12-31T22:00:01Z", &west).await, found(0, 0));
}

async fn the_first_start_begins_with_today_and_a_day_is_done_once(stage: Stage) {
    stage.born(&["1990-05-09", "1990-05-10", "1990-05-11"]).await;
    assert_eq!(stage.look("2026-05-10T00:00:00Z").await, found(1, 0));
    assert_eq!(stage.look("2026-05-10T23:59:59Z").await, found(0, 0));
    assert_eq!(stage.look("2026-05-11T00:00:00Z").await, found(1, 0));
    assert_eq!(stage.told().await, ["2 birthday:2026", "3 birthday:2026"]);
    // Even if the record is lost: once a year.
    stage.sql("DELETE FROM scheduler_progress").await;
    assert_eq!(stage.look("2026-05-11T12:00:00Z").await, found(0, 0));
}

async fn missed_days_are_caught_up_within_bounds(stage: Stage) {
    let born = ["1990-12-28", "1990-12-29", "1990-12-30", "1990-12-31", "1990-01-01", "1990-01-02"];
    stage.born(&born).await;
    stage.look("2025-12-20T12:00:00Z").await;
    let bound = [("scheduler.catch_up_days", "3")];
    assert_eq!(stage.look_with("2026-01-02T12:00:00Z", &bound).await, found(4, 0));
    let told = ["3 birthday:2025", "4 birthday:2025", "5 birthday:2026", "6 birthday:2026"];
    assert_eq!(stage.told().await, told);
    let none = [("scheduler.catch_up_days", "0")];
    assert_eq!(stage.look_with("2026-12-29T12:00:00Z", &none).await, found(1, 0));
}

async fn a_deleted_customer_is_left_out(stage: Stage) {
    stage.born(&["1990-05-10", "1990-05-10"]).await;
    assert!(stage.backend.store().delete_customer(1.try_into().unwrap()).await.unwrap());
    assert_eq!(stage.look("2026-05-10T12:00:00Z").await, found(1, 0));
    assert_eq!(stage.told().await, ["2 birthday:2026"]);
}

async fn a_clock_that_was_wrong_is_not_believed_for_ever(stage: Stage) {
    stage.born(&["1990-05-10"]).await;
    stage.look("2099-01-01T12:00:00Z").await;
    assert_eq!(stage.look("2026-05-10T12:00:00Z").await, found(1, 0));
    assert_eq!(stage.look("2026-05-10T12:00:01Z").await, found(0, 0));
}

async fn ten_thousand_birthdays_are_found_once_and_counted(stage: Stage) {
    stage.many_born(10_000, "1990-05-10").await;
    stage.clock("2026-05-10T12:00:00Z");
    let metrics = Metrics::default();
    let began = std::time::Instant::now();
    assert_eq!(stage.scheduler(&[], &metrics).once().await.unwrap(), found(10_000, 0));
    println!("10,000 birthdays on {} in {:?}", stage.backend.store().kind(), began.elapsed());
    assert_eq!(stage.ask("SELECT count(DISTINCT customer_id) FROM notifications").await, 10_000);
    assert_eq!(stage.scheduler(&[], &metrics).once().await.unwrap(), found(0, 0));
    let text = metrics.text();
    assert!(text.contains("jobs_enqueued_total{kind=\"birthday\"} 10000"), "{text}");
}

async fn a_rehearsal_leaves_the_record_alone(stage: Stage) {
    stage.born(&["1990-05-10", "1990-05-12"]).await;
    stage.look("2026-05-10T12:00:00Z").await;
    let before = stage.lines("SELECT name || ' ' || value FROM scheduler_progress ORDER BY 1").await;
    let scheduler = stage.scheduler(&[], &Metrics::default());
    assert_eq!(scheduler.rehearse(date!(2026 - 05 - 12)).await.unwrap(), found(1, 0));
    assert_eq!(scheduler.rehearse(date!(2026 - 05 - 12)).await.unwrap(), found(0, 0));
    assert_eq!(stage.lines("SELECT name || ' ' || value FROM scheduler_progress ORDER BY 1").await, before);
    assert_eq!(before, ["birthdays 20260510", "reminders 0"]);
    assert_eq!(stage.look("2026-05-12T12:00:00Z").await, found(0, 0));
}

async fn a_failure_in_the_middle_is_mended_by_the_next_look(stage: Stage) {
    stage.many_born(5_000, "1990-05-10").await;
    let (broken, mended) = if stage.postgres.is_some() {
        (
            "ALTER TABLE notifications ADD CONSTRAINT broken CHECK (customer_id <> 3000)",
            "ALTER TABLE notifications DROP CONSTRAINT broken",
        )
    } else {
        (
            "CREATE TRIGGER broken BEFORE INSERT ON notifications WHEN NEW.customer_id = 3000 \
             BEGIN SELECT RAISE(ABORT, 'broken'); END",
            "DROP TRIGGER broken",
        )
    };
    stage.sql(broken).await;
    stage.clock("2026-05-10T12:00:00Z");
    let scheduler = stage.scheduler(&[], &Metrics::default());
    scheduler.once().await.unwrap_err();
    assert_eq!(stage.ask("SELECT count(*) FROM notifications").await, 2_000);
    assert_eq!(stage.ask("SELECT count(*) FROM scheduler_progress").await, 0);
    stage.sql(mended).await;
    assert_eq!(scheduler.once().await.unwrap(), found(3_000, 0));
    assert_eq!(stage.ask("SELECT count(DISTINCT customer_id) FROM notifications").await, 5_000);
}
