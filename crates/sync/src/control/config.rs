//! A connection's configuration: what is shown of it, and how a change of it is put in. Pure.
//!
//! What the connector's specification calls secret is not shown, nor what it does not describe at all: a token that a
//! login brought may stand there.

use lockstep_core::error::{Code, Rejection};
use serde_json::{Map, Value};

/// Stands in the place of what is not shown.
pub const HIDDEN: &str = "•••";

/// A configuration without its secrets, by its JSON Schema.
#[must_use]
pub fn shown(schema: &Value, config: &Value) -> Value {
    shown_by(&[schema], config)
}

fn shown_by(schemas: &[&Value], value: &Value) -> Value {
    let is_secret = |schema: &&Value| schema.get("airbyte_secret").and_then(Value::as_bool) == Some(true);
    if value.is_null() {
        return Value::Null;
    }
    if schemas.is_empty() || schemas.iter().any(is_secret) {
        return HIDDEN.into();
    }
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let mut own = Vec::new();
                schemas.iter().for_each(|schema| describing(schema, name, &mut own));
                (name.clone(), shown_by(&own, value))
            };
            members.iter().map(member).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => {
            let own: Vec<&Value> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
            items.iter().map(|item| shown_by(&own, item)).collect()
        }
        plain => plain.clone(),
    }
}

/// The schemas that say something of a member, in whichever choice.
fn describing<'s>(schema: &'s Value, name: &str, found: &mut Vec<&'s Value>) {
    found.extend(schema.get("properties").and_then(|members| members.get(name)));
    for choice in ["oneOf", "anyOf", "allOf"] {
        for schema in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
            describing(schema, name, found);
        }
    }
}

/// A configuration with a JSON merge patch put in. A secret that is given as it is shown stays what it was.
///
/// # Errors
/// `invalid_value`, where something is given as a secret is shown and there is none to keep.
pub fn patched(config: Value, patch: &Map<String, Value>) -> Result<Value, Rejection> {
    let mut config = config;
    put(&mut config, patch);
    match hidden_in(&config, String::from("/config")) {
        None => Ok(config),
        Some(place) => {
            let text = format!("{HIDDEN} stands for a secret that is kept, and there is none here: give it anew");
            Err(Rejection::new(Code::InvalidValue, text).at(place))
        }
    }
}

fn put(into: &mut Value, patch: &Map<String, Value>) {
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(members) = into else { return };
    for (name, value) in patch {
        let is_kept = value.as_str() == Some(HIDDEN) && members.contains_key(name);
        match value {
            _ if is_kept => {}
            Value::Null => drop(members.remove(name)),
            Value::Object(inner) => put(members.entry(name.clone()).or_insert(Value::Null), inner),
            other => drop(members.insert(name.clone(), other.clone())),
        }
    }
}

/// Where a stand-in is left.
fn hidden_in(value: &Value, place: String) -> Option<String> {
    match value {
        Value::String(text) => (text == HIDDEN).then_some(place),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| hidden_in(item, format!("{place}/{at}"))),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            hidden_in(value, format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")))
        }),
        _ => None,
    }
}

/// What makes one configuration of another, as a merge patch: what somebody else changed meanwhile is not undone by it.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let empty = Map::new();
    let of = |value: &Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (before, after) = (of(before), of(after));
    let mut patch = Map::new();
    for (name, value) in &after {
        match before.get(name) {
            Some(standing) if standing == value => {}
            Some(standing) if standing.is_object() && value.is_object() => {
                patch.insert(name.clone(), difference(standing, value).into());
            }
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    patch.extend(gone.map(|name| (name.clone(), Value::Null)));
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn secrets_and_what_nobody_describes_are_not_shown() {
        let schema = json!({"properties": {
            "url": {"type": "string"}, "key": {"airbyte_secret": true}, "limit": {"type": "integer"},
            "auth": {"oneOf": [
                {"properties": {"user": {}, "secret": {"airbyte_secret": true}}},
                {"properties": {"secret": {"type": "string"}}},
            ]},
            "keys": {"items": {"airbyte_secret": true}}, "names": {"items": {"type": "string"}},
        }});
        let config = json!({
            "url": "u", "key": "k", "limit": 3, "auth": {"user": "a", "secret": "s"}, "keys": ["x"], "names": ["n"],
            "token": "t", "nothing": null,
        });
        let expected = json!({
            "url": "u", "key": HIDDEN, "limit": 3, "auth": {"user": "a", "secret": HIDDEN}, "keys": [HIDDEN],
            "names": ["n"], "token": HIDDEN, "nothing": null,
        });
        assert_eq!(shown(&schema, &config), expected);
        assert_eq!(shown(&json!({}), &json!({"a": {"b": 1}})), json!({"a": HIDDEN}));
        let deep = json!({"properties": {"key": {"airbyte_secret": true}}});
        assert_eq!(shown(&deep, &json!({"key": {"a": "s"}})), json!({"key": HIDDEN}));
    }

    #[test]
    fn a_secret_as_it_is_shown_stays_and_null_takes_away() {
        let config = json!({"key": "k", "url": "u", "auth": {"a": "s", "b": 1}});
        let patch =
            map(&json!({"key": HIDDEN, "url": null, "auth": {"a": HIDDEN, "b": 2}, "new": {"x": null, "y": 1}}));
        assert_eq!(
            patched(config.clone(), &patch).unwrap(),
            json!({"key": "k", "auth": {"a": "s", "b": 2}, "new": {"y": 1}})
        );
        for (patch, place) in [
            (json!({"other": HIDDEN}), "/config/other"),
            (json!({"auth": {"c": HIDDEN}}), "/config/auth/c"),
            (json!({"list": [{"a/b": HIDDEN}]}), "/config/list/0/a~1b"),
        ] {
            let refused = patched(config.clone(), &map(&patch)).unwrap_err();
            assert_eq!((refused.code, refused.pointer.as_deref()), (Code::InvalidValue, Some(place)));
        }
    }

    #[test]
    fn a_difference_put_in_gives_the_other_and_leaves_what_is_strange_to_it() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 5});
        let after = json!({"a": 1, "b": {"c": 9, "d": 2}, "f": [1]});
        let patch = difference(&before, &after);
        assert_eq!(Value::Object(patch.clone()), json!({"b": {"c": 9}, "f": [1], "e": null}));
        assert_eq!(patched(before, &patch).unwrap(), after);
        let meanwhile = json!({"a": 7, "b": {"c": 1, "d": 3}, "e": 5});
        assert_eq!(patched(meanwhile, &patch).unwrap(), json!({"a": 7, "b": {"c": 9, "d": 3}, "f": [1]}));
    }
}
