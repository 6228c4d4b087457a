//! Checks a body against the shape of its type and gives its canonical form.

use crate::Fields;
use crate::change::Origin;
use crate::error::{Code, Rejection};
use crate::kind::Misfit;
use crate::limits::LOOKUP_BYTES_MAX;
use crate::rules::scope::Reach;
use crate::rules::sorting;
use crate::schema::{Field, Shape};
use serde_json::Value;

/// Checks each field of a body; nulls stay, as wishes to clear.
///
/// A hidden field is refused in the same words as one that does not exist.
///
/// # Errors
/// `unknown_field`, `field_not_editable` or `invalid_value`, of the first field at fault.
pub fn fields(shape: &Shape, body: Fields, reach: &Reach, by: &Origin) -> Result<Fields, Rejection> {
    let check = |(id, value): (String, Value)| {
        let field = shape.field_within(&id, reach)?;
        may_write(field, by)?;
        let value = value_of(field, &value)?;
        is_short_enough(field, &value)?;
        Ok((id, value))
    };
    body.into_iter().map(check).collect()
}

/// The canonical form of one value.
///
/// # Errors
/// `invalid_value`, naming the field and what it wants.
pub fn value_of(field: &Field, value: &Value) -> Result<Value, Rejection> {
    field.kind.check(value.clone()).map_err(|Misfit(wants)| {
        let text = format!("{} is {}, but this field wants {wants}", field.id, field.shown(value));
        Rejection::new(Code::InvalidValue, text).at_field(&field.id)
    })
}

/// Checks that a command's fields, checked when it came in, are so still: the type may have changed since.
///
/// # Errors
/// Those of [`fields`].
pub(super) fn still_fit(shape: &Shape, fields: &Fields, reach: &Reach, by: &Origin) -> Result<(), Rejection> {
    fields.iter().try_for_each(|(id, value)| {
        let field = shape.field_within(id, reach)?;
        // What a ready-made field takes never changes but by what its business says of it.
        if shape.is_plain {
            return Ok(());
        }
        may_write(field, by)?;
        is_short_enough(field, value)?;
        if field.kind.fits(value) { Ok(()) } else { value_of(field, value).map(|_| ()) }
    })
}

fn may_write(field: &Field, by: &Origin) -> Result<(), Rejection> {
    if field.is_editable || *by == Origin::Admin {
        return Ok(());
    }
    let text = format!("{} is written by the administrator's key alone: leave it out", field.id);
    Err(Rejection::new(Code::FieldNotEditable, text).at_field(&field.id))
}

/// Unique values are compared by their keys alone, so none may be longer than a key.
fn is_short_enough(field: &Field, value: &Value) -> Result<(), Rejection> {
    let bytes = if field.is_unique { sorting::bytes(&field.kind, value).map_or(0, |bytes| bytes.len()) } else { 0 };
    if bytes <= LOOKUP_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "{} is {bytes} bytes long, but no two records may have equal values of it, which takes at most {LOOKUP_BYTES_MAX}",
        field.id
    );
    Err(Rejection::new(Code::InvalidValue, text).at_field(&field.id))
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
        fields(schema.shape("contact").unwrap(), body, &reach, &Origin::Admin).map(Value::Object)
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
