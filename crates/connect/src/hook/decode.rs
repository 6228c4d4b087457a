//! Bodies and queries of hooks as values. A form's keys may be nested as PHP writes them: `contact[fields][city]`,
//! `interests[]`. It must not look at what they mean.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use lockstep_manifest::Decoding;
use serde_json::{Map, Value};

use super::HookCall;

/// Deepest nesting of a form's keys, and most of its pairs.
const DEPTH_MAX: usize = 16;
const PAIRS_MAX: usize = 10_000;

/// The body.
pub(super) fn body(decoding: Decoding, call: &HookCall) -> Result<Value, String> {
    let is_json = || {
        let kind = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.contains("json") || matches!(call.body.trim_ascii_start().first(), Some(b'{' | b'['))
    };
    match decoding {
        _ if call.body.trim_ascii().is_empty() => Ok(Value::Null),
        Decoding::Query => Ok(Value::Null),
        Decoding::Form => form(&call.body),
        Decoding::Either if !is_json() => form(&call.body),
        Decoding::Json | Decoding::Either => {
            serde_json::from_slice(&call.body).map_err(|error| format!("the body is no JSON ({error})"))
        }
    }
}

/// The query by its names; of one given twice the last holds.
pub(super) fn query(query: &str) -> Value {
    let pairs = form_urlencoded::parse(query.as_bytes());
    Value::Object(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
}

/// The headers by their names in small letters.
pub(super) fn headers(headers: &HeaderMap) -> Value {
    let texts = headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    Value::Object(texts.collect())
}

fn form(body: &[u8]) -> Result<Value, String> {
    let mut root = Value::Object(Map::new());
    for (count, (key, value)) in form_urlencoded::parse(body).enumerate() {
        if count >= PAIRS_MAX {
            return Err(format!("the form has over {PAIRS_MAX} fields"));
        }
        let names = names(&key);
        if names.len() > DEPTH_MAX {
            return Err(format!("a key of the form nests deeper than {DEPTH_MAX}"));
        }
        put(&mut root, &names, value.into_owned());
    }
    Ok(root)
}

/// `a[b][]` as `a`, `b` and an empty name.
fn names(key: &str) -> Vec<&str> {
    let Some((first, rest)) = key.split_once('[') else { return vec![key] };
    let Some(inner) = rest.strip_suffix(']') else { return vec![key] };
    std::iter::once(first).chain(inner.split("][")).collect()
}

fn put(at: &mut Value, names: &[&str], value: String) {
    let Some((name, rest)) = names.split_first() else {
        *at = Value::String(value);
        return;
    };
    if name.is_empty() {
        if !at.is_array() {
            *at = Value::Array(Vec::new());
        }
        let mut inner = Value::Null;
        put(&mut inner, rest, value);
        if let Value::Array(items) = at {
            items.push(inner);
        }
        return;
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(members) = at {
        put(members.entry((*name).to_owned()).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_of_a_form_are_nested() {
        let text = "type=update&contact%5Bid%5D=88&contact%5Bfields%5D%5Bcity%5D=Delft&interests%5B%5D=a&interests%5B%5D=b\
                    &list[0][id]=3&odd%5B=1";
        let expected = json!({
            "type": "update", "contact": {"id": "88", "fields": {"city": "Delft"}}, "interests": ["a", "b"],
            "list": {"0": {"id": "3"}}, "odd[": "1",
        });
        assert_eq!(form(text.as_bytes()), Ok(expected));
        let deep = format!("a{}=1", "[b]".repeat(20));
        assert!(form(deep.as_bytes()).is_err());
    }
}
