//! Secrets kept out of what people read: values that the specification calls secret, and tokens that were obtained.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

/// Shorter values are not looked for: replacing `1` everywhere would hide the message, not the secret.
const SECRET_CHARS_MIN: usize = 4;
/// Most tokens remembered; those beyond that push out the oldest.
const TOKENS_MAX: usize = 256;

/// Values that are never shown.
#[derive(Default)]
pub(crate) struct Secrets {
    /// Those of the configuration, for as long as it is in use.
    own: Vec<String>,
    /// Tokens, oldest first.
    got: RwLock<VecDeque<String>>,
}

impl Secrets {
    /// Those of a configuration, by its JSON schema: fields marked `airbyte_secret`. There are several configurations
    /// where one was changed before use: a secret may have moved to a field that the schema does not know.
    pub(crate) fn of(schema: &Value, configs: &[&Value]) -> Self {
        let mut own = Vec::new();
        configs.iter().for_each(|config| collect(schema, config, &mut own));
        Self { own, got: RwLock::default() }
    }

    /// One more.
    pub(crate) fn add(&self, secret: &str) {
        if secret.chars().count() < SECRET_CHARS_MIN {
            return;
        }
        let mut got = self.got.write().unwrap_or_else(PoisonError::into_inner);
        if got.iter().any(|one| one == secret) {
            return;
        }
        if got.len() >= TOKENS_MAX {
            got.pop_front();
        }
        got.push_back(secret.to_owned());
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: &str) -> String {
        let got = self.got.read().unwrap_or_else(PoisonError::into_inner);
        let mut forms: Vec<String> = self.own.iter().chain(got.iter()).flat_map(|secret| forms(secret)).collect();
        // A secret may begin with another: what is left of the longer one would be shown.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text.to_owned(), |clean, form| {
            if clean.contains(form.as_str()) { clean.replace(form.as_str(), "****") } else { clean }
        })
    }
}

/// How a secret may be met: as it is, in JSON, in a form or query, in a path.
fn forms(secret: &str) -> [String; 4] {
    let in_json = Value::from(secret).to_string();
    let in_form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [secret.to_owned(), in_json.trim_matches('"').to_owned(), in_form.replace('+', "%20"), in_form]
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
        let secrets = Secrets::of(&schema, &[&json!({"auth": {"key": "k&y-123", "user": "anna"}})]);
        secrets.add("token-9");
        assert_eq!(secrets.clean("anna used k&y-123, k%26y-123 and token-9"), "anna used ****, **** and ****");
    }

    #[test]
    fn secrets_are_found_however_they_are_written() {
        let schema = json!({"properties": {"key": {"airbyte_secret": true}, "word": {"airbyte_secret": true}}});
        let pem = "-----BEGIN KEY-----\nab\"c+/ d\n-----END KEY-----";
        let secrets = Secrets::of(&schema, &[&json!({"key": pem, "word": "abcd"})]);
        secrets.add("abcd-and-more");
        let form: String = form_urlencoded::byte_serialize(pem.as_bytes()).collect();
        for text in [pem.to_owned(), json!(pem).to_string(), form.clone(), form.replace('+', "%20")] {
            assert!(!secrets.clean(&text).contains("BEGIN"), "{text}");
        }
        assert_eq!(secrets.clean("abcd-and-more abcd"), "**** ****", "the longer one first");
    }

    #[test]
    fn tokens_do_not_push_out_the_configuration() {
        let secrets =
            Secrets::of(&json!({"properties": {"key": {"airbyte_secret": true}}}), &[&json!({"key": "k-123"})]);
        (0..1_000).for_each(|count| secrets.add(&format!("token-{count}")));
        assert_eq!(secrets.clean("k-123 token-999 token-1"), "**** **** token-1");
    }
}
