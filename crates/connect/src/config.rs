//! A configuration before it is used: brought to the present form, completed with defaults, and checked against what
//! the specification asks for, in sentences that name the field.

use std::sync::{Mutex, PoisonError};

use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{ConfigTransformation, Spec, Validator};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::{dpath, python, tree};

/// The configuration in its present form, as its holder should keep it, and whether that is a new one.
pub(crate) fn migrated(spec: Option<&Spec>, mut config: Value, now: jiff::Timestamp) -> Result<(Value, bool), Failure> {
    if !config.is_object() {
        return Err(Failure::config("the configuration must be a JSON object"));
    }
    let rules = spec.and_then(|spec| spec.config_normalization_rules.as_ref());
    let migrations = rules.iter().flat_map(|rules| &rules.config_migrations);
    let mut is_new = false;
    for change in migrations.flat_map(|migration| &migration.transformations) {
        let before = config.clone();
        config = changed(change, config, now)?;
        is_new |= config != before;
    }
    Ok((config, is_new))
}

/// The configuration as streams see it.
pub(crate) fn transformed(spec: Option<&Spec>, mut config: Value, now: jiff::Timestamp) -> Result<Value, Failure> {
    let rules = spec.and_then(|spec| spec.config_normalization_rules.as_ref());
    for change in rules.iter().flat_map(|rules| &rules.transformations) {
        config = changed(change, config, now)?;
    }
    Ok(config)
}

/// The configuration as its holder should keep it, once it is no longer what was given: brought to its present form, or
/// with tokens that replace those that are spent.
#[derive(Default)]
pub(crate) struct Kept {
    config: Mutex<(Value, bool)>,
}

impl Kept {
    pub(crate) fn new(config: Value, is_new: bool) -> Self {
        Self { config: Mutex::new((config, is_new)) }
    }

    /// Puts these texts in their places.
    pub(crate) fn write(&self, entries: Vec<(Vec<String>, String)>) {
        let mut held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, text) in entries {
            dpath::set(&mut held.0, &path, Value::String(text));
        }
        held.1 = true;
    }

    /// What should be kept from now on, where that was not told yet.
    pub(crate) fn current(&self) -> Option<Value> {
        let held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        held.1.then(|| held.0.clone())
    }

    /// What should be kept from now on; none where that was told already.
    pub(crate) fn take(&self) -> Option<Value> {
        let mut held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut held.1).then(|| held.0.clone())
    }
}

/// Everything that the specification asks for and the configuration has not.
pub(crate) fn check(spec: &Spec, config: &Value, now: jiff::Timestamp) -> Vec<String> {
    let mut wrong = Vec::new();
    against(&spec.connection_specification.0, config, "", &mut wrong);
    let rules = spec.config_normalization_rules.as_ref();
    for validation in rules.iter().flat_map(|rules| &rules.validations) {
        if let Err(failure) = validated(validation, config, now, &mut wrong) {
            wrong.push(failure.message);
        }
    }
    wrong
}

fn validated(said: &Validator, config: &Value, now: jiff::Timestamp, wrong: &mut Vec<String>) -> Result<(), Failure> {
    let scope = Scope::new(now).with("config", config.clone());
    let schema = |strategy: &Value| {
        let schema = strategy.get("base_schema").cloned().unwrap_or(Value::Null);
        match schema {
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            schema => schema,
        }
    };
    match said {
        Validator::Dpath(said) => {
            let path = tree::path(&said.field_path, &scope)?;
            if let Some(found) = dpath::get(config, &path) {
                against(&schema(&said.validation_strategy.0), found, &path.join("."), wrong);
            }
        }
        Validator::Predicate(said) => {
            against(
                &schema(&said.validation_strategy.0),
                &tree::value(&said.value, &scope)?,
                "a value made of it",
                wrong,
            );
        }
    }
    Ok(())
}

fn changed(said: &ConfigTransformation, mut config: Value, now: jiff::Timestamp) -> Result<Value, Failure> {
    let scope = Scope::new(now).with("config", config.clone());
    match said {
        ConfigTransformation::Remap(remap) => {
            let path = tree::path(&remap.field_path, &scope)?;
            let map = tree::value(&remap.map, &scope)?;
            let new = dpath::get(&config, &path).and_then(|old| map.get(python::text(old))).cloned();
            if let Some(new) = new {
                dpath::set(&mut config, &path, new);
            }
        }
        ConfigTransformation::Add(add) => {
            for field in &add.fields {
                let path = crate::select::plain_path(&field.path);
                let value = crate::select::of_kind(field.value_type, &field.value, &scope)?;
                let seen = scope.with("value", value.clone()).with("path", Value::from(path.clone()));
                let condition = add.condition.as_ref().filter(|condition| !condition.source().is_empty());
                if condition.map_or(Ok(true), |condition| condition.is_true(&seen))? {
                    dpath::set(&mut config, &path, value);
                }
            }
        }
        ConfigTransformation::Remove(remove) => {
            let condition = remove.condition.as_ref().filter(|condition| !condition.source().is_empty());
            if condition.map_or(Ok(true), |condition| condition.is_true(&scope))? {
                for pointer in &remove.field_pointers {
                    dpath::remove(&mut config, &crate::select::plain_path(pointer), &mut |_| true);
                }
            }
        }
    }
    Ok(config)
}

/// Compares with the parts of a JSON schema that specifications use. What it does not know it lets through.
fn against(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let name = if path.is_empty() { "the configuration".to_owned() } else { format!("`{path}`") };
    if !is_kind(schema.get("type"), value) {
        let kinds = schema.get("type").map(python::text).unwrap_or_default();
        wrong.push(format!("{name} should be of the type {kinds}"));
        return;
    }
    if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
        wrong.push(format!("{name} should be {expected}"));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array).filter(|choices| !choices.contains(value)) {
        let choices: Vec<String> = choices.iter().map(python::text).collect();
        wrong.push(format!("{name} should be one of {}", choices.join(", ")));
    }
    if let (Some(pattern), Some(text)) = (schema.get("pattern").and_then(Value::as_str), value.as_str())
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        let hint = schema.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
        let hint = hint.map(|hint| format!(", such as {}", python::text(hint))).unwrap_or_default();
        wrong.push(format!("{name} is not written as {pattern}{hint}"));
    }
    if let Value::Object(fields) = value {
        object(schema, fields, path, wrong);
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for (index, value) in values.iter().enumerate() {
            against(items, value, &format!("{path}[{index}]"), wrong);
        }
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let mut best: Option<Vec<String>> = None;
        for choice in choices {
            let mut of_choice = Vec::new();
            against(choice, value, path, &mut of_choice);
            if best.as_ref().is_none_or(|best| of_choice.len() < best.len()) {
                best = Some(of_choice);
            }
        }
        wrong.extend(best.unwrap_or_default());
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, wrong: &mut Vec<String>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            let title = schema.pointer(&format!("/properties/{name}/title")).and_then(Value::as_str);
            let title = title.map(|title| format!(" ({title})")).unwrap_or_default();
            wrong.push(format!("the configuration needs `{}`{title}", inner(name)));
        }
    }
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = fields.get(name) {
            against(schema, value, &inner(name), wrong);
        }
    }
}

fn is_kind(kinds: Option<&Value>, value: &Value) -> bool {
    let is_one = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    };
    match kinds {
        Some(Value::String(kind)) => is_one(kind),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(is_one),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn spec(spec: &Value) -> Spec {
        Spec::read(&At::root(&Node::from_json(spec, 1), "spec")).unwrap()
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let spec =
            spec(&json!({"connection_specification": {"type": "object", "required": ["key", "auth"], "properties": {
                "key": {"type": "string", "title": "API key"},
                "start": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-01-31"]},
                "auth": {"type": "object", "oneOf": [
                    {"required": ["kind", "token"], "properties": {"kind": {"const": "token"}}},
                    {"required": ["kind", "name", "password"], "properties": {"kind": {"const": "basic"}}}
                ]}
            }}}));
        let now = jiff::Timestamp::UNIX_EPOCH;
        assert!(
            check(&spec, &json!({"key": "k", "start": "2026-01-01", "auth": {"kind": "token", "token": "t"}}), now)
                .is_empty()
        );
        assert_eq!(
            check(&spec, &json!({"start": "yesterday", "auth": {"kind": "basic", "name": "n"}}), now),
            [
                "the configuration needs `key` (API key)",
                "the configuration needs `auth.password`",
                "`start` is not written as ^[0-9]{4}-[0-9]{2}-[0-9]{2}$, such as 2026-01-31"
            ]
        );
    }

    #[test]
    fn an_older_configuration_is_brought_to_the_present_form() {
        let spec = spec(&json!({"connection_specification": {"type": "object"}, "config_normalization_rules": {
            "config_migrations": [{"transformations": [
                {"type": "ConfigAddFields", "fields": [{"path": ["auth", "token"], "value": "{{ config['token'] }}"}]},
                {"type": "ConfigRemoveFields", "field_pointers": [["token"]]}
            ]}],
            "transformations": [{"type": "ConfigRemapField", "map": {"eu": "https://eu.test"}, "field_path": ["region"]}]
        }}));
        let (given, now) = (json!({"token": "t", "region": "eu"}), jiff::Timestamp::UNIX_EPOCH);
        let (kept, is_new) = migrated(Some(&spec), given, now).unwrap();
        assert_eq!((&kept, is_new), (&json!({"auth": {"token": "t"}, "region": "eu"}), true));
        let seen = transformed(Some(&spec), kept.clone(), now).unwrap();
        assert_eq!(seen, json!({"auth": {"token": "t"}, "region": "https://eu.test"}));
        assert_eq!(Kept::new(kept.clone(), false).take(), None);
        let kept = Kept::new(kept, is_new);
        kept.write(vec![(vec!["auth".to_owned(), "token".to_owned()], "u".to_owned())]);
        assert_eq!(kept.take(), Some(json!({"auth": {"token": "u"}, "region": "eu"})));
        assert_eq!(kept.take(), None);
    }
}
