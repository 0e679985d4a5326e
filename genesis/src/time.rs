//! The time of genesis: whole seconds since 1970, written as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970. In JSON it is written as `"2026-01-31T12:00:00Z"` and read from that form or
/// from a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GenesisTime(u64);

/// The text or number is no time between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a time of 1970 to 9999 as 2026-01-31T12:00:00Z")]
pub struct InvalidTime;

impl GenesisTime {
    /// The time this many seconds after 1970, before the year 10000.
    pub fn from_seconds(seconds: u64) -> Result<Self, InvalidTime> {
        if seconds <= LAST_SECOND { Ok(Self(seconds)) } else { Err(InvalidTime) }
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for GenesisTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, second) = (self.0 / DAY, self.0 % DAY);
        let mut year = 1970;
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
    }
}

impl FromStr for GenesisTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let number = |from: usize, to: usize| -> Result<u64, InvalidTime> {
            let digits = text.get(from..to).ok_or(InvalidTime)?;
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(InvalidTime);
            }
            digits.parse().map_err(|_| InvalidTime)
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if year < 1970
            || !(1..=12).contains(&month)
            || !(1..=days_of_month(year, month)).contains(&day)
            || (hour, minute, second) > (23, 59, 59)
            || minute > 59
            || second > 59
        {
            return Err(InvalidTime);
        }
        let days = (1970..year).map(days_of_year).sum::<u64>()
            + (1..month).map(|month| days_of_month(year, month)).sum::<u64>()
            + (day - 1);
        let time = Self(days * DAY + hour * 3600 + minute * 60 + second);
        // One time has one form: separators and length are what writing it gives.
        if time.to_string() == text { Ok(time) } else { Err(InvalidTime) }
    }
}

impl Serialize for GenesisTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GenesisTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = GenesisTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time like 2026-01-31T12:00:00Z, or seconds since 1970")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GenesisTime, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<GenesisTime, E> {
        GenesisTime::from_seconds(seconds).map_err(E::custom)
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const DAY: u64 = 24 * 60 * 60;

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From `date -u -d @N +%FT%TZ`.
    const KNOWN: [(u64, &str); 6] = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_769_860_800, "2026-01-31T12:00:00Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (LAST_SECOND, "9999-12-31T23:59:59Z"),
    ];

    #[test]
    fn known_times_have_their_known_form() {
        for (seconds, text) in KNOWN {
            let time = GenesisTime::from_seconds(seconds).unwrap();
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<GenesisTime>(&json).unwrap(), time);
            assert_eq!(serde_json::from_str::<GenesisTime>(&seconds.to_string()).unwrap(), time);
        }
        assert_eq!(GenesisTime::from_seconds(LAST_SECOND + 1), Err(InvalidTime));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00+00:00",
            "2026-01-31T12:00:00.0Z",
            "2026-01-31t12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:60Z",
            "1969-12-31T23:59:59Z",
            "2026-01-31T12:00:0üZ",
            " 2026-01-31T12:00:00Z",
        ] {
            assert_eq!(text.parse::<GenesisTime>(), Err(InvalidTime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_parses_back(seconds in 0..=LAST_SECOND) {
            let time = GenesisTime::from_seconds(seconds).unwrap();
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
