//! `/shares`: which remote objects and records are kept equal, and how that goes.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ROOT, gone, made, ok};
use crate::Server;
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_core::limits;
use lockstep_sync::control::{preview, run, share};
use lockstep_wire::run::{RunBody, RunView};
use lockstep_wire::share::{CreateShare, PreviewBody, PreviewView, ShareView, UpdateShare};

type OfAll = Asked<String>;
type OfOne = Asked<(String, String)>;

const OF_BODY: [Code; 9] = [
    Code::NotFound,
    Code::OutsideGrant,
    Code::UnknownType,
    Code::InvalidMapping,
    Code::InvalidCondition,
    Code::UnknownMatchGroup,
    Code::ConnectorInvalid,
    Code::LimitReached,
    Code::IdTaken,
];
const OF_RUN: [Code; 3] = [Code::NotFound, Code::ConnectionNotReady, Code::RunUnderWay];

pub(crate) fn create_doc() -> Doc {
    doc("Shares", "Make a share")
        .about(
            "A remote object of a connection, brought together with a type, one way. What is left out is as the \
                connector says. Its baseline begins by itself, unless it begins `paused`. A connection has one share \
                of an object.",
        )
        .takes::<CreateShare>()
        .gives::<ShareView>(201, "It was made.")
        .codes(&OF_BODY)
}

pub(crate) async fn create(State(server): State<Server>, asked: OfAll) -> Answer {
    let body = asked.read()?;
    let made_one = share::create(&server.sharing, &asked.principal, &asked.places, body).await?;
    made(&made_one, &format!("{ROOT}/businesses/{}/shares/{}", asked.places, made_one.id))
}

pub(crate) fn list_doc() -> Doc {
    doc("Shares", "List shares")
        .about("In the order of their making, each with how far it has come.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<PageOf<ShareView>>(200, "A page of them.")
}

pub(crate) async fn list(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, limits::PAGE_ROWS_MAX, limits::PAGE_ROWS_MAX)?;
    let after = super::after(&parameters)?;
    let mut all = share::list(&server.sharing, &asked.principal, &asked.places, after, limit + 1).await?;
    let cursor = all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|view| view.id.to_string());
    all.truncate(limit);
    asked.page(all, cursor.as_deref())
}

pub(crate) fn get_doc() -> Doc {
    doc("Shares", "Read a share").gives::<ShareView>(200, "It, with how far it has come.").codes(&[Code::NotFound])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&share::get(&server.sharing, &asked.principal, business, id).await?)
}

pub(crate) fn patch_doc() -> Doc {
    doc("Shares", "Change a share")
        .about(
            "What is left out stays as it is; null takes the connector's own again. A change of mapping, condition, \
                match, history or leaving raises `version`.",
        )
        .takes::<UpdateShare>()
        .gives::<ShareView>(200, "It as it now stands.")
        .codes(&OF_BODY)
}

pub(crate) async fn patch(State(server): State<Server>, asked: OfOne) -> Answer {
    let body = asked.read()?;
    let (business, id) = &asked.places;
    ok(&share::update(&server.sharing, &asked.principal, (business, id), body).await?)
}

pub(crate) fn delete_doc() -> Doc {
    doc("Shares", "Drop a share")
        .about("Its hooks are taken back. Records and remote objects stay as they are.")
        .answers(204, "It is gone.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn delete(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    share::delete(&server.sharing, &asked.principal, business, id).await?;
    gone()
}

pub(crate) fn preview_doc() -> Doc {
    doc("Shares", "Show a mapping at work")
        .about(
            "On a record, a remote object, an object as the platform writes it, or, where none is named, on the newest \
                record. Nothing is written.",
        )
        .takes::<PreviewBody>()
        .gives::<PreviewView>(200, "Before and after, both ways.")
        .codes(&[Code::NotFound, Code::RecordNotFound, Code::InvalidMapping])
        .codes(&[Code::ConnectionNotReady, Code::ConnectionFailed])
}

pub(crate) async fn preview(State(server): State<Server>, asked: OfOne) -> Answer {
    let body: PreviewBody = asked.read()?;
    let (business, id) = &asked.places;
    ok(&preview::of(&server.sharing, &asked.principal, (business, id), body).await?)
}

pub(crate) fn run_doc() -> Doc {
    doc("Shares", "Run a share")
        .about("One runs at a time. `only` is a record's id, or the id of an object at the platform.")
        .takes::<RunBody>()
        .gives::<RunView>(201, "It was begun.")
        .codes(&OF_RUN)
}

pub(crate) async fn run(State(server): State<Server>, asked: OfOne) -> Answer {
    let body: RunBody = asked.read()?;
    let (business, id) = &asked.places;
    let begun = run::begin(&server.sharing, &asked.principal, (business, id), body).await?;
    made(&begun, &format!("{ROOT}/businesses/{business}/runs/{}", begun.id))
}

pub(crate) fn pause_doc() -> Doc {
    doc("Shares", "Pause a share")
        .about("Nothing is done for it until it is resumed, and nothing of that is lost.")
        .gives::<ShareView>(200, "It as it now stands.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn pause(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&share::pause(&server.sharing, &asked.principal, (business, id), true).await?)
}

pub(crate) fn resume_doc() -> Doc {
    doc("Shares", "Resume a share").gives::<ShareView>(200, "It as it now stands.").codes(&[Code::NotFound])
}

pub(crate) async fn resume(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&share::pause(&server.sharing, &asked.principal, (business, id), false).await?)
}

pub(crate) fn cancel_doc() -> Doc {
    doc("Shares", "Cancel a share's run")
        .gives::<RunView>(200, "The run as it now stands.")
        .codes(&[Code::NotFound, Code::RunUnderWay])
}

pub(crate) async fn cancel(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&run::cancel_of(&server.sharing, &asked.principal, (business, id)).await?)
}
