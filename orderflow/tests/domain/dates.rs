//! Moments and days.

use orderflow::domain::{Day, Timestamp};
use proptest::prelude::*;
use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

proptest! {
    #[test]
    fn a_moment_is_kept_to_the_microsecond(micros in -62_135_596_800_000_000..253_402_300_799_000_000_i64) {
        let moment = Timestamp::from_micros(micros).unwrap();
        prop_assert_eq!(moment.micros(), micros);
        let text: String = serde_json::from_value(serde_json::to_value(moment).unwrap()).unwrap();
        prop_assert_eq!(Timestamp::from(OffsetDateTime::parse(&text, &Rfc3339).unwrap()), moment);
    }

    #[test]
    fn no_number_of_microseconds_panics(micros: i64) {
        let in_range = Timestamp::from_micros(micros).map(Timestamp::micros);
        prop_assert!(in_range.is_none_or(|same| same == micros));
    }

    #[test]
    fn a_moment_is_the_same_wherever_it_was_read(nanos in 0..4_000_000_000_000_000_000_i128, hours in -12..=12_i8) {
        let utc = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        let there = utc.to_offset(UtcOffset::from_hms(hours, 0, 0).unwrap());
        prop_assert_eq!(Timestamp::from(there), Timestamp::from(utc));
        prop_assert_eq!(i128::from(Timestamp::from(there).micros()), nanos / 1_000);
        prop_assert_eq!(Timestamp::from(there).get().offset(), UtcOffset::UTC);
    }

    #[test]
    fn a_day_is_in_the_calendar_and_between_its_years(year in 1890..2110_i32, month in 0..=13_u8, day in 0..=32_u8) {
        let text = format!("{year:04}-{month:02}-{day:02}");
        let date = time::Month::try_from(month).ok().and_then(|month| Date::from_calendar_date(year, month, day).ok());
        let may = date.filter(|_| (1900..=2100).contains(&year));
        let read = serde_json::from_value::<Day>(text.clone().into()).ok();
        prop_assert_eq!(read.map(Day::get), may);
        if let Some(day) = read {
            prop_assert_eq!(serde_json::to_value(day).unwrap(), text);
        }
    }

    #[test]
    fn no_other_spelling_is_a_day(text in "([+ -]?[0-9]{1,5}[-/. ][0-9]{1,2}[-/. ][0-9]{1,3}[ T]?|\\PC{0,12})") {
        if let Ok(day) = serde_json::from_value::<Day>(text.clone().into()) {
            prop_assert_eq!(serde_json::to_value(day).unwrap(), text);
        }
    }
}
