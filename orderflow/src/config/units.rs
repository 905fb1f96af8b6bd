//! Durations and sizes as people write them: `250ms`, `10s`, `2m`; `4096`, `64KiB`, `32MiB`.

use std::time::Duration;

const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A duration from a whole number and a unit: `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let Some((_, millis)) = TIMES.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => format!("has no unit; {number}s or {number}ms?"),
            _ => format!("has the unit {unit:?}; the units are ms, s, m and h"),
        });
    };
    number.checked_mul(*millis).map(Duration::from_millis).ok_or_else(too_large)
}

/// The shortest notation that [`duration`] reads back as the same, to the millisecond.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, size) = TIMES.iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(&TIMES[3]);
    format!("{}{unit}", millis / size)
}

/// A number of bytes from a whole number and, unless bytes are meant, a unit: `KiB`, `MiB` or `GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Ok(number);
    }
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unit {unit:?}; the units are KiB, MiB and GiB, and none for bytes"));
    };
    number.checked_mul(*bytes).ok_or_else(too_large)
}

/// The shortest notation that [`size`] reads back as the same.
pub(super) fn show_size(bytes: u64) -> String {
    match SIZES.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

/// The digits at the start, and what follows them.
fn split(text: &str) -> Result<(u64, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err("does not begin with a whole number".to_owned());
    }
    if unit.starts_with('.') {
        return Err("is not a whole number; take a smaller unit".to_owned());
    }
    digits.parse().map(|number| (number, unit.trim_start())).map_err(|_| too_large())
}

fn too_large() -> String {
    "is too large".to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("10 s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "10", "-1s", "1.5s", "10 sec", "1m30s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("10").unwrap_err().contains("10s"), "a missing unit is offered");
    }

    #[test]
    fn sizes_are_bytes_unless_they_have_a_unit() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("64KiB", 65_536), ("32MiB", 33_554_432), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "64KB", "64kib", "1.5MiB", "-1", "18446744073709551616", "18446744073709551615KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..u64::MAX / 3_600_000, bytes: u64) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_is_too_odd(text: String) {
            let _ = (duration(&text), size(&text));
        }
    }
}
