//! Time and fresh ids, as ports: the only way anything in Lockstep learns what time it is or draws a new id.
//!
//! The binary gives the machine's clock and a random source; tests and `sim` give ones they control, so a whole
//! world can be run again from a seed.

use crate::error::{Code, Rejection, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved by so many milliseconds, held at the ends of the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; 0 where `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Whole seconds since 1970, as Standard Webhooks wants them.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl Timestamp {
    /// Reads an RFC 3339 instant, or a date, which is its first moment in UTC.
    ///
    /// # Errors
    /// `invalid_value`, saying what is taken.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let instant = text.parse::<jiff::Timestamp>().ok();
        let date = || {
            let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2026-01-31".len())?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|first| first.timestamp())
        };
        instant.or_else(date).map(|instant| Self(instant.as_millisecond())).ok_or_else(|| {
            let text = format!("{} is no time: give 2026-01-31 or 2026-01-31T08:00:00Z", shown(text));
            Rejection::new(Code::InvalidValue, text)
        })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Draws fresh numbers for ids, secrets and jitter.
pub trait IdSource: Send + Sync {
    /// A number never drawn before whose upper 48 bits are the time (a ULID): ids that sort by their making.
    fn ordered(&self) -> u128;
    /// Bytes nobody can guess.
    fn secret(&self) -> [u8; 32];
    /// A number in `0.0..1.0`, for jitter.
    fn fraction(&self) -> f64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_rfc_3339() {
        assert_eq!(Timestamp(1_700_000_000_007).to_string(), "2023-11-14T22:13:20.007Z");
        assert_eq!(Timestamp(1_700_000_000_000).to_string(), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn read_as_an_instant_or_a_date() {
        assert_eq!(Timestamp::parse("2023-11-14T22:13:20.007Z"), Ok(Timestamp(1_700_000_000_007)));
        assert_eq!(Timestamp::parse("2023-11-14T23:13:20+01:00"), Ok(Timestamp(1_700_000_000_000)));
        assert_eq!(Timestamp::parse("1970-01-02"), Ok(Timestamp(86_400_000)));
        for text in ["", "yesterday", "2023-13-01", "2023-11-14T22:13:20"] {
            assert!(Timestamp::parse(text).unwrap_err().message.contains("give 2026"), "{text}");
        }
    }
}
