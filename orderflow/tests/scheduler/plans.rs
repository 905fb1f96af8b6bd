//! How the databases execute the scheduler's statements: by an index, however large the tables are.

use orderflow::store::{postgres, sqlite};
use sqlx::{AssertSqlSafe, Row};

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_finds_by_index() {
    let stage = Stage::sqlite().await;
    stage.many_born(100, "1990-05-10").await;
    let indexes = [
        ("celebrating", "customers USING INDEX customers_birthday (<expr>=? AND id>?)"),
        ("birthdays", "customers USING INDEX customers_birthday (<expr>=? AND id>? AND id<?)"),
        ("last order before", "SCAN orders"),
        ("pending", "orders USING INDEX orders_status_id (status=? AND id>?)"),
        ("reminders", "o USING INDEX orders_status_id (status=? AND id>? AND id<?)"),
    ];
    assert_eq!(sqlite::SCHEDULE.map(|(name, _)| name), indexes.map(|(name, _)| name));
    for ((name, sql), (_, index)) in sqlite::SCHEDULE.into_iter().zip(indexes) {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let rows = sqlx::query(AssertSqlSafe(explain)).fetch_all(&mut stage.file().await).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{name}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_finds_by_index() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage
        .sql(
            "INSERT INTO customers (id, name, email, birthday) \
             SELECT n, 'Ada', 'c' || n || '@example.com', date '1990-01-01' + n % 365 FROM generate_series(1, 50000) n; \
             INSERT INTO orders (id, customer_id, status, total_cents, placed_at) \
             SELECT n, 1 + n % 50000, CASE n % 50 WHEN 0 THEN 'pending' ELSE 'paid' END, 1, \
                    timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, 50000) n; \
             ANALYZE",
        )
        .await;
    let plans = [
        ("birthdays", "(510, 0, 2000, 2026)", "customers_birthday"),
        ("last order before", "('2026-02-01')", "orders_pkey"),
        ("reminders", "(0, 2000, '2026-01-20', '2026-02-01')", "orders_status_id"),
    ];
    assert_eq!(postgres::SCHEDULE.map(|(name, _)| name), plans.map(|(name, ..)| name));
    for ((name, sql), (_, parameters, index)) in postgres::SCHEDULE.into_iter().zip(plans) {
        // For the parameters at hand, and as it may be planned once for any.
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = format!(
                "SET random_page_cost = 1.1; SET plan_cache_mode = {mode}; PREPARE s AS {sql}; EXPLAIN EXECUTE s{parameters}"
            );
            let plan = stage.postgres.as_ref().unwrap().psql(&plan).unwrap();
            assert!(plan.contains(index), "{name}, {mode}: {plan}");
            assert!(!plan.contains("Seq Scan on orders"), "{name}, {mode}: {plan}");
        }
    }
}
