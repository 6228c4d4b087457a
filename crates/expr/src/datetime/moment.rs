//! One instant and the clock it was told on. It must not know of time zones with rules: an offset is all a text tells.

use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::error::ExprError;

/// An instant, in whole microseconds, with the offset from UTC of the clock it was read from.
///
/// Two moments are the same when they are the same instant, whatever their offsets.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Timestamp,
    offset: Offset,
}

impl Moment {
    /// The moment at which a clock that is `offset` ahead of UTC shows `clock`; parts of a microsecond are dropped.
    ///
    /// # Errors
    /// `Eval` when it lies outside the years that can be told (-9999 to 9999).
    pub fn on_clock(clock: DateTime, offset: Offset) -> Result<Self, ExprError> {
        let at = offset.to_timestamp(clock).map_err(|_range| out_of_range(&clock.to_string()))?;
        Ok(Self::from(at).with_offset(offset))
    }

    /// The instant.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.at
    }

    /// How far the clock is ahead of UTC.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// What the clock shows.
    #[must_use]
    pub fn clock(&self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    /// The same instant on another clock.
    #[must_use]
    pub fn with_offset(self, offset: Offset) -> Self {
        Self { at: self.at, offset }
    }

    /// The same instant on the clock of UTC.
    #[must_use]
    pub fn in_utc(self) -> Self {
        self.with_offset(Offset::UTC)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn microseconds(&self) -> i64 {
        self.at.as_microsecond()
    }

    /// The moment so many microseconds after 1970, on the clock of UTC.
    ///
    /// # Errors
    /// `Eval` when it lies outside the years that can be told.
    pub fn from_microseconds(microseconds: i64) -> Result<Self, ExprError> {
        let at = Timestamp::from_microsecond(microseconds).map_err(|_range| out_of_range(&microseconds.to_string()))?;
        Ok(Self::from(at))
    }

    /// Seconds since 1970 with their fraction, as Python's `timestamp()`.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let parts = SignedDuration::from_micros(self.microseconds());
        parts.as_secs_f64()
    }

    /// As Python's `isoformat()`: `2024-01-31T10:00:00+00:00`, with six digits of a fraction if there is one.
    #[must_use]
    pub fn iso(&self) -> String {
        self.iso_with('T')
    }

    /// As [`Moment::iso`], with another sign between date and time.
    #[must_use]
    pub fn iso_with(&self, between: char) -> String {
        let clock = self.clock();
        let mut text =
            format!("{}{between}{:02}:{:02}:{:02}", clock.date(), clock.hour(), clock.minute(), clock.second());
        let fraction = clock.subsec_nanosecond() / 1_000;
        if fraction != 0 {
            // Writing into a text does not fail.
            let _written = write!(text, ".{fraction:06}");
        }
        text + &offset_text(self.offset, ":")
    }
}

/// An offset as `+02:00`, or without the colon; seconds only when there are any.
pub(crate) fn offset_text(offset: Offset, between: &str) -> String {
    let all = offset.seconds();
    let sign = if all < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (all.abs() / 3_600, all.abs() / 60 % 60, all.abs() % 60);
    let tail = if seconds == 0 { String::new() } else { format!("{between}{seconds:02}") };
    format!("{sign}{hours:02}{between}{minutes:02}{tail}")
}

pub(crate) fn out_of_range(what: &str) -> ExprError {
    ExprError::eval(format!(
        "`{what}` lies outside the years that can be told; take a date between the years 1 and 9999"
    ))
}

impl From<Timestamp> for Moment {
    /// On the clock of UTC; parts of a microsecond are dropped.
    fn from(at: Timestamp) -> Self {
        let whole = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        Self { at: whole, offset: Offset::UTC }
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}
