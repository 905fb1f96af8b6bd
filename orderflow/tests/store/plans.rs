//! How the databases execute the statements that read: by an index, however large the tables are.

use orderflow::store::{
    postgres,
    seed::{Plan, seed},
    sqlite,
};
use sqlx::{AssertSqlSafe, Row};

use crate::stage::Stage;

/// What must be in the plan of each statement: for PostgreSQL, for SQLite.
const INDEXES: [(&str, &str, &str); 15] = [
    ("products", "products_pkey", "SCAN products"),
    ("products after", "products_pkey", "USING INTEGER PRIMARY KEY (rowid>?)"),
    ("products in", "products_category_id", "products_category_id (category=?)"),
    ("products in after", "products_category_id", "products_category_id (category=? AND id>?)"),
    ("products by id", "products_pkey", "USING INTEGER PRIMARY KEY (rowid=?)"),
    ("customers", "customers_living_id", "SCAN customers"),
    ("customers after", "customers_living_id", "USING INTEGER PRIMARY KEY (rowid>?)"),
    ("customers by id", "customers_", "USING INTEGER PRIMARY KEY (rowid=?)"),
    ("orders", "orders_pkey", "SCAN orders"),
    ("orders after", "orders_pkey", "orders USING INTEGER PRIMARY KEY (rowid<?)"),
    ("orders in", "orders_status_id", "orders_status_id (status=?)"),
    ("orders in after", "orders_status_id", "orders_status_id (status=? AND id<?)"),
    ("orders by id", "orders_pkey", "orders USING INTEGER PRIMARY KEY (rowid=?)"),
    ("items", "order_items_pkey", "i USING PRIMARY KEY (order_id=?)"),
    ("stats", "customers_living_id", "orders USING COVERING INDEX orders_status_id"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_reads_by_index() {
    let stage = Stage::sqlite().await;
    seed(&stage.database, stage.path(), Plan { orders: 2_000 }, &mut |_| {}).await.unwrap();
    assert_eq!(sqlite::STATEMENTS.len(), INDEXES.len());
    let mut file = stage.file().await;
    for ((name, sql), (expected, _, index)) in sqlite::STATEMENTS.into_iter().zip(INDEXES) {
        assert_eq!(name, expected);
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut file).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{name}: {plan:#?}");
        // Lists without a filter walk the table by its key and stop at the limit, and customers are counted one by one.
        let walks = |step: &String| step.starts_with("SCAN") && !step.contains("INDEX") && !step.contains("json_each");
        let walked: Vec<_> = plan.iter().filter(|step| walks(step)).collect();
        let may = usize::from(matches!(name, "products" | "customers" | "orders" | "stats"));
        let subquery = plan.iter().filter(|step| *step == "SCAN o").count();
        assert!(walked.len() <= may + subquery, "{name}: {plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_reads_by_index() {
    let Some(stage) = Stage::postgresql().await else { return };
    seed(&stage.database, stage.path(), Plan { orders: 50_000 }, &mut |_| {}).await.unwrap();
    assert_eq!(postgres::STATEMENTS.len(), INDEXES.len());
    for ((name, sql), (expected, index, _)) in postgres::STATEMENTS.into_iter().zip(INDEXES) {
        assert_eq!(name, expected);
        let parameters = match name {
            "stats" => "",
            "products by id" | "customers by id" | "orders by id" | "items" => "('{1,2,3}')",
            "products in" | "products in after" => "(21, 40, 'kitchen')",
            "orders in" | "orders in after" => "(21, 40, 'paid')",
            _ => "(21, 40)",
        };
        // For the parameters at hand, and as it may be planned once for any.
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = format!(
                "SET random_page_cost = 1.1; SET plan_cache_mode = {mode}; PREPARE s AS {sql}; EXPLAIN EXECUTE s{parameters}"
            );
            let plan = stage.postgres.as_ref().unwrap().psql(&plan).unwrap();
            assert!(plan.contains(index), "{name}, {mode}: {plan}");
            // The statistics add up all orders, and count the rest by indexes alone.
            let scans = plan.matches("Seq Scan").count();
            assert_eq!(scans, usize::from(name == "stats"), "{name}, {mode}: {plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_cursor_reads_as_few_rows_as_the_first_page() {
    let Some(stage) = Stage::postgresql().await else { return };
    seed(&stage.database, stage.path(), Plan { orders: 50_000 }, &mut |_| {}).await.unwrap();
    let read = |name: &str, from: i64| {
        let (_, sql) = postgres::STATEMENTS.into_iter().find(|(found, _)| *found == name).unwrap();
        let sql = sql.replace("$1", "21").replace("$2", &from.to_string());
        let plan = stage.postgres.as_ref().unwrap().explain(&sql).unwrap();
        // The first are those of the whole statement; what planning it read follows at the end, and varies.
        plan.lines()
            .find_map(|line| {
                line.trim().strip_prefix("\"Shared Hit Blocks\": ")?.trim_end_matches(',').parse::<u64>().ok()
            })
            .unwrap()
    };
    let (first, deep) = (read("orders after", 50_001), read("orders after", 30));
    assert!(deep <= first + 16, "{deep} pages deep, {first} at the start");
    assert_eq!(stage.store.orders(None, crate::stage::after(30, 20)).await.unwrap().rows.len(), 20);
}
