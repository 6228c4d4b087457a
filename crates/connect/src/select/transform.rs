//! Changes of a record, one after the other, in place.

use std::sync::Arc;

use lockstep_expr::interpolation::{Bound, Scope};
use lockstep_manifest::{
    AddFields, DpathFlattenFields, KeysReplace, RemoveFields, Text, Transformation, Tree, ValueType,
};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::select::fields;
use crate::{dpath, python, tree};

/// A change, with what does not depend on the record worked out.
pub(crate) enum Ready {
    Add { fields: Vec<Added>, condition: Option<Text> },
    Remove { paths: Vec<Vec<String>>, condition: Option<Text> },
    Lower,
    Snake,
    Replace(KeysReplace),
    Flatten { lists: bool },
    FlattenAt { said: DpathFlattenFields, path: Vec<String>, prefix: String, suffix: String },
}

/// A new field.
pub(crate) struct Added {
    path: Vec<String>,
    value: Text,
    kind: Option<ValueType>,
}

pub(crate) fn ready(said: &[Transformation], scope: &Scope) -> Result<Vec<Ready>, Failure> {
    said.iter().map(|one| Ready::of(one, scope)).collect()
}

/// The same changes on plain fields: of a schema's properties, of a configuration.
pub(crate) fn transform_fields(said: &[Transformation], value: Value, scope: &Scope) -> Result<Value, Failure> {
    let mut record = Arc::new(value);
    let mut scope = scope.clone();
    for one in ready(said, &scope)? {
        one.apply(&mut record, &mut scope)?;
    }
    Ok(Arc::unwrap_or_clone(record))
}

/// A path, whose parts may be numbers but are no templates.
pub(crate) fn plain_path(parts: &[Tree]) -> Vec<String> {
    let part = |part: &Tree| match part {
        Tree::Text(text) => text.source().to_owned(),
        Tree::Fixed(value) => python::text(value),
        Tree::List(_) | Tree::Map(_) => String::new(),
    };
    parts.iter().map(part).collect()
}

fn given(condition: Option<&Text>) -> Option<Text> {
    condition.filter(|condition| !condition.source().is_empty()).cloned()
}

impl Ready {
    fn of(said: &Transformation, scope: &Scope) -> Result<Self, Failure> {
        Ok(match said {
            Transformation::AddFields(AddFields { fields, condition }) => {
                let fields = fields.iter().map(|field| Added {
                    path: plain_path(&field.path),
                    value: field.value.clone(),
                    kind: field.value_type,
                });
                Self::Add { fields: fields.collect(), condition: given(condition.as_ref()) }
            }
            Transformation::RemoveFields(RemoveFields { field_pointers, condition }) => Self::Remove {
                paths: field_pointers.iter().map(|path| plain_path(path)).collect(),
                condition: given(condition.as_ref()),
            },
            Transformation::KeysToLower(_) => Self::Lower,
            Transformation::KeysToSnakeCase(_) => Self::Snake,
            Transformation::KeysReplace(said) => Self::Replace(said.clone()),
            Transformation::FlattenFields(said) => Self::Flatten { lists: said.flatten_lists },
            Transformation::DpathFlattenFields(said) => {
                let keys = said.key_transformation.as_ref();
                let text =
                    |text: Option<&Text>| text.map(|text| text.text(scope)).transpose().map(Option::unwrap_or_default);
                Self::FlattenAt {
                    path: tree::path(&said.field_path, scope)?,
                    prefix: text(keys.and_then(|keys| keys.prefix.as_ref()))?,
                    suffix: text(keys.and_then(|keys| keys.suffix.as_ref()))?,
                    said: said.clone(),
                }
            }
        })
    }

    pub(crate) fn apply(&self, record: &mut Arc<Value>, scope: &mut Scope) -> Result<(), Failure> {
        match self {
            Self::Add { fields, condition } => add(fields, condition.as_ref(), record, scope),
            Self::Remove { paths, condition } => remove(paths, condition.as_ref(), record, scope),
            Self::Lower => {
                rename(record, &|key| key.to_lowercase(), false);
                Ok(())
            }
            Self::Snake => {
                rename(record, &snake, true);
                Ok(())
            }
            Self::Replace(said) => {
                let (old, new) = seeing(record, scope, |scope| Ok((said.old.text(scope)?, said.new.text(scope)?)))?;
                if !old.is_empty() {
                    rename(record, &|key| key.replace(&old, &new), true);
                }
                Ok(())
            }
            Self::Flatten { lists } => {
                *record = Arc::new(Value::Object(flatten(Arc::make_mut(record).take(), *lists)));
                Ok(())
            }
            Self::FlattenAt { said, path, prefix, suffix } => {
                flatten_at(said, path, (prefix, suffix), record);
                Ok(())
            }
        }
    }
}

/// Something worked out over the record, which is let go of again before it is changed.
fn seeing<T>(
    record: &Arc<Value>,
    scope: &mut Scope,
    work: impl FnOnce(&Scope) -> Result<T, Failure>,
) -> Result<T, Failure> {
    scope.set("record", Bound::from(Arc::clone(record)));
    let found = work(scope);
    scope.set("record", Bound::nothing());
    found
}

fn add(added: &[Added], condition: Option<&Text>, record: &mut Arc<Value>, scope: &mut Scope) -> Result<(), Failure> {
    for field in added {
        let value = seeing(record, scope, |scope| {
            let value = of_kind(field.kind, &field.value, scope)?;
            let Some(condition) = condition else { return Ok(Some(value)) };
            let path = Value::from(field.path.clone());
            let seen = scope.with("value", value.clone()).with("path", path);
            Ok(condition.is_true(&seen)?.then_some(value))
        })?;
        if let Some(value) = value {
            dpath::set(Arc::make_mut(record), &field.path, value);
        }
    }
    Ok(())
}

/// The value as it is read back from text, if it may be of that kind; else the text.
pub(crate) fn of_kind(kind: Option<ValueType>, text: &Text, scope: &Scope) -> Result<Value, Failure> {
    if kind == Some(ValueType::String) {
        return Ok(Value::String(text.text(scope)?));
    }
    let value = text.value(scope)?;
    // What is missing is an empty text, and only what is there and null is null.
    if value.is_null() && text.text(scope)?.is_empty() {
        return Ok(Value::String(String::new()));
    }
    let Some(kind) = kind else { return Ok(value) };
    let suits = match kind {
        ValueType::Number => value.is_f64(),
        ValueType::Integer => value.is_i64() || value.is_u64() || value.is_boolean(),
        ValueType::Boolean => value.is_boolean(),
        ValueType::String => value.is_string(),
    };
    if suits { Ok(value) } else { Ok(Value::String(python::text(&value))) }
}

fn remove(
    paths: &[Vec<String>],
    condition: Option<&Text>,
    record: &mut Arc<Value>,
    scope: &Scope,
) -> Result<(), Failure> {
    let mut failure = None;
    for path in paths {
        dpath::remove(Arc::make_mut(record), path, &mut |value| {
            let Some(condition) = condition else { return true };
            // A condition is asked of single values, not of what holds them.
            if value.is_object() || value.is_array() {
                return false;
            }
            condition.is_true(&scope.with("property", value.clone())).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn rename(record: &mut Arc<Value>, name: &dyn Fn(&str) -> String, goes_in: bool) {
    if let Some(all) = fields(record) {
        rename_fields(all, name, goes_in);
    }
}

fn rename_fields(all: &mut Map<String, Value>, name: &dyn Fn(&str) -> String, goes_in: bool) {
    *all = std::mem::take(all)
        .into_iter()
        .map(|(key, mut value)| {
            if let (true, Value::Object(inner)) = (goes_in, &mut value) {
                rename_fields(inner, name, goes_in);
            }
            (name(&key), value)
        })
        .collect();
}

/// `HTTPServer 2nd` to `http_server_2_nd`: runs of capitals with what follows, of small letters, of digits.
fn snake(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let kind = |at: usize| {
        chars.get(at).map_or(' ', |one| match one {
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            '0'..='9' => '0',
            _ => ' ',
        })
    };
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (begin, first) = (at, kind(at));
        while at < chars.len() && kind(at) == first {
            at += 1;
        }
        if first == 'A' {
            while at < chars.len() && kind(at) == 'a' {
                at += 1;
            }
        }
        let token: String = chars.get(begin..at).unwrap_or_default().iter().collect();
        tokens.push(if first == ' ' { String::new() } else { token.to_lowercase() });
    }
    if tokens.len() >= 3 {
        let last = tokens.len() - 1;
        tokens = tokens
            .into_iter()
            .enumerate()
            .filter(|(at, token)| *at == 0 || *at == last || !token.is_empty())
            .map(|(_, token)| token)
            .collect();
    }
    if tokens.first().is_some_and(|token| token.chars().next().is_some_and(|one| one.is_ascii_digit())) {
        tokens.insert(0, String::new());
    }
    tokens.join("_")
}

/// All inner fields at the top; a name that is taken gets its path in front.
fn flatten(record: Value, lists: bool) -> Map<String, Value> {
    let mut flat = Map::new();
    let mut left = vec![(record, "_".to_owned())];
    let mut is_in_list = false;
    while let Some((value, path)) = left.pop() {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let name = if is_in_list || flat.contains_key(&key) { format!("{path}.{key}") } else { key };
                    left.push((value, name));
                }
            }
            Value::Array(items) if lists => {
                is_in_list |= !items.is_empty();
                left.extend(items.into_iter().enumerate().map(|(index, item)| (item, format!("{path}.{index}"))));
            }
            other => {
                flat.insert(path, other);
            }
        }
    }
    flat
}

fn flatten_at(said: &DpathFlattenFields, path: &[String], (prefix, suffix): (&str, &str), record: &mut Arc<Value>) {
    let whole = Arc::make_mut(record);
    let found = if path.iter().any(|part| part == "*") {
        dpath::take_all(&mut whole.clone(), path).into_iter().next()
    } else {
        dpath::get(whole, path).cloned()
    };
    let Some(Value::Object(found)) = found else { return };
    let found: Map<String, Value> =
        found.into_iter().map(|(key, value)| (format!("{prefix}{key}{suffix}"), value)).collect();
    if said.replace_record && !found.is_empty() {
        *whole = Value::Object(found);
        return;
    }
    let is_taken = whole.as_object().is_some_and(|all| found.keys().any(|key| all.contains_key(key)));
    if is_taken {
        return;
    }
    if said.delete_origin_value {
        dpath::remove(whole, path, &mut |_| true);
    }
    if let Some(all) = whole.as_object_mut() {
        all.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    #[track_caller]
    fn check(transformation: Value, record: Value, expected: &Value) {
        let node = Node::from_json(&Value::Array(vec![transformation]), 1);
        let said = Vec::<Transformation>::read(&At::root(&node, "")).unwrap();
        let scope = Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", json!({}));
        assert_eq!(transform_fields(&said, record, &scope).unwrap(), *expected);
    }

    #[test]
    fn fields_are_added_with_their_kind_and_under_a_condition() {
        let fields = json!([{"path": ["a"], "value": "{{ record.n }}", "value_type": "string"}, {"path": ["b"], "value": "{{ record.n }}"},
            {"path": ["c"], "value": "x"}]);
        check(
            json!({"type": "AddFields", "fields": fields}),
            json!({"n": 7}),
            &json!({"n": 7, "a": "7", "b": 7, "c": "x"}),
        );
        let one = json!({"type": "AddFields", "condition": "{{ value > 5 }}", "fields": [{"path": ["m"], "value": "{{ record.n }}"}]});
        check(one.clone(), json!({"n": 7}), &json!({"n": 7, "m": 7}));
        check(one, json!({"n": 5}), &json!({"n": 5}));
    }

    #[test]
    fn what_is_missing_is_an_empty_text() {
        let field = |kind: Option<&str>, name: &str| json!({"path": ["x"], "value": format!("{{{{ record.{name} }}}}"), "value_type": kind});
        for (kind, name, expected) in [
            (None, "absent", json!("")),
            (Some("string"), "absent", json!("")),
            (None, "nothing", json!(null)),
            (Some("integer"), "nothing", json!("None")),
        ] {
            let add = json!({"type": "AddFields", "fields": [field(kind, name)]});
            check(add, json!({"nothing": null}), &json!({"nothing": null, "x": expected}));
        }
    }

    #[test]
    fn names_are_changed() {
        check(json!({"type": "KeysToLower"}), json!({"ABc": {"De": 1}}), &json!({"abc": {"De": 1}}));
        check(
            json!({"type": "KeysToSnakeCase"}),
            json!({"FirstName": {"zipCode": 1}, "2nd-line": 2, "HTTPServer2": 3}),
            &json!({"first_name": {"zip_code": 1}, "_2_nd_line": 2, "httpserver_2": 3}),
        );
        check(
            json!({"type": "KeysReplace", "old": " ", "new": "_"}),
            json!({"a b": {"c d": 1}}),
            &json!({"a_b": {"c_d": 1}}),
        );
    }

    #[test]
    fn inner_fields_come_to_the_top() {
        let said = json!({"type": "DpathFlattenFields", "field_path": ["a"], "delete_origin_value": true});
        check(said, json!({"a": {"b": 1}, "c": 2}), &json!({"b": 1, "c": 2}));
        let said = json!({"type": "DpathFlattenFields", "field_path": ["a"]});
        check(said, json!({"a": {"c": 1}, "c": 2}), &json!({"a": {"c": 1}, "c": 2}));
        let said = json!({"type": "DpathFlattenFields", "field_path": ["a"], "replace_record": true, "key_transformation": {"prefix": "p_"}});
        check(said, json!({"a": {"c": 1}, "c": 2}), &json!({"p_c": 1}));
        check(
            json!({"type": "FlattenFields"}),
            json!({"a": {"b": {"c": 1}}, "d": [5, {"e": 6}]}),
            &json!({"a.b.c": 1, "d.0": 5, "d.1.e": 6}),
        );
    }

    #[test]
    fn fields_are_removed_where_the_condition_holds() {
        let said = json!({"type": "RemoveFields", "field_pointers": [["**"]], "condition": "{{ property is none }}"});
        check(said, json!({"a": null, "b": {"c": null, "d": 1}}), &json!({"b": {"d": 1}}));
    }
}
