//! Numbers for names, alike in every instance, version and build: what instances agree on must not depend on a compiler.

/// Mixes the bits of a number, so that numbers in sequence are spread. (The finaliser of `SplitMix64`.)
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number for a text. (FNV-1a, and mixed.)
pub(super) fn hash(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mixed(fnv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_functions() {
        // The first output of SplitMix64 from 0, and FNV-1a of "a" before it is mixed.
        assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash("a"), mixed(0xaf63_dc4c_8601_ec8c));
    }
}
