//! Checks a body against the shape of its type and gives its canonical form.

use crate::Fields;
use crate::error::{Code, Rejection, shown};
use crate::kind::Misfit;
use crate::rules::scope::Reach;
use crate::schema::Shape;
use serde_json::Value;

/// Checks each field of a body; nulls stay, as wishes to clear.
///
/// A hidden field is refused in the same words as one that does not exist.
///
/// # Errors
/// `unknown_field` or `invalid_value`, of the first field at fault.
pub fn fields(shape: &Shape, body: Fields, reach: &Reach) -> Result<Fields, Rejection> {
    let check = |(id, value): (String, Value)| {
        let field = shape.field_within(&id, reach)?;
        match field.kind.check(value.clone()) {
            Ok(value) => Ok((id, value)),
            Err(Misfit(wants)) => Err(Rejection::new(
                Code::InvalidValue,
                format!("{} is {}, but this field wants {wants}", id, shown_value(&value)),
            )
            .at_field(&id)),
        }
    };
    body.into_iter().map(check).collect()
}

/// A value inside an error text.
fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// RFC 7396: what `patch` makes of `value`.
#[must_use]
pub fn merge_patch(value: Option<&Value>, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = match value {
        Some(Value::Object(members)) => members.clone(),
        _ => Fields::new(),
    };
    for (name, change) in patch {
        if change.is_null() {
            merged.remove(name);
        } else {
            let value = merge_patch(merged.get(name), change);
            merged.insert(name.clone(), value);
        }
    }
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use serde_json::json;

    fn check(body: Value) -> Result<Value, Rejection> {
        let Value::Object(body) = body else { panic!("an object") };
        let schema = Schema::ready_made();
        let reach = Reach::of_grant(None, ["notes".to_owned()].into());
        fields(schema.shape("contact").unwrap(), body, &reach).map(Value::Object)
    }

    #[test]
    fn bodies_come_back_canonical() {
        let checked = check(json!({"email": "ANN@Example.com ", "opt-in": true, "phone": "+31 20 1", "city": null}));
        assert_eq!(checked, Ok(json!({"email": "ann@example.com", "opt-in": true, "phone": "+31201", "city": null})));
    }

    #[test]
    fn faults_name_the_field_the_value_and_the_way_out() {
        let refused = check(json!({"birthDate": "soon"})).unwrap_err();
        assert_eq!(refused.pointer.as_deref(), Some("/birthDate"));
        assert_eq!(refused.code, Code::InvalidValue);
        assert!(refused.message.contains("soon") && refused.message.contains("YYYY-MM-DD"), "{}", refused.message);
        let (hidden, absent) = (check(json!({"notes": "x"})).unwrap_err(), check(json!({"nutes": "x"})).unwrap_err());
        assert_eq!(hidden.message.replace("notes", "nutes"), absent.message, "a hidden field is not there");
        let deep = "[".repeat(40) + &"]".repeat(40);
        for field in ["custom", "tags"] {
            let body = format!("{{\"{field}\": {{\"a\": {deep}}}}}");
            let refused = check(serde_json::from_str(&body).unwrap()).unwrap_err();
            assert_eq!(refused.code, Code::InvalidValue, "{field}");
        }
    }

    #[test]
    fn merge_patch_follows_its_rfc() {
        // The cases of RFC 7396, appendix A, that bear on objects.
        let table = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (value, patch, expected) in table {
            assert_eq!(merge_patch(Some(&value), &patch), expected, "{value} {patch}");
        }
    }
}
