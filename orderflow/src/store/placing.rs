//! What an order comes to, given what is in stock: the part of placing one that no database is needed for.

use std::collections::HashMap;

use super::{Refused, Result, StoreError};
use crate::domain::{Cents, OrderDraft, OrderId, Receipt, ReceiptItem, Timestamp};

/// The ordered products that exist: price and stock by identifier.
pub(super) type Shelf = HashMap<i64, (Cents, i64)>;

/// The lines with their prices, and their sum. Refused if a product is unknown, or the sum is too large.
pub(super) fn price(draft: &OrderDraft, shelf: &Shelf) -> Result<(Vec<ReceiptItem>, Cents), Refused> {
    let mut total = Cents::default();
    let mut items = Vec::with_capacity(draft.items.len());
    for item in &draft.items {
        let (unit_price_cents, _) =
            *shelf.get(&item.product_id.get()).ok_or(Refused::UnknownProduct(item.product_id))?;
        let sum = unit_price_cents.times(item.quantity.get());
        total = sum.and_then(|sum| total.plus(sum)).ok_or(Refused::TotalTooLarge)?;
        items.push(ReceiptItem { product_id: item.product_id, quantity: item.quantity, unit_price_cents });
    }
    Ok((items, total))
}

/// Every rule that an order may break, in the sequence in which they are told: the customer, then line by line whether
/// there is such a product and enough of it, then the sum.
pub(super) fn check(draft: &OrderDraft, customer: bool, shelf: &Shelf) -> Result<(Vec<ReceiptItem>, Cents), Refused> {
    if !customer {
        return Err(Refused::UnknownCustomer(draft.customer_id));
    }
    for item in &draft.items {
        let product = item.product_id;
        let (_, left) = *shelf.get(&product.get()).ok_or(Refused::UnknownProduct(product))?;
        let asked = item.quantity.get();
        if asked > left {
            return Err(Refused::OutOfStock { product, asked, left });
        }
    }
    price(draft, shelf)
}

/// Why an order that was not accepted was not.
pub(super) fn refusal(draft: &OrderDraft, customer: bool, shelf: &Shelf) -> StoreError {
    match check(draft, customer, shelf) {
        Err(refused) => refused.into(),
        // The statement and the rules here disagree, which the conformance suite would have to miss.
        Ok(_) => StoreError::Corrupt("refusal"),
    }
}

/// What the sender of an accepted order is told.
pub(super) fn receipt(draft: &OrderDraft, shelf: &Shelf, id: OrderId, placed_at: Timestamp) -> Result<Receipt> {
    let (items, total_cents) = price(draft, shelf)?;
    Ok(Receipt { id, customer_id: draft.customer_id, placed_at, total_cents, items })
}
