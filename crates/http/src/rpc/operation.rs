//! `POST /v1/business/{business}/operation/get/{id}`.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request::Places;
use crate::{auth, request};
use axum::extract::{Request, State};
use lockstep_engine::read;

pub(crate) async fn get(
    State(server): State<Server>,
    Places((business, id)): Places<(String, String)>,
    request: Request,
) -> Answer {
    let principal = auth::principal(&server.world, request.headers())?;
    request::parameters(request.uri(), &[])?;
    ok(&read::operation(&server.world, &principal, &business, &id).await?)
}
