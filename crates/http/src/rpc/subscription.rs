//! `POST /v1/business/{business}/subscription/…`: control calls, answered with their result.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request::Places;
use crate::{auth, request};
use axum::extract::{Request, State};
use lockstep_core::ids::DeliveryId;
use lockstep_core::limits::CONTROL_BYTES_MAX;
use lockstep_engine::control::subscription;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use serde::Serialize;
use serde::de::DeserializeOwned;

async fn read<T: DeserializeOwned>(server: &Server, request: Request) -> Result<(Principal, T), Refusal> {
    let principal = auth::principal(&server.world, request.headers())?;
    request::parameters(request.uri(), &[])?;
    let bytes = request::bytes(request.into_body(), CONTROL_BYTES_MAX).await?;
    Ok((principal, request::body(&bytes)?))
}

async fn caller(server: &Server, request: Request) -> Result<Principal, Refusal> {
    let (principal, _): (_, serde_json::Value) = read(server, request).await?;
    Ok(principal)
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replayed {
    delivery_id: DeliveryId,
}

pub(crate) async fn replay(State(server): State<Server>, Places((business, id)): OfOne, request: Request) -> Answer {
    let (principal, body) = read(&server, request).await?;
    let delivery_id = subscription::replay(&server.world, &principal, &business, &id, body).await?;
    ok(&Replayed { delivery_id })
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
    let principal = caller(&server, request).await?;
    ok(&subscription::deliveries(&server.world, &server.post_room, &principal, &business, &id).await?)
}
