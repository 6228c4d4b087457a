//! Secrets kept out of what people read: values that the specification calls secret, and tokens that were obtained.

use std::sync::{PoisonError, RwLock};

use serde_json::Value;

/// Shorter values are not looked for: replacing `1` everywhere would hide the message, not the secret.
const SECRET_CHARS_MIN: usize = 4;
/// Most secrets remembered; tokens beyond that push out the oldest.
const SECRETS_MAX: usize = 256;

/// Values that are never shown.
#[derive(Default)]
pub(crate) struct Secrets {
    known: RwLock<Vec<String>>,
}

impl Secrets {
    /// Those of a configuration, by its JSON schema: fields marked `airbyte_secret`.
    pub(crate) fn of(schema: &Value, config: &Value) -> Self {
        let mut known = Vec::new();
        collect(schema, config, &mut known);
        Self { known: RwLock::new(known) }
    }

    /// One more, and the forms in which it may be met.
    pub(crate) fn add(&self, secret: &str) {
        if secret.chars().count() < SECRET_CHARS_MIN {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|one| one == secret) {
            return;
        }
        if known.len() >= SECRETS_MAX {
            known.remove(0);
        }
        known.push(secret.to_owned());
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean = text.to_owned();
        for secret in known.iter() {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), "****");
            }
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            if encoded != *secret && clean.contains(&encoded) {
                clean = clean.replace(&encoded, "****");
            }
        }
        clean
    }
}

fn collect(schema: &Value, config: &Value, known: &mut Vec<String>) {
    if schema.get("airbyte_secret").and_then(Value::as_bool) == Some(true) {
        gather(config, known);
        return;
    }
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(config) = config.get(name) {
            collect(schema, config, known);
        }
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        for schema in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
            collect(schema, config, known);
        }
    }
    if let (Some(schema), Some(items)) = (schema.get("items"), config.as_array()) {
        for item in items {
            collect(schema, item, known);
        }
    }
}

fn gather(value: &Value, known: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= SECRET_CHARS_MIN => known.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, known)),
        Value::Object(fields) => fields.values().for_each(|value| gather(value, known)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_found_in_nested_choices_and_replaced() {
        let schema = json!({"properties": {"auth": {"oneOf": [
            {"properties": {"key": {"airbyte_secret": true}, "user": {}}},
            {"properties": {"password": {"airbyte_secret": true}}}
        ]}}});
        let secrets = Secrets::of(&schema, &json!({"auth": {"key": "k&y-123", "user": "anna"}}));
        secrets.add("token-9");
        assert_eq!(secrets.clean("anna used k&y-123, k%26y-123 and token-9"), "anna used ****, **** and ****");
    }
}
