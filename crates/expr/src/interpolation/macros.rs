//! The functions that templates may call: the present time, dates, and a few conversions.
//!
//! The present time and the seed of chance are read from the scope under names no template can write. It must not read
//! a clock or draw chance itself.

use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, State};

use super::operators::{mismatch, order, undefined, wrong};
use super::scope::{self, NOW, SEED};
use super::stamp::{Stamp, wrong_value};
use crate::datetime::{Duration, Format, Moment, parse_iso};

/// Functions of the dialect; a template that names one reads no variable.
pub(super) const NAMES: [&str; 16] = [
    "now_utc",
    "today_utc",
    "today_with_timezone",
    "timestamp",
    "max",
    "min",
    "day_delta",
    "duration",
    "format_datetime",
    "str_to_datetime",
    "sanitize_url",
    "camel_case_to_snake_case",
    "generate_uuid",
    "json_loads",
    "dict",
    "namespace",
];

/// The format of `day_delta` unless one is given.
const DAY_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%f%z";

/// Adds the functions to an engine.
pub(super) fn add_to(engine: &mut Environment<'static>) {
    engine.add_function("now_utc", |state: &State<'_, '_>| now(state).map(|at| Value::from(Stamp::Time(at))));
    engine.add_function("today_utc", |state: &State<'_, '_>| {
        now(state).map(|at| Value::from(Stamp::Day(at.clock().date())))
    });
    engine.add_function("today_with_timezone", today_in);
    engine.add_function("str_to_datetime", |text: &Value| moment_of(text).map(|at| Value::from(Stamp::Time(at))));
    engine.add_function("timestamp", timestamp);
    engine.add_function("duration", |text: &Value| {
        let span = Duration::parse(text_of(text)?).map_err(wrong_value)?;
        Ok::<_, Error>(Value::from(Stamp::Span(span)))
    });
    engine.add_function(
        "day_delta",
        |state: &State<'_, '_>, days: Option<i64>, format: Option<String>, names: Kwargs| {
            day_delta(state, days, format, &names)
        },
    );
    engine.add_function(
        "format_datetime",
        |value: &Value, format: Option<String>, input_format: Option<String>, names: Kwargs| {
            format_datetime(value, format, input_format, &names)
        },
    );
    engine.add_function("max", |Rest(items): Rest<Value>, named: Kwargs| extreme(items, &named, Ordering::Greater));
    engine.add_function("min", |Rest(items): Rest<Value>, named: Kwargs| extreme(items, &named, Ordering::Less));
    engine.add_function("sanitize_url", |text: &Value| Ok::<_, Error>(quote_plus(text_of(text)?)));
    engine.add_function("camel_case_to_snake_case", |text: &Value| text_of(text).map(snake_case));
    engine.add_function("generate_uuid", uuid);
    engine.add_function("json_loads", |text: &Value| {
        let read: serde_json::Value =
            serde_json::from_str(text_of(text)?).map_err(|error| wrong(format!("the text is no JSON: {error}")))?;
        Ok::<_, Error>(scope::view(read))
    });
}

/// The text of an argument that must be one.
pub(super) fn text_of(value: &Value) -> Result<&str, Error> {
    if value.is_undefined() {
        return Err(undefined());
    }
    value.as_str().ok_or_else(|| mismatch(format!("a text is wanted here, not a {}; use `|string`", value.kind())))
}

/// An argument given in its place or by its name.
pub(super) fn named<T>(given: Option<T>, named: &Kwargs, name: &str) -> Result<Option<T>, Error>
where
    T: for<'a> minijinja::value::ArgType<'a, Output = T>,
{
    match given {
        Some(given) => Ok(Some(given)),
        None if named.has(name) => named.get(name).map(Some),
        None => Ok(None),
    }
}

fn now(state: &State<'_, '_>) -> Result<Moment, Error> {
    let microseconds = state.lookup(NOW).and_then(|now| i64::try_from(now).ok()).ok_or_else(undefined)?;
    Moment::from_microseconds(microseconds).map_err(wrong_value)
}

fn today_in(state: &State<'_, '_>, name: &str) -> Result<Value, Error> {
    let zone = TimeZone::get(name)
        .map_err(|_unknown| wrong(format!("`{name}` is no time zone; write it as `Europe/Amsterdam`")))?;
    Ok(Stamp::Day(zone.to_datetime(now(state)?.timestamp()).date()).into())
}

/// The moment a text of ISO 8601 tells, on the clock of UTC.
fn moment_of(text: &Value) -> Result<Moment, Error> {
    if let Some(Stamp::Time(at)) = Stamp::of(text) {
        return Ok(at);
    }
    Ok(parse_iso(text_of(text)?).map_err(wrong_value)?.in_utc())
}

/// True and false as the integers they are in Python.
fn numbered(value: &Value) -> Value {
    if value.kind() == ValueKind::Bool { Value::from(i64::from(value.is_true())) } else { value.clone() }
}

fn timestamp(value: &Value) -> Result<Value, Error> {
    let value = &numbered(value);
    if value.kind() == ValueKind::Number {
        let number = f64::try_from(value.clone())?;
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is dropped, as the reference does")]
        let whole = number as i64;
        return Ok(i64::try_from(value.clone()).map_or_else(|_float| Value::from(whole), Value::from));
    }
    moment_of(value).map(|at| Value::from(at.seconds()))
}

fn day_delta(
    state: &State<'_, '_>,
    days: Option<i64>,
    format: Option<String>,
    names: &Kwargs,
) -> Result<String, Error> {
    let days = named(days, names, "num_days")?.ok_or_else(|| mismatch("`day_delta` wants a number of days"))?;
    let format = named(format, names, "format")?;
    names.assert_all_used()?;
    let span = Duration::from_microseconds(days.saturating_mul(86_400_000_000));
    let at = span.add_to(now(state)?).map_err(wrong_value)?;
    Ok(Format::compile(format.as_deref().unwrap_or(DAY_FORMAT)).map_err(wrong_value)?.write(at))
}

fn format_datetime(
    value: &Value,
    format: Option<String>,
    input_format: Option<String>,
    names: &Kwargs,
) -> Result<String, Error> {
    let format = named(format, names, "format")?.ok_or_else(|| mismatch("`format_datetime` wants a format"))?;
    let input = named(input_format, names, "input_format")?;
    names.assert_all_used()?;
    if value.is_undefined() {
        return Err(undefined());
    }
    let value = &numbered(value);
    let compile = |format: &str| Format::compile(format).map_err(wrong_value);
    let at = match (Stamp::of(value), value.kind(), input) {
        (Some(Stamp::Time(at)), ..) => at,
        (None, ValueKind::Number, input) if value.is_integer() => {
            compile(input.as_deref().unwrap_or("%s"))?.parse(&value.to_string()).map_err(wrong_value)?
        }
        (None, _, Some(input)) => compile(&input)?.parse(text_of(value)?).map_err(wrong_value)?,
        _ => moment_of(value)?,
    };
    Ok(compile(&format)?.write(at))
}

/// The largest or smallest of several, or of one list.
fn extreme(items: Vec<Value>, names: &Kwargs, wanted: Ordering) -> Result<Value, Error> {
    let otherwise: Option<Value> = named(None, names, "default")?;
    names.assert_all_used()?;
    let items = match items.as_slice() {
        [list] if list.as_str().is_none() => list.try_iter()?.collect(),
        _ => items,
    };
    let mut best: Option<Value> = None;
    for item in items {
        let is_better = match &best {
            Some(best) => order(&item, best)? == wanted,
            None => true,
        };
        if is_better {
            best = Some(item);
        }
    }
    best.or(otherwise).ok_or_else(|| wrong("there is no largest or smallest of nothing; give a `default`"))
}

/// As Python's `quote`: everything but letters, digits, `_.-~` and the letters of `safe` is escaped.
pub(super) fn quote(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "_.-~".contains(letter) || (letter.is_ascii() && safe.contains(letter)) {
            out.push(letter);
        } else {
            // Writing into a text does not fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// As Python's `quote_plus`: nothing is safe, and blanks become `+`.
pub(super) fn quote_plus(text: &str) -> String {
    quote(text, " ").replace(' ', "+")
}

/// An underscore before each capital letter but the first one, all of it small.
fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// A random identifier (version 4) drawn from the scope's seed; each call of one rendering draws another.
fn uuid(state: &mut State<'_, '_>) -> String {
    const DRAWN: &str = "__drawn";
    let seed = state.lookup(SEED).and_then(|seed| u64::try_from(seed).ok()).unwrap_or_default();
    let drawn = state.get_temp(DRAWN).and_then(|drawn| u64::try_from(drawn).ok()).unwrap_or_default();
    state.set_temp(DRAWN, Value::from(drawn + 2));
    let high = (scattered(seed, drawn) & !0xf000) | 0x4000;
    let low = (scattered(seed, drawn + 1) >> 2) | 0x8000_0000_0000_0000;
    let part = |number: u64, from: u32, bits: u32| (number >> from) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(high, 32, 32),
        part(high, 16, 16),
        part(high, 0, 16),
        part(low, 48, 16),
        part(low, 0, 48)
    )
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): the number at a place of the seed's sequence.
fn scattered(seed: u64, place: u64) -> u64 {
    let z = seed.wrapping_add((place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
