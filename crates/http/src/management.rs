//! Management calls: the administrator's.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request;
use crate::request::Places;
use axum::extract::{Request, State};
use lockstep_engine::control::{application, business};
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
