//! Values bent to the types of the schema, where a stream asks for it: what does not bend stays as it is.

use serde_json::{Map, Value};

/// Bends the record's fields to the schema's properties, all the way in.
pub(crate) fn normalize(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => object(fields, schema),
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                for item in items {
                    bend(item, inner);
                }
            }
        }
        _ => {}
    }
}

fn object(fields: &mut Map<String, Value>, schema: &Value) {
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = fields.get_mut(name) {
            bend(value, schema);
        }
    }
}

fn bend(value: &mut Value, schema: &Value) {
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let may_be_null = kinds.contains(&"null");
    let first = kinds.iter().find(|kind| **kind != "null").copied();
    if value.is_null() && may_be_null {
        return;
    }
    // Of several kinds none can be chosen.
    let is_one = kinds.iter().filter(|kind| **kind != "null").count() == 1;
    if let (true, Some(kind)) = (is_one, first)
        && let Some(bent) = if kind == "array" { listed(value, schema) } else { bent(value, kind) }
    {
        *value = bent;
    }
    normalize(value, schema);
}

fn bent(value: &Value, kind: &str) -> Option<Value> {
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse::<f64>().ok(),
        Value::Number(number) => number.as_f64(),
        Value::Bool(is_set) => Some(if *is_set { 1.0 } else { 0.0 }),
        _ => None,
    };
    match kind {
        "string" if !value.is_string() => Some(Value::String(match value {
            Value::Array(_) | Value::Object(_) => value.to_string(),
            other => crate::python::text(other),
        })),
        "number" if !value.is_number() => number(value).and_then(serde_json::Number::from_f64).map(Value::Number),
        "integer" => match value {
            Value::String(text) => text.trim().parse::<i64>().ok().map(Value::from),
            #[expect(clippy::cast_possible_truncation, reason = "held to the range in which it is exact")]
            Value::Number(found) if found.is_f64() => {
                found.as_f64().filter(|float| float.abs() < 9e15).map(|float| Value::from(float as i64))
            }
            Value::Bool(is_set) => Some(Value::from(i64::from(*is_set))),
            _ => None,
        },
        "boolean" => match value {
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "t" | "true" | "on" | "1" => Some(Value::Bool(true)),
                "n" | "no" | "f" | "false" | "off" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            other => Some(Value::Bool(crate::python::is_true(other))),
        },
        _ => None,
    }
}

/// A plain value as a list of one: where the items may be anything, or their plain types are given as a list. A type
/// given as a text does not count, as in the reference.
fn listed(value: &Value, schema: &Value) -> Option<Value> {
    let is_plain = !value.is_array() && !value.is_object();
    let may = match schema.get("items").and_then(|items| items.get("type")) {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().all(|kind| kind != "object" && kind != "array"),
        Some(_) => false,
    };
    (is_plain && may).then(|| Value::Array(vec![value.clone()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plain_value_becomes_a_list_where_the_items_say_so() {
        let of = |items: Value| json!({"properties": {"a": {"type": "array", "items": items}}});
        for (items, expected) in [
            (json!({}), json!(["x"])),
            (json!({"type": ["string", "null"]}), json!(["x"])),
            (json!({"type": "string"}), json!("x")),
            (json!({"type": ["object"]}), json!("x")),
        ] {
            let mut record = json!({"a": "x"});
            normalize(&mut record, &of(items));
            assert_eq!(record, json!({"a": expected}));
        }
    }

    #[test]
    fn values_are_bent_where_they_bend() {
        let schema = json!({"properties": {
            "a": {"type": ["null", "string"]}, "b": {"type": "number"}, "c": {"type": ["integer", "null"]}, "d": {"type": "boolean"},
            "e": {"type": "array", "items": {"type": "string"}}, "f": {"type": ["string", "integer"]}, "g": {"properties": {"h": {"type": "integer"}}}
        }});
        let mut record =
            json!({"a": 5, "b": "1.5", "c": "x", "d": "Yes", "e": [1, "2"], "f": 3, "g": {"h": "4"}, "z": 1});
        normalize(&mut record, &schema);
        assert_eq!(
            record,
            json!({"a": "5", "b": 1.5, "c": "x", "d": true, "e": ["1", "2"], "f": 3, "g": {"h": 4}, "z": 1})
        );
    }
}
