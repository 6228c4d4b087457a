//! `POST /v1/business/{business}/{type}/{history|at|why|similar}/{id}`: a record's past and its like, as far as the
//! caller may see them, answered with their result.

use crate::Server;
use crate::answer::{Answer, ok};
use crate::request::{self, Places};
use axum::extract::{Request, State};
use lockstep_core::error::Code;
use lockstep_core::limits::CONTROL_BYTES_MAX;
use lockstep_engine::principal::Principal;
use lockstep_engine::read;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::record::WhyView;
use lockstep_wire::rest::RecordBody;
use std::borrow::Cow;
use std::collections::BTreeMap;

type OfRecord = Places<(String, String, String)>;

async fn asked(
    server: &Server,
    request: Request,
    known: &[&str],
) -> Result<(Principal, BTreeMap<String, String>), Refusal> {
    let principal = crate::auth::principal(server, &request)?;
    let parameters = request::parameters(request.uri(), known)?;
    // Whatever comes as a body is read, so that the connection can be used again, and ignored.
    request::bytes(request.into_body(), CONTROL_BYTES_MAX).await?;
    Ok((principal, parameters))
}

pub(crate) async fn history(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let (principal, parameters) = asked(&server, request, &["before", "limit"]).await?;
    let before = request::number(&parameters, "before")?;
    let limit = request::number(&parameters, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let address = (&*business, &*ty, &*id);
    let past = read::history(&server.world, &principal, address, before, limit).await?;
    ok(&past.view())
}

pub(crate) async fn at(State(server): State<Server>, Places((business, ty, id)): OfRecord, request: Request) -> Answer {
    let (principal, parameters) = asked(&server, request, &["seq"]).await?;
    let seq = request::number(&parameters, "seq")?.ok_or_else(|| {
        Refusal::new(Code::InvalidParameter, "the query parameter seq is missing: give at/RECORD_ID?seq=1042")
    })?;
    let change = read::at(&server.world, &principal, (&business, &ty, &id), seq).await?;
    ok(&RecordBody::after(&change, Cow::Borrowed(&change.state.fields)))
}

pub(crate) async fn why(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let (principal, _) = asked(&server, request, &[]).await?;
    let record = read::why(&server.world, &principal, (&business, &ty, &id)).await?;
    ok(&WhyView::of(&record))
}

pub(crate) async fn similar(
    State(server): State<Server>,
    Places((business, ty, id)): OfRecord,
    request: Request,
) -> Answer {
    let (principal, _) = asked(&server, request, &[]).await?;
    ok(&read::similar(&server.world, &principal, (&business, &ty, &id)).await?)
}
