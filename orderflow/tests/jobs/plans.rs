//! How the databases execute what workers ask all the time: by an index, however much has been sent.

use orderflow::store::{postgres, sqlite};
use sqlx::{AssertSqlSafe, Row};

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_finds_work_by_index() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.customer("ada").await;
    stage
        .sql(
            "INSERT INTO customers (name, email) SELECT 'c', 'c' || i || '@example.com' FROM generate_series(1, 20000) i;
             INSERT INTO notifications (customer_id, occasion, kind, payload, state)
             SELECT 1, 'order:' || i, 'order', '{}', CASE WHEN i % 10 = 0 THEN 'queued' ELSE 'sent' END
             FROM generate_series(1, 100000) i;
             INSERT INTO outbox (kind, payload, published_at)
             SELECT 'order.placed', '{}', CASE WHEN i < 99000 THEN now() END FROM generate_series(1, 100000) i;
             ANALYZE;",
        )
        .await;
    for (name, sql) in postgres::JOB_STATEMENTS {
        let (index, parameters) = match name {
            "relay" => ("outbox_unpublished", "(100)"),
            "claim" => ("notifications_due", "(10, 1000, 7)"),
            "claim one" => ("notifications_pkey", "(5, 1000, 7)"),
            "settle" => ("notifications_pkey", "('{1,2}', '{1,2}', '{sent,queued}', '{0,0}', '{NULL,NULL}', '{0,0}')"),
            "unpublished" => ("notifications_due", "(100, 1000)"),
            _ => ("outbox_pkey", "(1000, 100)"),
        };
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = format!(
                "SET random_page_cost = 1.1; SET plan_cache_mode = {mode}; PREPARE s AS {sql}; EXPLAIN EXECUTE s{parameters}"
            );
            let plan = stage.postgres.as_ref().unwrap().psql(&plan).unwrap();
            assert!(plan.contains(index), "{name}, {mode}: {plan}");
            assert!(!plan.contains("Seq Scan"), "{name}, {mode}: {plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_finds_work_by_index() {
    let stage = Stage::sqlite().await;
    let mut file = stage.file().await;
    for (name, sql) in sqlite::JOB_STATEMENTS {
        let index = match name {
            "relay" => "outbox_unpublished",
            "claim" | "unpublished" => "notifications_due (due_at<?)",
            _ => "USING INTEGER PRIMARY KEY (rowid=?)",
        };
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut file).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{name}: {plan:#?}");
        // What is forgotten is found among the oldest, at the table's beginning.
        let walks = |step: &&String| {
            step.starts_with("SCAN") && !["json_each", "INDEX", "(subquery"].iter().any(|part| step.contains(part))
        };
        assert_eq!(plan.iter().filter(walks).count(), usize::from(name == "forget"), "{name}: {plan:#?}");
    }
}
