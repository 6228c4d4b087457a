//! `GET /oauth/callback`: the way back of somebody who was sent to a platform to log in.
//!
//! It asks for no credentials: the word that they come back with is the credential, good for one login. What a platform
//! says on the way stands in a page for people, and in it is never more than text.

use crate::Server;
use crate::answer::status;
use crate::request;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, StatusCode, Uri};
use lockstep_engine::refusal::Refusal;
use lockstep_sync::control::login::{self, Ended, Return};
use url::Url;

/// Nothing is kept of the page, nothing is loaded by it, and the code in its address goes nowhere.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Ends a login.
pub(crate) async fn callback(State(server): State<Server>, uri: Uri) -> Response {
    let first = |name: &str| request::repeated(&uri, name).into_iter().next();
    let error = first("error_description").or_else(|| first("error"));
    let brought = Return { state: first("state"), code: first("code"), error };
    match login::end(&server.sharing, brought).await {
        Ok(ended) => answer(ended),
        Err(refusal) => refused(&refusal),
    }
}

fn answer(ended: Ended) -> Response {
    let Ended { connection, redirect, outcome } = ended;
    let url = redirect.and_then(|redirect| Url::parse(&redirect).ok());
    if let Some(mut url) = url {
        url.query_pairs_mut()
            .append_pair("connection", &connection.id.to_string())
            .append_pair("ok", if outcome.is_ok() { "true" } else { "false" });
        if let Err(refusal) = &outcome {
            url.query_pairs_mut().append_pair("message", &refusal.rejection.message);
        }
        return (StatusCode::SEE_OTHER, HEADERS, [(LOCATION, url.to_string())], "").into_response();
    }
    match outcome {
        Ok(()) => page(StatusCode::OK, &format!("{} is connected. This window can be closed.", connection.label)),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    page(status(refusal.rejection.code), &refusal.rejection.message)
}

fn page(status: StatusCode, text: &str) -> Response {
    let text = escaped(text);
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lockstep</title><p>{text}</p></html>\n"
    );
    (status, HEADERS, body).into_response()
}

/// Text as it stands in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
