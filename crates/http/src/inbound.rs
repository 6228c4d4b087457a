//! `GET|POST|PUT /hook/{connection}/{object}`: platforms that tell of a change. They come without our credentials; what
//! proves them is the connector's matter. The answer is given when what they said is durable.

use crate::Server;
use crate::answer::refused;
use crate::request;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lockstep_core::limits;
use lockstep_engine::refusal::Refusal;
use lockstep_sync::HookCall;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The places of the path.
#[derive(Deserialize)]
pub(crate) struct Place {
    connection: String,
    object: String,
    #[serde(default)]
    rest: String,
}

/// Takes a call of a platform.
pub(crate) async fn hook(State(server): State<Server>, Path(place): Path<Place>, request: Request) -> Response {
    let uri = request.uri().clone();
    match taken(&server, place, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refused(&uri, refusal),
    }
}

async fn taken(server: &Server, place: Place, request: Request) -> Result<(), Refusal> {
    // Anybody may call: nothing is read for what nobody listens to.
    server.office.listens(&place.connection, &place.object)?;
    let (parts, body) = request.into_parts();
    let body = request::bytes(body, limits::HOOK_BYTES_MAX).await?;
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), |target| target.as_str());
    let call = HookCall {
        method: parts.method,
        target: target.to_owned(),
        path_rest: place.rest,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        secret: String::new(),
        config: Value::Null,
        keys: BTreeMap::new(),
        now: server.world.clock.now(),
    };
    server.office.hook(&place.connection, &place.object, call).await
}
