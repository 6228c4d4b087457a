//! A connection's configuration: what is shown of it, and how a change of it is put in. Pure.
//!
//! What the connector's specification calls secret is not shown, nor what it does not describe at all: a token that a
//! login brought may stand there.

use lockstep_core::error::{Code, Rejection};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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

/// Words in the names of members that say where a platform is.
const PLACES: [&str; 10] =
    ["url", "host", "domain", "endpoint", "server", "instance", "region", "tenant", "site", "shop"];

/// That no secret that was kept goes to another place than it was given for: whoever may change a connection need not
/// know its secrets, and must not have them sent to an address of their own.
///
/// # Errors
/// `invalid_value`, at the secret.
pub fn check_place(schema: &Value, before: &Value, after: &Value) -> Result<(), Rejection> {
    let (was, is) = (leaves(&shown(schema, before)), leaves(&shown(schema, after)));
    let is_moved = |(place, value): &(&String, &Value)| {
        let old = was.get(*place);
        let is_address = |value: &Value| value.as_str().is_some_and(|text| text.contains("://"));
        let name = place.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let is_place =
            PLACES.iter().any(|word| name.contains(word)) || is_address(value) || old.is_some_and(is_address);
        is_place && old.is_some_and(|old| old != *value)
    };
    let Some((moved, _)) = is.iter().find(is_moved) else { return Ok(()) };
    let is_kept = |place: &&String| {
        let old = before.pointer(place).filter(|old| !old.is_null());
        old.is_some() && old == after.pointer(place)
    };
    let hidden = is.iter().filter(|(_, value)| value.as_str() == Some(HIDDEN)).map(|(place, _)| place);
    match hidden.into_iter().find(is_kept) {
        None => Ok(()),
        Some(secret) => {
            let name = |place: &str| place.trim_start_matches('/').replace('/', ".");
            let text = format!(
                "{} was given for another place than {} now names: give it anew, or take it away with null",
                name(secret),
                name(moved)
            );
            Err(Rejection::new(Code::InvalidValue, text).at(format!("/config{secret}")))
        }
    }
}

/// Whether two configurations have the same secrets.
#[must_use]
pub fn has_same_secrets(schema: &Value, one: &Value, other: &Value) -> bool {
    let (of_one, of_other) = (leaves(&shown(schema, one)), leaves(&shown(schema, other)));
    let mut hidden = of_one.iter().chain(&of_other).filter(|(_, value)| value.as_str() == Some(HIDDEN));
    hidden.all(|(place, _)| one.pointer(place) == other.pointer(place))
}

/// Values that hold no others, by their pointers.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((place, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
                open.extend(members.iter().map(|(name, value)| (format!("{place}/{}", escaped(name)), value)));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, value)| (format!("{place}/{at}"), value)));
            }
            plain => drop(found.insert(place, plain.clone())),
        }
    }
    found
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

    #[test]
    fn secrets_are_the_same_whatever_else_changes() {
        let schema = json!({"properties": {"path": {}, "key": {"airbyte_secret": true}}});
        let config = json!({"path": "/x", "key": "k"});
        assert!(has_same_secrets(&schema, &config, &json!({"path": "/y", "key": "k"})));
        for other in [json!({"path": "/x", "key": "l"}), json!({"path": "/x"}), json!({"key": "k", "token": 1})] {
            assert!(!has_same_secrets(&schema, &config, &other), "{other}");
        }
    }

    #[test]
    fn a_kept_secret_does_not_follow_an_address_elsewhere() {
        let schema = json!({"properties": {
            "base_url": {}, "path": {}, "subdomain": {}, "auth": {"properties": {"key": {"airbyte_secret": true}}},
        }});
        let config =
            json!({"base_url": "https://a/", "path": "/x", "subdomain": "acme", "auth": {"key": "k"}, "token": "t"});
        let after = |patch: Value| patched(config.clone(), &map(&patch)).unwrap();
        let check =
            |patch: Value| check_place(&schema, &config, &after(patch)).map_err(|refused| refused.pointer.unwrap());
        for fine in [
            json!({"path": "/y"}),
            json!({"base_url": "https://a/"}),
            json!({"base_url": "https://b/", "auth": {"key": "new"}, "token": null}),
            json!({"auth": {"key": "new"}}),
        ] {
            assert_eq!(check(fine.clone()), Ok(()), "{fine}");
        }
        assert_eq!(check(json!({"base_url": "https://b/"})), Err("/config/auth/key".to_owned()));
        assert_eq!(check(json!({"subdomain": "evil", "auth": {"key": HIDDEN}})), Err("/config/auth/key".to_owned()));
        assert_eq!(check(json!({"base_url": "https://b/", "auth": {"key": "new"}})), Err("/config/token".to_owned()));
        assert_eq!(check(json!({"path": "https://b/"})), Err("/config/auth/key".to_owned()));
    }
}
