//! How Copernica answers: refusals, what was done as each version says it, and pages. It must not look anything up.

use crate::platforms::{Answer, Call};
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// How many are on a page, when nobody says and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// How much longer a page takes for each item before it, in microseconds.
const SKIPPED_US: u64 = 100;

/// Which version of the API a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// v1, v2 or v3, which answer alike.
    Early(&'static str),
    V4,
}

impl Version {
    pub(super) fn parse(segment: &str) -> Option<Self> {
        match segment {
            "v1" => Some(Self::Early("v1")),
            "v2" => Some(Self::Early("v2")),
            "v3" => Some(Self::Early("v3")),
            "v4" => Some(Self::V4),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Early(name) => name,
            Self::V4 => "v4",
        }
    }
}

/// An error, which is 400 whatever is wrong.
pub(super) fn refusal(message: &str) -> Answer {
    Answer::json(StatusCode::BAD_REQUEST, &json!({"error": {"message": message}}))
}

/// Something was changed.
pub(super) fn changed(version: Version) -> Answer {
    Answer::empty(if version == Version::V4 { StatusCode::NO_CONTENT } else { StatusCode::OK })
}

/// Something was made: its id is in the headers. A PUT before v4 sends whoever made it to look at it.
pub(super) fn created(call: &Call, version: Version, kind: &str, id: u64) -> Answer {
    let location = format!("{}/{}/{kind}/{id}", call.url.origin().ascii_serialization(), version.name());
    let is_see_other = call.method == Method::PUT && version != Version::V4;
    let answer = if is_see_other {
        Answer::empty(StatusCode::SEE_OTHER).with(LOCATION.as_str(), &location)
    } else {
        Answer::empty(StatusCode::CREATED)
    };
    answer.with("x-created", &id.to_string()).with("x-location", &location)
}

/// Something was removed.
pub(super) fn deleted(version: Version, kind: &str, id: u64) -> Answer {
    changed(version).with("x-deleted", &format!("{kind} {id}"))
}

/// A page of a list, by `start` and `limit`.
pub(super) fn page<T>(call: &Call, items: &[T], show: impl Fn(&T) -> Value) -> Answer {
    let start = call.number("start").unwrap_or(0);
    let limit = call.number("limit").unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let data: Vec<Value> = items.iter().skip(start).take(limit).map(show).collect();
    let mut body = json!({"start": start, "limit": limit, "count": data.len(), "data": data});
    if !matches!(call.query("total").as_deref(), Some("false" | "0")) {
        body["total"] = json!(items.len());
    }
    let skipped = u64::try_from(start.min(items.len())).unwrap_or(0);
    Answer { after_ms: skipped * SKIPPED_US / 1000, ..Answer::json(StatusCode::OK, &body) }
}

/// Whether a switch in the query is on.
pub(super) fn is_on(call: &Call, name: &str) -> bool {
    matches!(call.query(name).as_deref(), Some("1" | "true"))
}
