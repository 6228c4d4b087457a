//! Management calls: the administrator's.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request;
use crate::request::Places;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use lockstep_engine::control::{application, business, hold};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use serde::de::{DeserializeOwned, IgnoredAny};

async fn read<T: DeserializeOwned>(server: &Server, request: Request) -> Result<(Principal, T), Refusal> {
    request::control(server, request, Principal::must_administer).await
}

/// For calls without a body: whatever comes is ignored.
async fn caller(server: &Server, request: Request) -> Result<Principal, Refusal> {
    Ok(read::<IgnoredAny>(server, request).await?.0)
}

pub(crate) async fn create_business(State(server): State<Server>, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&business::create(&server.world, &principal, body).await?)
}

pub(crate) async fn update_business(
    State(server): State<Server>,
    Places(id): Places<String>,
    request: Request,
) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&business::update(&server.world, &principal, &id, body).await?)
}

pub(crate) async fn delete_business(
    State(server): State<Server>,
    Places(id): Places<String>,
    request: Request,
) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&business::delete(&server.world, &principal, &id).await?)
}

pub(crate) async fn list_businesses(State(server): State<Server>, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&business::list(&server.world, &principal).await?)
}

pub(crate) async fn create_application(State(server): State<Server>, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&application::create(&server.world, &principal, body).await?)
}

pub(crate) async fn update_application(
    State(server): State<Server>,
    Places(id): Places<String>,
    request: Request,
) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&application::update(&server.world, &principal, &id, body).await?)
}

pub(crate) async fn delete_application(
    State(server): State<Server>,
    Places(id): Places<String>,
    request: Request,
) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&application::delete(&server.world, &principal, &id).await?)
}

pub(crate) async fn list_applications(State(server): State<Server>, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&application::list(&server.world, &principal)?)
}

/// Streams an archive; one that breaks off ends without its last piece, so that nobody takes it for a whole one.
pub(crate) async fn backup(State(server): State<Server>, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    let pieces = lockstep_engine::backup::begin(&server.world, &principal).await?;
    let pieces = stream::unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    Ok(response)
}

pub(crate) async fn release(State(server): State<Server>, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&hold::release(&server.world, &principal).await?)
}
