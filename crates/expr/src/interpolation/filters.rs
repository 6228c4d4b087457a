//! Filters: those Airbyte adds to Jinja, and those of Jinja that the engine spells or judges otherwise.
//! It must not let text grow without limit, nor compile a regular expression twice while it is remembered.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, State, filters};
use regex::Regex;

use super::macros::{named, quote, quote_plus, text_of};
use super::operators::{fits, mismatch, undefined, wrong};
use super::python::{self, str_of};
use super::{methods, percent};
use crate::bounds::{REGEXES_MAX, WIDTH_MAX};

/// Adds the filters to an engine.
pub(super) fn add_to(engine: &mut Environment<'static>) {
    airbyte(engine);
    numbers(engine);
    texts(engine);
    spelling(engine);
}

fn airbyte(engine: &mut Environment<'static>) {
    engine.add_filter("hash", |value: &Value, kind: Option<String>, salt: Option<Value>, names: Kwargs| {
        let kind = named(kind, &names, "hash_type")?;
        let salt = named(salt, &names, "salt")?.filter(Value::is_true);
        names.assert_all_used()?;
        let mut text = str_of(value);
        text.extend(salt.as_ref().map(str_of));
        digest_of(kind.as_deref().unwrap_or("md5"), text.as_bytes())
    });
    engine.add_filter("hmac", |value: &Value, key: &Value, kind: Option<String>, names: Kwargs| {
        let kind = named(kind, &names, "hash_type")?;
        names.assert_all_used()?;
        match kind.as_deref() {
            None | Some("sha256") => {}
            Some(other) => return Err(wrong(format!("`{other}` is no hash that `hmac` takes; it takes `sha256`"))),
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, str_of(key).as_bytes());
        Ok(hex(hmac::sign(&key, str_of(value).as_bytes()).as_ref()))
    });
    engine.add_filter("base64encode", |text: &Value| text_of(text).map(|text| STANDARD.encode(text)));
    // The name says decoding, the reference encodes.
    engine.add_filter("base64binascii_decode", |text: &Value| text_of(text).map(|text| STANDARD.encode(text)));
    engine.add_filter("base64decode", |text: &Value| {
        // Letters that are none of the alphabet are passed over, as Python does.
        let is_known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        let letters: String = text_of(text)?.chars().filter(is_known).collect();
        let bytes = STANDARD.decode(letters).map_err(|error| wrong(format!("the text is no base64: {error}")))?;
        String::from_utf8(bytes).map_err(|_bytes| wrong("what the base64 holds is no text"))
    });
    engine.add_filter("string", |value: &Value| {
        if let Some(text) = value.as_str() {
            return Ok(text.to_owned());
        }
        if value.is_undefined() {
            return Err(mismatch("what is not there is not written as text; use `|default('')` before `|string`"));
        }
        let json = json_of(value)?;
        Ok(format!("\"\"\"{}\"\"\"", python::dumps(&json)))
    });
    engine.add_filter("regex_search", |text: &Value, pattern: &str| {
        let text = searched(text)?;
        let found = compiled(pattern)?.captures(text).and_then(|found| Some(found.get(1)?.as_str().to_owned()));
        Ok::<_, Error>(found.unwrap_or_default())
    });
    engine.add_filter("regex_replace", |text: &Value, pattern: &str, to: &str| {
        let text = searched(text)?;
        let replaced = compiled(pattern)?.replace_all(text, replacement(to)?.as_str()).into_owned();
        fits(replaced.len()).map(|()| replaced)
    });
}

/// A value as JSON; a date has no place there before it is written as text.
fn json_of(value: &Value) -> Result<serde_json::Value, Error> {
    let json = if python::is_literal(value) { python::to_json(value) } else { None };
    json.ok_or_else(|| mismatch(format!("a {} has no place in JSON; write dates with `.strftime`", value.kind())))
}

/// The digest of bytes in hexadecimal, by Python's names of the algorithms.
fn digest_of(kind: &str, bytes: &[u8]) -> Result<String, Error> {
    let algorithm = match kind {
        "md5" => return Ok(hex(&Md5::digest(bytes))),
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha224" => &digest::SHA224,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        "sha3_256" => &digest::SHA3_256,
        "sha3_384" => &digest::SHA3_384,
        "sha3_512" => &digest::SHA3_512,
        _ => return Err(wrong(format!("there is no hash `{kind}` here; use `md5`, `sha1`, `sha256` or `sha512`"))),
    };
    Ok(hex(digest::digest(algorithm, bytes).as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a text does not fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// The text that a regular expression is looked for in; what is not there is no text.
fn searched(value: &Value) -> Result<&str, Error> {
    value
        .as_str()
        .ok_or_else(|| mismatch(format!("a regular expression is looked for in a text, not a {}", value.kind())))
}

/// A compiled regular expression. They are remembered by their text, because a filter runs once for each record.
fn compiled(pattern: &str) -> Result<Regex, Error> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = Regex::new(&pattern.replace(r"\Z", r"\z"))
        .map_err(|error| wrong(format!("the regular expression cannot be read here (no look-around): {error}")))?;
    if known.len() >= REGEXES_MAX {
        known.clear();
    }
    known.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

/// Python's replacement text (`\1`, `\g<name>`) as that of the library (`${1}`).
fn replacement(to: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(to.len());
    let mut rest = to;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        rest = match (letter, after.chars().next()) {
            ('$', _) => {
                out.push_str("$$");
                after
            }
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()).min(2);
                let (group, after) = after.split_at(end);
                out.push_str(&format!("${{{group}}}"));
                after
            }
            ('\\', Some('g')) => {
                let named = after.strip_prefix("g<").and_then(|named| named.split_once('>'));
                let (group, after) = named.ok_or_else(|| wrong("the replacement has a `\\g` without its `<name>`"))?;
                out.push_str(&format!("${{{group}}}"));
                after
            }
            ('\\', Some(escaped)) => {
                let plain = python::unescape(&format!("\\{escaped}")).unwrap_or_default();
                out.push_str(&plain);
                after.get(escaped.len_utf8()..).unwrap_or_default()
            }
            _ => {
                out.push(letter);
                after
            }
        };
    }
    Ok(out)
}

fn numbers(engine: &mut Environment<'static>) {
    engine.add_filter("int", |value: &Value, otherwise: Option<Value>, base: Option<u32>, names: Kwargs| {
        let otherwise = named(otherwise, &names, "default")?.unwrap_or_else(|| Value::from(0));
        let base = named(base, &names, "base")?.unwrap_or(10);
        names.assert_all_used()?;
        if value.is_undefined() {
            return Err(undefined());
        }
        Ok(int_of(value, base).unwrap_or(otherwise))
    });
    engine.add_filter("float", |value: &Value, otherwise: Option<Value>, names: Kwargs| {
        let otherwise = named(otherwise, &names, "default")?.unwrap_or_else(|| Value::from(0.0));
        names.assert_all_used()?;
        if value.is_undefined() {
            return Err(undefined());
        }
        Ok(float_of(value).map_or(otherwise, Value::from))
    });
    engine.add_filter("round", |value: &Value, digits: Option<i32>, method: Option<String>, names: Kwargs| {
        let digits = named(digits, &names, "precision")?.unwrap_or(0);
        let method = named(method, &names, "method")?;
        names.assert_all_used()?;
        if let (true, None, Ok(whole)) = (value.is_integer(), &method, i64::try_from(value.clone())) {
            return Ok(Value::from(rounded_whole(whole, digits)));
        }
        let number = float_of(value).filter(|_| value.as_str().is_none());
        let number = number.ok_or_else(|| mismatch(format!("a {} is not rounded; use `|float`", value.kind())))?;
        Ok(Value::from(rounded(number, digits, method.as_deref())))
    });
    engine.add_filter("abs", |value: &Value| match value.kind() {
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        ValueKind::Undefined => Err(mismatch("what is not there has no size; use `|default(0)` before `|abs`")),
        _ => filters::abs(value.clone()),
    });
    for name in ["length", "count"] {
        engine.add_filter(name, |value: &Value| match value.kind() {
            ValueKind::Undefined => Ok(0),
            ValueKind::String => Ok(value.as_str().map_or(0, |text| text.chars().count())),
            ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
                Ok(value.len().unwrap_or_else(|| python::items_of(value).len()))
            }
            kind => Err(mismatch(format!("a {kind} has no length"))),
        });
    }
}

/// An integer as Jinja's filter reads it; `None` where that takes the default.
fn int_of(value: &Value, base: u32) -> Option<Value> {
    let whole = |number: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is dropped, and the size is checked")]
        (number.is_finite() && number.abs() < 1e38).then_some(number as i128)
    };
    let number = match value.kind() {
        ValueKind::Bool => i128::from(value.is_true()),
        ValueKind::Number if value.is_integer() => return Some(value.clone()),
        ValueKind::Number => whole(f64::try_from(value.clone()).ok()?)?,
        ValueKind::String => {
            let text = value.as_str()?.trim();
            let bare =
                ["0x", "0o", "0b", "0X"].iter().find_map(|prefix| text.strip_prefix(prefix).filter(|_| base != 10));
            let digits = bare.unwrap_or(text).replace('_', "");
            let read = (2..=36).contains(&base).then(|| i128::from_str_radix(&digits, base).ok()).flatten();
            read.or_else(|| whole(float_of(value)?))?
        }
        _ => return None,
    };
    Some(i64::try_from(number).map_or_else(|_large| Value::from(number), Value::from))
}

fn float_of(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => value.as_str()?.trim().replace('_', "").parse().ok(),
        _ => None,
    }
}

/// An integer to tens, hundreds and so on, halves to the even one; other places change nothing.
fn rounded_whole(number: i64, digits: i32) -> i64 {
    let scale = u32::try_from(digits.saturating_neg()).ok().and_then(|tens| 10_i64.checked_pow(tens));
    let Some(scale) = scale.filter(|scale| *scale > 1) else {
        return if digits < 0 { 0 } else { number };
    };
    let (below, rest) = (number.div_euclid(scale), number.rem_euclid(scale));
    let is_up = rest * 2 > scale || (rest * 2 == scale && below % 2 != 0);
    (below + i64::from(is_up)).saturating_mul(scale)
}

fn rounded(number: f64, digits: i32, method: Option<&str>) -> f64 {
    let scale = 10_f64.powi(digits);
    match method {
        Some("ceil") => (number * scale).ceil() / scale,
        Some("floor") => (number * scale).floor() / scale,
        // The shortest decimal text rounds exactly; scaling would not.
        _ if (0..=17).contains(&digits) => {
            let digits = usize::try_from(digits).unwrap_or_default();
            format!("{number:.digits$}").parse().unwrap_or(number)
        }
        _ => (number * scale).round_ties_even() / scale,
    }
}

fn texts(engine: &mut Environment<'static>) {
    engine.add_filter("lower", |value: &Value| str_of(value).to_lowercase());
    engine.add_filter("upper", |value: &Value| str_of(value).to_uppercase());
    engine.add_filter("capitalize", |value: &Value| methods::capitalize(&str_of(value)));
    engine.add_filter("title", |value: &Value| {
        methods::title(&str_of(value), |c| c.is_whitespace() || "-([{<".contains(c))
    });
    engine.add_filter("trim", |value: &Value, letters: Option<String>| {
        methods::strip(&str_of(value), "strip", letters.as_deref()).to_owned()
    });
    engine.add_filter("replace", |value: &Value, from: &Value, to: &Value, count: Option<usize>| {
        methods::replace(&str_of(value), &str_of(from), &str_of(to), count)
    });
    for name in ["escape", "e"] {
        engine.add_filter(name, |value: &Value| {
            let text = str_of(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            text.replace('\'', "&#39;").replace('"', "&#34;")
        });
    }
    for name in ["default", "d"] {
        engine.add_filter(name, |value: &Value, otherwise: Option<Value>, over_false: Option<bool>, names: Kwargs| {
            let otherwise = named(otherwise, &names, "default_value")?.unwrap_or_else(|| Value::from(""));
            let over_false = named(over_false, &names, "boolean")?.unwrap_or(false);
            names.assert_all_used()?;
            let is_kept = !value.is_undefined() && (value.is_true() || !over_false);
            Ok::<_, Error>(if is_kept { value.clone() } else { otherwise })
        });
    }
    engine.add_filter("urlencode", |value: &Value| {
        if value.kind() == ValueKind::Map {
            let pair = |key: &Value| {
                let item = value.get_item(key).unwrap_or_default();
                format!("{}={}", quote_plus(&str_of(key)), quote_plus(&str_of(&item)))
            };
            return python::items_of(value).iter().map(pair).collect::<Vec<_>>().join("&");
        }
        quote(&str_of(value), "/")
    });
    engine.add_filter("wordcount", |value: &Value| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        str_of(value).split(|c| !is_word(c)).filter(|word| !word.is_empty()).count()
    });
    engine.add_filter("truncate", truncate);
    engine.add_filter("join", |value: &Value, between: Option<Value>, attribute: Option<Value>, names: Kwargs| {
        let between = named(between, &names, "d")?.as_ref().map(str_of).unwrap_or_default();
        let attribute = named(attribute, &names, "attribute")?;
        names.assert_all_used()?;
        join(value, &between, attribute.as_ref())
    });
}

fn spelling(engine: &mut Environment<'static>) {
    engine.add_filter("tojson", |value: &Value, indent: Option<Value>| {
        if indent.is_some_and(|indent| indent.is_true()) {
            return Err(wrong("`tojson` does not indent here; leave its argument out"));
        }
        if value.is_undefined() {
            return Err(mismatch("what is not there has no place in JSON; use `|default(none)` before `|tojson`"));
        }
        let json = json_of(value)?;
        let text = python::dumps(&json);
        fits(text.len())?;
        Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027"))
    });
    engine.add_filter("format", |format: &Value, Rest(values): Rest<Value>| {
        percent::write(text_of(format)?, &Value::from(minijinja::value::Tuple::from(values)))
    });
    engine.add_filter("indent", |text: &Value, width: Option<usize>| {
        let (text, width) = (str_of(text), width.unwrap_or(4));
        fits(text.len().saturating_add(text.lines().count().saturating_mul(width)))?;
        Ok::<_, Error>(text.replace('\n', &format!("\n{}", " ".repeat(width))))
    });
    for (name, cut) in [("batch", filters::batch as Cut), ("slice", filters::slice)] {
        engine.add_filter(name, move |state: &State<'_, '_>, value: Value, count: usize, fill: Option<Value>| {
            if count > WIDTH_MAX {
                return Err(wrong(format!("`{name}` makes at most {WIDTH_MAX} parts, not {count}")));
            }
            cut(state, value, count, fill)
        });
    }
}

/// How `batch` and `slice` look from outside.
type Cut = fn(&State<'_, '_>, Value, usize, Option<Value>) -> Result<Value, Error>;

fn join(items: &Value, between: &str, attribute: Option<&Value>) -> Result<String, Error> {
    let mut text = String::new();
    if items.is_undefined() {
        return Ok(text);
    }
    if items.is_none() {
        return Err(mismatch("nothing cannot be joined; use `|default([], true)` before `|join`"));
    }
    for (at, item) in items.try_iter()?.enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(&match attribute {
            Some(name) => str_of(&item.get_item(name)?),
            None => str_of(&item),
        });
        fits(text.len())?;
    }
    Ok(text)
}

/// At most so many letters, cut at a word unless told otherwise; a little over is let through.
fn truncate(
    value: &Value,
    length: Option<usize>,
    kills: Option<bool>,
    end: Option<String>,
    leeway: Option<usize>,
) -> Result<String, Error> {
    let (text, length, end) =
        (text_of(value)?.to_owned(), length.unwrap_or(255), end.unwrap_or_else(|| "...".to_owned()));
    if text.chars().count() <= length.saturating_add(leeway.unwrap_or(5)) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let cut =
        if kills.unwrap_or(false) { &kept } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before) };
    Ok(format!("{cut}{end}"))
}
