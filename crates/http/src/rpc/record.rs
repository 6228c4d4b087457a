//! `POST /v1/business/{business}/{type}/…`: create, update, delete, erase, correlate, uncorrelate, merge,
//! unmerge, sync by id, sync all.

use crate::Server;
use crate::answer::{Answer, json};
use crate::request::Places;
use crate::{auth, request};
use axum::extract::{Request, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, shown};
use lockstep_core::limits::{CONTROL_BYTES_MAX, RECORD_BYTES_MAX};
use lockstep_core::scan::{Since, SinceField};
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::operation::{Accepted, MergeBody};
use std::collections::BTreeMap;

/// What every call of this file has in common, read.
struct Read {
    principal: Principal,
    headers: HeaderMap,
    uri: Uri,
    parameters: BTreeMap<String, String>,
    bytes: Bytes,
}

async fn read(server: &Server, request: Request, known: &[&str], limit: usize) -> Result<Read, Refusal> {
    let principal = auth::principal(server, &request)?;
    let (parts, body) = request.into_parts();
    let parameters = request::parameters(&parts.uri, known)?;
    let bytes = request::bytes(body, limit).await?;
    Ok(Read { principal, headers: parts.headers, uri: parts.uri, parameters, bytes })
}

async fn accept(server: &Server, read: &Read, (business, ty): (&str, &str), verb: Verb<'_>) -> Answer {
    let path = read.uri.path_and_query().map_or("", |path| path.as_str());
    // The alias without /v1 is the same path.
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let key = request::header(&read.headers, "idempotency-key")?;
    let call = Call {
        principal: &read.principal,
        business,
        ty,
        verb,
        if_match: request::if_match(&read.headers)?,
        idempotency: key.map(|key| (key, path)),
        bytes: &read.bytes,
    };
    let outcome = submit(&server.world, call).await?;
    let accepted = Accepted { operation_id: outcome.operation, record_id: outcome.record };
    Ok(json(StatusCode::ACCEPTED, &accepted))
}

type OfType = Places<(String, String)>;
type OfRecord = Places<(String, String, String)>;

pub(crate) async fn create(State(server): State<Server>, Places((business, ty)): OfType, request: Request) -> Answer {
    let read = read(&server, request, &["externalId", "match"], RECORD_BYTES_MAX).await?;
    let fields = request::object(&read.bytes)?;
    let external_id = read.parameters.get("externalId").map(String::as_str);
    let matching = request::repeated(&read.uri, "match");
    accept(&server, &read, (&business, &ty), Verb::Create { fields, external_id, matching: &matching }).await
}

pub(crate) async fn update(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], RECORD_BYTES_MAX).await?;
    let patch = request::object(&read.bytes)?;
    accept(&server, &read, (&business, &ty), Verb::Update { id: &id, patch }).await
}

pub(crate) async fn delete(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], CONTROL_BYTES_MAX).await?;
    accept(&server, &read, (&business, &ty), Verb::Delete { id: &id }).await
}

pub(crate) async fn erase(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], CONTROL_BYTES_MAX).await?;
    accept(&server, &read, (&business, &ty), Verb::Erase { id: &id }).await
}

pub(crate) async fn correlate(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &["force"], CONTROL_BYTES_MAX).await?;
    let with = request::body(&read.bytes)?;
    let force = request::flag(&read.parameters, "force")?;
    accept(&server, &read, (&business, &ty), Verb::Correlate { id: &id, with, force }).await
}

pub(crate) async fn uncorrelate(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], CONTROL_BYTES_MAX).await?;
    let with = request::body(&read.bytes)?;
    accept(&server, &read, (&business, &ty), Verb::Uncorrelate { id: &id, with }).await
}

pub(crate) async fn merge(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], CONTROL_BYTES_MAX).await?;
    let MergeBody { into } = request::body(&read.bytes)?;
    accept(&server, &read, (&business, &ty), Verb::Merge { id: &id, into: &into }).await
}

pub(crate) async fn unmerge(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let read = read(&server, request, &[], CONTROL_BYTES_MAX).await?;
    accept(&server, &read, (&business, &ty), Verb::Unmerge { id: &id }).await
}

pub(crate) async fn sync_all(State(server): State<Server>, Places((business, ty)): OfType, request: Request) -> Answer {
    let read = read(&server, request, &["since", "sinceField", "subscription"], CONTROL_BYTES_MAX).await?;
    let since = since(&read.parameters)?;
    let subscription = read.parameters.get("subscription").map(String::as_str);
    accept(&server, &read, (&business, &ty), Verb::SyncAll { since, subscription }).await
}

fn since(parameters: &BTreeMap<String, String>) -> Result<Option<Since>, Refusal> {
    let invalid = |text: String| Refusal::new(Code::InvalidParameter, text);
    let field = match parameters.get("sinceField").map(String::as_str) {
        None | Some("changed") => SinceField::Changed,
        Some("created") => SinceField::Created,
        Some(other) => {
            return Err(invalid(format!("sinceField is {}, but it takes created or changed", shown(other))));
        }
    };
    match parameters.get("since") {
        Some(text) => {
            let at = Timestamp::parse(text).map_err(|refused| invalid(format!("since: {}", refused.message)))?;
            Ok(Some(Since { at, field }))
        }
        None if parameters.contains_key("sinceField") => {
            Err(invalid("sinceField says which time since is about: give since, or leave both out".to_owned()))
        }
        None => Ok(None),
    }
}

pub(crate) async fn sync_by_id(
    State(server): State<Server>,
    Places((business, ty)): OfType,
    request: Request,
) -> Answer {
    let read = read(&server, request, &["id", "subscription"], CONTROL_BYTES_MAX).await?;
    let id = read.parameters.get("id").map(String::as_str).ok_or_else(|| {
        Refusal::new(Code::InvalidParameter, "the query parameter id is missing: give sync-by-id?id=RECORD_ID")
    })?;
    let subscription = read.parameters.get("subscription").map(String::as_str);
    accept(&server, &read, (&business, &ty), Verb::SyncById { id, subscription }).await
}
