//! Python's operators, where the engine's mean something else or know no dates.
//!
//! The rewriter turns `a + b` into `a|__add(b)` and so on; these are the filters it names. What is undefined makes the
//! whole expression undefined, two kinds that do not go together are a mismatch. It must not let a result grow without
//! limit: texts and lists that are added or repeated have a largest size.

use std::cmp::Ordering;

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::percent;
use super::python::{items_of, str_of};
use super::stamp::Stamp;
use crate::bounds::{RENDERED_BYTES_MAX, SHELF_ITEMS_MAX};

/// Two kinds of values that an operation does not take: Python's `TypeError`.
pub(super) fn mismatch(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// A value of the right kind that is wrong all the same: Python's `ValueError` and its kin.
pub(super) fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadSerialization, what.into())
}

/// The error of using a value that is not there; it makes the template's result empty.
pub(super) fn undefined() -> Error {
    Error::new(ErrorKind::UndefinedError, "a value that is used here is not there")
}

/// Adds the operators to an engine.
pub(super) fn add_to(engine: &mut Environment<'static>) {
    engine.add_filter("__add", |a: &Value, b: &Value| add(a, b));
    engine.add_filter("__sub", |a: &Value, b: &Value| subtract(a, b));
    engine.add_filter("__mul", |a: &Value, b: &Value| multiply(a, b));
    engine.add_filter("__mod", |a: &Value, b: &Value| match a.as_str() {
        Some(format) => percent::write(format, b).map(Value::from),
        None => calculate("%", a, b),
    });
    for (name, mark) in [("__div", "/"), ("__floor", "//"), ("__pow", "**")] {
        engine.add_filter(name, move |a: &Value, b: &Value| calculate(mark, a, b));
    }
    engine.add_filter("__neg", |a: &Value| match Stamp::of(a) {
        Some(Stamp::Span(span)) => Ok(Stamp::Span(span.negated()).into()),
        _ => calculate("-", &Value::from(0), a),
    });
    engine.add_filter("__lt", |a: &Value, b: &Value| order(a, b).map(Ordering::is_lt));
    engine.add_filter("__le", |a: &Value, b: &Value| order(a, b).map(Ordering::is_le));
    engine.add_filter("__gt", |a: &Value, b: &Value| order(a, b).map(Ordering::is_gt));
    engine.add_filter("__ge", |a: &Value, b: &Value| order(a, b).map(Ordering::is_ge));
    engine.add_filter("__in", |item: &Value, all: &Value| is_in(item, all));
    engine.add_filter("__text", |first: &Value, Rest(rest): Rest<Value>| {
        let mut text = str_of(first);
        for part in &rest {
            match part.as_str() {
                Some(part) => text.push_str(part),
                None => text.push_str(&str_of(part)),
            }
        }
        fits(text.len()).map(|()| Value::from(text))
    });
}

/// That a text is not too large.
pub(super) fn fits(bytes: usize) -> Result<(), Error> {
    if bytes <= RENDERED_BYTES_MAX {
        return Ok(());
    }
    Err(wrong(format!(
        "it would make a text of {bytes} bytes, and at most {RENDERED_BYTES_MAX} are allowed; tell less"
    )))
}

fn few(items: usize) -> Result<(), Error> {
    if items <= SHELF_ITEMS_MAX {
        return Ok(());
    }
    Err(wrong(format!(
        "it would make a list of {items} items, and at most {SHELF_ITEMS_MAX} are allowed; collect less"
    )))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return fits(a.len() + b.len()).map(|()| Value::from([a, b].concat()));
    }
    if let (Some(a), Some(b)) = (Stamp::of(a), Stamp::of(b)) {
        return a.plus(b);
    }
    if is_list(a) && is_list(b) {
        let items: Vec<Value> = items_of(a).into_iter().chain(items_of(b)).collect();
        return few(items.len()).map(|()| Value::from(items));
    }
    calculate("+", a, b)
}

fn subtract(a: &Value, b: &Value) -> Result<Value, Error> {
    match (Stamp::of(a), Stamp::of(b)) {
        (Some(a), Some(b)) => a.minus(b),
        _ => calculate("-", a, b),
    }
}

fn multiply(a: &Value, b: &Value) -> Result<Value, Error> {
    let repeated = |what: &Value, count: &Value| -> Option<Result<Value, Error>> {
        let count = usize::try_from(whole(count)?.max(0)).ok()?;
        if let Some(text) = what.as_str() {
            return Some(fits(text.len().saturating_mul(count)).map(|()| Value::from(text.repeat(count))));
        }
        if let Some(Stamp::Span(span)) = Stamp::of(what) {
            return Some(Ok(Stamp::Span(span.times(i64::try_from(count).ok()?)).into()));
        }
        let items = is_list(what).then(|| items_of(what))?;
        Some(
            few(items.len().saturating_mul(count))
                .map(|()| items.iter().cycle().take(items.len() * count).cloned().collect()),
        )
    };
    repeated(a, b).or_else(|| repeated(b, a)).unwrap_or_else(|| calculate("*", a, b))
}

/// An integer, or true and false as 1 and 0.
fn whole(value: &Value) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    }
}

/// Arithmetic between numbers, as Python does it: `/` always makes a float, `//` and `%` round down.
fn calculate(mark: &str, a: &Value, b: &Value) -> Result<Value, Error> {
    if a.is_undefined() || b.is_undefined() {
        return Err(undefined());
    }
    let (Some(x), Some(y)) = (float(a), float(b)) else {
        return Err(mismatch(format!(
            "`{mark}` does not take a {} and a {}; use `|int` or `|string`",
            a.kind(),
            b.kind()
        )));
    };
    if y == 0.0 && matches!(mark, "/" | "//" | "%") {
        return Err(wrong("a number is divided by zero; check it before, such as `a / b if b else 0`"));
    }
    if mark == "/" {
        return Ok(Value::from(x / y));
    }
    if let (Some(x), Some(y)) = (whole(a), whole(b))
        && !(mark == "**" && y < 0)
    {
        let result = match mark {
            "+" => x.checked_add(y),
            "-" => x.checked_sub(y),
            "*" => x.checked_mul(y),
            "//" => x
                .checked_div_euclid(y)
                .and_then(|q| if y < 0 && x.rem_euclid(y) != 0 { q.checked_sub(1) } else { Some(q) }),
            "%" => x.checked_rem_euclid(y).map(|rest| if y < 0 && rest != 0 { rest + y } else { rest }),
            _ => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        };
        let result = result.ok_or_else(|| wrong(format!("`{mark}` makes a number that is too large")))?;
        return Ok(i64::try_from(result).map_or_else(|_large| Value::from(result), Value::from));
    }
    Ok(Value::from(match mark {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "//" => (x / y).floor(),
        "%" => x - y * (x / y).floor(),
        _ => x.powf(y),
    }))
}

/// The order of two values, for comparisons, `max` and `min`.
pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, Error> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Ok(a.cmp(b));
    }
    if a.is_undefined() || b.is_undefined() {
        return Err(undefined());
    }
    let unlike = || {
        let (a, b) = (a.kind(), b.kind());
        mismatch(format!("a {a} and a {b} have no order; guard missing values, such as `a|default(0, true) < b`"))
    };
    if let (Some(a), Some(b)) = (Stamp::of(a), Stamp::of(b)) {
        return a.order(b).ok_or_else(unlike);
    }
    if float(a).is_some() && float(b).is_some() {
        return match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => float(a).partial_cmp(&float(b)).ok_or_else(unlike),
        };
    }
    if is_list(a) && is_list(b) {
        let (a, b) = (items_of(a), items_of(b));
        for (a, b) in a.iter().zip(&b) {
            if a != b {
                return order(a, b);
            }
        }
        return Ok(a.len().cmp(&b.len()));
    }
    Err(unlike())
}

/// Whether a text is part of a text, an item of a list or a key of a dict; nothing is in what is not there.
pub(super) fn is_in(item: &Value, all: &Value) -> Result<bool, Error> {
    match all.kind() {
        ValueKind::String => match (item.as_str(), all.as_str()) {
            (Some(part), Some(text)) => Ok(text.contains(part)),
            _ => Err(mismatch(format!("a {} is not looked for in a text; use `|string`", item.kind()))),
        },
        ValueKind::Map => Ok(!all.get_item(item)?.is_undefined()),
        ValueKind::Seq | ValueKind::Iterable => Ok(items_of(all).contains(item)),
        ValueKind::Undefined => Ok(false),
        kind => Err(mismatch(format!("nothing is in a {kind}; guard it, such as `x in (items or [])`"))),
    }
}

/// What a filter of Jinja goes over that takes everything empty for no items at all.
pub(super) fn some(items: &Value) -> Result<Value, Error> {
    if items.is_true() { each(items) } else { Ok(Value::from(Vec::<Value>::new())) }
}

/// A part of a text or a list, by Python's rules of negative places and steps.
pub(super) fn slice(whole: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let items = match whole.kind() {
        ValueKind::Undefined => return Err(undefined()),
        ValueKind::String => whole.as_str().unwrap_or_default().chars().map(Value::from).collect(),
        ValueKind::Seq | ValueKind::Iterable => items_of(whole),
        kind => return Err(mismatch(format!("a {kind} has no part; guard it, such as `(text or '')[:4]`"))),
    };
    let place = |value: &Value| if value.is_none() { Ok(None) } else { i64::try_from(value.clone()).map(Some) };
    let (start, stop, step) = (place(start)?, place(stop)?, place(step)?.unwrap_or(1));
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let within = |at: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high);
    let mut at = start.map_or(if step < 0 { high } else { low }, within);
    let end = stop.map_or(if step < 0 { low } else { high }, within);
    if step == 0 {
        return Err(wrong("a slice has no step of 0"));
    }
    let mut part = Vec::new();
    while if step < 0 { at > end } else { at < end } {
        part.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        at = at.saturating_add(step);
    }
    if whole.kind() == ValueKind::String {
        return Ok(Value::from(part.iter().map(str_of).collect::<String>()));
    }
    Ok(if whole.is_tuple() { Value::from(minijinja::value::Tuple::from(part)) } else { Value::from(part) })
}

/// What a loop goes over: the items of a list, the keys of a dict, the letters of a text, nothing of what is not there.
pub(super) fn each(items: &Value) -> Result<Value, Error> {
    match items.kind() {
        ValueKind::String => Ok(items.as_str().unwrap_or_default().chars().map(Value::from).collect()),
        ValueKind::Map => Ok(Value::from(items_of(items))),
        ValueKind::Undefined | ValueKind::Seq | ValueKind::Iterable => Ok(items.clone()),
        kind => Err(mismatch(format!("a {kind} has no items; guard it, such as `items or []`"))),
    }
}
