//! How ActiveCampaign answers: its two shapes of error, and lists with a `meta.total` that is a text. It must not
//! look anything up.

use crate::platforms::{Answer, Call};
use http::StatusCode;
use serde_json::{Value, json};

/// How many are on a page, when nobody says and at most.
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;

/// The plain shape of an error.
pub(super) fn message(status: StatusCode, text: &str) -> Answer {
    Answer::json(status, &json!({ "message": text }))
}

/// What is not there.
pub(super) fn missing(kind: &str, id: &str) -> Answer {
    message(StatusCode::NOT_FOUND, &format!("No Result found for {kind} with id {id}"))
}

/// The long shape of an error: what is wrong with a field.
pub(super) fn invalid(title: &str, code: &str, field: &str) -> Answer {
    let pointer = format!("/data/attributes/{field}");
    let error = json!({"title": title, "detail": "", "code": code, "source": {"pointer": pointer}});
    Answer::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "errors": [error] }))
}

/// The object under its singular name in a body.
pub(super) fn body(call: &Call, name: &str) -> Result<Value, Answer> {
    let told = call.json().map(|mut body| body[name].take()).filter(Value::is_object);
    told.ok_or_else(|| message(StatusCode::BAD_REQUEST, &format!("The request has no {name}")))
}

/// A page of a list under its plural name, by `limit` and `offset`, with more beside it.
pub(super) fn list<T>(call: &Call, name: &str, items: &[T], show: impl Fn(&T) -> Value, beside: Value) -> Answer {
    page(call, name, (items, LIMIT_DEFAULT), show, beside)
}

/// See [`list`], with another number of items when nobody says.
pub(super) fn page<T>(
    call: &Call,
    name: &str,
    (items, limit_default): (&[T], usize),
    show: impl Fn(&T) -> Value,
    mut body: Value,
) -> Answer {
    let limit = call.number("limit").unwrap_or(limit_default).min(LIMIT_MAX);
    let shown = items.iter().skip(call.number("offset").unwrap_or(0)).take(limit);
    body[name] = shown.map(show).collect();
    if body["meta"].is_null() {
        body["meta"] = json!({});
    }
    body["meta"]["total"] = Value::from(items.len().to_string());
    Answer::json(StatusCode::OK, &body)
}
