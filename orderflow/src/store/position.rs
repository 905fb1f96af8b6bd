//! How new a copy of the database must be for a read.

use std::{fmt, str::FromStr};

/// A position in the write-ahead log of a PostgreSQL server: a copy that has replayed the log up to it holds everything that
/// was committed before it was asked for. As text it is `primary`, or up to 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Any copy will do.
    pub const START: Self = Self(0);
    /// Only the primary itself will do.
    pub const PRIMARY: Self = Self(u64::MAX);

    /// The position of this number of bytes in the log.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes in the log.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::PRIMARY { f.write_str("primary") } else { write!(f, "{:x}", self.0) }
    }
}

/// The text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is `primary`, or 1 to 16 hexadecimal digits")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        if text == "primary" {
            return Ok(Self::PRIMARY);
        }
        // A sign is no digit, though the standard library would take it.
        let sound = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self).ok_or(NoPosition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was_written() {
        for (position, text) in [
            (Position::START, "0"),
            (Position::PRIMARY, "primary"),
            (Position::new(0x16_b374_d848), "16b374d848"),
            (Position::new(u64::MAX - 1), "fffffffffffffffe"),
        ] {
            assert_eq!(position.to_string(), text);
            assert_eq!(text.parse(), Ok(position));
        }
    }

    #[test]
    fn garbage_is_no_position() {
        for text in ["", "+1", "-1", "0x1", "g", " 1", "1 ", "00000000000000001", "Primary", "1/2", "\u{661}"] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text:?}");
        }
    }
}
