//! The REST face: `/rest/v1/…`, proper verbs, direct answers, problems as RFC 9457 writes them.
//!
//! Each call is a function that reads the request, calls one use case and writes the answer; beside it stands what
//! the OpenAPI document says of it.

pub(crate) mod access;
pub(crate) mod change;
pub(crate) mod connection;
pub(crate) mod doc;
pub(crate) mod openapi;
pub(crate) mod operation;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod share;
pub(crate) mod subscription;
pub(crate) mod types;
pub(crate) mod who;

use crate::answer::{self, Refused, status};
use crate::{Server, auth, request};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_engine::ingest::{Call, Verb};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::rest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Where the REST face begins.
pub(crate) const ROOT: &str = "/rest/v1";

/// A refusal on its way out of the REST face.
pub(crate) struct Problem(Refusal);

impl<T: Into<Refusal>> From<T> for Problem {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.0.rejection.code;
        let status = status(code);
        let title = status.canonical_reason().unwrap_or("Error");
        let body = serde_json::to_vec(&rest::Problem::of(&self.0.rejection, status.as_u16(), title));
        let mut response = Refused(self.0).into_response();
        if let Ok(body) = body {
            *response.body_mut() = Body::from(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        }
        response
    }
}

/// What a handler of this face gives back.
pub(crate) type Answer = Result<Response, Problem>;

/// A request whose caller is known, with its body read: bodies of this face are bounded, and none is streamed.
pub(crate) struct Asked<P> {
    pub(crate) principal: Principal,
    pub(crate) places: P,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    body: Bytes,
}

impl<P: DeserializeOwned + Send> FromRequest<Server> for Asked<P> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Problem> {
        let principal = auth::principal(server, &request)?;
        let (mut parts, body) = request.into_parts();
        let Path(places) = Path::from_request_parts(&mut parts, server).await.map_err(|error| {
            Refusal::new(Code::InvalidId, format!("the path cannot be read: {}", error.body_text()))
        })?;
        let body = request::bytes(body, limits::RECORD_BYTES_MAX).await?;
        Ok(Self { principal, places, method: parts.method, uri: parts.uri, headers: parts.headers, body })
    }
}

impl<P> Asked<P> {
    /// Query parameters, each known and given once.
    pub(crate) fn parameters(&self, known: &[&str]) -> Result<BTreeMap<String, String>, Refusal> {
        request::parameters(&self.uri, known)
    }

    /// The body as it came.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body in a shape; an empty one is an empty object. Nothing is asked by query.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        self.parameters(&[])?;
        self.read_beside()
    }

    /// The body in a shape, beside a query that was read.
    pub(crate) fn read_beside<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if self.body.len() > limits::CONTROL_BYTES_MAX {
            let text = format!("the body is over the limit of {} bytes of this call", limits::CONTROL_BYTES_MAX);
            return Err(Refusal::new(Code::BodyTooLarge, text));
        }
        request::body(&self.body)
    }

    /// That nothing is asked by query; a body, where one came, is left aside.
    pub(crate) fn nothing(&self) -> Result<(), Refusal> {
        self.parameters(&[]).map(drop)
    }

    /// A call that changes a record.
    pub(crate) fn call<'a>(
        &'a self,
        (business, ty): (&'a str, &'a str),
        verb: Verb<'a>,
        path: &'a str,
    ) -> Result<Call<'a>, Refusal> {
        let key = request::header(&self.headers, "idempotency-key")?;
        Ok(Call {
            principal: &self.principal,
            business,
            ty,
            verb,
            if_match: request::if_match(&self.headers)?,
            idempotency: key.map(|key| (key, path)),
            bytes: &self.body,
        })
    }

    /// What an idempotency key holds for: the verb and the path with its query.
    pub(crate) fn scope(&self) -> String {
        format!("{} {}", self.method, self.uri.path_and_query().map_or("", |path| path.as_str()))
    }

    /// The address of this request with another cursor.
    pub(crate) fn at_cursor(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(given.filter(|(name, _)| name != "cursor"));
        query.append_pair("cursor", cursor);
        format!("{}?{}", self.uri.path(), query.finish())
    }

    /// A page of a list, with where the next one is.
    pub(crate) fn page<T: Serialize>(&self, items: Vec<T>, cursor: Option<&str>) -> Answer {
        let next = cursor.map(|cursor| self.at_cursor(cursor));
        let mut response = answer::json(StatusCode::OK, &rest::Page { items, next: next.clone() });
        link(&mut response, next.as_deref());
        Ok(response)
    }

    /// A page as a bare list, for callers that know no other; where the next one is stands in `Link` alone.
    pub(crate) fn bare_page<T: Serialize>(&self, items: &[T], cursor: Option<&str>) -> Answer {
        let next = cursor.map(|cursor| self.at_cursor(cursor));
        let mut response = answer::json(StatusCode::OK, &items);
        link(&mut response, next.as_deref());
        Ok(response)
    }
}

pub(crate) fn link(response: &mut Response, next: Option<&str>) {
    let value = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
    if let Some(value) = value {
        response.headers_mut().insert(LINK, value);
    }
}

/// `200` with a body.
pub(crate) fn ok<T: Serialize>(body: &T) -> Answer {
    Ok(answer::json(StatusCode::OK, body))
}

/// `201` with a body and where it is.
pub(crate) fn made<T: Serialize>(body: &T, place: &str) -> Answer {
    let mut response = answer::json(StatusCode::CREATED, body);
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

/// `204`.
pub(crate) fn gone() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Names the operation that an answer is of, so that it can be read, and rolled back.
pub(crate) fn of_operation(mut response: Response, operation: OperationId) -> Response {
    if let Ok(value) = HeaderValue::from_str(&operation.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("lockstep-operation"), value);
    }
    response
}

/// The id that a cursor says the page before ended with.
pub(crate) fn after<T: FromStr<Err = Rejection>>(parameters: &BTreeMap<String, String>) -> Result<Option<T>, Refusal> {
    let read = |refused: Rejection| Refusal::new(Code::InvalidParameter, format!("cursor: {}", refused.message));
    parameters.get("cursor").map(|cursor| cursor.parse().map_err(read)).transpose()
}

/// How many, within a bound.
pub(crate) fn limit(parameters: &BTreeMap<String, String>, usual: usize, most: usize) -> Result<usize, Refusal> {
    match request::number(parameters, "limit")? {
        None => Ok(usual),
        Some(number) => match usize::try_from(number) {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Refusal::new(Code::InvalidParameter, format!("limit is {number}: give 1 to {most}"))),
        },
    }
}
