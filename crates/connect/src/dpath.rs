//! Paths into JSON: names, indexes, and `*` for any entry. A name may hold dots; a single text path may hold `/`.

use serde_json::{Map, Value};

/// What stands at the path.
pub(crate) fn get<'v>(value: &'v Value, path: &[impl AsRef<str>]) -> Option<&'v Value> {
    path.iter().try_fold(value, |at, part| step(at, part.as_ref()))
}

/// The same, to be taken out.
pub(crate) fn get_mut<'v>(value: &'v mut Value, path: &[impl AsRef<str>]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |at, part| match at {
        Value::Object(fields) => fields.get_mut(part.as_ref()),
        Value::Array(items) => index(items.len(), part.as_ref()).and_then(|index| items.get_mut(index)),
        _ => None,
    })
}

/// A path given as one text, such as `id` or `data/id`.
pub(crate) fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn step<'v>(value: &'v Value, part: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => items.get(index(items.len(), part)?),
        _ => None,
    }
}

/// An index, from the end where it is negative.
fn index(len: usize, part: &str) -> Option<usize> {
    let index: i64 = part.parse().ok()?;
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { len.checked_sub(from_end) } else { Some(from_end) }
}

/// Everything the path matches, taken out of the value.
pub(crate) fn take_all(value: &mut Value, path: &[String]) -> Vec<Value> {
    let Some((first, rest)) = path.split_first() else { return vec![value.take()] };
    if first != "*" {
        return match get_mut(value, &[first]) {
            Some(inner) => take_all(inner, rest),
            None => Vec::new(),
        };
    }
    match value {
        Value::Object(fields) => fields.values_mut().flat_map(|inner| take_all(inner, rest)).collect(),
        Value::Array(items) => items.iter_mut().flat_map(|inner| take_all(inner, rest)).collect(),
        _ => Vec::new(),
    }
}

/// Puts a value at the path; what is missing on the way is made.
pub(crate) fn set(value: &mut Value, path: &[String], new: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    if let Value::Array(items) = value {
        let Some(at) = index(items.len(), first) else { return };
        if at >= items.len() && at < items.len() + ARRAY_GROWTH_MAX {
            items.resize(at + 1, Value::Null);
        }
        if let Some(item) = items.get_mut(at) {
            set(item, rest, new);
        }
        return;
    }
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(fields) = value {
        set(fields.entry(first.as_str()).or_insert(Value::Null), rest, new);
    }
}

/// Furthest beyond its end that a list is filled up.
const ARRAY_GROWTH_MAX: usize = 1_000;

/// Removes what the path matches, if `may` says so. `**` matches any depth. An item is taken out of a list only at its
/// end, else it becomes nothing, so that the others keep their places.
pub(crate) fn remove(value: &mut Value, path: &[String], may: &mut dyn FnMut(&Value) -> bool) {
    let Some((first, rest)) = path.split_first() else { return };
    if first == "**" {
        if rest.is_empty() {
            remove_entries(value, "*", may);
        } else {
            remove(value, rest, may);
        }
        children(value).for_each(|inner| remove(inner, path, may));
    } else if rest.is_empty() {
        remove_entries(value, first, may);
    } else if first == "*" {
        children(value).for_each(|inner| remove(inner, rest, may));
    } else if let Some(inner) = get_mut(value, &[first]) {
        remove(inner, rest, may);
    }
}

fn children(value: &mut Value) -> Box<dyn Iterator<Item = &mut Value> + '_> {
    match value {
        Value::Object(fields) => Box::new(fields.values_mut()),
        Value::Array(items) => Box::new(items.iter_mut()),
        _ => Box::new(std::iter::empty()),
    }
}

fn remove_entries(value: &mut Value, name: &str, may: &mut dyn FnMut(&Value) -> bool) {
    match value {
        Value::Object(fields) if name == "*" => fields.retain(|_, inner| !may(inner)),
        Value::Object(fields) if fields.get(name).is_some_and(&mut *may) => {
            fields.remove(name);
        }
        Value::Array(items) if name == "*" => (0..items.len()).rev().for_each(|at| remove_item(items, at, may)),
        Value::Array(items) => {
            if let Some(at) = index(items.len(), name) {
                remove_item(items, at, may);
            }
        }
        _ => {}
    }
}

fn remove_item(items: &mut Vec<Value>, at: usize, may: &mut dyn FnMut(&Value) -> bool) {
    let is_last = at + 1 == items.len();
    match items.get_mut(at) {
        Some(item) if !is_last && may(item) => *item = Value::Null,
        Some(item) if is_last && may(item) => {
            items.pop();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn values_are_found_taken_and_set() {
        let mut value = json!({"a": {"b.c": [1, {"d": 2}]}, "x": {"1": {"r": [1]}, "2": {"r": [2, 3]}}});
        assert_eq!(get(&value, &["a", "b.c", "-1", "d"]), Some(&json!(2)));
        assert_eq!(get(&value, &["a", "z"]), None);
        assert_eq!(take_all(&mut value, &path(&["x", "*", "r"])), [json!([1]), json!([2, 3])]);
        set(&mut value, &path(&["n", "m"]), json!(5));
        assert_eq!(value["n"]["m"], 5);
    }

    #[test]
    fn fields_are_removed_where_the_condition_holds() {
        let mut value = json!({"a": {"k": null, "m": 1}, "b": [{"k": 2}, {"k": null}], "k": null});
        remove(&mut value, &path(&["**", "k"]), &mut Value::is_null);
        assert_eq!(value, json!({"a": {"m": 1}, "b": [{"k": 2}, {}]}));
        remove(&mut value, &path(&["b", "*", "k"]), &mut |_| true);
        assert_eq!(value["b"], json!([{}, {}]));
    }
}
