//! What makes a repeated POST harmless: the client's key, and what the first request with it said.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::{Invalid, OrderDraft};

/// A key that a client makes up for one request and repeats with every retry of it: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The longest that is accepted.
    pub const MAX: usize = 255;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same key as one client's own, so that two clients who make up the same key do not meet. The length tells where the
    /// client's name ends, which may hold any character.
    pub fn of_client(&self, client: &str) -> Self {
        Self(format!("{}/{client}/{}", client.len(), self.0))
    }
}

impl FromStr for IdempotencyKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(format!("must be 1 to {} visible ASCII characters", Self::MAX)))
        }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of what an order says, whatever its spelling as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of an order, its lines in the sequence in which they were sent.
    pub fn of(order: &OrderDraft) -> Self {
        let mut hash = Sha256::new();
        hash.update(order.customer_id.get().to_be_bytes());
        for item in &order.items {
            hash.update(item.product_id.get().to_be_bytes());
            hash.update(item.quantity.get().to_be_bytes());
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
