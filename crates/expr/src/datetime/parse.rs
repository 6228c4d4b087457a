//! Reading dates whose format nobody said: ISO 8601 in all its lengths, and the few other notations that occur.
//! It must not guess between day and month where a text leaves it open: the American order is taken, as `dateutil` does.

use jiff::civil::{self, DateTime, Time};
use jiff::tz::Offset;
use jiff::{Span, civil::ISOWeekDate};

use super::format::Format;
use super::moment::Moment;
use crate::error::ExprError;

/// Notations besides ISO 8601, most common first.
const OTHERS: [&str; 14] = [
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%d %b %Y %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S %Z",
    "%Y-%m-%d %H:%M:%S.%f %z",
    "%Y-%m-%d %H:%M:%S.%f %Z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%a %b %d %H:%M:%S %Y",
    "%b %d, %Y",
];

/// Reads any date that is likely to be met: seconds since 1970 (digits alone, at most ten), ISO 8601, RFC 2822, and dates with
/// slashes. Without an offset it is UTC.
///
/// # Errors
/// `Eval` when it is none of them, or has no date.
pub fn parse_any(text: &str) -> Result<Moment, ExprError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 10 {
        let seconds: i64 = text.parse().map_err(|_large| unreadable(text))?;
        return Moment::from_microseconds(seconds.saturating_mul(1_000_000));
    }
    if text.len() >= 8
        && let Ok(moment) = parse_iso(text)
    {
        return Ok(moment);
    }
    let read = |format: &&str| Format::compile(format).and_then(|format| format.parse(text)).ok();
    OTHERS.iter().find_map(read).ok_or_else(|| unreadable(text))
}

/// Reads ISO 8601: from a year alone to fractions of a second (six digits count), dates by month, week or day of the
/// year, with or without dashes and colons. Without an offset it is UTC.
///
/// # Errors
/// `Eval` for any other text.
pub fn parse_iso(text: &str) -> Result<Moment, ExprError> {
    let (clock, offset) = iso(text).ok_or_else(|| unreadable(text))?;
    Moment::on_clock(clock, offset)
}

fn unreadable(text: &str) -> ExprError {
    let shown: String = text.chars().take(60).collect();
    ExprError::eval(format!("`{shown}` is no date that can be read; write it as `2024-01-31T10:00:00Z`"))
}

fn iso(text: &str) -> Option<(DateTime, Offset)> {
    let (date, rest) = iso_date(text)?;
    let mut letters = rest.chars();
    if letters.next().is_none() {
        return Some((date.to_datetime(Time::midnight()), Offset::UTC));
    }
    let rest = letters.as_str();
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let (time, is_next_day) = iso_time(time)?;
    let date = if is_next_day { date.checked_add(Span::new().days(1)).ok()? } else { date };
    Some((date.to_datetime(time), iso_offset(zone)?))
}

/// The next `count` digits as a number, and what follows.
fn digits(text: &str, count: usize) -> Option<(i16, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((number.parse().ok()?, rest))
}

fn iso_date(text: &str) -> Option<(civil::Date, &str)> {
    let (year, rest) = digits(text, 4)?;
    let (has_dash, body) = rest.strip_prefix('-').map_or((false, rest), |body| (true, body));
    if let Some(week) = body.strip_prefix('W') {
        return iso_week(year, week, has_dash);
    }
    let run = body.bytes().take_while(u8::is_ascii_digit).count();
    if run == 3 {
        let (day, rest) = digits(body, 3)?;
        let first = civil::Date::new(year, 1, 1).ok()?;
        let date = first.checked_add(Span::new().days(i64::from(day) - 1)).ok()?;
        return (date.year() == year).then_some((date, rest));
    }
    if run == 0 && !has_dash {
        return Some((civil::Date::new(year, 1, 1).ok()?, rest));
    }
    let (month, rest) = digits(body, 2)?;
    let day_text = if has_dash { rest.strip_prefix('-').filter(|day| digits(day, 2).is_some()) } else { Some(rest) };
    let Some((day, rest)) = day_text.and_then(|day| digits(day, 2)) else {
        return Some((civil::Date::new(year, i8::try_from(month).ok()?, 1).ok()?, rest));
    };
    Some((civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?, rest))
}

fn iso_week(year: i16, text: &str, has_dash: bool) -> Option<(civil::Date, &str)> {
    let (week, rest) = digits(text, 2)?;
    let day_text = if has_dash { rest.strip_prefix('-') } else { Some(rest) };
    let (day, rest) = day_text.and_then(|day| digits(day, 1)).unwrap_or((1, rest));
    let weekday = civil::Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
    Some((ISOWeekDate::new(year, i8::try_from(week).ok()?, weekday).ok()?.date(), rest))
}

/// A time of day, and whether it was 24:00, which is the next day's midnight.
fn iso_time(text: &str) -> Option<(Time, bool)> {
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let (hour, mut rest) = digits(clock, 2)?;
    let has_colon = rest.starts_with(':');
    let mut parts = [0_i16; 2];
    for part in &mut parts {
        if rest.is_empty() {
            break;
        }
        let body = if has_colon { rest.strip_prefix(':')? } else { rest };
        (*part, rest) = digits(body, 2)?;
    }
    let nanoseconds = if fraction.is_empty() {
        0
    } else {
        let kept = fraction.get(..fraction.len().min(6))?;
        let number: i32 = kept.bytes().all(|byte| byte.is_ascii_digit()).then(|| kept.parse().ok())??;
        number * 10_i32.pow(9 - u32::try_from(kept.len()).ok()?)
    };
    let [minute, second] = parts;
    let is_next_day = hour == 24 && minute == 0 && second == 0 && nanoseconds == 0;
    let hour = if is_next_day { 0 } else { i8::try_from(hour).ok()? };
    let whole = rest.is_empty() && text.ends_with(|c: char| c.is_ascii_digit());
    whole.then_some(())?;
    Some((Time::new(hour, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, nanoseconds).ok()?, is_next_day))
}

fn iso_offset(text: &str) -> Option<Offset> {
    if matches!(text, "" | "Z" | "z") {
        return Some(Offset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = digits(text.get(1..)?, 2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, "") } else { digits(rest, 2)? };
    let is_whole = rest.is_empty() && hours < 24 && minutes < 60;
    is_whole.then(|| Offset::from_seconds(sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60)).ok())?
}
