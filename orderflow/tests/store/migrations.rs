//! Migrating: by one of many, once, forwards only.

use std::time::Duration;

use futures_util::future::join_all;
use orderflow::{
    config::Database,
    store::{self, MigrateError, migrate, migrate_within},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::{
    on_both_stores,
    stage::{Stage, database, order, page, until},
};

on_both_stores!(migrating_again_does_nothing, a_newer_schema_is_left_alone, a_changed_migration_is_told);

/// The indexes that a migration of their own builds while others write, and these migrations.
const PENDING: [&str; 5] =
    ["products_category_id", "orders_status_id", "customers_living_id", "outbox_xid_id", "customers_birthday"];
const FORGET: &str = "DELETE FROM _sqlx_migrations WHERE version IN (2, 3, 4, 6, 7)";

async fn migrating_again_does_nothing(stage: Stage) {
    stage.products(1..=1, "kitchen", 100, 5).await;
    let ada = stage.customer("ada").await;
    stage.order(&order(ada, &[(1, 1)])).await;
    for _ in 0..2 {
        assert_eq!(migrate(&stage.database, stage.path()).await.unwrap(), 0);
    }
    assert_eq!(stage.store.orders(None, page(1, 1)).await.unwrap().rows.len(), 1);
}

async fn a_newer_schema_is_left_alone(stage: Stage) {
    let known = stage.ask("SELECT max(version) FROM _sqlx_migrations").await;
    let (yes, sum) = if stage.postgres.is_some() { ("true", r"'\x00'") } else { ("1", "x'00'") };
    stage
        .sql(&format!(
            "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             VALUES (9000, 'from the future', CURRENT_TIMESTAMP, {yes}, {sum}, 1); \
             DROP INDEX orders_status_id; DELETE FROM _sqlx_migrations WHERE version = {known}"
        ))
        .await;
    let error = migrate(&stage.database, stage.path()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer { found: 9000, known: last } if last == known), "{error:?}");
    assert!(error.to_string().contains("9000"), "{error}");
    // Not even what is missing was done.
    assert_eq!(stage.ask(&format!("SELECT count(*) FROM _sqlx_migrations WHERE version = {known}")).await, 0);
}

async fn a_changed_migration_is_told(stage: Stage) {
    let sum = if stage.postgres.is_some() { r"'\x00'" } else { "x'00'" };
    stage.sql(&format!("UPDATE _sqlx_migrations SET checksum = {sum} WHERE version = 1")).await;
    let error = migrate(&stage.database, stage.path()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Changed(1)), "{error:?}");
}

/// Several instances begin at the same moment; one does everything.
async fn migrate_at_once(database: &Database, dir: &TempDir) {
    let done = join_all((0..4).map(|_| {
        let (database, dir) = (database.clone(), dir.path().to_owned());
        tokio::spawn(async move { migrate(&database, &dir).await.unwrap() })
    }))
    .await;
    let mut done: Vec<_> = done.into_iter().map(Result::unwrap).collect();
    done.sort_unstable();
    assert!(done[..3] == [0, 0, 0] && done[3] > 0, "{done:?}");
    let store = store::connect(database, dir.path()).await.unwrap();
    assert_eq!(store.stats().await.unwrap().products, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_instances_that_start_together_migrate_once() {
    for _ in 0..5 {
        let dir = TempDir::new().unwrap();
        migrate_at_once(&database(String::new()), &dir).await;
        assert!(dir.path().join("orderflow.db").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_instances_that_start_together_migrate_once() {
    let Some(server) = orderflow_servers::postgres() else { return };
    for _ in 0..5 {
        let postgres = server.database().unwrap();
        let (database, dir) = (database(postgres.url().to_owned()), TempDir::new().unwrap());
        let migrating = migrate_at_once(&database, &dir);
        tokio::time::timeout(Duration::from_mins(1), migrating).await.expect("they wait for each other in a circle");
        let invalid = postgres.psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid").unwrap();
        assert_eq!(invalid.trim(), "0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_too_long_for_another_is_told_for_whom() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let (postgres, dir) = (server.database().unwrap(), TempDir::new().unwrap());
    let mut other = PgConnection::connect(&format!("{}?application_name=somebody", postgres.url())).await.unwrap();
    sqlx::raw_sql("SELECT pg_advisory_lock(x'6f72646572666c6f'::bigint)").execute(&mut other).await.unwrap();
    let database = database(postgres.url().to_owned());
    let error = migrate_within(&database, dir.path(), Duration::from_millis(300)).await.unwrap_err();
    let MigrateError::Locked(holder) = &error else { panic!("{error:?}") };
    assert!(holder.contains("somebody from 127.0.0.1"), "{holder}");
    let tables = postgres.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap();
    assert_eq!(tables.trim(), "0");
    // The lock ends with whoever holds it.
    other.close().await.unwrap();
    assert!(migrate_within(&database, dir.path(), Duration::from_secs(30)).await.unwrap() > 0);

    let path = dir.path().join("orders.db");
    let mut file = SqliteConnection::connect(&format!("sqlite:{}?mode=rwc", path.display())).await.unwrap();
    sqlx::raw_sql("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").execute(&mut file).await.unwrap();
    let database = crate::stage::database(format!("sqlite:{}", path.display()));
    let error = migrate_within(&database, dir.path(), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, MigrateError::Locked(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_cut_short_is_built_again() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.products(1..=10, "kitchen", 100, 5).await;
    let postgres = stage.postgres.as_ref().unwrap();
    // A build that waits for an older transaction is cut off by its time limit, for each index in turn.
    for index in PENDING {
        let definition =
            postgres.psql(&format!("SELECT indexdef FROM pg_indexes WHERE indexname = '{index}'")).unwrap();
        let table = definition.split(" ON public.").nth(1).unwrap().split(' ').next().unwrap();
        stage.sql(&format!("DROP INDEX {index}; {FORGET}")).await;
        let mut older = PgConnection::connect(postgres.url()).await.unwrap();
        let lock = format!("BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut older).await.unwrap();
        let build = definition.trim().replace("INDEX", "INDEX CONCURRENTLY");
        let cut = postgres.psql(&format!("SET statement_timeout = '500ms';\n{build}"));
        assert!(cut.is_err(), "{cut:?}");
        older.close().await.unwrap();
        let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
        assert_eq!(stage.ask(invalid).await, 1, "{index}");
        assert_eq!(migrate(&stage.database, stage.path()).await.unwrap(), PENDING.len());
        assert_eq!(stage.ask(invalid).await, 0, "{index}");
        let again = postgres.psql(&format!("SELECT indexdef FROM pg_indexes WHERE indexname = '{index}'")).unwrap();
        assert_eq!(again, definition);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_built_while_others_write() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.products(1..=1, "kitchen", 100, 1_000_000).await;
    let ada = stage.customer("ada").await;
    stage.sql(&format!("DROP INDEX orders_status_id; {FORGET}")).await;
    // The build waits for this transaction to end; meanwhile orders are placed.
    let mut older = PgConnection::connect(stage.postgres.as_ref().unwrap().url()).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE orders SET total_cents = 0 WHERE id = 0").execute(&mut older).await.unwrap();
    let migrating = tokio::spawn({
        let (database, dir) = (stage.database.clone(), stage.path().to_owned());
        async move { migrate(&database, &dir).await.unwrap() }
    });
    let building = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND query LIKE '%CREATE INDEX CONCURRENTLY%orders_status_id%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
    until("the build waits", async || stage.ask(building).await == 1).await;
    for _ in 0..10 {
        stage.order(&order(ada, &[(1, 1)])).await;
    }
    assert!(!migrating.is_finished());
    older.close().await.unwrap();
    assert_eq!(migrating.await.unwrap(), PENDING.len());
    assert_eq!(
        stage.store.orders(Some(orderflow::domain::OrderStatus::Pending), page(1, 20)).await.unwrap().rows.len(),
        10
    );
}
