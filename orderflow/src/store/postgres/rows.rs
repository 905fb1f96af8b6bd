//! Running a statement and reading what it answers, column by column.

use sqlx::{AssertSqlSafe, Postgres, Row, postgres::PgRow, raw_sql};
use time::{Date, OffsetDateTime};
use tokio::time::timeout;
use tracing::Instrument;

use super::Lease;
use crate::{
    domain::{Category, Customer, Day, Email, Name, Order, OrderCustomer, OrderId, OrderItem, Product, Timestamp},
    store::{
        Result,
        decode::{status, valid},
        statement,
    },
};

/// A statement with its parameters.
pub(super) type Asked = statement::Asked<Postgres>;

/// Every row that a statement gives.
pub(super) async fn fetch(lease: &mut Lease, asked: Asked) -> Result<Vec<PgRow>> {
    if let Some(begin) = lease.transaction() {
        return fetch_within(lease, &begin, asked).await;
    }
    let span = lease.ask(asked.statement);
    let ended = timeout(lease.limit(), asked.query.fetch_all(lease.begin())).instrument(span).await;
    lease.settle(ended, |rows| rows.len() as u64)
}

/// The same within a transaction of its own, for a connection to a pooler. The driver takes two exchanges for a statement,
/// and only within a transaction do both reach the same server; the statement has no name there, since it would not be found
/// again. Nothing that the statement gave is told before the transaction has been committed.
async fn fetch_within(lease: &mut Lease, begin: &str, asked: Asked) -> Result<Vec<PgRow>> {
    let span = lease.ask(asked.statement);
    let mut begun = false;
    let ended = timeout(lease.limit(), async {
        let connection = lease.begin();
        raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await?;
        begun = true;
        let rows = asked.query.persistent(false).fetch_all(&mut *connection).await;
        let end = if rows.is_ok() { "COMMIT" } else { "ROLLBACK" };
        raw_sql(end).execute(connection).await?;
        rows
    });
    let ended = ended.instrument(span).await;
    let result = lease.settle(ended, |rows| rows.len() as u64);
    if result.is_err() && !begun {
        // Nobody knows how far that came.
        lease.lose();
    }
    result
}

pub(super) fn moment(row: &PgRow, column: usize) -> Result<Timestamp> {
    Ok(row.try_get::<OffsetDateTime, _>(column)?.into())
}

/// `id, name, category, price_cents, stock, updated_at`.
pub(super) fn product(row: &PgRow) -> Result<Product> {
    Ok(Product {
        id: valid(row.try_get::<i64, _>(0)?, "product id")?,
        name: valid::<Name, String>(row.try_get(1)?, "product name")?,
        category: valid::<Category, String>(row.try_get(2)?, "category")?,
        price_cents: valid(row.try_get::<i64, _>(3)?, "price")?,
        stock: row.try_get(4)?,
        updated_at: moment(row, 5)?,
    })
}

/// `id, name, email, birthday, created_at, updated_at`.
pub(super) fn customer(row: &PgRow) -> Result<Customer> {
    let birthday = row.try_get::<Option<Date>, _>(3)?.map(|date| valid::<Day, _>(date, "birthday")).transpose()?;
    Ok(Customer {
        id: valid(row.try_get::<i64, _>(0)?, "customer id")?,
        name: valid::<Name, String>(row.try_get(1)?, "customer name")?,
        email: valid::<Email, String>(row.try_get(2)?, "e-mail address")?,
        birthday,
        created_at: moment(row, 4)?,
        updated_at: moment(row, 5)?,
    })
}

/// `id, status, placed_at, total_cents, customer_id, name`, without its items.
pub(super) fn order(row: &PgRow) -> Result<Order> {
    let name = row.try_get::<Option<String>, _>(5)?.map(|name| valid::<Name, _>(name, "customer name")).transpose()?;
    Ok(Order {
        id: valid(row.try_get::<i64, _>(0)?, "order id")?,
        status: status(row.try_get(1)?)?,
        placed_at: moment(row, 2)?,
        total_cents: valid(row.try_get::<i64, _>(3)?, "order total")?,
        customer: OrderCustomer { id: valid(row.try_get::<i64, _>(4)?, "customer id")?, name },
        items: Vec::new(),
    })
}

/// `order_id, product_id, name, quantity, unit_price_cents`.
pub(super) fn item(row: &PgRow) -> Result<(OrderId, OrderItem)> {
    let item = OrderItem {
        product_id: valid(row.try_get::<i64, _>(1)?, "product id")?,
        product_name: valid::<Name, String>(row.try_get(2)?, "product name")?,
        quantity: valid(row.try_get::<i64, _>(3)?, "quantity")?,
        unit_price_cents: valid(row.try_get::<i64, _>(4)?, "price")?,
    };
    Ok((valid(row.try_get::<i64, _>(0)?, "order id")?, item))
}
