//! What happens to orders, told to whoever listens, by every instance alike.
//!
//! The database is the truth: an event is a row of the outbox, and events have one order, to which nothing is ever added
//! before what could be read already. A client that says where it was gets what it missed from the database and then what
//! is new, each event once and in that order. Whatever wakes an instance is only a hint: it reads the database now and then
//! even if nobody says that there is something.

mod announce;
mod hub;
mod listener;
mod sse;

use std::{cmp::Ordering, fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;

pub use announce::{Announcer, announce};
pub use hub::Events;
pub use listener::{Listener, Refused};

use crate::{
    domain::{Cents, CustomerId, Invalid, OrderId, Timestamp},
    store::Result,
};

/// A place in the order of events, and when it was: what comes after it is kept for `events.retention` from then on.
///
/// Written `TRANSACTION.ROW.SECONDS`. It is an event's own, or lies between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the transaction that wrote the event; 0 where they commit one after the other anyway.
    pub transaction: i64,
    /// The row's identifier.
    pub row: i64,
    /// Seconds since 1970-01-01T00:00:00Z, by the database's clock.
    pub at: i64,
}

impl Cursor {
    /// Before, at or after the place of another.
    pub fn place(self, other: Self) -> Ordering {
        (self.transaction, self.row).cmp(&(other.transaction, other.row))
    }

    /// Whether this is behind the place of another.
    pub fn is_after(self, other: Self) -> bool {
        self.place(other) == Ordering::Greater
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.transaction, self.row, self.at)
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let mut parts = text.split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(transaction)), Some(Some(row)), Some(Some(at)), None) => Ok(Self { transaction, row, at }),
            _ => Err(Invalid("must be the identifier of an event".to_owned())),
        }
    }
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderPlaced {
    /// The order's identifier.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// The sum of its lines.
    pub total_cents: Cents,
    /// When the order was accepted.
    pub placed_at: Timestamp,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the order of events.
    pub cursor: Cursor,
    /// What happened.
    pub order: OrderPlaced,
}

/// What one look at the database gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The next events, in their order.
    pub events: Vec<Event>,
    /// Whether more follow them that can be read already.
    pub more: bool,
    /// Whether there are events that are not to be read yet: something that began before them has not ended, and might
    /// still put one in front of them.
    pub pending: bool,
    /// The place of this moment: what could be read is before it, and what will come is after it.
    pub now: Cursor,
}

/// Where events are read from. Always the database that is written to: a copy may be behind.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The place of this moment: whatever can be read later, and not now, is after it.
    async fn now(&self) -> Result<Cursor>;

    /// The events after a place, in their order, at most so many.
    async fn after(&self, cursor: Cursor, most: u32) -> Result<Batch>;
}

/// A feed that several tasks share.
pub type SharedFeed = Arc<dyn Feed>;

/// A feed in which nothing happens: that of an application without a database of its own.
#[derive(Debug, Default)]
pub struct Silence;

const BEGINNING: Cursor = Cursor { transaction: 0, row: 0, at: 0 };

#[async_trait]
impl Feed for Silence {
    async fn now(&self) -> Result<Cursor> {
        Ok(BEGINNING)
    }

    async fn after(&self, _: Cursor, _: u32) -> Result<Batch> {
        Ok(Batch { events: Vec::new(), more: false, pending: false, now: BEGINNING })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(transaction in 0..=i64::MAX, row in 0..=i64::MAX, at in 0..=i64::MAX) {
            let cursor = Cursor { transaction, row, at };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn whatever_a_client_sends_is_read_or_refused(text in "[0-9.+ -]{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert!(cursor.transaction >= 0 && cursor.row >= 0 && cursor.at >= 0);
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in
            ["", "1", "1.2", "1.2.3.4", "1..3", "-1.2.3", "+1.2.3", "1.2.3 ", "1.2.99999999999999999999", "a.b.c"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
