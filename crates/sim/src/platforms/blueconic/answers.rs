//! The shapes of BlueConic's answers: errors, and pages by `startIndex` and `count`. It must not look anything up.

use crate::platforms::{Answer, Call};
use http::StatusCode;
use serde_json::{Value, json};

/// An error in the shape that the published specification shows.
pub(super) fn error(status: StatusCode, message: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default();
    Answer::json(status, &json!({"code": status.as_u16(), "message": title, "errors": [{"message": message}]}))
}

/// Too busy: no useful body, no header.
pub(super) fn busy() -> Answer {
    Answer::empty(StatusCode::SERVICE_UNAVAILABLE)
}

/// The numbers around a page.
pub(super) fn frame(count: usize, total: usize) -> Value {
    json!({"itemsPerPage": count, "totalPages": total.div_ceil(count.max(1)), "totalResults": total})
}

/// A page of a list by `startIndex` and `count`.
pub(super) fn page(call: &Call, name: &str, items: &[Value], count_default: usize) -> Answer {
    let start = call.number("startIndex").unwrap_or(0);
    let count = call.number("count").unwrap_or(count_default).max(1);
    let shown: Vec<&Value> = items.iter().skip(start).take(count).collect();
    let mut body = frame(count, items.len());
    if let Value::Object(body) = &mut body {
        body.insert("startIndex".to_owned(), json!(start));
        body.insert(name.to_owned(), json!(shown));
    }
    Answer::json(StatusCode::OK, &body)
}
