//! Reads. Each takes its connection along, and gives it back as soon as the last row is there.

use sqlx::Row;

use super::{
    Lease,
    rows::{customer, fetch, item, moment, order, product},
};
use crate::{
    domain::{Category, Customer, Order, OrderStatus, Product, Stats, Timestamp, Window},
    store::{
        Result, Rows,
        decode::{Count, bounds, page, stats as add_up, with_items},
        statement::{Statement, query},
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
const PRODUCTS: Statement = Statement::new("products", products!("ORDER BY id LIMIT $1 OFFSET $2"));
const PRODUCTS_AFTER: Statement = Statement::new("products after", products!("WHERE id > $2 ORDER BY id LIMIT $1"));
const PRODUCTS_IN: Statement = Statement::new(
    "products in",
    products!(
        "WHERE id = ANY(ARRAY(SELECT id FROM products WHERE category = $3 ORDER BY id LIMIT $1 OFFSET $2)) ORDER BY id"
    ),
);
const PRODUCTS_IN_AFTER: Statement = Statement::new(
    "products in after",
    products!(
        "WHERE id = ANY(ARRAY(SELECT id FROM products WHERE category = $3 AND id > $2 ORDER BY id LIMIT $1)) ORDER BY id"
    ),
);
const PRODUCTS_BY_ID: Statement = Statement::new("products by id", products!("WHERE id = ANY($1)"));
const CUSTOMERS: Statement = Statement::new("customers", customers!("ORDER BY id LIMIT $1 OFFSET $2"));
const CUSTOMERS_AFTER: Statement = Statement::new("customers after", customers!("AND id > $2 ORDER BY id LIMIT $1"));
const CUSTOMERS_BY_ID: Statement = Statement::new("customers by id", customers!("AND id = ANY($1)"));
const ORDERS: Statement =
    Statement::new("orders", orders!("ARRAY(SELECT id FROM orders ORDER BY id DESC LIMIT $1 OFFSET $2)"));
const ORDERS_AFTER: Statement =
    Statement::new("orders after", orders!("ARRAY(SELECT id FROM orders WHERE id < $2 ORDER BY id DESC LIMIT $1)"));
const ORDERS_IN: Statement = Statement::new(
    "orders in",
    orders!("ARRAY(SELECT id FROM orders WHERE status = $3 ORDER BY id DESC LIMIT $1 OFFSET $2)"),
);
const ORDERS_IN_AFTER: Statement = Statement::new(
    "orders in after",
    orders!("ARRAY(SELECT id FROM orders WHERE status = $3 AND id < $2 ORDER BY id DESC LIMIT $1)"),
);
const ORDERS_BY_ID: Statement = Statement::new("orders by id", orders!("$1"));
const ITEMS: Statement = Statement::new(
    "items",
    "SELECT i.order_id, i.product_id, p.name, i.quantity, i.unit_price_cents \
     FROM order_items i JOIN products p ON p.id = i.product_id \
     WHERE i.order_id = ANY($1) ORDER BY i.order_id, i.line",
);
// One statement sees one moment, so that the numbers agree.
const STATS: Statement = Statement::new(
    "stats",
    "SELECT status, count(*), sum(total_cents)::bigint, now() FROM orders GROUP BY status \
     UNION ALL SELECT 'products', count(*), 0, now() FROM products \
     UNION ALL SELECT 'customers', count(*), 0, now() FROM customers WHERE deleted_at IS NULL",
);
const PING: Statement = Statement::new("ping", "SELECT 1");

/// Every statement that reads, by name, for whoever wants to know how it is executed. `$1` of a list is how many rows to
/// fetch and `$2` where it starts, `$3` what it is filtered by; `$1` of the others are the identifiers.
pub const STATEMENTS: [(&str, &str); 15] = [
    PRODUCTS.named(),
    PRODUCTS_AFTER.named(),
    PRODUCTS_IN.named(),
    PRODUCTS_IN_AFTER.named(),
    PRODUCTS_BY_ID.named(),
    CUSTOMERS.named(),
    CUSTOMERS_AFTER.named(),
    CUSTOMERS_BY_ID.named(),
    ORDERS.named(),
    ORDERS_AFTER.named(),
    ORDERS_IN.named(),
    ORDERS_IN_AFTER.named(),
    ORDERS_BY_ID.named(),
    ITEMS.named(),
    STATS.named(),
];

pub(super) async fn products(mut lease: Lease, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
    let statement = match (category.is_some(), window.after().is_some()) {
        (false, false) => PRODUCTS,
        (false, true) => PRODUCTS_AFTER,
        (true, false) => PRODUCTS_IN,
        (true, true) => PRODUCTS_IN_AFTER,
    };
    let (limit, start) = bounds(window);
    let mut query = query(statement).bind(limit).bind(start);
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
    let statement = if window.after().is_some() { CUSTOMERS_AFTER } else { CUSTOMERS };
    let (limit, start) = bounds(window);
    page(window, &fetch(&mut lease, query(statement).bind(limit).bind(start)).await?, customer)
}

pub(super) async fn customers_by_id(mut lease: Lease, ids: &[i64]) -> Result<Vec<Customer>> {
    let rows = fetch(&mut lease, query(CUSTOMERS_BY_ID).bind(ids)).await?;
    drop(lease);
    rows.iter().map(customer).collect()
}

pub(super) async fn orders(mut lease: Lease, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
    let statement = match (status.is_some(), window.after().is_some()) {
        (false, false) => ORDERS,
        (false, true) => ORDERS_AFTER,
        (true, false) => ORDERS_IN,
        (true, true) => ORDERS_IN_AFTER,
    };
    let (limit, start) = bounds(window);
    let mut query = query(statement).bind(limit).bind(start);
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
    fetch(&mut lease, query(PING)).await.map(drop)
}
