//! Moments and days, always in UTC.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// A moment in UTC, to the microsecond, which is what both stores keep. Written as in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-03-01T09:30:00Z")]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The moment that the system's clock shows.
    pub fn now() -> Self {
        Self::from(OffsetDateTime::now_utc())
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        (self.0.unix_timestamp_nanos() / 1_000) as i64
    }

    /// From microseconds since 1970-01-01T00:00:00Z. `None` outside the years -9999 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok().map(Self)
    }

    /// The same, as the time library has it.
    pub fn get(self) -> OffsetDateTime {
        self.0
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        let moment = moment.to_offset(time::UtcOffset::UTC);
        let micros = moment.microsecond();
        Self(moment.replace_microsecond(micros).unwrap_or(moment))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
    }
}

/// A day of the calendar, written `YYYY-MM-DD`, from 1900-01-01 to 2100-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = Date, example = "1990-12-10")]
pub struct Day(Date);

impl Day {
    /// The same, as the time library has it.
    pub fn get(self) -> Date {
        self.0
    }
}

impl TryFrom<Date> for Day {
    type Error = super::Invalid;

    fn try_from(date: Date) -> Result<Self, super::Invalid> {
        if (1900..=2100).contains(&date.year()) {
            Ok(Self(date))
        } else {
            Err(super::Invalid::new("must be a day from 1900-01-01 to 2100-12-31"))
        }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date = Date::parse(&text, format_description!("[year]-[month]-[day]"))
            .map_err(|_| D::Error::custom("must be a day of the calendar, written YYYY-MM-DD"))?;
        Self::try_from(date).map_err(D::Error::custom)
    }
}
