//! How large a shop is.

/// A shop of so many orders, and in proportion of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many orders.
    pub orders: u64,
}

impl Plan {
    /// A product for every ten orders: 50 at least, 10,000 at most.
    pub fn products(self) -> u64 {
        (self.orders / 10).clamp(50, 10_000)
    }

    /// A customer for every five orders, 10 at least.
    pub fn customers(self) -> u64 {
        (self.orders / 5).max(10)
    }
}
