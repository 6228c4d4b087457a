//! `/changes`: the feed, as pages and as server-sent events.

use super::doc::{Doc, doc};
use super::{Answer, Asked, limit};
use crate::{Server, request};
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderName;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use lockstep_core::error::{Code, shown};
use lockstep_core::limits::{FEED_PAGE_CHANGES, FEED_PAGE_CHANGES_MAX, FEED_WAIT_MS_MAX};
use lockstep_engine::feed::{self, Event, Stream, Wanted};
use lockstep_engine::refusal::Refusal;
use lockstep_wire::feed::{ChangeEntry, FeedPage, Told};
use lockstep_wire::rest::Problem;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

const KNOWN: [&str; 7] = ["after", "types", "kinds", "fields", "payload", "limit", "wait"];

pub(crate) fn changes_doc() -> Doc {
    let list = || json!({"type": "string"});
    doc("Changes", "The change feed")
        .about("Every change of the business that the caller may see, in order. Go on with the `after` of the page \
                before. With `Accept: text/event-stream` the changes come as server-sent events as they happen: \
                each has the cursor as its id, so that `Last-Event-ID` goes on after it, and an event `heartbeat` \
                comes every 15 seconds where nothing else does.")
        .query("after", &json!({"type": "string"}), "What comes after this place: the `after` of a page, or a seq. Left out: a page begins with the oldest change kept, a stream with the next.")
        .query("types", &list(), "Types, with commas between.")
        .query("kinds", &list(), "Kinds, with commas between: `created`, `updated`, `deleted`, `merged`, `correlated`, `FIELD.updated`, and what fields have as their `updateKind`, such as `assigned`.")
        .query("fields", &list(), "Updates only where one of these fields changed.")
        .query("payload", &json!({"type": "string", "enum": ["full", "changes", "id"]}), "How much of each change is told.")
        .query("limit", &json!({"type": "integer", "minimum": 1, "maximum": FEED_PAGE_CHANGES_MAX}), "At most so many changes on a page; 100 where left out.")
        .query("wait", &json!({"type": "integer", "minimum": 0, "maximum": FEED_WAIT_MS_MAX / 1_000}), "Seconds to wait for a page that would be empty.")
        .header("Last-Event-ID", &json!({"type": "string"}), "Where a stream goes on.")
        .gives::<FeedPage<'_>>(200, "A page, or a stream whose events have these as their data.")
        .gives_as::<ChangeEntry<'_>>("text/event-stream", 200, "")
        .codes(&[Code::UnknownType, Code::LogRestored, Code::HistoryPruned])
}

/// A list with commas between; an empty one asks for nothing in particular.
fn list(parameters: &BTreeMap<String, String>, name: &str) -> Option<BTreeSet<String>> {
    let text = parameters.get(name).filter(|text| !text.trim().is_empty() && *text != "*")?;
    Some(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

fn wanted(parameters: &BTreeMap<String, String>) -> Result<Wanted, Refusal> {
    let told = match parameters.get("payload").map(String::as_str) {
        None | Some("full") => Told::Full,
        Some("changes") => Told::Changes,
        Some("id") => Told::Id,
        Some(other) => {
            let text = format!("payload is {}, but it takes full, changes or id", shown(other));
            return Err(Refusal::new(Code::InvalidParameter, text));
        }
    };
    let [types, kinds, fields] = ["types", "kinds", "fields"].map(|name| list(parameters, name));
    Ok(Wanted { types, kinds, fields, told })
}

pub(crate) async fn changes(State(server): State<Server>, asked: Asked<String>) -> Answer {
    let parameters = asked.parameters(&KNOWN)?;
    let wanted = wanted(&parameters)?;
    let accepts = request::header(&asked.headers, ACCEPT.as_str())?.unwrap_or_default();
    let after = parameters.get("after").map(String::as_str);
    if accepts.contains("text/event-stream") {
        return follow(server, asked, wanted, after).await;
    }
    let limit = limit(&parameters, FEED_PAGE_CHANGES, FEED_PAGE_CHANGES_MAX)?;
    let wait = Duration::from_secs(request::number(&parameters, "wait")?.unwrap_or(0));
    if wait > Duration::from_millis(FEED_WAIT_MS_MAX) {
        let text = format!("wait is {} s: at most {} s are waited", wait.as_secs(), FEED_WAIT_MS_MAX / 1_000);
        return Err(Refusal::new(Code::InvalidParameter, text).into());
    }
    let page = feed::page(&server.world, &asked.principal, &asked.places, &wanted, (after, limit, wait)).await?;
    Ok(([(CONTENT_TYPE, "application/json")], page.write()?).into_response())
}

async fn follow(server: Server, asked: Asked<String>, wanted: Wanted, after: Option<&str>) -> Answer {
    // What the reader has had counts more than where it once began.
    let resumed = request::header(&asked.headers, "last-event-id")?.filter(|id| !id.is_empty());
    let place = (resumed.or(after), server.stop.clone());
    let stream = Stream::open(server.world, asked.principal, &asked.places, wanted, place).await?;
    let events = stream::unfold(stream, |mut stream| async {
        let text = match stream.next().await? {
            Event::Text(text) => text,
            Event::End(refusal) => ended(&refusal),
        };
        Some((Ok::<_, Infallible>(text), stream))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Proxies that gather answers would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// The last event of a stream that may not go on.
fn ended(refusal: &Refusal) -> Bytes {
    let status = crate::answer::status(refusal.rejection.code);
    let problem = Problem::of(&refusal.rejection, status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let data = serde_json::to_string(&problem).unwrap_or_default();
    format!("event: error\ndata: {data}\n\n").into()
}
