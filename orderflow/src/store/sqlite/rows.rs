//! Running a statement and reading what it answers, column by column.

use sqlx::{
    Row, Sqlite,
    sqlite::{SqliteQueryResult, SqliteRow},
};
use time::{Date, macros::format_description};
use tokio::time::timeout;
use tracing::Instrument;

use super::Lease;
use crate::{
    domain::{Category, Customer, Day, Email, Name, Order, OrderCustomer, OrderId, OrderItem, Product, Timestamp},
    store::{
        Result, StoreError,
        decode::{status, valid},
        statement,
    },
};

/// A statement with its parameters.
pub(super) type Asked = statement::Asked<Sqlite>;

/// Every row that a statement gives.
pub(super) async fn fetch(lease: &mut Lease, asked: Asked) -> Result<Vec<SqliteRow>> {
    let span = lease.ask(asked.statement);
    let ended = timeout(lease.limit(), asked.query.fetch_all(lease.begin())).instrument(span).await;
    lease.settle(ended, |rows| rows.len() as u64)
}

/// Runs a statement that gives no rows.
pub(super) async fn execute(lease: &mut Lease, asked: Asked) -> Result<()> {
    let span = lease.ask(asked.statement);
    let ended = timeout(lease.limit(), asked.query.execute(lease.begin())).instrument(span).await;
    lease.settle(ended, SqliteQueryResult::rows_affected).map(drop)
}

/// Identifiers as one parameter, for `json_each`.
pub(super) fn list(ids: impl Iterator<Item = i64>) -> String {
    let mut list = String::from("[");
    for id in ids {
        list.push_str(&id.to_string());
        list.push(',');
    }
    if list.ends_with(',') {
        list.pop();
    }
    list.push(']');
    list
}

/// A day as it is stored.
pub(super) fn written(day: Day) -> String {
    day.get().to_string()
}

pub(super) fn moment(row: &SqliteRow, column: usize) -> Result<Timestamp> {
    Timestamp::from_micros(row.try_get(column)?).ok_or(StoreError::Corrupt("moment"))
}

/// `id, name, category, price_cents, stock, updated_at`.
pub(super) fn product(row: &SqliteRow) -> Result<Product> {
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
pub(super) fn customer(row: &SqliteRow) -> Result<Customer> {
    let birthday = row.try_get::<Option<&str>, _>(3)?.map(|day| {
        let date = Date::parse(day, format_description!("[year]-[month]-[day]"));
        valid::<Day, _>(date.map_err(|_| StoreError::Corrupt("birthday"))?, "birthday")
    });
    Ok(Customer {
        id: valid(row.try_get::<i64, _>(0)?, "customer id")?,
        name: valid::<Name, String>(row.try_get(1)?, "customer name")?,
        email: valid::<Email, String>(row.try_get(2)?, "e-mail address")?,
        birthday: birthday.transpose()?,
        created_at: moment(row, 4)?,
        updated_at: moment(row, 5)?,
    })
}

/// `id, status, placed_at, total_cents, customer_id, name`, without its items.
pub(super) fn order(row: &SqliteRow) -> Result<Order> {
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
pub(super) fn item(row: &SqliteRow) -> Result<(OrderId, OrderItem)> {
    let item = OrderItem {
        product_id: valid(row.try_get::<i64, _>(1)?, "product id")?,
        product_name: valid::<Name, String>(row.try_get(2)?, "product name")?,
        quantity: valid(row.try_get::<i64, _>(3)?, "quantity")?,
        unit_price_cents: valid(row.try_get::<i64, _>(4)?, "price")?,
    };
    Ok((valid(row.try_get::<i64, _>(0)?, "order id")?, item))
}
