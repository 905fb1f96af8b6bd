//! Into PostgreSQL, by COPY. What refers to other tables is taken away first and put back at the end: checking millions of
//! rows at once takes a fraction of the time of checking them one by one. It is all one transaction, and the tables are
//! empty and locked, so that nobody ever sees them without.

use std::fmt::Write;

use sqlx::{Connection, PgConnection, Row, postgres::PgCopyIn, query, raw_sql};

use super::{
    Plan, Progress, SeedError, Seeded,
    rows::{self, LISTED, STOCK},
};
use crate::{
    domain::Timestamp,
    store::{ConnectError, postgres::options},
};

/// Rows are sent in portions of about this many bytes.
const PORTION: usize = 128 << 10;
/// Progress is told every so many orders.
const TELL: u64 = 10_000;

const TABLES: &str = "SELECT to_regclass('products') IS NOT NULL AND to_regclass('customers') IS NOT NULL \
                         AND to_regclass('orders') IS NOT NULL AND to_regclass('order_items') IS NOT NULL";
const LOCK: &str = "LOCK TABLE products, customers, orders, order_items, idempotency_keys, outbox, notifications, \
                    dead_letters";
const EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM products) AND NOT EXISTS (SELECT FROM customers) \
                        AND NOT EXISTS (SELECT FROM orders)";
// Emptied by the same transaction, a table takes rows that are frozen from the start: they are never written again just
// to say that they are old, and an index alone answers for them.
const PREPARE: &str = "
TRUNCATE products, customers, orders, order_items, idempotency_keys, outbox, notifications, dead_letters
RESTART IDENTITY;
ALTER TABLE order_items DROP CONSTRAINT order_items_order, DROP CONSTRAINT order_items_product;
ALTER TABLE orders DROP CONSTRAINT orders_customer;";
const FINISH: &str = "
ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE order_items ADD CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders,
  ADD CONSTRAINT order_items_product FOREIGN KEY (product_id) REFERENCES products;
SELECT setval('products_id_seq', max(id)) FROM products;
SELECT setval('customers_id_seq', max(id)) FROM customers;
SELECT setval('orders_id_seq', max(id)) FROM orders HAVING max(id) IS NOT NULL;
ANALYZE products; ANALYZE customers; ANALYZE orders; ANALYZE order_items;";

const PRODUCTS: &str = "COPY products (id, name, category, price_cents, stock, updated_at) FROM STDIN (FREEZE)";
const CUSTOMERS: &str = "COPY customers (id, name, email, birthday, created_at, updated_at) FROM STDIN (FREEZE)";
const ORDERS: &str = "COPY orders (id, customer_id, status, total_cents, placed_at) FROM STDIN (FREEZE)";
const ITEMS: &str = "COPY order_items (order_id, line, product_id, quantity, unit_price_cents) FROM STDIN (FREEZE)";

/// Rows on their way into one table. What is written here needs no escaping: no name has a tab or a backslash.
struct Copy<'c> {
    stream: PgCopyIn<&'c mut PgConnection>,
    text: String,
}

impl<'c> Copy<'c> {
    async fn into(connection: &'c mut PgConnection, sql: &str) -> Result<Self, sqlx::Error> {
        let stream = connection.copy_in_raw(sql).await?;
        Ok(Self { stream, text: String::with_capacity(PORTION + 1024) })
    }

    /// Adds a row, its columns parted by tabs.
    fn add(&mut self, row: std::fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(row);
        self.text.push('\n');
    }

    /// Sends what has gathered if it is enough.
    async fn go_on(&mut self) -> Result<(), sqlx::Error> {
        if self.text.len() >= PORTION {
            self.stream.send(self.text.as_bytes()).await?;
            self.text.clear();
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, sqlx::Error> {
        self.stream.send(self.text.as_bytes()).await?;
        self.stream.finish().await
    }
}

pub(super) async fn seed(
    url: &str,
    plan: Plan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Seeded, SeedError> {
    let opened = PgConnection::connect_with(&options(url)?).await;
    let mut connection = opened.map_err(|error| ConnectError::Unreachable(error.into()))?;
    let mut transaction = connection.begin().await?;
    if !query(TABLES).fetch_one(&mut *transaction).await?.try_get::<bool, _>(0)? {
        return Err(SeedError::NotMigrated);
    }
    query(LOCK).execute(&mut *transaction).await?;
    if !query(EMPTY).fetch_one(&mut *transaction).await?.try_get::<bool, _>(0)? {
        return Err(SeedError::NotEmpty);
    }
    raw_sql(PREPARE).execute(&mut *transaction).await?;
    let seeded = fill(&mut transaction, plan, progress).await?;
    raw_sql(FINISH).execute(&mut *transaction).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(seeded)
}

async fn fill(
    connection: &mut PgConnection,
    plan: Plan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Seeded, sqlx::Error> {
    let mut tell = |done| {
        if done % TELL == 0 || done == 2 * plan.orders {
            progress(Progress { done, of: 2 * plan.orders });
        }
    };
    let mut copy = Copy::into(connection, PRODUCTS).await?;
    let listed = moment(LISTED);
    for row in rows::products(plan) {
        let rows::Product { id, name, category, price_cents } = row;
        copy.add(format_args!("{id}\t{name}\t{category}\t{price_cents}\t{STOCK}\t{listed}"));
        copy.go_on().await?;
    }
    let products = copy.finish().await?;

    let mut copy = Copy::into(connection, CUSTOMERS).await?;
    for row in rows::customers(plan) {
        let rows::Customer { id, name, email, birthday, created_at } = row;
        let (birthday, at) = (birthday.map_or_else(|| r"\N".to_owned(), |day| day.to_string()), moment(created_at));
        copy.add(format_args!("{id}\t{name}\t{email}\t{birthday}\t{at}\t{at}"));
        copy.go_on().await?;
    }
    let customers = copy.finish().await?;

    let mut copy = Copy::into(connection, ORDERS).await?;
    for row in rows::orders(plan) {
        let (id, customer, status, total) = (row.id, row.customer, row.status.as_str(), row.total());
        copy.add(format_args!("{id}\t{customer}\t{status}\t{total}\t{}", moment(row.placed_at)));
        copy.go_on().await?;
        tell(id);
    }
    let orders = copy.finish().await?;

    // The orders are made up once more, rather than kept, for their lines.
    let mut copy = Copy::into(connection, ITEMS).await?;
    for row in rows::orders(plan) {
        for (line, item) in (1..).zip(&row.lines) {
            let rows::Line { product, quantity, price_cents } = item;
            copy.add(format_args!("{}\t{line}\t{product}\t{quantity}\t{price_cents}", row.id));
        }
        copy.go_on().await?;
        tell(plan.orders + row.id);
    }
    let items = copy.finish().await?;
    Ok(Seeded { products, customers, orders, items })
}

/// As PostgreSQL reads a moment, whatever the session's time zone.
fn moment(micros: i64) -> String {
    let at = Timestamp::from_micros(micros).unwrap_or_else(Timestamp::now).get();
    let (date, (hour, minute, second, micro)) = (at.date(), at.time().as_hms_micro());
    format!("{date} {hour:02}:{minute:02}:{second:02}.{micro:06}+00")
}
