//! Which orders are reminded of.

use sqlx::{Connection, PgConnection};

use crate::{
    on_both_stores,
    stage::{Stage, found},
};

on_both_stores!(
    an_order_that_is_not_paid_in_time_is_reminded_of_once,
    the_first_start_reminds_of_what_becomes_due_today,
    after_an_outage_old_orders_are_passed_over,
    a_deleted_customer_is_not_reminded,
    many_orders_are_gone_through_in_sequence,
);

/// A scheduler that has begun before every order.
async fn begun(stage: &Stage) {
    stage.born(&["1990-08-08"]).await;
    assert_eq!(stage.look("2026-01-01T00:00:00Z").await, found(0, 0));
}

async fn an_order_that_is_not_paid_in_time_is_reminded_of_once(stage: Stage) {
    begun(&stage).await;
    stage.order(1, "pending", "2026-01-10T08:00:00Z").await;
    stage.order(2, "paid", "2026-01-10T08:00:01Z").await;
    stage.order(3, "cancelled", "2026-01-10T08:00:02Z").await;
    stage.order(4, "pending", "2026-01-10T08:00:03Z").await;
    stage.order(5, "pending", "2026-01-10T09:00:00Z").await;
    assert_eq!(stage.look("2026-01-11T07:59:59Z").await, found(0, 0));
    assert_eq!(stage.look("2026-01-11T08:00:00Z").await, found(0, 1));
    // Paid in time: it is not reminded of, and those behind it are.
    stage.sql("UPDATE orders SET status = 'paid' WHERE id = 4").await;
    assert_eq!(stage.look("2026-01-11T09:00:00Z").await, found(0, 1));
    assert_eq!(stage.look("2026-01-12T09:00:00Z").await, found(0, 0));
    assert_eq!(stage.told().await, ["1 reminder:1", "1 reminder:5"]);
    let payload =
        "SELECT (payload ->> 'order_id') || ' ' || (payload ->> 'total_cents') FROM notifications ORDER BY id";
    assert_eq!(stage.lines(payload).await, ["1 1999", "5 1999"]);
    // Even if the record is lost: once an order.
    stage.sql("UPDATE scheduler_progress SET value = 0 WHERE name = 'reminders'").await;
    assert_eq!(stage.look("2026-01-12T09:00:01Z").await, found(0, 0));
}

async fn the_first_start_reminds_of_what_becomes_due_today(stage: Stage) {
    stage.born(&["1990-08-08"]).await;
    stage.order(1, "pending", "2025-06-01T00:00:00Z").await;
    stage.order(2, "pending", "2026-01-09T21:59:59Z").await;
    stage.order(3, "pending", "2026-01-09T22:00:00Z").await;
    stage.order(4, "pending", "2026-01-10T12:00:00Z").await;
    // Today began at 22:00 UTC, and a reminder is due after a day.
    let east = [("scheduler.utc_offset", "+02:00")];
    assert_eq!(stage.look_with("2026-01-11T11:00:00Z", &east).await, found(0, 1));
    assert_eq!(stage.look_with("2026-01-11T12:00:00Z", &east).await, found(0, 1));
    assert_eq!(stage.told().await, ["1 reminder:3", "1 reminder:4"]);
}

async fn after_an_outage_old_orders_are_passed_over(stage: Stage) {
    begun(&stage).await;
    stage.order(1, "pending", "2026-01-10T00:00:00Z").await;
    stage.order(2, "pending", "2026-01-17T12:00:00Z").await;
    stage.order(3, "pending", "2026-01-19T00:00:00Z").await;
    let bound = [("scheduler.catch_up_days", "2")];
    assert_eq!(stage.look_with("2026-01-20T12:00:00Z", &bound).await, found(0, 2));
    assert_eq!(stage.told().await, ["1 reminder:2", "1 reminder:3"]);
    // Without catching up, still a day's worth: what became due just before midnight is looked for after it.
    stage.order(4, "pending", "2026-01-19T23:59:59Z").await;
    let none = [("scheduler.catch_up_days", "0")];
    assert_eq!(stage.look_with("2026-01-21T00:00:10Z", &none).await, found(0, 1));
}

async fn a_deleted_customer_is_not_reminded(stage: Stage) {
    begun(&stage).await;
    stage.order(1, "pending", "2026-01-10T08:00:00Z").await;
    assert!(stage.backend.store().delete_customer(1.try_into().unwrap()).await.unwrap());
    assert_eq!(stage.look("2026-01-11T08:00:00Z").await, found(0, 0));
    assert_eq!(stage.lines("SELECT name || ' ' || value FROM scheduler_progress ORDER BY 1").await[1], "reminders 1");
}

async fn many_orders_are_gone_through_in_sequence(stage: Stage) {
    begun(&stage).await;
    let at = |text| stage.written(crate::stage::moment(text));
    let (old, young) = (at("2026-01-10T08:00:00Z"), at("2026-01-10T20:00:00Z"));
    let rows: Vec<_> = (1..=4_500)
        .map(|id| format!("({id}, 1, 'pending', 100, {})", if id <= 4_300 { &old } else { &young }))
        .collect();
    let into = "INSERT INTO orders (id, customer_id, status, total_cents, placed_at) VALUES";
    stage.sql(&format!("{into} {}", rows.join(","))).await;
    assert_eq!(stage.look("2026-01-11T08:00:00Z").await, found(0, 4_300));
    assert_eq!(stage.look("2026-01-11T19:59:59Z").await, found(0, 0));
    assert_eq!(stage.look("2026-01-11T20:00:00Z").await, found(0, 200));
    assert_eq!(stage.ask("SELECT count(DISTINCT occasion) FROM notifications").await, 4_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_seen_after_a_later_one_is_not_missed() {
    let Some(stage) = Stage::postgresql().await else { return };
    begun(&stage).await;
    let soon = [("scheduler.reminder_after", "1ms"), ("database.statement_timeout", "30s")];
    let mut slow = PgConnection::connect(stage.url()).await.unwrap();
    let first = "BEGIN; INSERT INTO orders (id, customer_id, status, total_cents, placed_at) \
                 VALUES (1, 1, 'pending', 1, '2026-01-10T08:00:00Z')";
    sqlx::raw_sql(first).execute(&mut slow).await.unwrap();
    stage.order(2, "pending", "2026-01-10T08:00:00Z").await;
    // As long as a statement may still run, the second is not looked at, since the first would be passed over.
    assert_eq!(stage.look_with("2026-01-10T08:00:39Z", &soon).await, found(0, 0));
    sqlx::raw_sql("COMMIT").execute(&mut slow).await.unwrap();
    assert_eq!(stage.look_with("2026-01-10T08:00:40Z", &soon).await, found(0, 2));
}
