//! Days: when they begin, which were missed, and whose birthday they are.

use std::time::Duration;

use time::{Date, Month, OffsetDateTime, Time, UtcOffset, util::is_leap_year};

use crate::domain::Timestamp;

/// A day of the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthDay {
    /// From 1 to 12.
    pub month: u8,
    /// From 1.
    pub day: u8,
}

impl MonthDay {
    /// The birthdays that are celebrated on a day: in a year without a 29 February its own go to the day before.
    // ANCHOR: celebrated_on
    pub(super) fn celebrated_on(date: Date) -> impl Iterator<Item = Self> {
        let own = Self { month: date.month().into(), day: date.day() };
        let joins = own == Self { month: 2, day: 28 } && !is_leap_year(date.year());
        [Some(own), joins.then_some(Self { month: 2, day: 29 })].into_iter().flatten()
    }
    // ANCHOR_END: celebrated_on
}

/// The day that a moment belongs to.
pub(super) fn of(moment: Timestamp, offset: UtcOffset) -> Date {
    moment.get().to_offset(offset).date()
}

/// When a day begins.
pub(super) fn begin(day: Date, offset: UtcOffset) -> Timestamp {
    OffsetDateTime::new_in_offset(day, Time::MIDNIGHT, offset).into()
}

/// So long before a moment.
pub(super) fn before(moment: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from(moment.get().saturating_sub(by.try_into().unwrap_or(time::Duration::MAX)))
}

/// Whether the last day that was done is further ahead of today than a change of the offset can explain.
pub(super) fn beyond(last: Date, today: Date) -> bool {
    (last - today).whole_days() > 2
}

/// The days that are to be done, oldest first: those after the last one, at most so many before today, and today. At first
/// only today, and nothing of today again.
pub(super) fn due(last: Option<Date>, today: Date, catch_up: u32) -> impl Iterator<Item = Date> {
    let missed = match last.filter(|last| !beyond(*last, today)) {
        Some(last) => (today - last).whole_days() - 1,
        None => 0,
    };
    // Below 0, today is done as well.
    (0..=missed.min(i64::from(catch_up))).rev().map(move |ago| today.saturating_sub(time::Duration::days(ago)))
}

/// 20260131 for 31 January 2026.
pub(super) fn to_number(day: Date) -> i64 {
    i64::from(day.year()) * 10_000 + i64::from(u8::from(day.month())) * 100 + i64::from(day.day())
}

/// The day that a number means.
pub(super) fn from_number(number: i64) -> Option<Date> {
    let part = |part: i64| u8::try_from(part).ok();
    let month = Month::try_from(part(number / 100 % 100)?).ok()?;
    Date::from_calendar_date(i32::try_from(number / 10_000).ok()?, month, part(number % 100)?).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime, offset};

    use super::*;

    fn celebrated(day: Date) -> Vec<(u8, u8)> {
        MonthDay::celebrated_on(day).map(|of| (of.month, of.day)).collect()
    }

    #[test]
    fn the_29th_of_february_moves_in_years_that_have_none() {
        assert_eq!(celebrated(date!(2026 - 02 - 28)), [(2, 28), (2, 29)]);
        assert_eq!(celebrated(date!(2100 - 02 - 28)), [(2, 28), (2, 29)]);
        assert_eq!(celebrated(date!(2028 - 02 - 28)), [(2, 28)]);
        assert_eq!(celebrated(date!(2028 - 02 - 29)), [(2, 29)]);
        assert_eq!(celebrated(date!(2026 - 03 - 01)), [(3, 1)]);
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_offset() {
        let moment = Timestamp::from(datetime!(2025-12-31 22:30 UTC));
        assert_eq!(of(moment, offset!(UTC)), date!(2025 - 12 - 31));
        assert_eq!(of(moment, offset!(+2)), date!(2026 - 01 - 01));
        assert_eq!(of(moment, offset!(-3:30)), date!(2025 - 12 - 31));
        assert_eq!(begin(date!(2026 - 01 - 01), offset!(+2)), datetime!(2025-12-31 22:00 UTC).into());
    }

    #[test]
    fn missed_days_are_due_oldest_first_and_not_without_end() {
        let (today, catch_up) = (date!(2026 - 01 - 02), 7);
        let days = |last: Option<Date>| due(last, today, catch_up).collect::<Vec<_>>();
        assert_eq!(days(None), [today]);
        assert_eq!(days(Some(today)), []);
        assert_eq!(days(Some(date!(2026 - 01 - 01))), [today]);
        assert_eq!(days(Some(date!(2025 - 12 - 30))), [date!(2025 - 12 - 31), date!(2026 - 01 - 01), today]);
        let many = days(Some(date!(2025 - 01 - 01)));
        assert_eq!((many.len(), many[0]), (8, date!(2025 - 12 - 26)));
        assert_eq!(due(Some(date!(2025 - 12 - 30)), today, 0).collect::<Vec<_>>(), [today]);
    }

    #[test]
    fn a_day_ahead_is_waited_for_and_one_far_ahead_is_not_believed() {
        let today = date!(2026 - 01 - 02);
        let days = |last: Date| due(Some(last), today, 7).collect::<Vec<_>>();
        assert_eq!(days(date!(2026 - 01 - 04)), []);
        assert_eq!(days(date!(2099 - 01 - 01)), [today]);
    }

    #[test]
    fn a_day_is_kept_as_a_number() {
        for day in [date!(2026 - 01 - 31), date!(2028 - 02 - 29), date!(1999 - 12 - 01)] {
            assert_eq!(from_number(to_number(day)), Some(day));
        }
        assert_eq!(to_number(date!(2026 - 01 - 31)), 20_260_131);
        assert_eq!([0, 20_260_230, -1, i64::MAX].map(from_number), [None; 4]);
    }
}
