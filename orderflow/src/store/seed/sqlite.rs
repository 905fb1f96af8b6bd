//! Into a SQLite file. Many rows go in with one statement, as one JSON parameter, since a statement costs more than a row.

use std::{fmt::Write, path::Path, time::Duration};

use sqlx::{Connection, Row, SqliteConnection, query};

use super::{
    Plan, Progress, SeedError, Seeded,
    rows::{self, LISTED, STOCK},
};
use crate::store::{ConnectError, sqlite::options};

/// Rows are sent in portions of about this many bytes.
const PORTION: usize = 64 << 10;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "SELECT count(*) FROM sqlite_schema \
                      WHERE type = 'table' AND name IN ('products', 'customers', 'orders', 'order_items')";
const EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM products) AND NOT EXISTS (SELECT 1 FROM customers) \
                        AND NOT EXISTS (SELECT 1 FROM orders)";
const PRODUCTS: &str = "INSERT INTO products (id, name, category, price_cents, stock, updated_at) \
                        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
                        FROM json_each($1)";
const CUSTOMERS: &str = "INSERT INTO customers (id, name, email, birthday, created_at, updated_at) \
                         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 4 \
                         FROM json_each($1)";
const ORDERS: &str = "INSERT INTO orders (id, customer_id, status, total_cents, placed_at) \
                      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1)";
const ITEMS: &str = "INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents) \
                     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1)";

/// Rows on their way into one table.
struct Portion {
    sql: &'static str,
    json: String,
}

impl Portion {
    fn of(sql: &'static str) -> Self {
        Self { sql, json: String::with_capacity(PORTION + 1024) }
    }

    /// Adds a row, an array in JSON.
    fn add(&mut self, row: std::fmt::Arguments<'_>) {
        self.json.push(if self.json.is_empty() { '[' } else { ',' });
        let _ = self.json.write_fmt(row);
    }

    fn is_full(&self) -> bool {
        self.json.len() >= PORTION
    }

    async fn send(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if !self.json.is_empty() {
            self.json.push(']');
            query(self.sql).bind(self.json.as_str()).execute(connection).await?;
            self.json.clear();
        }
        Ok(())
    }
}

pub(super) async fn seed(
    file: &Path,
    plan: Plan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Seeded, SeedError> {
    let opened = SqliteConnection::connect_with(&options(file, BUSY)).await;
    let mut connection = opened.map_err(|error| ConnectError::Unreachable(error.into()))?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if query(TABLES).fetch_one(&mut *transaction).await?.try_get::<i64, _>(0)? < 4 {
        return Err(SeedError::NotMigrated);
    }
    if !query(EMPTY).fetch_one(&mut *transaction).await?.try_get::<bool, _>(0)? {
        return Err(SeedError::NotEmpty);
    }
    let seeded = fill(&mut transaction, plan, progress).await?;
    query("ANALYZE").execute(&mut *transaction).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(seeded)
}

async fn fill(
    connection: &mut SqliteConnection,
    plan: Plan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Seeded, sqlx::Error> {
    let mut portion = Portion::of(PRODUCTS);
    for row in rows::products(plan) {
        let rows::Product { id, name, category, price_cents } = row;
        portion.add(format_args!(r#"[{id},"{name}","{category}",{price_cents},{STOCK},{LISTED}]"#));
        if portion.is_full() {
            portion.send(connection).await?;
        }
    }
    portion.send(connection).await?;

    let mut portion = Portion::of(CUSTOMERS);
    for row in rows::customers(plan) {
        let rows::Customer { id, name, email, birthday, created_at } = row;
        let birthday = birthday.map_or_else(|| "null".to_owned(), |day| format!("\"{day}\""));
        portion.add(format_args!(r#"[{id},"{name}","{email}",{birthday},{created_at}]"#));
        if portion.is_full() {
            portion.send(connection).await?;
        }
    }
    portion.send(connection).await?;

    let (mut orders, mut items, mut written) = (Portion::of(ORDERS), Portion::of(ITEMS), 0);
    for row in rows::orders(plan) {
        let (id, customer, status, total, at) = (row.id, row.customer, row.status.as_str(), row.total(), row.placed_at);
        orders.add(format_args!(r#"[{id},{customer},"{status}",{total},{at}]"#));
        for (line, item) in (1..).zip(&row.lines) {
            let rows::Line { product, quantity, price_cents } = item;
            items.add(format_args!("[{id},{line},{product},{quantity},{price_cents}]"));
            written += 1;
        }
        if items.is_full() {
            // A line refers to its order, which must be there before it.
            orders.send(connection).await?;
            items.send(connection).await?;
            progress(Progress { done: 2 * id, of: 2 * plan.orders });
        }
    }
    orders.send(connection).await?;
    items.send(connection).await?;
    progress(Progress { done: 2 * plan.orders, of: 2 * plan.orders });
    Ok(Seeded { products: plan.products(), customers: plan.customers(), orders: plan.orders, items: written })
}
