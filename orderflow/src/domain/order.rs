//! Orders: what a client asks for, what it is told, and what is read back.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Cents, CustomerId, Invalid, Name, Object, OrderId, ProductId, Timestamp};

/// The most lines that an order may have.
pub const MAX_LINES: usize = 50;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Accepted, not paid.
    Pending,
    /// Paid, not sent.
    Paid,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Given up.
    Cancelled,
}

impl OrderStatus {
    /// Every status, in the order in which they usually follow.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Paid, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// The word for it, in JSON and in the stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for OrderStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|status| status.as_str()).collect();
            Invalid::new(format!("must be one of {}", words.join(", ")))
        })
    }
}

/// How many of a product: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = i64, minimum = 1, maximum = 1000, example = 2)]
pub struct Quantity(i64);

impl Quantity {
    /// The most of one product in one order.
    pub const MAX: i64 = 1_000;

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Invalid::new(format!("must be from 1 to {}", Self::MAX)))
        }
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

/// One line of an order, as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemDraft {
    /// What is ordered.
    pub product_id: ProductId,
    /// How many of it.
    pub quantity: Quantity,
}

/// An order as a client writes it: 1 to 50 lines, no product twice. Prices are the store's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderDraft {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What.
    #[serde(deserialize_with = "items")]
    #[schema(min_items = 1, max_items = 50)]
    pub items: Vec<ItemDraft>,
}

fn items<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ItemDraft>, D::Error> {
    let items = Vec::<Object<ItemDraft>>::deserialize(deserializer)?;
    let items: Vec<_> = items.into_iter().map(|Object(item)| item).collect();
    if !(1..=MAX_LINES).contains(&items.len()) {
        return Err(serde::de::Error::custom(format!("must have from 1 to {MAX_LINES} lines")));
    }
    let mut products: Vec<_> = items.iter().map(|item| item.product_id).collect();
    products.sort_unstable();
    match products.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(serde::de::Error::custom(format!("product {} is listed twice; add the quantities", pair[0]))),
        None => Ok(items),
    }
}

/// What the sender of an order is told. It never changes afterwards, so that a repeated request can be answered alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Receipt {
    /// The order's identifier.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// When the order was accepted.
    pub placed_at: Timestamp,
    /// The sum of its lines.
    pub total_cents: Cents,
    /// Its lines, as they were sent, with the price that was agreed.
    pub items: Vec<ReceiptItem>,
}

/// One line of a [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReceiptItem {
    /// What was ordered.
    pub product_id: ProductId,
    /// How many of it.
    pub quantity: Quantity,
    /// The price of one at that moment.
    pub unit_price_cents: Cents,
}

/// An order with its customer and its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Order {
    /// Its identifier.
    pub id: OrderId,
    /// Where it stands.
    pub status: OrderStatus,
    /// When it was accepted.
    pub placed_at: Timestamp,
    /// The sum of its lines.
    pub total_cents: Cents,
    /// Who ordered.
    pub customer: OrderCustomer,
    /// Its lines, as they were sent.
    pub items: Vec<OrderItem>,
}

/// The customer of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderCustomer {
    /// Their identifier.
    pub id: CustomerId,
    /// What they are called; null once they were deleted.
    pub name: Option<Name>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderItem {
    /// What was ordered.
    pub product_id: ProductId,
    /// What that product is called now.
    pub product_name: Name,
    /// How many of it.
    pub quantity: Quantity,
    /// The price of one when the order was accepted.
    pub unit_price_cents: Cents,
}
