//! What OrderFlow is about, as types that cannot hold an invalid value. Every value that comes from outside is parsed
//! into one of these at the edge, so that nothing behind it checks again.

mod customer;
mod id;
mod idempotency;
mod money;
mod object;
mod order;
mod page;
mod product;
mod stats;
mod text;
mod timestamp;

pub use customer::{Customer, CustomerDraft};
pub use id::{CustomerId, OrderId, ProductId};
pub use idempotency::{Fingerprint, IdempotencyKey};
pub use money::Cents;
pub use object::Object;
pub use order::{
    ItemDraft, MAX_LINES, Order, OrderCustomer, OrderDraft, OrderItem, OrderStatus, Quantity, Receipt, ReceiptItem,
};
pub use page::{Cursor, Limit, PageNumber, Start, Window};
pub use product::Product;
pub use stats::{OrdersByStatus, Stats};
pub use text::{Category, Email, Name};
pub use timestamp::{Day, Timestamp};

/// Why a value was refused: a sentence for the person who sent it, without the value itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}
