//! Formats of dates: Python's `strptime` and `strftime`, and Airbyte's own tokens for numbers since 1970.
//!
//! Writing rests on jiff's formatter, with the few directives that mean something else in Python replaced. Reading
//! follows the rules of Python's `_strptime`: fields may be shorter than their full width, blanks stand for any number
//! of blanks, names are read in either case. It must not know a locale: names are English.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{Span, Timestamp};

use super::moment::{Moment, offset_text, out_of_range};
use crate::error::ExprError;

/// A compiled format of dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    source: String,
    plan: Plan,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// `%s`: whole seconds since 1970.
    Seconds,
    /// `%s_as_float`: seconds since 1970 with a fraction.
    FloatSeconds,
    /// `%ms`: whole milliseconds since 1970.
    Milliseconds,
    /// `%epoch_microseconds`.
    Microseconds,
    Pattern(Vec<Item>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// Text that stands for itself.
    Plain(String),
    /// A run of blanks.
    Blank(String),
    /// `%_ms`: three digits of a second.
    Millis,
    /// A directive: its flag (`-` for no padding) and its letter.
    Field(Option<char>, char),
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Format {
    /// Compiles a format such as `%Y-%m-%dT%H:%M:%S%z`, `%ms` or `%Y-%m-%dT%H:%M:%S.%_msZ`.
    ///
    /// # Errors
    /// `Parse` for a directive that Python has not, naming it.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        let plan = match source {
            "%s" => Plan::Seconds,
            "%s_as_float" => Plan::FloatSeconds,
            "%ms" => Plan::Milliseconds,
            "%epoch_microseconds" => Plan::Microseconds,
            _ => Plan::Pattern(items(source)?),
        };
        Ok(Self { source: source.to_owned(), plan })
    }

    /// The source as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Reads a text in this format; without an offset it is UTC.
    ///
    /// # Errors
    /// `Eval` when the text is not in this format or names no day of the calendar.
    pub fn parse(&self, text: &str) -> Result<Moment, ExprError> {
        let scaled = |scale: i64| {
            let number: i64 = text.trim().parse().map_err(|_not| self.mismatch(text))?;
            Moment::from_microseconds(number.checked_mul(scale).ok_or_else(|| out_of_range(text))?)
        };
        match &self.plan {
            Plan::Seconds => scaled(1_000_000),
            Plan::Milliseconds => scaled(1_000),
            Plan::Microseconds => scaled(1),
            Plan::FloatSeconds => {
                let seconds: f64 = text.trim().parse().map_err(|_not| self.mismatch(text))?;
                from_seconds(seconds).ok_or_else(|| out_of_range(text))
            }
            Plan::Pattern(items) => {
                let found = read(items, text, Fields::default()).ok_or_else(|| self.mismatch(text))?;
                found.moment().ok_or_else(|| self.mismatch(text))?
            }
        }
    }

    /// Writes a moment in this format, on its own clock.
    #[must_use]
    pub fn write(&self, at: Moment) -> String {
        match &self.plan {
            Plan::Seconds => (at.microseconds() / 1_000_000).to_string(),
            Plan::Milliseconds => (at.microseconds() / 1_000).to_string(),
            Plan::Microseconds => at.microseconds().to_string(),
            Plan::FloatSeconds => format!("{:?}", at.seconds()),
            Plan::Pattern(items) => {
                let clock = at.clock();
                items.iter().map(|item| write_item(item, at, clock)).collect()
            }
        }
    }

    fn mismatch(&self, text: &str) -> ExprError {
        let shown: String = text.chars().take(60).collect();
        let format = &self.source;
        ExprError::eval(format!("`{shown}` is no date in the format `{format}`; give the format it is written in"))
    }
}

/// Seconds with a fraction as a moment, to the microsecond.
fn from_seconds(seconds: f64) -> Option<Moment> {
    let scaled = (seconds * 1e6).round_ties_even();
    let is_near = scaled.abs() < 1e18;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 10^18")]
    is_near.then(|| Moment::from_microseconds(scaled as i64).ok())?
}

fn items(source: &str) -> Result<Vec<Item>, ExprError> {
    let mut items: Vec<Item> = Vec::new();
    let mut letters = source.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            match items.last_mut() {
                Some(Item::Blank(run)) if letter.is_whitespace() => run.push(letter),
                Some(Item::Plain(run)) if !letter.is_whitespace() => run.push(letter),
                _ if letter.is_whitespace() => items.push(Item::Blank(letter.to_string())),
                _ => items.push(Item::Plain(letter.to_string())),
            }
            continue;
        }
        let flag = letters.next_if(|c| matches!(c, '-' | '_' | '0' | '^'));
        let field = letters.next().ok_or_else(|| refuse(source, "a lone `%`"))?;
        if flag == Some('_') && field == 'm' && letters.next_if_eq(&'s').is_some() {
            items.push(Item::Millis);
        } else if let Some(whole) = expanded(field) {
            items.extend(self::items(whole)?);
        } else if "aAbBdefHhIjklmMnPpSstuUVGwWyYzZC%".contains(field) {
            items.push(Item::Field(flag, field));
        } else {
            return Err(refuse(source, &format!("`%{field}`")));
        }
    }
    Ok(items)
}

/// Directives that stand for several others.
fn expanded(field: char) -> Option<&'static str> {
    match field {
        'c' => Some("%a %b %e %H:%M:%S %Y"),
        'x' | 'D' => Some("%m/%d/%y"),
        'X' | 'T' => Some("%H:%M:%S"),
        'F' => Some("%Y-%m-%d"),
        'R' => Some("%H:%M"),
        'r' => Some("%I:%M:%S %p"),
        _ => None,
    }
}

fn refuse(source: &str, what: &str) -> ExprError {
    ExprError::parse(format!("the date format `{source}` has {what}, which means nothing; `%%` is a percent sign"), 1)
}

fn write_item(item: &Item, at: Moment, clock: DateTime) -> String {
    let fraction = clock.subsec_nanosecond() / 1_000;
    match item {
        Item::Plain(text) | Item::Blank(text) => text.clone(),
        Item::Millis => format!("{:03}", fraction / 1_000),
        Item::Field(None, 'Y') => clock.year().to_string(),
        Item::Field(None, 'm') => format!("{:02}", clock.month()),
        Item::Field(None, 'd') => format!("{:02}", clock.day()),
        Item::Field(None, 'H') => format!("{:02}", clock.hour()),
        Item::Field(None, 'M') => format!("{:02}", clock.minute()),
        Item::Field(None, 'S') => format!("{:02}", clock.second()),
        Item::Field(_, 'f') => format!("{fraction:06}"),
        Item::Field(_, 's') => (at.microseconds().div_euclid(1_000_000)).to_string(),
        Item::Field(_, 'z') => offset_text(at.offset(), ""),
        Item::Field(_, 'Z') if at.offset() == Offset::UTC => "UTC".to_owned(),
        Item::Field(_, 'Z') => format!("UTC{}", offset_text(at.offset(), ":")),
        Item::Field(_, '%') => "%".to_owned(),
        Item::Field(flag, field) => {
            let pattern: String = ['%'].into_iter().chain(*flag).chain([*field]).collect();
            jiff::fmt::strtime::format(&pattern, clock).unwrap_or(pattern)
        }
    }
}

/// What has been read so far.
#[derive(Debug, Clone, Copy)]
struct Fields {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    microseconds: i32,
    is_afternoon: Option<bool>,
    day_of_year: Option<i16>,
    offset: Offset,
    seconds_since: Option<i64>,
}

impl Default for Fields {
    /// What Python takes for fields that a format does not have.
    fn default() -> Self {
        Self {
            year: 1900,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            microseconds: 0,
            is_afternoon: None,
            day_of_year: None,
            offset: Offset::UTC,
            seconds_since: None,
        }
    }
}

impl Fields {
    fn moment(self) -> Option<Result<Moment, ExprError>> {
        if let Some(seconds) = self.seconds_since {
            return Some(Ok(Moment::from(Timestamp::from_second(seconds).ok()?)));
        }
        let mut date = Date::new(self.year, self.month, self.day).ok()?;
        if let Some(day) = self.day_of_year {
            date = Date::new(self.year, 1, 1).ok()?.checked_add(Span::new().days(i64::from(day) - 1)).ok()?;
        }
        let hour = match self.is_afternoon {
            Some(is_afternoon) => self.hour % 12 + if is_afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let time = Time::new(hour, self.minute, self.second, self.microseconds * 1_000).ok()?;
        Some(Moment::on_clock(date.to_datetime(time), self.offset))
    }
}

/// Reads `text` by `items`, the longest reading of each field first, shorter ones if that leads nowhere.
fn read(items: &[Item], text: &str, fields: Fields) -> Option<Fields> {
    let Some((item, items)) = items.split_first() else {
        return text.is_empty().then_some(fields);
    };
    match item {
        Item::Plain(plain) => {
            let (head, rest) = text.split_at_checked(plain.len())?;
            head.eq_ignore_ascii_case(plain).then_some(())?;
            read(items, rest, fields)
        }
        Item::Blank(_) => {
            let rest = text.trim_start();
            (rest.len() < text.len()).then_some(())?;
            read(items, rest, fields)
        }
        Item::Millis => read_number(items, text, fields, 'f', 6),
        Item::Field(_, field) => match field {
            'Y' => read_fixed(items, text, fields, 'Y', 4),
            'y' => read_fixed(items, text, fields, 'y', 2),
            'd' | 'e' | 'H' | 'k' | 'I' | 'l' | 'm' | 'M' | 'S' => read_number(items, text, fields, *field, 2),
            'j' => read_number(items, text, fields, 'j', 3),
            'f' => read_number(items, text, fields, 'f', 6),
            's' => read_number(items, text, fields, 's', 12),
            '%' => read(items, text.strip_prefix('%')?, fields),
            _ => read_word(items, text, fields, *field),
        },
    }
}

fn read_fixed(items: &[Item], text: &str, fields: Fields, field: char, width: usize) -> Option<Fields> {
    let (digits, rest) = text.split_at_checked(width)?;
    read(items, rest, set(fields, field, digits)?)
}

fn read_number(items: &[Item], text: &str, fields: Fields, field: char, width_max: usize) -> Option<Fields> {
    // Python lets a day be padded with a blank.
    let text = if matches!(field, 'd' | 'e') { text.strip_prefix(' ').unwrap_or(text) } else { text };
    let run = text.bytes().take(width_max).take_while(u8::is_ascii_digit).count();
    (1..=run).rev().find_map(|width| {
        let (digits, rest) = text.split_at_checked(width)?;
        read(items, rest, set(fields, field, digits)?)
    })
}

/// The fields with one more, if its number is within what Python takes.
fn set(mut fields: Fields, field: char, digits: &str) -> Option<Fields> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    let number: i64 = digits.parse().ok()?;
    let small = i8::try_from(number).ok();
    let within = |low: i8, high: i8| small.filter(|number| (low..=high).contains(number));
    match field {
        'Y' => fields.year = i16::try_from(number).ok().filter(|year| *year > 0)?,
        'y' => fields.year = i16::try_from(if number < 69 { 2_000 + number } else { 1_900 + number }).ok()?,
        'm' => fields.month = within(1, 12)?,
        'd' | 'e' => fields.day = within(1, 31)?,
        'H' | 'k' => fields.hour = within(0, 23)?,
        'I' | 'l' => fields.hour = within(1, 12)?,
        'M' => fields.minute = within(0, 59)?,
        'S' => fields.second = within(0, 59)?,
        'j' => fields.day_of_year = Some(i16::try_from(number).ok().filter(|day| (1..=366).contains(day))?),
        's' => fields.seconds_since = Some(number),
        _ => {
            let scale = 10_i64.pow(6_u32.checked_sub(u32::try_from(digits.len()).ok()?)?);
            fields.microseconds = i32::try_from(number * scale).ok()?;
        }
    }
    Some(fields)
}

/// Names of days and months, halves of the day, zones and offsets.
fn read_word(items: &[Item], text: &str, mut fields: Fields, field: char) -> Option<Fields> {
    let rest = match field {
        'a' => name(text, &DAYS, true)?.1,
        'A' => name(text, &DAYS, false)?.1,
        'b' | 'h' | 'B' => {
            let (index, rest) = name(text, &MONTHS, field != 'B')?;
            fields.month = i8::try_from(index + 1).ok()?;
            rest
        }
        'p' | 'P' => {
            let (index, rest) = name(text, &["am", "pm"], false)?;
            fields.is_afternoon = Some(index == 1);
            rest
        }
        'Z' => name(text, &["utc", "gmt"], false)?.1,
        'z' => {
            let (offset, rest) = offset(text)?;
            fields.offset = offset;
            rest
        }
        'w' | 'u' => text.strip_prefix(|c: char| c.is_ascii_digit())?,
        'n' | 't' => text.trim_start(),
        _ => return None,
    };
    read(items, rest, fields)
}

/// Which of `names` the text begins with, in either case, whole or by three letters; and what follows.
fn name<'t>(text: &'t str, names: &[&str], is_short: bool) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let width = if is_short { 3 } else { name.len() };
        let (head, rest) = text.split_at_checked(width)?;
        head.eq_ignore_ascii_case(name.get(..width)?).then_some((index, rest))
    })
}

/// `Z`, `+0200`, `+02:00` or `+02:00:30`, and what follows.
fn offset(text: &str) -> Option<(Offset, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Offset::UTC, rest));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let part =
        |text: &str| -> Option<i32> { text.get(..2).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok() };
    let body = text.get(1..)?;
    let hours = part(body)?;
    let after = body.get(2..)?;
    let after = after.strip_prefix(':').unwrap_or(after);
    let minutes = part(after).filter(|minutes| *minutes < 60)?;
    let mut rest = after.get(2..)?;
    let mut seconds = 0;
    let tail = rest.strip_prefix(':').unwrap_or(rest);
    if let Some(found) = part(tail).filter(|seconds| *seconds < 60) {
        seconds = found;
        rest = tail.get(2..)?;
    }
    Some((Offset::from_seconds(sign * (hours * 3_600 + minutes * 60 + seconds)).ok()?, rest))
}
