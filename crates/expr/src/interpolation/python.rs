//! How Python writes values: `str`, `repr` and `json.dumps`, of our values and of the engine's.
//! It must not decide what a value means; it only spells.

use std::fmt::Write as _;

use minijinja::value::{Value as Engine, ValueKind};
use serde_json::{Number, Value};

use super::stamp::Stamp;
use crate::bounds::{NESTING_MAX, RENDERED_BYTES_MAX};

/// The text with Python's escapes read: unknown ones stay as they are. `None` for a broken `\x`, `\u` or `\U`, and
/// for letters by name (`\N`).
pub(super) fn unescape(raw: &str) -> Option<String> {
    if !raw.contains('\\') {
        return Some(raw.to_owned());
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let letter = after.chars().next()?;
        let mut width = letter.len_utf8();
        match letter {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(letter),
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'v' => text.push('\x0b'),
            'N' => return None,
            'x' | 'u' | 'U' => {
                let digits = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code = u32::from_str_radix(after.get(1..=digits)?, 16).ok()?;
                text.push(char::from_u32(code)?);
                width = 1 + digits;
            }
            '0'..='7' => {
                width = after.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                text.push(char::from_u32(u32::from_str_radix(after.get(..width)?, 8).ok()?)?);
            }
            other => text.extend(['\\', other]),
        }
        rest = after.get(width..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// A float as Python's `repr`: `1.0`, `1e+16`, `1e-05`, `nan`.
pub(super) fn float_text(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() { "nan".to_owned() } else { format!("{number}") };
    }
    let scientific = format!("{number:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or_default();
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let mantissa = scientific.split('e').next().unwrap_or_default();
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// A JSON number as Python writes it.
pub(super) fn number_text(number: &Number) -> String {
    if number.is_f64() { float_text(number.as_f64().unwrap_or(f64::NAN)) } else { number.to_string() }
}

/// A text in quotes, as `repr`.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter
                if (letter.is_control() && u32::from(letter) < 0x100) || letter == '\u{a0}' || letter == '\u{ad}' =>
            {
                // Writing into a text does not fail.
                let _written = write!(out, "\\x{:02x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
    out
}

/// A JSON value as `str` writes it: a text is itself.
pub(super) fn json_str(value: &Value) -> String {
    if let Value::String(text) = value { text.clone() } else { json_repr(value) }
}

fn json_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(is_set) => bool_text(*is_set).to_owned(),
        Value::Number(number) => number_text(number),
        Value::String(text) => quoted(text),
        Value::Array(items) => listed("[", items.iter().map(json_repr), "]"),
        Value::Object(fields) => {
            listed("{", fields.iter().map(|(key, value)| format!("{}: {}", quoted(key), json_repr(value))), "}")
        }
    }
}

fn bool_text(is_set: bool) -> &'static str {
    if is_set { "True" } else { "False" }
}

fn listed(open: &str, items: impl Iterator<Item = String>, close: &str) -> String {
    format!("{open}{}{close}", items.collect::<Vec<_>>().join(", "))
}

/// An engine's value as `str` writes it; what is undefined is nothing.
pub(super) fn str_of(value: &Engine) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        _ => repr(value),
    }
}

/// An engine's value as `repr` writes it. A list can hold itself many times over, so writing stops when it is over
/// [`RENDERED_BYTES_MAX`]; what is then returned is too long for anything that takes a text.
pub(super) fn repr(value: &Engine) -> String {
    let mut out = String::new();
    if write_repr(&mut out, value, 0).is_none() {
        out.push_str(&" ".repeat((RENDERED_BYTES_MAX + 1).saturating_sub(out.len())));
    }
    out
}

/// `None` when it is too long or nested too deep.
fn write_repr(out: &mut String, value: &Engine, depth: usize) -> Option<()> {
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(bool_text(value.is_true())),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => {
            out.push_str(&f64::try_from(value.clone()).map_or_else(|_odd| value.to_string(), float_text));
        }
        ValueKind::String => out.push_str(&quoted(value.as_str().unwrap_or_default())),
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => return write_items(out, value, depth),
        _ => out.push_str(&value.to_string()),
    }
    (out.len() <= RENDERED_BYTES_MAX).then_some(())
}

fn write_items(out: &mut String, value: &Engine, depth: usize) -> Option<()> {
    (depth < NESTING_MAX).then_some(())?;
    let is_map = value.kind() == ValueKind::Map;
    let items = items_of(value);
    let (open, close) = match (is_map, value.is_tuple()) {
        (true, _) => ("{", "}"),
        (false, true) if items.len() == 1 => ("(", ",)"),
        (false, true) => ("(", ")"),
        (false, false) => ("[", "]"),
    };
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_repr(out, item, depth + 1)?;
        if is_map {
            out.push_str(": ");
            write_repr(out, &value.get_item(item).unwrap_or_default(), depth + 1)?;
        }
    }
    out.push_str(close);
    Some(())
}

/// The items of a list, or the keys of a map; nothing for anything else.
pub(super) fn items_of(value: &Engine) -> Vec<Engine> {
    value.try_iter().map(Iterator::collect).unwrap_or_default()
}

/// An engine's value as JSON, where it has a place there and is not too large. Dates are their texts; undefined is null.
pub(super) fn to_json(value: &Engine) -> Option<Value> {
    json_within(value, &mut RENDERED_BYTES_MAX.clone(), 0)
}

/// `left` is what may still be made, in bytes of text and in values.
fn json_within(value: &Engine, left: &mut usize, depth: usize) -> Option<Value> {
    *left = left.checked_sub(1 + value.as_str().map_or(0, str::len))?;
    (depth <= NESTING_MAX).then_some(())?;
    let mut inner = |value: &Engine| json_within(value, left, depth + 1);
    Some(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            let small = i64::try_from(value.clone()).map(Number::from).ok();
            Value::Number(small.or_else(|| u64::try_from(value.clone()).map(Number::from).ok())?)
        }
        ValueKind::Number => Value::Number(Number::from_f64(f64::try_from(value.clone()).ok()?)?),
        ValueKind::String => Value::String(value.as_str()?.to_owned()),
        ValueKind::Map => {
            let mut pair = |key: &Engine| Some((key_of(key)?, inner(&value.get_item(key).unwrap_or_default())?));
            Value::Object(items_of(value).iter().map(&mut pair).collect::<Option<_>>()?)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            Value::Array(items_of(value).iter().map(&mut inner).collect::<Option<_>>()?)
        }
        _ => Value::String(value.downcast_object_ref::<Stamp>()?.to_string()),
    })
}

/// A key of a map as JSON has it.
fn key_of(key: &Engine) -> Option<String> {
    Some(match key.kind() {
        ValueKind::String => key.as_str()?.to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => key.is_true().to_string(),
        ValueKind::Number => repr(key),
        _ => return None,
    })
}

/// Whether reading the value's `repr` back as a literal gives the value again; if not, the text is the result.
pub(super) fn is_literal(value: &Engine) -> bool {
    to_json(value).is_some() && is_plain(value)
}

/// Whether there is nothing undefined and no date in it; asked of values that are not too large.
fn is_plain(value: &Engine) -> bool {
    match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::String | ValueKind::Number => true,
        ValueKind::Map => {
            let is_sound = |key: &Engine| is_plain(key) && value.get_item(key).is_ok_and(|item| is_plain(&item));
            items_of(value).iter().all(is_sound)
        }
        ValueKind::Seq | ValueKind::Iterable => items_of(value).iter().all(is_plain),
        _ => false,
    }
}

/// As `json.dumps` writes it: blanks after commas and colons, everything beyond ASCII escaped.
pub(super) fn dumps(value: &Value) -> String {
    match value {
        Value::String(text) => dumps_text(text),
        Value::Number(number) => number_text(number),
        Value::Array(items) => listed("[", items.iter().map(dumps), "]"),
        Value::Object(fields) => {
            listed("{", fields.iter().map(|(key, value)| format!("{}: {}", dumps_text(key), dumps(value))), "}")
        }
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

fn dumps_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let plain = Value::from(text).to_string();
    for letter in plain.chars() {
        if letter.is_ascii() && letter != '\x7f' {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing into a text does not fail.
            let _written = write!(out, "\\u{unit:04x}");
        }
    }
    out
}
