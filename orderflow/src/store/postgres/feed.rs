//! Events, in the order of the transactions that wrote them.
//!
//! Identifiers are given out before their transactions commit, so that a later one can be readable before an earlier one.
//! What was written by a transaction older than every one that still runs is final: nothing will appear before it. Only
//! that is read. Rows that are older than the column have no transaction; they were there before any place was given out.

use async_trait::async_trait;
use sqlx::{Row, postgres::PgRow};

use super::{
    Lease, PostgresStore,
    rows::{fetch, moment},
};
use crate::{
    events::{Batch, Cursor, Event, Feed, OrderPlaced},
    store::{
        Result, StoreError,
        decode::valid,
        statement::{Statement, query},
    },
};

/// The oldest transaction that runs, which is what everything final is older than, and the moment.
const NOW: Statement = Statement::new(
    "last event",
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, extract(epoch FROM now())::bigint",
);

/// One statement sees one moment. `$1`, `$2` are a transaction and a row, `$3` how many rows to fetch. A statement of one
/// row at least, with nulls where there is no event.
pub const AFTER: &str = "
WITH seen AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot()) AS oldest, extract(epoch FROM now())::bigint AS moment
)
SELECT s.oldest::text::bigint, s.moment,
       EXISTS (SELECT FROM outbox p WHERE p.xid >= s.oldest AND p.kind = 'order.placed'),
       e.xid::text::bigint, e.id, extract(epoch FROM e.created_at)::bigint,
       (e.payload ->> 'order_id')::bigint, (e.payload ->> 'customer_id')::bigint, (e.payload ->> 'total_cents')::bigint,
       e.created_at
FROM seen s LEFT JOIN LATERAL (
  SELECT o.xid, o.id, o.created_at, o.payload FROM outbox o
  WHERE o.kind = 'order.placed' AND (o.xid, o.id) > ($1::bigint::text::xid8, $2) AND o.xid < s.oldest
  ORDER BY o.xid, o.id LIMIT $3
) e ON true
ORDER BY e.xid, e.id";

const EVENTS_AFTER: Statement = Statement::new("events after", AFTER);

#[async_trait]
impl Feed for PostgresStore {
    async fn now(&self) -> Result<Cursor> {
        self.read(now).await
    }

    async fn after(&self, cursor: Cursor, most: u32) -> Result<Batch> {
        self.read(|lease| after(lease, cursor, most)).await
    }
}

async fn now(mut lease: Lease) -> Result<Cursor> {
    let rows = fetch(&mut lease, query(NOW)).await?;
    place(rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?)
}

/// The place before the oldest transaction that runs.
fn place(row: &PgRow) -> Result<Cursor> {
    Ok(Cursor { transaction: row.try_get(0)?, row: 0, at: row.try_get(1)? })
}

async fn after(mut lease: Lease, cursor: Cursor, most: u32) -> Result<Batch> {
    let query = query(EVENTS_AFTER).bind(cursor.transaction).bind(cursor.row).bind(i64::from(most) + 1);
    let rows = fetch(&mut lease, query).await?;
    drop(lease);
    let first = rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?;
    let (now, pending) = (place(first)?, first.try_get(2)?);
    let there = rows.iter().filter(|row| row.try_get::<Option<i64>, _>(4).is_ok_and(|id| id.is_some()));
    let mut events = there.map(event).collect::<Result<Vec<_>>>()?;
    let more = events.len() > most as usize;
    events.truncate(most as usize);
    Ok(Batch { events, more, pending, now })
}

fn event(row: &PgRow) -> Result<Event> {
    Ok(Event {
        cursor: Cursor { transaction: row.try_get(3)?, row: row.try_get(4)?, at: row.try_get(5)? },
        order: OrderPlaced {
            order_id: valid(row.try_get::<i64, _>(6)?, "order id")?,
            customer_id: valid(row.try_get::<i64, _>(7)?, "customer id")?,
            total_cents: valid(row.try_get::<i64, _>(8)?, "order total")?,
            placed_at: moment(row, 9)?,
        },
    })
}
