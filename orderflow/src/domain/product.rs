//! Products.

use serde::Serialize;

use super::{Category, Cents, Name, ProductId, Timestamp};

/// Something that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Product {
    /// Its identifier.
    pub id: ProductId,
    /// What it is called.
    pub name: Name,
    /// What it is listed under.
    pub category: Category,
    /// The price of one.
    pub price_cents: Cents,
    /// How many are left: never below zero.
    #[schema(minimum = 0)]
    pub stock: i64,
    /// When its description or price last changed.
    pub updated_at: Timestamp,
}
