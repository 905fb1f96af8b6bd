//! From what a row holds to what the domain allows. Both stores share this; each knows how to read its own rows.

use std::collections::HashMap;

use super::{Result, Rows, StoreError};
use crate::{
    domain::{Order, OrderId, OrderItem, OrderStatus, OrdersByStatus, Stats, Timestamp, Window},
    jobs::Kind,
    telemetry::TraceContext,
};

/// The value as the domain has it.
pub(super) fn valid<T: TryFrom<V>, V>(value: V, what: &'static str) -> Result<T> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(what))
}

/// The status that a word stands for.
pub(super) fn status(word: &str) -> Result<OrderStatus> {
    word.parse().map_err(|_| StoreError::Corrupt("order status"))
}

/// The kind of notification that a word stands for.
pub(super) fn kind(word: &str) -> Result<Kind> {
    Kind::from_word(word).ok_or(StoreError::Corrupt("kind of notification"))
}

/// What a notification's template is filled with.
pub(super) fn payload(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("payload of a notification"))
}

/// The trace that something was begun in. What is none counts as none: nothing that matters hangs on it.
pub(super) fn trace(text: Option<&str>) -> Option<TraceContext> {
    text.and_then(|text| text.parse().ok())
}

/// The page, of the rows that were fetched for it: one more than it has, if there are more.
pub(super) fn page<R, T>(window: Window, rows: &[R], decode: impl Fn(&R) -> Result<T>) -> Result<Rows<T>> {
    let limit = window.limit.get() as usize;
    Ok(Rows { rows: rows.iter().take(limit).map(decode).collect::<Result<_>>()?, more: rows.len() > limit })
}

/// One row more than the page has, and where it starts: the row after which, or how many to skip.
pub(super) fn bounds(window: Window) -> (i64, i64) {
    (i64::from(window.limit.get()) + 1, window.after().unwrap_or_else(|| window.offset()))
}

/// Puts lines, sorted as they were sent, into the orders that they belong to.
pub(super) fn with_items(mut orders: Vec<Order>, items: Vec<(OrderId, OrderItem)>) -> Vec<Order> {
    let places: HashMap<_, _> = orders.iter().enumerate().map(|(place, order)| (order.id, place)).collect();
    for (id, item) in items {
        if let Some(&place) = places.get(&id) {
            orders[place].items.push(item);
        }
    }
    orders
}

/// One row of the statistics: what is counted, how many there are, and their sum in cents.
pub(super) struct Count {
    pub(super) of: String,
    pub(super) rows: i64,
    pub(super) cents: i64,
}

/// Puts the statistics together.
pub(super) fn stats(counts: &[Count], as_of: Timestamp) -> Result<Stats> {
    let mut stats = Stats { products: 0, customers: 0, orders: OrdersByStatus::default(), revenue_cents: 0, as_of };
    for count in counts {
        let slot = match count.of.as_str() {
            "products" => &mut stats.products,
            "customers" => &mut stats.customers,
            word => {
                let standing = status(word)?;
                if standing != OrderStatus::Cancelled {
                    stats.revenue_cents =
                        stats.revenue_cents.checked_add(count.cents).ok_or(StoreError::Corrupt("sum of orders"))?;
                }
                match standing {
                    OrderStatus::Pending => &mut stats.orders.pending,
                    OrderStatus::Paid => &mut stats.orders.paid,
                    OrderStatus::Shipped => &mut stats.orders.shipped,
                    OrderStatus::Delivered => &mut stats.orders.delivered,
                    OrderStatus::Cancelled => &mut stats.orders.cancelled,
                }
            }
        };
        *slot = count.rows;
    }
    Ok(stats)
}
