//! How long a text may be that leaves the process or is kept in it.

/// The beginning of a text, of so many bytes at most, that ends with a whole character.
pub(super) fn shortened(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(["", "abc", "abcd", "ab→"].map(|text| shortened(text, 4)), ["", "abc", "abcd", "ab"]);
    }
}
