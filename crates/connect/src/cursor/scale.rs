//! The scale that newness is measured on: instants in the formats of the manifest, or numbers that only grow.

use jiff::civil::Weekday;
use jiff::tz::Offset;
use jiff::{ToSpan, civil};
use lockstep_expr::datetime::{Duration, Format, Moment};
use serde_json::Value;

use crate::failure::Failure;
use crate::python;

/// A place on the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// An instant.
    Time(Moment),
    /// A number.
    Count(i64),
}

/// How places are read, written and stepped.
#[derive(Debug)]
pub(crate) enum Scale {
    /// Instants; several formats are read, the last one is written.
    Time { reads: Vec<Format>, writes: Format, granularity: Option<Duration> },
    /// Numbers.
    Count,
}

impl Scale {
    /// Reads a value of a record, a window or a state.
    pub(crate) fn parse(&self, value: &Value) -> Result<Point, Failure> {
        match self {
            Self::Count => {
                let whole = value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
                whole
                    .map(Point::Count)
                    .ok_or_else(|| Failure::system(format!("{value} is not a whole number, and the cursor counts")))
            }
            Self::Time { reads, writes, .. } => {
                let owned;
                let text = match value {
                    Value::String(text) => text,
                    other => {
                        owned = python::text(other);
                        &owned
                    }
                };
                let found = reads.iter().chain([writes]).find_map(|format| format.parse(text).ok());
                found.map(Point::Time).ok_or_else(|| {
                    let formats: Vec<&str> = reads.iter().chain([writes]).map(Format::source).collect();
                    Failure::system(format!(
                        "{text:?} is not written as the cursor's format says: {}",
                        formats.join(", ")
                    ))
                })
            }
        }
    }

    /// Writes a place as windows and states have it.
    pub(crate) fn write(&self, point: Point) -> Value {
        match (self, point) {
            (Self::Time { writes, .. }, Point::Time(moment)) => Value::String(writes.write(moment)),
            (_, Point::Time(moment)) => Value::String(moment.iso()),
            (_, Point::Count(count)) => count.into(),
        }
    }

    /// The next place after one: two windows that far apart have nothing between them.
    pub(crate) fn next(&self, point: Point) -> Point {
        let millisecond = Duration::from_microseconds(1_000);
        match (self, point) {
            (Self::Time { granularity, .. }, Point::Time(moment)) => {
                Point::Time(granularity.unwrap_or(millisecond).add_to(moment).unwrap_or(moment))
            }
            (_, Point::Count(count)) => Point::Count(count.saturating_add(1)),
            (_, point) => point,
        }
    }
}

impl Point {
    /// The place a duration later; a number has no durations.
    pub(crate) fn plus(self, duration: Duration) -> Option<Self> {
        match self {
            Self::Time(moment) => duration.add_to(moment).ok().map(Self::Time),
            Self::Count(_) => Some(self),
        }
    }

    /// The place a duration earlier; before all time is the beginning of it.
    pub(crate) fn minus(self, duration: Duration) -> Self {
        match self {
            Self::Time(moment) => Self::Time(duration.subtract_from(moment).unwrap_or_else(|_early| first_moment())),
            Self::Count(_) => self,
        }
    }
}

fn first_moment() -> Moment {
    Moment::on_clock(civil::date(1, 1, 1).at(0, 0, 0, 0), Offset::UTC)
        .unwrap_or_else(|_never| Moment::from(jiff::Timestamp::UNIX_EPOCH))
}

/// Windows that begin with a day, a week or a month.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clamp {
    /// At midnight.
    Day,
    /// On this day.
    Week(Weekday),
    /// On the first.
    Month,
}

impl Clamp {
    /// The beginning at or after the instant, or at or before it.
    pub(crate) fn to(self, point: Point, upwards: bool) -> Point {
        let Point::Time(moment) = point else { return point };
        let clock = moment.clock();
        let midnight = clock.date().at(0, 0, 0, 0);
        let clamped = match self {
            Self::Day if upwards && midnight != clock => midnight.checked_add(1.day()),
            Self::Day => Ok(midnight),
            Self::Week(weekday) => {
                let ahead = i64::from(clock.date().weekday().until(weekday));
                if upwards || ahead == 0 {
                    midnight.checked_add(ahead.days())
                } else {
                    midnight.checked_add((ahead - 7).days())
                }
            }
            Self::Month if clock.day() == 1 => Ok(midnight),
            Self::Month if upwards => midnight.first_of_month().checked_add(1.month()),
            Self::Month => Ok(midnight.first_of_month()),
        };
        clamped.ok().and_then(|clock| Moment::on_clock(clock, moment.offset()).ok()).map_or(point, Point::Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Point {
        Point::Time(lockstep_expr::datetime::parse_any(text).unwrap())
    }

    #[test]
    fn windows_begin_with_a_day_a_week_or_a_month() {
        let wednesday = at("2026-03-18T10:00:00Z");
        assert_eq!(Clamp::Day.to(wednesday, true), at("2026-03-19T00:00:00Z"));
        assert_eq!(Clamp::Day.to(wednesday, false), at("2026-03-18T00:00:00Z"));
        assert_eq!(Clamp::Week(Weekday::Monday).to(wednesday, true), at("2026-03-23T00:00:00Z"));
        assert_eq!(Clamp::Week(Weekday::Monday).to(wednesday, false), at("2026-03-16T00:00:00Z"));
        assert_eq!(Clamp::Week(Weekday::Wednesday).to(wednesday, true), at("2026-03-18T00:00:00Z"));
        assert_eq!(Clamp::Month.to(wednesday, true), at("2026-04-01T00:00:00Z"));
        assert_eq!(Clamp::Month.to(at("2026-12-02T00:00:00Z"), true), at("2027-01-01T00:00:00Z"));
        assert_eq!(Clamp::Month.to(wednesday, false), at("2026-03-01T00:00:00Z"));
    }

    #[test]
    fn several_formats_are_read_and_one_is_written() {
        let reads = ["%Y-%m-%dT%H:%M:%SZ", "%s"].map(|format| Format::compile(format).unwrap()).into();
        let scale = Scale::Time { reads, writes: Format::compile("%Y-%m-%d").unwrap(), granularity: None };
        for value in [Value::from("2026-03-18T10:00:00Z"), 1_773_792_000.into(), "2026-03-18".into()] {
            assert_eq!(scale.write(scale.parse(&value).unwrap()), "2026-03-18", "{value}");
        }
        assert!(scale.parse(&"18 March".into()).is_err());
    }
}
