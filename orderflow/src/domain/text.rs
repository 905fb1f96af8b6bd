//! Short texts with rules: names, e-mail addresses, categories.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $example:tt, $max:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, min_length = 1, max_length = $max, example = $example)]
        pub struct $name(String);

        impl $name {
            /// The longest that is accepted, in characters.
            pub const MAX: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                let rule: fn(&str) -> Result<(), Invalid> = $rule;
                if text.is_empty() {
                    return Err(Invalid::new("must not be empty"));
                }
                if text.chars().count() > Self::MAX {
                    return Err(Invalid::new(format!("must be at most {} characters", Self::MAX)));
                }
                rule(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text! {
    /// A person's or a product's name, as it is written: no control characters, no space at either end.
    Name, name, "Ada Lovelace", 120
}
text! {
    /// An e-mail address of the form that mail servers take in practice: a dot-atom, one `@`, a host name with a dot. It is
    /// kept as it was written; two addresses that differ in case only are the same address to the store.
    Email, email, "ada@example.com", 254
}
text! {
    /// A product category: lower-case words joined by hyphens.
    Category, category, "kitchen", 40
}

fn name(text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("must not contain control characters"));
    }
    if text.trim() != text {
        return Err(Invalid::new("must not begin or end with a space"));
    }
    Ok(())
}

fn email(text: &str) -> Result<(), Invalid> {
    let wrong = || Invalid::new("must be an e-mail address such as ada@example.com");
    let (local, host) = text.split_once('@').ok_or_else(wrong)?;
    // RFC 5322, 3.2.3: what may stand in an atom.
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let local_ok = local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom));
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let host_ok = host.contains('.') && host.split('.').all(label);
    if local_ok && host_ok { Ok(()) } else { Err(wrong()) }
}

fn category(text: &str) -> Result<(), Invalid> {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.split('-').all(word) {
        Ok(())
    } else {
        Err(Invalid::new("must be lower-case letters and digits, in words joined by single hyphens"))
    }
}
