//! Python's methods of texts, lists and dicts.
//! It must not change what it is called on; `collection` has what can change.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::operators::{each, fits, mismatch, wrong};
use super::percent;
use super::python::{items_of, repr};

/// Calls a method. One that is not there makes the result undefined, as reading an unknown attribute does.
pub(super) fn call(_state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), name, args),
        ValueKind::Map => of_dict(value, name, args),
        ValueKind::Seq | ValueKind::Iterable => of_list(value, name, args),
        _ => Err(unknown(value, name)),
    }
}

fn unknown(value: &Value, name: &str) -> Error {
    if super::collection::is_changing(name) {
        return wrong(format!(
            "`{name}` changes what is bound from outside; copy it first into a list of the template"
        ));
    }
    Error::new(ErrorKind::UndefinedError, format!("a {} has no method `{name}`", value.kind()))
}

fn of_dict(value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "get" => {
            // What is not there may be the default, and then stays so; the engine would take it for no argument.
            let (key, otherwise) = match args {
                [key] => (key, Value::from(())),
                [key, otherwise] => (key, otherwise.clone()),
                _ => return Err(mismatch(format!("`get` takes a key and a default, not {} arguments", args.len()))),
            };
            let found = value.get_item(key)?;
            Ok(if found.is_undefined() { otherwise } else { found })
        }
        "keys" => from_args(args).map(|()| Value::from(items_of(value))),
        "values" => {
            from_args::<()>(args)?;
            items_of(value).iter().map(|key| value.get_item(key)).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        "items" => {
            from_args::<()>(args)?;
            let pair = |key: Value| value.get_item(&key).map(|item| pair_of(key, item));
            items_of(value).into_iter().map(pair).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        "copy" => Ok(value.clone()),
        _ => Err(unknown(value, name)),
    }
}

fn pair_of(key: Value, item: Value) -> Value {
    Value::from(minijinja::value::Tuple::from(vec![key, item]))
}

fn of_list(value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "count" => {
            let (wanted,): (&Value,) = from_args(args)?;
            Ok(Value::from(items_of(value).iter().filter(|item| *item == wanted).count()))
        }
        "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let at = items_of(value).iter().position(|item| item == wanted);
            at.map(Value::from).ok_or_else(|| wrong(format!("{} is not in the list", repr(wanted))))
        }
        "copy" => Ok(value.clone()),
        _ => Err(unknown(value, name)),
    }
}

fn of_text(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(changed) = changed(text, name) {
        return from_args(args).map(|()| Value::from(changed));
    }
    if let Some(is_so) = quality(text, name) {
        return from_args(args).map(|()| Value::from(is_so));
    }
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let (letters,): (Option<String>,) = from_args(args)?;
            Ok(Value::from(strip(text, name, letters.as_deref())))
        }
        "removeprefix" => from_args(args).map(|(part,): (&str,)| Value::from(text.strip_prefix(part).unwrap_or(text))),
        "removesuffix" => from_args(args).map(|(part,): (&str,)| Value::from(text.strip_suffix(part).unwrap_or(text))),
        "startswith" | "endswith" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let holds = |part: &str| if name == "endswith" { text.ends_with(part) } else { text.starts_with(part) };
            match wanted.as_str() {
                Some(part) => Ok(Value::from(holds(part))),
                None if wanted.is_tuple() => {
                    Ok(Value::from(items_of(wanted).iter().filter_map(Value::as_str).any(holds)))
                }
                None => Err(mismatch(format!("`{name}` takes a text, not a {}", wanted.kind()))),
            }
        }
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "splitlines" => from_args(args).map(|()| text.lines().map(Value::from).collect()),
        "partition" | "rpartition" => {
            let (by,): (&str,) = from_args(args)?;
            let found = if name == "partition" { text.split_once(by) } else { text.rsplit_once(by) };
            let whole = if name == "partition" { (text, "", "") } else { ("", "", text) };
            let (a, b, c) = found.map_or(whole, |(before, after)| (before, by, after));
            Ok(Value::from(minijinja::value::Tuple::from(vec![Value::from(a), Value::from(b), Value::from(c)])))
        }
        "replace" => {
            let (from, to, count): (&str, &str, Option<usize>) = from_args(args)?;
            replace(text, from, to, count).map(Value::from)
        }
        "join" => join(text, args),
        "count" => from_args(args).map(|(part,): (&str,)| {
            Value::from(if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() })
        }),
        "find" | "rfind" | "index" => find(text, name, args),
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            percent::write(&format!("%0{width}d"), &Value::from(0))?;
            let missing = width.saturating_sub(text.chars().count());
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            Ok(Value::from(format!("{sign}{}{digits}", "0".repeat(missing))))
        }
        "format" => {
            let (Rest(values), named): (Rest<Value>, Kwargs) = from_args(args)?;
            percent::fill(text, &values, &named).map(Value::from)
        }
        "encode" | "decode" => Err(wrong(format!("`{name}` makes bytes, which have no place here; leave it out"))),
        _ => Err(unknown(&Value::from(text), name)),
    }
}

/// Methods that make another text and take nothing.
fn changed(text: &str, name: &str) -> Option<String> {
    Some(match name {
        "lower" | "casefold" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "title" => title(text, |before| !before.is_alphabetic()),
        "capitalize" => capitalize(text),
        "swapcase" => {
            let swap =
                |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
            text.chars().map(swap).collect()
        }
        _ => return None,
    })
}

/// Methods that ask for a quality of all letters.
fn quality(text: &str, name: &str) -> Option<bool> {
    let all = |holds: fn(char) -> bool| !text.is_empty() && text.chars().all(holds);
    Some(match name {
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => return None,
    })
}

/// The first letter large, the others small.
pub(super) fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.as_str().to_lowercase().chars()).collect())
}

/// Letters that follow one that `begins` holds for are large, all others small.
pub(super) fn title(text: &str, begins: impl Fn(char) -> bool) -> String {
    let mut before = ' ';
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if begins(before) {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
        before = letter;
    }
    out
}

/// Takes letters, or blanks, from the ends that the method's name says.
pub(super) fn strip<'t>(text: &'t str, method: &str, letters: Option<&str>) -> &'t str {
    let goes = |c: char| letters.map_or(c.is_whitespace(), |letters| letters.contains(c));
    match method {
        "lstrip" => text.trim_start_matches(goes),
        "rstrip" => text.trim_end_matches(goes),
        _ => text.trim_matches(goes),
    }
}

/// Every occurrence, or the first `count`, in the place of which `to` is put.
pub(super) fn replace(text: &str, from: &str, to: &str, count: Option<usize>) -> Result<String, Error> {
    let times = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    fits(text.len().saturating_add(times.min(count.unwrap_or(times)).saturating_mul(to.len())))?;
    Ok(count.map_or_else(|| text.replace(from, to), |count| text.replacen(from, to, count)))
}

fn split(text: &str, is_from_end: bool, args: &[Value]) -> Result<Value, Error> {
    let (by, count, named): (Option<String>, Option<i64>, Kwargs) = from_args(args)?;
    let (by, count) = (by.or(named.get("sep")?), count.or(named.get("maxsplit")?).unwrap_or(-1));
    named.assert_all_used()?;
    let pieces_max = usize::try_from(count).map_or(usize::MAX, |count| count.saturating_add(1));
    let Some(by) = by else {
        let mut pieces: Vec<&str> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let cut = if pieces.len() + 1 < pieces_max { rest.split_once(char::is_whitespace) } else { None };
            let (piece, after) = cut.unwrap_or((rest, ""));
            pieces.push(piece);
            rest = after.trim_start();
        }
        return Ok(pieces.into_iter().map(Value::from).collect());
    };
    if by.is_empty() {
        return Err(wrong("a text is not split at nothing; name what stands between its parts"));
    }
    if is_from_end {
        let mut pieces: Vec<Value> = text.rsplitn(pieces_max, by.as_str()).map(Value::from).collect();
        pieces.reverse();
        return Ok(Value::from(pieces));
    }
    Ok(text.splitn(pieces_max, by.as_str()).map(Value::from).collect())
}

fn join(between: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (Value,) = from_args(args)?;
    let mut text = String::new();
    for (at, item) in each(&items)?.try_iter()?.enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        let part = item.as_str();
        text.push_str(part.ok_or_else(|| mismatch(format!("`join` takes texts, not a {}; use `|join`", item.kind())))?);
        fits(text.len())?;
    }
    Ok(Value::from(text))
}

fn find(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (part,): (&str,) = from_args(args)?;
    let found = if name == "rfind" { text.rfind(part) } else { text.find(part) };
    match found {
        Some(at) => Ok(Value::from(text.get(..at).map_or(0, |before| before.chars().count()))),
        None if name == "index" => Err(wrong("the text does not contain what `index` looks for")),
        None => Ok(Value::from(-1)),
    }
}
