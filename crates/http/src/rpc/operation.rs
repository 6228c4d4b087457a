//! `POST /v1/business/{business}/operation/get/{id}`.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request::{self, Places};
use axum::extract::{Request, State};
use lockstep_engine::read;

pub(crate) async fn get(
    State(server): State<Server>,
    Places((business, id)): Places<(String, String)>,
    request: Request,
) -> Answer {
    let (principal, body) = request::control(&server, request, |_| Ok(())).await?;
    ok(&read::operation(&server.world, &principal, &business, &id, &body).await?)
}
