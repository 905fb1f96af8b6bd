//! Writes. Each is one statement, and so one transaction: the server either does all of it or nothing, in one round trip,
//! and holds its locks no longer than it takes itself.

use sqlx::{Row, postgres::PgRow};

use super::{
    Lease,
    rows::{customer, fetch, moment},
};
use crate::{
    domain::{
        Cents, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, OrderDraft, Receipt, ReceiptItem,
    },
    store::{
        Placed, Refused, Result, StoreError,
        decode::valid,
        placing::{Shelf, receipt, refusal},
        statement::{Statement, query},
    },
    telemetry::TraceContext,
};

/// Accepts an order, or does nothing and says what it found.
///
/// `$1` the customer; `$2` and `$3` the products and quantities, as arrays, line by line; `$4` the idempotency key or null;
/// `$5` its fingerprint or null; `$6` the trace that it
/// is placed in, or null.
///
/// The products are locked first, in the order of their identifiers, so that two orders never wait for each other in a
/// circle; a lock that waited sees the row as it is then. An order under a key waits at the key for another that is being
/// placed under it, and then does nothing.
pub const PLACE: &str = "
WITH line AS MATERIALIZED (
  SELECT * FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS line (product_id, quantity, number)
), shelf AS MATERIALIZED (
  SELECT id, price_cents, stock FROM products WHERE id = ANY($2::bigint[]) ORDER BY id FOR NO KEY UPDATE
), sum AS MATERIALIZED (
  SELECT count(*) AS lines, coalesce(bool_and(shelf.stock >= line.quantity), false) AS enough,
         coalesce(sum(shelf.price_cents * line.quantity), 0) AS total
  FROM line JOIN shelf ON shelf.id = line.product_id
), buyer AS MATERIALIZED (
  SELECT id FROM customers WHERE id = $1::bigint AND deleted_at IS NULL
), verdict AS MATERIALIZED (
  SELECT nextval('orders_id_seq') AS order_id, sum.total::bigint AS total FROM sum, buyer
  WHERE sum.lines = cardinality($2::bigint[]) AND sum.enough AND sum.total <= 1000000000000
), key AS (
  INSERT INTO idempotency_keys (key, fingerprint, order_id)
  SELECT $4::text, $5::bytea, order_id FROM verdict WHERE $4::text IS NOT NULL
  ON CONFLICT (key) DO NOTHING RETURNING order_id
), placed AS (
  INSERT INTO orders (id, customer_id, status, total_cents)
  SELECT order_id, $1::bigint, 'pending', total FROM verdict WHERE $4::text IS NULL OR EXISTS (SELECT FROM key)
  RETURNING id, total_cents, placed_at
), item AS (
  INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents)
  SELECT placed.id, line.number, line.product_id, line.quantity, shelf.price_cents
  FROM placed, line JOIN shelf ON shelf.id = line.product_id
), taken AS (
  UPDATE products SET stock = products.stock - line.quantity
  FROM placed, line WHERE products.id = line.product_id
), event AS (
  INSERT INTO outbox (kind, payload, trace)
  SELECT 'order.placed', jsonb_build_object('order_id', id, 'customer_id', $1::bigint, 'total_cents', total_cents), $6::text
  FROM placed
)
SELECT (SELECT id FROM placed), (SELECT placed_at FROM placed), EXISTS (SELECT FROM buyer),
       array_agg(id), array_agg(price_cents), array_agg(stock) FROM shelf";

const PLACE_ORDER: Statement = Statement::new("place order", PLACE);
const STORED: Statement = Statement::new(
    "order by key",
    "SELECT k.fingerprint, o.id, o.customer_id, o.placed_at, o.total_cents, \
            i.product_id, i.quantity, i.unit_price_cents \
     FROM idempotency_keys k JOIN orders o ON o.id = k.order_id \
     JOIN order_items i ON i.order_id = o.id WHERE k.key = $1 ORDER BY i.line",
);
const CREATE_CUSTOMER: Statement = Statement::new(
    "create customer",
    "INSERT INTO customers (name, email, birthday) VALUES ($1, $2, $3) \
     RETURNING id, name, email, birthday, created_at, updated_at",
);
const REPLACE_CUSTOMER: Statement = Statement::new(
    "replace customer",
    "UPDATE customers SET name = $2, email = $3, birthday = $4, updated_at = now() \
     WHERE id = $1 AND deleted_at IS NULL \
     RETURNING id, name, email, birthday, created_at, updated_at",
);
const DELETE_CUSTOMER: Statement = Statement::new(
    "delete customer",
    "UPDATE customers \
     SET name = NULL, email = NULL, birthday = NULL, updated_at = now(), deleted_at = now() \
     WHERE id = $1 AND deleted_at IS NULL RETURNING id",
);

/// Somebody else's address is the one rule about customers that only the store can check.
fn taken(error: StoreError) -> StoreError {
    match error {
        StoreError::Internal(sqlx::Error::Database(error)) if error.constraint() == Some("customers_email_key") => {
            StoreError::Refused(Refused::EmailTaken)
        }
        error => error,
    }
}

pub(super) async fn create_customer(mut lease: Lease, draft: CustomerDraft) -> Result<Customer> {
    let query = query(CREATE_CUSTOMER)
        .bind(draft.name.as_str())
        .bind(draft.email.as_str())
        .bind(draft.birthday.map(crate::domain::Day::get));
    customer(&one(fetch(&mut lease, query).await.map_err(taken)?)?)
}

pub(super) async fn replace_customer(
    mut lease: Lease,
    id: CustomerId,
    draft: CustomerDraft,
) -> Result<Option<Customer>> {
    let query = query(REPLACE_CUSTOMER)
        .bind(id.get())
        .bind(draft.name.as_str())
        .bind(draft.email.as_str())
        .bind(draft.birthday.map(crate::domain::Day::get));
    fetch(&mut lease, query).await.map_err(taken)?.first().map(customer).transpose()
}

pub(super) async fn delete_customer(mut lease: Lease, id: CustomerId) -> Result<bool> {
    Ok(!fetch(&mut lease, query(DELETE_CUSTOMER).bind(id.get())).await?.is_empty())
}

pub(super) async fn place_order(
    mut lease: Lease,
    draft: OrderDraft,
    key: Option<(IdempotencyKey, Fingerprint)>,
    trace: Option<TraceContext>,
) -> Result<Placed> {
    let ids: Vec<i64> = draft.items.iter().map(|item| item.product_id.get()).collect();
    let quantities: Vec<i64> = draft.items.iter().map(|item| item.quantity.get()).collect();
    let query = query(PLACE_ORDER)
        .bind(draft.customer_id.get())
        .bind(ids)
        .bind(quantities)
        .bind(key.as_ref().map(|(key, _)| key.as_str()))
        .bind(key.as_ref().map(|(_, fingerprint)| fingerprint.as_bytes().as_slice()))
        .bind(trace.map(|trace| trace.to_string()));
    let row = one(fetch(&mut lease, query).await?)?;
    let shelf = shelf(&row)?;
    if let Some(id) = row.try_get::<Option<i64>, _>(0)? {
        let receipt = receipt(&draft, &shelf, valid(id, "order id")?, moment(&row, 1)?)?;
        return Ok(Placed { receipt, replayed: false });
    }
    // The key comes before every other rule: a repeated order that took the last of something was still accepted.
    if let Some((key, fingerprint)) = key
        && let Some((stored, receipt)) = stored(&mut lease, &key).await?
    {
        return if stored == fingerprint.as_bytes() {
            Ok(Placed { receipt, replayed: true })
        } else {
            Err(Refused::KeyReused.into())
        };
    }
    Err(refusal(&draft, row.try_get(2)?, &shelf))
}

fn one(rows: Vec<PgRow>) -> Result<PgRow> {
    rows.into_iter().next().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))
}

/// The products that were locked, as they were before the order took from them.
fn shelf(row: &PgRow) -> Result<Shelf> {
    let ids: Vec<i64> = row.try_get::<Option<_>, _>(3)?.unwrap_or_default();
    let prices: Vec<i64> = row.try_get::<Option<_>, _>(4)?.unwrap_or_default();
    let stocks: Vec<i64> = row.try_get::<Option<_>, _>(5)?.unwrap_or_default();
    let price = |cents| valid::<Cents, i64>(cents, "price");
    ids.into_iter().zip(prices).zip(stocks).map(|((id, cents), stock)| Ok((id, (price(cents)?, stock)))).collect()
}

/// The order that was placed under a key: what was fingerprinted, and what its sender was told.
async fn stored(lease: &mut Lease, key: &IdempotencyKey) -> Result<Option<(Vec<u8>, Receipt)>> {
    let rows = fetch(lease, query(STORED).bind(key.as_str())).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let item = |row: &PgRow| {
        Ok(ReceiptItem {
            product_id: valid(row.try_get::<i64, _>(5)?, "product id")?,
            quantity: valid(row.try_get::<i64, _>(6)?, "quantity")?,
            unit_price_cents: valid(row.try_get::<i64, _>(7)?, "price")?,
        })
    };
    let receipt = Receipt {
        id: valid(first.try_get::<i64, _>(1)?, "order id")?,
        customer_id: valid(first.try_get::<i64, _>(2)?, "customer id")?,
        placed_at: moment(first, 3)?,
        total_cents: valid(first.try_get::<i64, _>(4)?, "order total")?,
        items: rows.iter().map(item).collect::<Result<_>>()?,
    };
    Ok(Some((first.try_get(0)?, receipt)))
}
