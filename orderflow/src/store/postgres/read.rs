//! Reads. Each takes its connection along, and gives it back as soon as the last row is there.

use sqlx::{Row, query};

use super::{
    Lease,
    rows::{customer, fetch, item, moment, order, product},
};
use crate::{
    domain::{Category, Customer, Order, OrderStatus, Product, Stats, Timestamp, Window},
    store::{
        Result, Rows,
        decode::{Count, bounds, page, stats as add_up, with_items},
    },
};

macro_rules! products {
    ($which:literal) => {
        concat!("SELECT id, name, category, price_cents, stock, updated_at FROM products ", $which)
    };
}

macro_rules! customers {
    ($which:literal) => {
        concat!(
            "SELECT id, name, email, birthday, created_at, updated_at FROM customers WHERE deleted_at IS NULL ",
            $which
        )
    };
}

macro_rules! orders {
    ($which:literal) => {
        concat!(
            "SELECT o.id, o.status, o.placed_at, o.total_cents, o.customer_id, c.name \
             FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = ANY(",
            $which,
            ") ORDER BY o.id DESC"
        )
    };
}

// Where a page is filtered or joined, the identifiers on it come first, from an index alone, and the rows afterwards. So
// nothing is joined that is skipped. And as an array, the page is small to a planner that does not know the limit: given
// a subquery it would take a tenth of the table for its size, and read other tables whole.
const PRODUCTS: &str = products!("ORDER BY id LIMIT $1 OFFSET $2");
const PRODUCTS_AFTER: &str = products!("WHERE id > $2 ORDER BY id LIMIT $1");
const PRODUCTS_IN: &str = products!(
    "WHERE id = ANY(ARRAY(SELECT id FROM products WHERE category = $3 ORDER BY id LIMIT $1 OFFSET $2)) ORDER BY id"
);
const PRODUCTS_IN_AFTER: &str = products!(
    "WHERE id = ANY(ARRAY(SELECT id FROM products WHERE category = $3 AND id > $2 ORDER BY id LIMIT $1)) ORDER BY id"
);
const PRODUCTS_BY_ID: &str = products!("WHERE id = ANY($1)");
const CUSTOMERS: &str = customers!("ORDER BY id LIMIT $1 OFFSET $2");
const CUSTOMERS_AFTER: &str = customers!("AND id > $2 ORDER BY id LIMIT $1");
const CUSTOMERS_BY_ID: &str = customers!("AND id = ANY($1)");
const ORDERS: &str = orders!("ARRAY(SELECT id FROM orders ORDER BY id DESC LIMIT $1 OFFSET $2)");
const ORDERS_AFTER: &str = orders!("ARRAY(SELECT id FROM orders WHERE id < $2 ORDER BY id DESC LIMIT $1)");
const ORDERS_IN: &str = orders!("ARRAY(SELECT id FROM orders WHERE status = $3 ORDER BY id DESC LIMIT $1 OFFSET $2)");
const ORDERS_IN_AFTER: &str =
    orders!("ARRAY(SELECT id FROM orders WHERE status = $3 AND id < $2 ORDER BY id DESC LIMIT $1)");
const ORDERS_BY_ID: &str = orders!("$1");
const ITEMS: &str = "SELECT i.order_id, i.product_id, p.name, i.quantity, i.unit_price_cents \
                     FROM order_items i JOIN products p ON p.id = i.product_id \
                     WHERE i.order_id = ANY($1) ORDER BY i.order_id, i.line";
// One statement sees one moment, so that the numbers agree.
const STATS: &str = "SELECT status, count(*), sum(total_cents)::bigint, now() FROM orders GROUP BY status \
                     UNION ALL SELECT 'products', count(*), 0, now() FROM products \
                     UNION ALL SELECT 'customers', count(*), 0, now() FROM customers WHERE deleted_at IS NULL";

/// Every statement that reads, by name, for whoever wants to know how it is executed. `$1` of a list is how many rows to
/// fetch and `$2` where it starts, `$3` what it is filtered by; `$1` of the others are the identifiers.
pub const STATEMENTS: [(&str, &str); 15] = [
    ("products", PRODUCTS),
    ("products after", PRODUCTS_AFTER),
    ("products in", PRODUCTS_IN),
    ("products in after", PRODUCTS_IN_AFTER),
    ("products by id", PRODUCTS_BY_ID),
    ("customers", CUSTOMERS),
    ("customers after", CUSTOMERS_AFTER),
    ("customers by id", CUSTOMERS_BY_ID),
    ("orders", ORDERS),
    ("orders after", ORDERS_AFTER),
    ("orders in", ORDERS_IN),
    ("orders in after", ORDERS_IN_AFTER),
    ("orders by id", ORDERS_BY_ID),
    ("items", ITEMS),
    ("stats", STATS),
];

pub(super) async fn products(mut lease: Lease, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
    let sql = match (category.is_some(), window.after().is_some()) {
        (false, false) => PRODUCTS,
        (false, true) => PRODUCTS_AFTER,
        (true, false) => PRODUCTS_IN,
        (true, true) => PRODUCTS_IN_AFTER,
    };
    let (limit, start) = bounds(window);
    let mut query = query(sql).bind(limit).bind(start);
    if let Some(category) = category {
        query = query.bind(category.as_str());
    }
    page(window, &fetch(&mut lease, query).await?, product)
}

pub(super) async fn products_by_id(mut lease: Lease, ids: &[i64]) -> Result<Vec<Product>> {
    let rows = fetch(&mut lease, query(PRODUCTS_BY_ID).bind(ids)).await?;
    drop(lease);
    rows.iter().map(product).collect()
}

pub(super) async fn customers(mut lease: Lease, window: Window) -> Result<Rows<Customer>> {
    let sql = if window.after().is_some() { CUSTOMERS_AFTER } else { CUSTOMERS };
    let (limit, start) = bounds(window);
    page(window, &fetch(&mut lease, query(sql).bind(limit).bind(start)).await?, customer)
}

pub(super) async fn customers_by_id(mut lease: Lease, ids: &[i64]) -> Result<Vec<Customer>> {
    let rows = fetch(&mut lease, query(CUSTOMERS_BY_ID).bind(ids)).await?;
    drop(lease);
    rows.iter().map(customer).collect()
}

pub(super) async fn orders(mut lease: Lease, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
    let sql = match (status.is_some(), window.after().is_some()) {
        (false, false) => ORDERS,
        (false, true) => ORDERS_AFTER,
        (true, false) => ORDERS_IN,
        (true, true) => ORDERS_IN_AFTER,
    };
    let (limit, start) = bounds(window);
    let mut query = query(sql).bind(limit).bind(start);
    if let Some(status) = status {
        query = query.bind(status.as_str());
    }
    let Rows { rows, more } = page(window, &fetch(&mut lease, query).await?, order)?;
    Ok(Rows { rows: fill(lease, rows).await?, more })
}

pub(super) async fn orders_by_id(mut lease: Lease, ids: &[i64]) -> Result<Vec<Order>> {
    let rows = fetch(&mut lease, query(ORDERS_BY_ID).bind(ids)).await?;
    let orders = rows.iter().map(order).collect::<Result<_>>()?;
    fill(lease, orders).await
}

/// The orders with their items, by a second statement unless there is nothing to ask for.
async fn fill(mut lease: Lease, orders: Vec<Order>) -> Result<Vec<Order>> {
    if orders.is_empty() {
        return Ok(orders);
    }
    let ids: Vec<i64> = orders.iter().map(|order| order.id.get()).collect();
    let rows = fetch(&mut lease, query(ITEMS).bind(ids)).await?;
    drop(lease);
    Ok(with_items(orders, rows.iter().map(item).collect::<Result<_>>()?))
}

pub(super) async fn stats(mut lease: Lease) -> Result<Stats> {
    let rows = fetch(&mut lease, query(STATS)).await?;
    let mut as_of = Timestamp::now();
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        as_of = moment(row, 3)?;
        counts.push(Count { of: row.try_get(0)?, rows: row.try_get(1)?, cents: row.try_get(2)? });
    }
    add_up(&counts, as_of)
}

pub(super) async fn ping(mut lease: Lease) -> Result<()> {
    fetch(&mut lease, query("SELECT 1")).await.map(drop)
}
