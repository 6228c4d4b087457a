//! Reading requests: bounded bodies, JSON with errors that help, headers, query parameters.

use crate::answer::Refused;
use crate::{Server, auth};
use axum::extract::{FromRequestParts, Path, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lockstep_core::Fields;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::limits;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The places of a path, as text; what cannot be text is refused as the id it cannot be.
pub(crate) struct Places<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Places<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(places)) => Ok(Self(places)),
            Err(error) => {
                Err(Refusal::new(Code::InvalidId, format!("the path cannot be read: {}", error.body_text())).into())
            }
        }
    }
}

/// Reads a body up to a limit, in bounded time.
pub(crate) async fn bytes(body: axum::body::Body, limit: usize) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, limit).collect();
    let patience = Duration::from_millis(limits::REQUEST_READ_MS_MAX);
    match tokio::time::timeout(patience, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Refusal::new(
            Code::BodyTooLarge,
            format!("the body is over the limit of {limit} bytes: send less in one call"),
        )),
        Ok(Err(error)) => Err(Refusal::new(Code::InvalidBody, format!("the body broke off: {error}"))),
        Err(_) => {
            Err(Refusal::new(Code::InvalidBody, format!("the body did not arrive within {} s", patience.as_secs())))
        }
    }
}

/// A control call: its caller, who must pass `may` before the body is read, and its body.
pub(crate) async fn control<T: DeserializeOwned>(
    server: &Server,
    request: Request,
    may: impl FnOnce(&Principal) -> Result<(), Refusal>,
) -> Result<(Principal, T), Refusal> {
    let principal = auth::principal(server, &request)?;
    may(&principal)?;
    parameters(request.uri(), &[])?;
    let bytes = bytes(request.into_body(), limits::CONTROL_BYTES_MAX).await?;
    Ok((principal, body(&bytes)?))
}

/// A JSON object, whatever the content type says. An empty body is an empty object.
pub(crate) fn object(bytes: &[u8]) -> Result<Fields, Refusal> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Fields::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Refusal::new(
            Code::InvalidBody,
            format!(
                "the body is {}, but this call takes a JSON object such as {{\"email\": \"ann@example.com\"}}",
                name_of(&other)
            ),
        )),
        Err(error) => Err(not_json(bytes, &error)),
    }
}

/// A body of a known shape.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    // JSON first, its shape after: what is no JSON and what does not fit are told apart.
    let value: Value = serde_json::from_slice(bytes).map_err(|error| not_json(bytes, &error))?;
    serde_json::from_value(value)
        .map_err(|error| Refusal::new(Code::InvalidBody, format!("the body does not fit this call: {error}")))
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn not_json(bytes: &[u8], error: &serde_json::Error) -> Refusal {
    let text = String::from_utf8_lossy(bytes);
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(2).collect();
    if start.starts_with('\'') || start == "{'" || start == "['" {
        return Refusal::new(
            Code::SingleQuotes,
            "the body has single quotes, and JSON takes double ones: write {\"email\": \"ann@example.com\"}; in a shell, put single quotes around the whole",
        );
    }
    Refusal::new(Code::InvalidJson, format!("the body is not JSON: {error}; it begins with {}", shown(&text)))
}

/// Query parameters that may be given more than once: each is an alternative.
const REPEATABLE: &[&str] = &["match"];

/// Each value of a query parameter, in order.
pub(crate) fn repeated(uri: &Uri, name: &str) -> Vec<String> {
    let all = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    all.filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect()
}

/// A query parameter that is a whole number.
pub(crate) fn number(parameters: &BTreeMap<String, String>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let number = text.parse().map_err(|_malformed| {
        Refusal::new(Code::InvalidParameter, format!("{name} is {}, but it takes a whole number", shown(text)))
    })?;
    Ok(Some(number))
}

/// Query parameters, each known and given once, but for those that are alternatives.
pub(crate) fn parameters(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut found = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let refuse = |text: String| Err(Rejection::new(Code::InvalidParameter, text).into());
        if !known.contains(&name.as_ref()) {
            let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return refuse(format!("there is no query parameter {}; this call takes {takes}", shown(&name)));
        }
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return refuse(format!(
                "the query parameter {name} is no UTF-8: percent-encode the bytes of its UTF-8 form"
            ));
        }
        let is_second = found.insert(name.to_string(), value.into_owned()).is_some();
        if is_second && !REPEATABLE.contains(&name.as_ref()) {
            return refuse(format!("the query parameter {} stands twice: give it once", shown(&name)));
        }
    }
    Ok(found)
}

/// A parameter that is `true` or `false`.
pub(crate) fn flag(parameters: &BTreeMap<String, String>, name: &str) -> Result<bool, Refusal> {
    match parameters.get(name).map(String::as_str) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1" | "") => Ok(true),
        Some(other) => {
            Err(Refusal::new(Code::InvalidParameter, format!("{name} is {}, but it takes true or false", shown(other))))
        }
    }
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_unreadable| {
        Refusal::new(Code::InvalidHeader, format!("the header {name} has characters other than visible ASCII"))
    })?;
    Ok(Some(text.trim()))
}

/// `If-Match` as a version: `3`, `"3"` or `W/"3"`.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(text) = header(headers, "if-match")?.filter(|text| *text != "*") else { return Ok(None) };
    let bare = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    let version = bare.parse().map_err(|_malformed| {
        Refusal::new(
            Code::InvalidHeader,
            format!("If-Match is {}, but it takes a record's version such as \"3\"", shown(text)),
        )
    })?;
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_objects_say_what_they_are() {
        let code = |text: &str| object(text.as_bytes()).map_err(|refused| refused.rejection.code);
        assert_eq!(code("{'email': 'j.doe@example.com', 'opt-in': true}"), Err(Code::SingleQuotes));
        assert_eq!(code(" [ 'a']"), Err(Code::SingleQuotes));
        assert_eq!(code("{\"a\": 1"), Err(Code::InvalidJson));
        assert_eq!(code("\u{feff}{}"), Err(Code::InvalidJson));
        assert_eq!(code("[1]"), Err(Code::InvalidBody));
        assert_eq!(code("  \n"), Ok(Fields::new()));
        assert_eq!(code(&format!("{}1{}", "[".repeat(200), "]".repeat(200))), Err(Code::InvalidJson));
    }

    #[test]
    fn versions_are_read_in_each_spelling() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", text.parse().unwrap());
            if_match(&headers).map_err(|refused| refused.rejection.code)
        };
        assert_eq!(
            [read("3"), read("\"3\""), read("W/\"3\""), read("*")],
            [Ok(Some(3)), Ok(Some(3)), Ok(Some(3)), Ok(None)]
        );
        assert_eq!(read("abc"), Err(Code::InvalidHeader));
    }

    #[test]
    fn parameters_are_known_and_given_once() {
        let read = |uri: &str| parameters(&uri.parse().unwrap(), &["id"]).map_err(|refused| refused.rejection.code);
        assert_eq!(read("/x?id=a%20b").unwrap()["id"], "a b");
        assert_eq!(read("/x?since=1"), Err(Code::InvalidParameter));
        assert_eq!(read("/x?id=1&id=2"), Err(Code::InvalidParameter));
        assert_eq!(read("/x?id=%ff"), Err(Code::InvalidParameter));
    }
}
