//! Dates, moments and durations as templates see them: Python's attributes and methods, and its spelling.
//! It must not read a clock: the present time comes in through the scope.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use minijinja::value::{DynObject, Kwargs, Object, ObjectRepr, Value, from_args};
use minijinja::{Error, ErrorKind, State};

use super::operators::mismatch;
use crate::datetime::{Duration, Format, Moment};
use crate::error::ExprError;

/// A value of time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stamp {
    Time(Moment),
    Day(Date),
    Span(Duration),
}

impl Stamp {
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.downcast_object_ref::<Self>().copied()
    }

    /// The order of two of a kind; a day and a moment have none, as in Python.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(&b)),
            (Self::Day(a), Self::Day(b)) => Some(a.cmp(&b)),
            (Self::Span(a), Self::Span(b)) if a.months() == 0 && b.months() == 0 => {
                Some(a.microseconds().cmp(&b.microseconds()))
            }
            (Self::Span(a), Self::Span(b)) if a == b => Some(Ordering::Equal),
            _ => None,
        }
    }

    pub(super) fn plus(self, other: Self) -> Result<Value, Error> {
        match (self, other) {
            (Self::Time(at), Self::Span(span)) | (Self::Span(span), Self::Time(at)) => {
                Ok(Self::Time(span.add_to(at).map_err(wrong_value)?).into())
            }
            (Self::Day(day), Self::Span(span)) | (Self::Span(span), Self::Day(day)) => {
                Ok(Self::Day(span.add_to_date(day).map_err(wrong_value)?).into())
            }
            (Self::Span(a), Self::Span(b)) => Ok(Self::Span(a.plus(b)).into()),
            _ => Err(mismatch("two dates are not added; take one from the other for the time between them")),
        }
    }

    pub(super) fn minus(self, other: Self) -> Result<Value, Error> {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => {
                Ok(Self::Span(Duration::from_microseconds(a.microseconds() - b.microseconds())).into())
            }
            (Self::Day(a), Self::Day(b)) => {
                let days = a.duration_since(b).as_secs();
                Ok(Self::Span(Duration::from_microseconds(days.saturating_mul(1_000_000))).into())
            }
            (_, Self::Span(span)) => self.plus(Self::Span(span.negated())),
            _ => Err(mismatch("a date and a moment have no time between them; use `.date()` or two moments")),
        }
    }

    fn write(self, format: &str) -> Result<String, Error> {
        let format = Format::compile(format).map_err(wrong_value)?;
        match self {
            Self::Time(at) => Ok(format.write(at)),
            Self::Day(day) => Ok(format.write(midnight(day)?)),
            Self::Span(_) => Err(no_such("strftime")),
        }
    }

    fn day(self) -> Option<Date> {
        match self {
            Self::Time(at) => Some(at.clock().date()),
            Self::Day(day) => Some(day),
            Self::Span(_) => None,
        }
    }

    /// The same with some of its fields replaced.
    fn replaced(self, with: &Kwargs) -> Result<Value, Error> {
        let day = self.day().ok_or_else(|| no_such("replace"))?;
        let clock = if let Self::Time(at) = self { at.clock() } else { day.to_datetime(jiff::civil::Time::midnight()) };
        let (year, month, date): (Option<i16>, Option<i8>, Option<i8>) =
            (with.get("year")?, with.get("month")?, with.get("day")?);
        let clock_part = |name: &str| with.get::<Option<i8>>(name);
        let (hour, minute, second) = (clock_part("hour")?, clock_part("minute")?, clock_part("second")?);
        let fraction = with.get::<Option<i32>>("microsecond")?;
        let _zone: Option<Value> = with.get("tzinfo")?;
        with.assert_all_used()?;
        let replaced = DateTime::new(
            year.unwrap_or(clock.year()),
            month.unwrap_or(clock.month()),
            date.unwrap_or(clock.day()),
            hour.unwrap_or(clock.hour()),
            minute.unwrap_or(clock.minute()),
            second.unwrap_or(clock.second()),
            fraction.map_or(clock.subsec_nanosecond(), |fraction| fraction.saturating_mul(1_000)),
        );
        let replaced = replaced.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
        match self {
            Self::Time(at) => Ok(Self::Time(Moment::on_clock(replaced, at.offset()).map_err(wrong_value)?).into()),
            _ => Ok(Self::Day(replaced.date()).into()),
        }
    }

    fn isoformat(self, args: &[Value]) -> Result<Value, Error> {
        let (between, detail, named): (Option<String>, Option<String>, Kwargs) = from_args(args)?;
        let between = between.or(named.get("sep")?).and_then(|text| text.chars().next()).unwrap_or('T');
        let detail = detail.or(named.get("timespec")?);
        named.assert_all_used()?;
        let Self::Time(at) = self else {
            return Ok(Value::from(self.to_string()));
        };
        let pattern = match detail.as_deref() {
            None | Some("auto") => return Ok(Value::from(at.iso_with(between))),
            Some("hours") => "%H",
            Some("minutes") => "%H:%M",
            Some("seconds") => "%H:%M:%S",
            Some("milliseconds") => "%H:%M:%S.%_ms",
            Some("microseconds") => "%H:%M:%S.%f",
            Some(other) => {
                let what = format!("`{other}` is no precision of isoformat; use `seconds` or `milliseconds`");
                return Err(Error::new(ErrorKind::BadSerialization, what));
            }
        };
        let time = self.write(pattern)?;
        let offset = crate::datetime::offset_text(at.offset(), ":");
        Ok(Value::from(format!("{}{between}{time}{offset}", at.clock().date())))
    }

    fn unit(self, name: &str) -> Option<Value> {
        if let Self::Span(span) = self {
            let seconds = span.microseconds().div_euclid(1_000_000);
            return match name {
                "days" => Some(Value::from(seconds.div_euclid(86_400))),
                "seconds" => Some(Value::from(seconds.rem_euclid(86_400))),
                "microseconds" => Some(Value::from(span.microseconds().rem_euclid(1_000_000))),
                "years" if span.months() != 0 => Some(Value::from(span.months().div_euclid(12))),
                "months" if span.months() != 0 => Some(Value::from(span.months().rem_euclid(12))),
                _ => None,
            };
        }
        let day = self.day()?;
        let clock = if let Self::Time(at) = self { Some(at.clock()) } else { None };
        match name {
            "year" => Some(Value::from(day.year())),
            "month" => Some(Value::from(day.month())),
            "day" => Some(Value::from(day.day())),
            "hour" => clock.map(|clock| Value::from(clock.hour())),
            "minute" => clock.map(|clock| Value::from(clock.minute())),
            "second" => clock.map(|clock| Value::from(clock.second())),
            "microsecond" => clock.map(|clock| Value::from(clock.subsec_nanosecond() / 1_000)),
            "tzinfo" => clock.map(|_| Value::from("UTC")),
            _ => None,
        }
    }
}

/// What a wrong value says; it is no mismatch of kinds.
pub(super) fn wrong_value(error: ExprError) -> Error {
    Error::new(ErrorKind::BadSerialization, error.message)
}

fn no_such(method: &str) -> Error {
    Error::new(ErrorKind::UndefinedError, format!("this value has no method `{method}`"))
}

fn midnight(day: Date) -> Result<Moment, Error> {
    Moment::on_clock(day.to_datetime(jiff::civil::Time::midnight()), jiff::tz::Offset::UTC).map_err(wrong_value)
}

impl From<Stamp> for Value {
    fn from(stamp: Stamp) -> Self {
        Self::from_object(stamp)
    }
}

impl fmt::Display for Stamp {
    /// As Python's `str`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => f.write_str(&at.iso_with(' ')),
            Self::Day(day) => day.fmt(f),
            Self::Span(span) => span.fmt(f),
        }
    }
}

impl Object for Stamp {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.unit(key.as_str()?)
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !matches!(**self, Self::Span(span) if span == Duration::default())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(self.order(*other).unwrap_or_else(|| self.to_string().cmp(&other.to_string())))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, name: &str, args: &[Value]) -> Result<Value, Error> {
        let stamp = **self;
        match (name, stamp) {
            ("strftime", Self::Time(_) | Self::Day(_)) => {
                let (format,): (&str,) = from_args(args)?;
                stamp.write(format).map(Value::from)
            }
            ("isoformat", Self::Time(_) | Self::Day(_)) => stamp.isoformat(args),
            ("replace", Self::Time(_) | Self::Day(_)) => {
                let (with,): (Kwargs,) = from_args(args)?;
                stamp.replaced(&with)
            }
            ("timestamp", Self::Time(at)) => from_args(args).map(|()| Value::from(at.seconds())),
            ("date", Self::Time(at)) => from_args(args).map(|()| Self::Day(at.clock().date()).into()),
            ("astimezone", Self::Time(_)) => Ok(stamp.into()),
            ("total_seconds", Self::Span(span)) => from_args(args)
                .map(|()| Value::from(jiff::SignedDuration::from_micros(span.microseconds()).as_secs_f64())),
            ("weekday", _) if stamp.day().is_some() => {
                let weekday = stamp.day().map(|day| day.weekday().to_monday_zero_offset());
                from_args(args).map(|()| Value::from(weekday))
            }
            ("isoweekday", _) if stamp.day().is_some() => {
                let weekday = stamp.day().map(|day| day.weekday().to_monday_one_offset());
                from_args(args).map(|()| Value::from(weekday))
            }
            _ => Err(no_such(name)),
        }
    }
}
