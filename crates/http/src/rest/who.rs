//! `/me` and `/businesses`: who the caller is, and where it may go.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ok};
use crate::Server;
use axum::extract::State;
use lockstep_core::limits;
use lockstep_engine::control::who;
use lockstep_wire::who::{BusinessEntry, Me};

pub(crate) fn me_doc() -> Doc {
    doc("Access", "Who am I").about("The caller, and what it may do.").gives::<Me>(200, "The caller.")
}

pub(crate) async fn me(asked: Asked<()>) -> Answer {
    asked.nothing()?;
    ok(&who::me(&asked.principal))
}

pub(crate) fn businesses_doc() -> Doc {
    doc("Access", "List businesses")
        .about("Those that the caller may enter, in order of their ids.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<PageOf<BusinessEntry>>(200, "A page of them.")
}

pub(crate) async fn businesses(State(server): State<Server>, asked: Asked<()>) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, limits::PAGE_ROWS_MAX, limits::PAGE_ROWS_MAX)?;
    let after = parameters.get("cursor").map(String::as_str);
    let (page, cursor) = who::businesses(&server.world, &asked.principal, after, limit)?;
    asked.page(page, cursor.as_deref())
}
