//! Customers.

use serde::{Deserialize, Serialize};

use super::{CustomerId, Day, Email, Name, Timestamp};

/// Somebody who orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Customer {
    /// Their identifier.
    pub id: CustomerId,
    /// What they are called.
    pub name: Name,
    /// Where they are written to. No two customers share one.
    pub email: Email,
    /// When they were born, if they told.
    pub birthday: Option<Day>,
    /// When they became a customer.
    pub created_at: Timestamp,
    /// When something about them last changed.
    pub updated_at: Timestamp,
}

/// A customer as a client writes one, to create or to replace it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerDraft {
    /// What they are called.
    pub name: Name,
    /// Where they are written to. No other customer may have it.
    pub email: Email,
    /// When they were born, if they told.
    #[serde(default)]
    pub birthday: Option<Day>,
}
