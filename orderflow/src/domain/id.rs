//! Identifiers: 64-bit, positive, and of one kind each, so that an order's cannot be passed where a product's belongs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "i64", into = "i64")]
        #[schema(value_type = i64, minimum = 1, example = 1)]
        pub struct $name(i64);

        impl $name {
            /// The number, which is at least 1.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = Invalid;

            fn try_from(number: i64) -> Result<Self, Invalid> {
                if number >= 1 { Ok(Self(number)) } else { Err(Invalid::new("must be 1 or more")) }
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            /// Digits only: no sign, no spaces, no leading zero, so that one resource has one address.
            // ANCHOR: from_str
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
                let number = canonical.then(|| text.parse().ok()).flatten();
                number.ok_or_else(|| Invalid::new(format!("must be a whole number from 1 to {}", i64::MAX))).map(Self)
            }
            // ANCHOR_END: from_str
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Identifies a product.
    ProductId
}
id! {
    /// Identifies a customer.
    CustomerId
}
id! {
    /// Identifies an order. Later orders have larger numbers.
    OrderId
}
