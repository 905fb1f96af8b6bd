//! The process killed in the middle of ten thousand birthdays: the next one finds the others, and none twice.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    process::{on_stage, said, today},
    stage::{Stage, until},
};

const ALL: i64 = 10_000;

async fn finished(stage: &Stage) {
    let left = stage.ask("SELECT count(*) FROM notifications").await;
    assert!((2_000..ALL).contains(&left), "it was killed in the middle: {left}");
    assert_eq!(stage.ask("SELECT count(*) FROM scheduler_progress WHERE name = 'birthdays'").await, 0);
    let found = said(&on_stage(stage, &["scheduler", "--once"]).output().unwrap());
    assert_eq!(found, format!("{} birthdays and 0 reminders were found\n", ALL - left));
    assert_eq!(stage.ask("SELECT count(DISTINCT customer_id) FROM notifications").await, ALL);
    assert_eq!(stage.ask("SELECT count(*) FROM notifications").await, ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_while_it_waits_for_a_row() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.many_born(ALL as u32, &today()).await;
    let mut holder = PgConnection::connect(stage.url()).await.unwrap();
    let hold = "BEGIN; SELECT FROM customers WHERE id = 5000 FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let mut child = on_stage(&stage, &["scheduler", "--once"]).spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("it waits for the row", async || stage.ask(waits).await == 1).await;
    child.kill().unwrap();
    child.wait().unwrap();
    // The server's part of it waits on: it is ended before the row is free, or it would do that chunk yet.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    stage.lines(end).await;
    until("the server has noticed", async || stage.ask(waits).await == 0).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    finished(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_between_two_statements() {
    let stage = Stage::sqlite().await;
    stage.many_born(ALL as u32, &today()).await;
    // Each row takes so long that there is time to kill it after the first statement.
    let count =
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT count(*) FROM n";
    stage.sql(&format!("CREATE TRIGGER slow AFTER INSERT ON notifications BEGIN {count}; END")).await;
    let mut child = on_stage(&stage, &["scheduler", "--once"]).spawn().unwrap();
    let mut file = stage.file().await;
    until("the first ones are found", async || {
        let count = "SELECT count(*) FROM notifications";
        sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(&mut file).await.unwrap() > 0
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    stage.sql("DROP TRIGGER slow").await;
    finished(&stage).await;
}
