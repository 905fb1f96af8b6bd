//! Money, in whole cents. Nothing is ever rounded, because nothing is ever a fraction.

use serde::{Deserialize, Serialize};

use super::Invalid;

/// An amount of money in cents: zero or more, at most [`Cents::MAX`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000_000_i64, example = 1999)]
pub struct Cents(i64);

impl Cents {
    /// Ten thousand million units of currency: far above any order, far below what would overflow when a year is summed.
    pub const MAX: i64 = 1_000_000_000_000;

    /// The number of cents.
    pub fn get(self) -> i64 {
        self.0
    }

    /// This amount, `count` times. `None` above [`Cents::MAX`].
    pub fn times(self, count: i64) -> Option<Self> {
        self.0.checked_mul(count).and_then(|cents| Self::try_from(cents).ok())
    }

    /// The sum. `None` above [`Cents::MAX`].
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|cents| Self::try_from(cents).ok())
    }
}

impl TryFrom<i64> for Cents {
    type Error = Invalid;

    fn try_from(cents: i64) -> Result<Self, Invalid> {
        if (0..=Self::MAX).contains(&cents) {
            Ok(Self(cents))
        } else {
            Err(Invalid::new(format!("must be from 0 to {} cents", Self::MAX)))
        }
    }
}

impl From<Cents> for i64 {
    fn from(cents: Cents) -> Self {
        cents.0
    }
}
