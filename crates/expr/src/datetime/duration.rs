//! Durations of ISO 8601: months of the calendar and a stretch of time, kept apart as `isodate` keeps them.
//! It must not turn months into days: only a date says how long its month is.

use std::fmt;

use jiff::{SignedDuration, Span, civil};

use super::moment::{Moment, out_of_range};
use crate::error::ExprError;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A duration such as `P1Y2M10DT2H30M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Duration {
    /// Years and months, in months.
    months: i64,
    /// Everything else, in microseconds.
    microseconds: i64,
}

impl Duration {
    /// Reads ISO 8601: years, months, weeks, days, `T`, hours, minutes and seconds, each in its place or left out, with
    /// a sign before the `P`. Weeks and smaller may have a fraction.
    ///
    /// # Errors
    /// `Parse` for any other text.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        read(text).ok_or_else(|| {
            ExprError::parse(format!("`{text}` is no ISO 8601 duration; write it as `P1D`, `PT30M` or `P1Y2M`"), 1)
        })
    }

    /// So many microseconds.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Self {
        Self { months: 0, microseconds }
    }

    /// Its years and months, in months.
    #[must_use]
    pub fn months(&self) -> i64 {
        self.months
    }

    /// What it has besides years and months, in microseconds.
    #[must_use]
    pub fn microseconds(&self) -> i64 {
        self.microseconds
    }

    /// The duration the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { months: self.months.saturating_neg(), microseconds: self.microseconds.saturating_neg() }
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            months: self.months.saturating_add(other.months),
            microseconds: self.microseconds.saturating_add(other.microseconds),
        }
    }

    /// This duration so many times.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self { months: self.months.saturating_mul(count), microseconds: self.microseconds.saturating_mul(count) }
    }

    /// The moment this much later: months first, on the moment's own clock and held to the last day of a shorter
    /// month, then the rest.
    ///
    /// # Errors
    /// `Eval` when the result lies outside the years that can be told.
    pub fn add_to(&self, moment: Moment) -> Result<Moment, ExprError> {
        let failed = || out_of_range(&format!("{} + {self}", moment.iso()));
        let mut clock = moment.clock();
        if self.months != 0 {
            let months = Span::new().try_months(self.months).map_err(|_range| failed())?;
            clock = clock.checked_add(months).map_err(|_range| failed())?;
        }
        let clock = clock.checked_add(SignedDuration::from_micros(self.microseconds)).map_err(|_range| failed())?;
        Moment::on_clock(clock, moment.offset())
    }

    /// The moment this much earlier, by the same rules.
    ///
    /// # Errors
    /// As [`Duration::add_to`].
    pub fn subtract_from(&self, moment: Moment) -> Result<Moment, ExprError> {
        self.negated().add_to(moment)
    }

    /// The day this much later; of the stretch of time only whole days count, as Python has it.
    pub(crate) fn add_to_date(&self, date: civil::Date) -> Result<civil::Date, ExprError> {
        let days = self.microseconds.div_euclid(DAY);
        let span = Span::new().try_months(self.months).and_then(|span| span.try_days(days));
        span.and_then(|span| date.checked_add(span)).map_err(|_range| out_of_range(&format!("{date} + {self}")))
    }
}

/// Reads the designators in their order.
fn read(text: &str) -> Option<Duration> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix('P')?;
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    let mut found = Duration::default();
    let mut has_any = section(date, &[('Y', 0, 12), ('M', 0, 1), ('W', 7 * DAY, 0), ('D', DAY, 0)], &mut found)?;
    if let Some(time) = time {
        let units = [('H', 3_600 * SECOND, 0), ('M', 60 * SECOND, 0), ('S', SECOND, 0)];
        has_any |= section(time, &units, &mut found)?;
    }
    has_any.then_some(if is_negative { found.negated() } else { found })
}

/// Reads one half, before or behind the `T`; each unit is a letter, its microseconds and its months. Gives whether there
/// was any.
fn section(text: &str, units: &[(char, i64, i64)], found: &mut Duration) -> Option<bool> {
    let mut rest = text;
    let mut units = units.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?;
        let (number, tail) = rest.split_at(end);
        let letter = tail.chars().next()?;
        let (_, microseconds, months) = units.find(|unit| unit.0 == letter)?;
        let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
        let whole: i64 = whole.parse().ok()?;
        found.months = found.months.checked_add(whole.checked_mul(*months)?)?;
        found.microseconds = found.microseconds.checked_add(whole.checked_mul(*microseconds)?)?;
        if !fraction.is_empty() {
            if *months != 0 {
                return None;
            }
            let share = i128::from(fraction.get(..fraction.len().min(12))?.parse::<i64>().ok()?);
            let scale = 10_i128.pow(u32::try_from(fraction.len().min(12)).ok()?);
            let part = i64::try_from(share * i128::from(*microseconds) / scale).ok()?;
            found.microseconds = found.microseconds.checked_add(part)?;
        }
        rest = tail.get(1..)?;
    }
    Some(!text.is_empty())
}

impl fmt::Display for Duration {
    /// As Python writes a `timedelta`, with years and months before it as `isodate` does: `1 years, 2 months, 10 days, 2:30:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |count: i64| if count.abs() == 1 { "" } else { "s" };
        let (years, months) = (self.months.div_euclid(12), self.months.rem_euclid(12));
        if years != 0 {
            write!(f, "{years} years, ")?;
        }
        if months != 0 {
            write!(f, "{months} month{}, ", several(months))?;
        }
        let (days, rest) = (self.microseconds.div_euclid(DAY), self.microseconds.rem_euclid(DAY));
        if days != 0 {
            write!(f, "{days} day{}, ", several(days))?;
        }
        let (seconds, fraction) = (rest / SECOND, rest % SECOND);
        write!(f, "{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
        if fraction != 0 {
            write!(f, ".{fraction:06}")?;
        }
        Ok(())
    }
}
