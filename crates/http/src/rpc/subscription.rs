//! `POST /v1/business/{business}/subscription/…`: control calls, answered with their result.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request;
use crate::request::Places;
use axum::extract::{Request, State};
use lockstep_engine::control::{replay, subscription};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use serde::de::{DeserializeOwned, IgnoredAny};

async fn read<T: DeserializeOwned>(server: &Server, request: Request) -> Result<(Principal, T), Refusal> {
    request::control(server, request, |_| Ok(())).await
}

/// For calls without a body: whatever comes is ignored.
async fn caller(server: &Server, request: Request) -> Result<Principal, Refusal> {
    Ok(read::<IgnoredAny>(server, request).await?.0)
}

type OfOne = Places<(String, String)>;

pub(crate) async fn create(State(server): State<Server>, Places(business): Places<String>, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&subscription::create(&server.world, &principal, &business, body).await?)
}

pub(crate) async fn update(State(server): State<Server>, Places((business, id)): OfOne, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&subscription::update(&server.world, &principal, &business, &id, body).await?)
}

pub(crate) async fn delete(State(server): State<Server>, Places((business, id)): OfOne, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&subscription::delete(&server.world, &principal, &business, &id).await?)
}

pub(crate) async fn list(State(server): State<Server>, Places(business): Places<String>, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&subscription::list(&server.world, &principal, &business)?)
}

pub(crate) async fn test(State(server): State<Server>, Places((business, id)): OfOne, request: Request) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&subscription::test(&server.world, &server.post_room, &principal, &business, &id).await?)
}

pub(crate) async fn replay(State(server): State<Server>, Places((business, id)): OfOne, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&replay::replay(&server.world, &principal, &business, &id, body).await?)
}

pub(crate) async fn rotate_secret(
    State(server): State<Server>,
    Places((business, id)): OfOne,
    request: Request,
) -> Answer {
    let principal = caller(&server, request).await?;
    ok(&subscription::rotate_secret(&server.world, &principal, &business, &id).await?)
}

pub(crate) async fn deliveries(
    State(server): State<Server>,
    Places((business, id)): OfOne,
    request: Request,
) -> Answer {
    let (principal, body) = read(&server, request).await?;
    ok(&subscription::deliveries(&server.world, &server.post_room, &principal, &business, &id, &body).await?)
}
