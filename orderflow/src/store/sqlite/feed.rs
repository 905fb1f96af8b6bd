//! Events, in the order of their identifiers: there is one writer, so that they commit in that order.

use async_trait::async_trait;
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Lease, SqliteStore,
    rows::{fetch, moment},
};
use crate::{
    domain::Timestamp,
    events::{Batch, Cursor, Event, Feed, OrderPlaced},
    store::{
        Result, StoreError,
        decode::valid,
        statement::{Statement, query},
    },
};

/// The last identifier that was given out, be the row still there or not.
const NOW: Statement =
    Statement::new("last event", "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)");
/// One statement sees one moment. `$1` is a row, `$2` how many rows to fetch. A statement of one row at least, with nulls
/// where there is no event.
const AFTER: Statement = Statement::new(
    "events after",
    "
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0), e.id, e.created_at,
       e.payload ->> 'order_id', e.payload ->> 'customer_id', e.payload ->> 'total_cents'
FROM (SELECT 1) LEFT JOIN (
  SELECT id, created_at, payload FROM outbox WHERE kind = 'order.placed' AND id > $1 ORDER BY id LIMIT $2
) AS e ORDER BY e.id",
);

#[async_trait]
impl Feed for SqliteStore {
    async fn now(&self) -> Result<Cursor> {
        let mut lease = self.readers.acquire().await?;
        let rows = fetch(&mut lease, query(NOW)).await?;
        place(rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?)
    }

    async fn after(&self, cursor: Cursor, most: u32) -> Result<Batch> {
        after(self.readers.acquire().await?, cursor, most).await
    }
}

/// The place after everything that was given an identifier.
fn place(row: &SqliteRow) -> Result<Cursor> {
    Ok(Cursor { transaction: 0, row: row.try_get(0)?, at: seconds(Timestamp::now()) })
}

fn seconds(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(1_000_000)
}

async fn after(mut lease: Lease, cursor: Cursor, most: u32) -> Result<Batch> {
    // What some other kind of database gave out is no place here.
    let row = if cursor.transaction == 0 { cursor.row } else { i64::MAX };
    let rows = fetch(&mut lease, query(AFTER).bind(row).bind(i64::from(most) + 1)).await?;
    drop(lease);
    let now = place(rows.first().ok_or(StoreError::Internal(sqlx::Error::RowNotFound))?)?;
    let there = rows.iter().filter(|row| row.try_get::<Option<i64>, _>(1).is_ok_and(|id| id.is_some()));
    let mut events = there.map(event).collect::<Result<Vec<_>>>()?;
    let more = events.len() > most as usize;
    events.truncate(most as usize);
    Ok(Batch { events, more, pending: false, now })
}

fn event(row: &SqliteRow) -> Result<Event> {
    let placed_at = moment(row, 2)?;
    Ok(Event {
        cursor: Cursor { transaction: 0, row: row.try_get(1)?, at: seconds(placed_at) },
        order: OrderPlaced {
            order_id: valid(row.try_get::<i64, _>(3)?, "order id")?,
            customer_id: valid(row.try_get::<i64, _>(4)?, "customer id")?,
            total_cents: valid(row.try_get::<i64, _>(5)?, "order total")?,
            placed_at,
        },
    })
}
