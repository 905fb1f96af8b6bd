//! Texts that are never shown.

use std::fmt;

/// A text that is never shown: not by `Debug`, not in a log, not by `orderflow config`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Whoever asks for it sees to it that it ends up in no message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_masks() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{:?} {:#?}", secret, Some(&secret)), "Secret(***) Some(\n    Secret(***),\n)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
