//! The engine with our manners: what is added to minijinja's own filters, tests and
//! functions, what is replaced and what is taken away.
//!
//! Everything here is a function of its arguments. It must not add anything that knows
//! the time, the machine or chance, nor a filter whose result can be far larger than
//! what it was given; those that can grow a text stop at [`TEXT_BYTES_MAX`].

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters};

use crate::bounds::{FILL_BYTES_MAX, FUEL, ITEMS_MAX, TEXT_BYTES_MAX};

/// The one engine all expressions share; it holds no state of theirs.
pub(crate) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine.set_fuel(Some(FUEL));
    engine.set_unknown_method_callback(method);
    comparisons(&mut engine);
    growing_filters(&mut engine);
    base64_filters(&mut engine);
    // These show the inside of the engine, hold state, or pad without limit.
    for name in ["debug", "namespace"] {
        engine.remove_global(name);
    }
    for name in ["pprint", "format"] {
        engine.remove_filter(name);
    }
    engine
});

/// Whether a value counts as missing; nulls come in as undefined already.
fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

/// Comparison where a missing value, or another kind of value, has no order.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    (!is_missing(a) && !is_missing(b) && a.kind() == b.kind()).then(|| a.cmp(b))
}

fn compare(a: &Value, mark: &str, b: &Value) -> bool {
    match mark {
        "<" => order(a, b).is_some_and(Ordering::is_lt),
        "<=" => order(a, b).is_some_and(Ordering::is_le),
        ">" => order(a, b).is_some_and(Ordering::is_gt),
        ">=" => order(a, b).is_some_and(Ordering::is_ge),
        "!=" => a != b,
        _ => a == b,
    }
}

/// The comparisons that `rewrite` asks for, and the tests of the same names.
fn comparisons(engine: &mut Environment<'static>) {
    engine.add_filter("__ordered", |items: Vec<Value>, marks: &str| {
        items.iter().zip(items.iter().skip(1)).zip(marks.split(' ')).all(|((a, b), mark)| compare(a, mark, b))
    });
    engine.add_filter("__number", |value: Value| {
        if is_missing(&value) || matches!(value.kind(), ValueKind::Number | ValueKind::Bool) {
            return Ok(value);
        }
        Err(refuse(format!("only numbers are multiplied, not a {}; use `|int` or `|float` first", value.kind())))
    });
    for (mark, names) in [
        ("<", ["<", "lt", "lessthan"].as_slice()),
        ("<=", &["<=", "le"]),
        (">", &[">", "gt", "greaterthan"]),
        (">=", &[">=", "ge"]),
    ] {
        for name in names {
            engine.add_test(*name, move |a: &Value, b: &Value| compare(a, mark, b));
        }
    }
    engine.add_test("none", is_missing);
    engine.add_test("undefined", is_missing);
    engine.add_test("defined", |value: &Value| !is_missing(value));
}

/// Filters and functions that can make much out of little, each with its limit.
fn growing_filters(engine: &mut Environment<'static>) {
    engine.add_filter("replace", |text: &Value, from: &str, to: &str| {
        if is_missing(text) {
            return Ok(Value::UNDEFINED);
        }
        let text = text.to_string();
        let grown = text.matches(from).count().saturating_mul(to.len());
        fits("replace", grown)?;
        Ok::<_, Error>(Value::from(text.replace(from, to)))
    });
    engine.add_filter("join", |items: &Value, between: Option<&str>, options: Kwargs| {
        let attribute: Option<&str> = options.get("attribute")?;
        options.assert_all_used()?;
        join(items, between.unwrap_or_default(), attribute)
    });
    engine.add_filter("indent", |text: &str, width: Option<usize>| {
        let width = width.unwrap_or(4);
        fits("indent", text.lines().count().saturating_mul(width).saturating_add(text.len()))?;
        Ok::<_, Error>(text.replace('\n', &format!("\n{}", " ".repeat(width))))
    });
    engine.add_filter("tojson", json_text);
    for name in ["escape", "e"] {
        engine.add_filter(name, |state: &mut State<'_, '_>, value: &Value| {
            let escaped = filters::escape(state, value)?;
            fits("escape", escaped.as_str().map_or(0, str::len)).map(|()| escaped)
        });
    }
    engine.add_filter("batch", |state: &State<'_, '_>, value: Value, count: usize, fill: Option<Value>| {
        few("batch", count)?;
        light("batch", fill.as_ref())?;
        filters::batch(state, value, count, fill)
    });
    engine.add_filter("slice", |state: &State<'_, '_>, value: Value, count: usize, fill: Option<Value>| {
        few("slice", count)?;
        light("slice", fill.as_ref())?;
        filters::slice(state, value, count, fill)
    });
    engine.add_function("range", |first: i64, end: Option<i64>, step: Option<usize>| {
        let (first, end) = end.map_or((0, first), |end| (first, end));
        let items: Vec<i64> = (first..end).step_by(step.unwrap_or(1).max(1)).take(ITEMS_MAX + 1).collect();
        few("range", items.len()).map(|()| Value::from(items))
    });
}

/// Texts in base64, with `=` at the end: with `+` and `/`, or for URLs with `-` and `_`. Reading takes both.
fn base64_filters(engine: &mut Environment<'static>) {
    let encoded = |name: &'static str, alphabet: &'static GeneralPurpose| {
        move |text: &Value| {
            if is_missing(text) {
                return Ok(Value::UNDEFINED);
            }
            let text = text.as_str().ok_or_else(|| refuse(format!("{name} takes a text; use `|tojson` before it")))?;
            fits(name, base64::encoded_len(text.len(), true).unwrap_or(usize::MAX))?;
            Ok::<_, Error>(Value::from(alphabet.encode(text)))
        }
    };
    engine.add_filter("base64encode", encoded("base64encode", &STANDARD));
    engine.add_filter("base64url", encoded("base64url", &URL_SAFE));
    engine.add_filter("base64decode", |text: &Value| {
        if is_missing(text) {
            return Ok(Value::UNDEFINED);
        }
        let letters = text.as_str().map(|text| text.trim().replace('-', "+").replace('_', "/"));
        let bytes = letters.and_then(|letters| STANDARD.decode(letters).ok());
        let bytes = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        bytes.map(Value::from).ok_or_else(|| refuse("base64decode was given no text in base64".to_owned()))
    });
}

/// Texts of the items, or of one attribute of each, with `between` between them;
/// missing items are left out.
fn join(items: &Value, between: &str, attribute: Option<&str>) -> Result<String, Error> {
    let mut text = String::new();
    if is_missing(items) {
        return Ok(text);
    }
    let mut is_first = true;
    for item in items.try_iter()? {
        let item = attribute.map_or(Ok(item.clone()), |name| item.get_attr(name))?;
        if is_missing(&item) {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            text.push_str(between);
        }
        let mut page = Page { text, what: "join" };
        write!(page, "{item}").map_err(|_full| page.overflow())?;
        text = page.text;
    }
    Ok(text)
}

/// Methods that people know from Python; a missing value stays missing.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(Value::UNDEFINED);
    }
    if value.kind() == ValueKind::Map {
        return map_method(state, value, name, args);
    }
    let Some(text) = value.as_str() else {
        return Err(Error::from(ErrorKind::UnknownMethod));
    };
    let is_any = |args: &[Value], holds: &dyn Fn(&str) -> bool| {
        let (Rest(wanted),): (Rest<String>,) = from_args(args)?;
        Ok(Value::from(wanted.iter().any(|part| holds(part))))
    };
    match name {
        "lower" => from_args(args).map(|()| Value::from(text.to_lowercase())),
        "upper" => from_args(args).map(|()| Value::from(text.to_uppercase())),
        "strip" => from_args(args).map(|()| Value::from(text.trim())),
        "startswith" => is_any(args, &|part| text.starts_with(part)),
        "endswith" => is_any(args, &|part| text.ends_with(part)),
        "split" => {
            let all: Vec<Value> = [value.clone()].into_iter().chain(args.iter().cloned()).collect();
            state.apply_filter("split", &all)
        }
        _ => Err(Error::new(
            ErrorKind::UnknownMethod,
            format!("a text has no method `{name}`; it has lower, upper, strip, startswith, endswith and split"),
        )),
    }
}

fn map_method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "items" => state.apply_filter("items", std::slice::from_ref(value)),
        "keys" => from_args(args).and_then(|()| Ok(value.try_iter()?.collect())),
        "get" => {
            let (key, otherwise): (&Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(key)?;
            Ok(if is_missing(&found) { otherwise.unwrap_or_default() } else { found })
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// A value as JSON, given up as soon as it grows too large.
pub(crate) fn json_text(value: &Value) -> Result<String, Error> {
    let mut page = Page { text: String::new(), what: "tojson" };
    match serde_json::to_writer(&mut page, value) {
        Ok(()) => Ok(page.text),
        Err(error) if error.is_io() => Err(page.overflow()),
        Err(error) => Err(refuse(format!("tojson: {error}"))),
    }
}

/// A text that refuses to grow over its limit.
struct Page {
    text: String,
    what: &'static str,
}

impl Page {
    fn overflow(&self) -> Error {
        refuse(format!("{} would make a text of more than {TEXT_BYTES_MAX} bytes", self.what))
    }
}

impl fmt::Write for Page {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // JSON is written in whole characters.
        let part = std::str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.write_str(part).map_err(|_full| io::Error::from(io::ErrorKind::WriteZero))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// That what is repeated to fill up is a short text, a number or nothing.
fn light(what: &str, fill: Option<&Value>) -> Result<(), Error> {
    let is_light = fill.is_none_or(|fill| match fill.kind() {
        ValueKind::String => fill.as_str().is_some_and(|text| text.len() <= FILL_BYTES_MAX),
        kind => matches!(kind, ValueKind::Number | ValueKind::Bool | ValueKind::None | ValueKind::Undefined),
    });
    if is_light {
        return Ok(());
    }
    Err(refuse(format!("{what} is filled up with a number or a text of at most {FILL_BYTES_MAX} bytes")))
}

fn fits(what: &str, bytes: usize) -> Result<(), Error> {
    if bytes <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(refuse(format!("{what} would make a text of more than {TEXT_BYTES_MAX} bytes")))
}

fn few(what: &str, items: usize) -> Result<(), Error> {
    if items <= ITEMS_MAX {
        return Ok(());
    }
    Err(refuse(format!("{what} makes at most {ITEMS_MAX} items")))
}

fn refuse(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}
