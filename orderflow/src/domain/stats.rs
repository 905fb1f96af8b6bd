//! The shop in a few numbers.

use serde::Serialize;

use super::Timestamp;

/// Totals over everything that the store holds, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Stats {
    /// Products that are listed.
    pub products: i64,
    /// Customers, without those who were deleted.
    pub customers: i64,
    /// Orders by their status; a status without orders is zero.
    pub orders: OrdersByStatus,
    /// The sum of all orders that were not cancelled, in cents.
    pub revenue_cents: i64,
    /// The moment at which this was counted.
    pub as_of: Timestamp,
}

/// How many orders are in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrdersByStatus {
    /// Accepted, not paid.
    pub pending: i64,
    /// Paid, not sent.
    pub paid: i64,
    /// On its way.
    pub shipped: i64,
    /// Arrived.
    pub delivered: i64,
    /// Given up.
    pub cancelled: i64,
}
