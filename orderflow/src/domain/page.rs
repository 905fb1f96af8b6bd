//! Which part of a list is wanted: a numbered page near the start, or what follows a cursor, however deep.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::Invalid;

fn number(text: &str, max: u32) -> Result<u32, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| Invalid::new(format!("must be a whole number from 1 to {max}")))
}

/// How many rows a page has: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit(u32);

impl Limit {
    /// The most rows that a page has.
    pub const MAX: u32 = 100;

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl FromStr for Limit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        number(text, Self::MAX).map(Self)
    }
}

/// A page by its number: 1 to 1,000. The store skips every row before it, so that what lies deeper takes a [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageNumber(u32);

impl PageNumber {
    /// The last page that can be asked for by number.
    pub const MAX: u32 = 1_000;

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for PageNumber {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        number(text, Self::MAX)
            .map(Self)
            .map_err(|Invalid(why)| Invalid::new(format!("{why}; what lies deeper is reached by next_cursor")))
    }
}

/// The place after a row in a list, opaque to clients. It stays valid, and points at the same place, whatever is inserted or
/// deleted meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor(i64);

/// What the first byte of a cursor says, so that another layout can be told apart one day.
const CURSOR_VERSION: u8 = 1;

impl Cursor {
    /// The place after the row with this identifier, which is at least 1.
    pub fn after(id: impl Into<i64>) -> Self {
        Self(id.into())
    }

    /// The identifier of the row before the place.
    pub fn id(self) -> i64 {
        self.0
    }

    /// What a client is given: 12 characters that need no escaping in an address.
    pub fn encode(self) -> String {
        let mut bytes = [CURSOR_VERSION; 9];
        bytes[1..].copy_from_slice(&self.0.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut bytes = [0; 9];
        let decoded = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
        let id = i64::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8]]);
        if decoded == Ok(9) && bytes[0] == CURSOR_VERSION && id >= 1 {
            Ok(Self(id))
        } else {
            Err(Invalid::new("must be a next_cursor that this service gave"))
        }
    }
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// At the first row of this page.
    Page(PageNumber),
    /// After the row that the cursor names.
    After(Cursor),
}

/// A bounded part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Where it starts.
    pub start: Start,
    /// How many rows it has at most.
    pub limit: Limit,
}

impl Window {
    /// How many rows to skip: none after a cursor.
    pub fn offset(self) -> i64 {
        match self.start {
            Start::Page(page) => i64::from(page.0 - 1) * i64::from(self.limit.0),
            Start::After(_) => 0,
        }
    }

    /// The identifier that the rows come after, if they do.
    pub fn after(self) -> Option<i64> {
        match self.start {
            Start::Page(_) => None,
            Start::After(cursor) => Some(cursor.0),
        }
    }
}
