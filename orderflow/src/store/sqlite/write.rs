//! Writes. Each runs between BEGIN IMMEDIATE and COMMIT, on the one connection that writes.

use std::collections::HashMap;

use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Lease,
    connect::Write,
    rows::{customer, execute, fetch, list, moment, written},
};
use crate::{
    domain::{
        Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, OrderDraft, OrderId, Receipt, ReceiptItem,
        Timestamp,
    },
    store::{
        Placed, Refused, Result, StoreError,
        decode::valid,
        placing::{Shelf, check},
        statement::{Statement, query},
    },
    telemetry::TraceContext,
};

const CREATE_CUSTOMER: Statement = Statement::new(
    "create customer",
    "INSERT INTO customers (name, email, birthday, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $4) RETURNING id, name, email, birthday, created_at, updated_at",
);
const REPLACE_CUSTOMER: Statement = Statement::new(
    "replace customer",
    "UPDATE customers SET name = $1, email = $2, birthday = $3, updated_at = $4 \
     WHERE id = $5 AND deleted_at IS NULL \
     RETURNING id, name, email, birthday, created_at, updated_at",
);
const DELETE_CUSTOMER: Statement = Statement::new(
    "delete customer",
    "UPDATE customers \
     SET name = NULL, email = NULL, birthday = NULL, updated_at = $2, deleted_at = $2 \
     WHERE id = $1 AND deleted_at IS NULL RETURNING id",
);
const STORED: Statement = Statement::new(
    "order by key",
    "SELECT k.fingerprint, o.id, o.customer_id, o.placed_at, o.total_cents, \
            i.product_id, i.quantity, i.unit_price_cents \
     FROM idempotency_keys k JOIN orders o ON o.id = k.order_id \
     JOIN order_items i ON i.order_id = o.id WHERE k.key = $1 ORDER BY i.line",
);
const BUYER: Statement = Statement::new("buyer", "SELECT id FROM customers WHERE id = $1 AND deleted_at IS NULL");
const SHELF: Statement = Statement::new(
    "shelf",
    "SELECT id, price_cents, stock FROM products WHERE id IN (SELECT value FROM json_each($1))",
);
const ORDER: Statement = Statement::new(
    "insert order",
    "INSERT INTO orders (customer_id, status, total_cents, placed_at) \
     VALUES ($1, 'pending', $2, $3) RETURNING id",
);
// One parameter holds every line: [[product, quantity, price], ...].
const ITEMS: Statement = Statement::new(
    "insert items",
    "INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents) \
     SELECT $1, key + 1, value ->> 0, value ->> 1, value ->> 2 FROM json_each($2)",
);
const TAKE: Statement = Statement::new(
    "take from stock",
    "UPDATE products SET stock = stock - line.quantity \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS quantity FROM json_each($1)) AS line \
     WHERE products.id = line.id",
);
const KEY: Statement = Statement::new(
    "insert key",
    "INSERT INTO idempotency_keys (key, fingerprint, order_id, created_at) VALUES ($1, $2, $3, $4)",
);
const EVENT: Statement = Statement::new(
    "insert event",
    "INSERT INTO outbox (kind, payload, created_at, trace) \
     VALUES ('order.placed', json_object('order_id', $1, 'customer_id', $2, 'total_cents', $3), $4, $5)",
);

/// Somebody else's address is the one rule about customers that only the store can check.
fn taken(error: StoreError) -> StoreError {
    match error {
        StoreError::Internal(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            StoreError::Refused(Refused::EmailTaken)
        }
        error => error,
    }
}

/// Adds a customer.
pub(super) struct CreateCustomer(pub(super) CustomerDraft);

impl Write for CreateCustomer {
    type Answer = Customer;

    async fn make(&self, lease: &mut Lease) -> Result<Customer> {
        let query = query(CREATE_CUSTOMER)
            .bind(self.0.name.as_str())
            .bind(self.0.email.as_str())
            .bind(self.0.birthday.map(written))
            .bind(Timestamp::now().micros());
        customer(one(&fetch(lease, query).await.map_err(taken)?)?)
    }
}

/// Replaces a customer.
pub(super) struct ReplaceCustomer(pub(super) CustomerId, pub(super) CustomerDraft);

impl Write for ReplaceCustomer {
    type Answer = Option<Customer>;

    async fn make(&self, lease: &mut Lease) -> Result<Option<Customer>> {
        let Self(id, draft) = self;
        let query = query(REPLACE_CUSTOMER)
            .bind(draft.name.as_str())
            .bind(draft.email.as_str())
            .bind(draft.birthday.map(written))
            .bind(Timestamp::now().micros())
            .bind(id.get());
        fetch(lease, query).await.map_err(taken)?.first().map(customer).transpose()
    }
}

/// Forgets a customer.
pub(super) struct DeleteCustomer(pub(super) CustomerId);

impl Write for DeleteCustomer {
    type Answer = bool;

    async fn make(&self, lease: &mut Lease) -> Result<bool> {
        let query = query(DELETE_CUSTOMER).bind(self.0.get()).bind(Timestamp::now().micros());
        Ok(!fetch(lease, query).await?.is_empty())
    }
}

/// Accepts an order, placed in that trace.
pub(super) struct PlaceOrder(
    pub(super) OrderDraft,
    pub(super) Option<(IdempotencyKey, Fingerprint)>,
    pub(super) Option<TraceContext>,
);

impl Write for PlaceOrder {
    type Answer = Placed;

    async fn make(&self, lease: &mut Lease) -> Result<Placed> {
        let Self(draft, key, trace) = self;
        // The key comes before every other rule: a repeated order that took the last of something was still accepted.
        if let Some((key, fingerprint)) = key
            && let Some((stored, receipt)) = stored(lease, key).await?
        {
            return if stored == fingerprint.as_bytes() {
                Ok(Placed { receipt, replayed: true })
            } else {
                Err(Refused::KeyReused.into())
            };
        }
        let customer = !fetch(lease, query(BUYER).bind(draft.customer_id.get())).await?.is_empty();
        let found = shelf(lease, draft).await?;
        let (items, total_cents) = check(draft, customer, &found)?;
        let receipt = insert(lease, draft, items, total_cents, *trace).await?;
        if let Some((key, fingerprint)) = key {
            let query = query(KEY)
                .bind(key.as_str())
                .bind(fingerprint.as_bytes().as_slice())
                .bind(receipt.id.get())
                .bind(receipt.placed_at.micros());
            execute(lease, query).await?;
        }
        Ok(Placed { receipt, replayed: false })
    }
}

/// Writes the order, its lines and its outbox row, and takes the lines from stock.
async fn insert(
    lease: &mut Lease,
    draft: &OrderDraft,
    items: Vec<ReceiptItem>,
    total_cents: crate::domain::Cents,
    trace: Option<TraceContext>,
) -> Result<Receipt> {
    let customer_id = draft.customer_id;
    let placed_at = Timestamp::now();
    let (buyer, total, now) = (customer_id.get(), total_cents.get(), placed_at.micros());
    let rows = fetch(lease, query(ORDER).bind(buyer).bind(total).bind(now)).await?;
    let id: OrderId = valid(one(&rows)?.try_get::<i64, _>(0)?, "order id")?;
    let lines: Vec<_> =
        items.iter().map(|item| [item.product_id.get(), item.quantity.get(), item.unit_price_cents.get()]).collect();
    let lines =
        serde_json::to_string(&lines).map_err(|error| StoreError::Internal(sqlx::Error::Encode(error.into())))?;
    execute(lease, query(ITEMS).bind(id.get()).bind(lines.as_str())).await?;
    execute(lease, query(TAKE).bind(lines.as_str())).await?;
    let trace = trace.map(|trace| trace.to_string());
    execute(lease, query(EVENT).bind(id.get()).bind(buyer).bind(total).bind(now).bind(trace)).await?;
    Ok(Receipt { id, customer_id, placed_at, total_cents, items })
}

fn one(rows: &[SqliteRow]) -> Result<&SqliteRow> {
    rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))
}

async fn shelf(lease: &mut Lease, draft: &OrderDraft) -> Result<Shelf> {
    let ids = list(draft.items.iter().map(|item| item.product_id.get()));
    let mut shelf = HashMap::new();
    for row in fetch(lease, query(SHELF).bind(ids)).await? {
        let price = valid(row.try_get::<i64, _>(1)?, "price")?;
        shelf.insert(row.try_get(0)?, (price, row.try_get(2)?));
    }
    Ok(shelf)
}

/// The order that was placed under a key: what was fingerprinted, and what its sender was told.
async fn stored(lease: &mut Lease, key: &IdempotencyKey) -> Result<Option<(Vec<u8>, Receipt)>> {
    let rows = fetch(lease, query(STORED).bind(key.as_str())).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let item = |row: &SqliteRow| {
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
