//! `/applications` and `/tokens`: who may call, and what they may do.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ROOT, gone, made, ok};
use crate::{Server, request};
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_engine::control::{audit, token, within};
use lockstep_wire::audit::AuditView;
use lockstep_wire::management::{ApplicationCreated, ApplicationView, CreateApplicationHere, UpdateApplication};
use lockstep_wire::token::{CreateToken, TokenCreated, TokenView, UpdateToken};

type OfAll = Asked<String>;
type OfOne = Asked<(String, String)>;

const OF_GRANT: [Code; 6] = [
    Code::OutsideGrant,
    Code::InvalidCondition,
    Code::UnknownType,
    Code::UnknownField,
    Code::LimitReached,
    Code::NotFound,
];

/// What a list was asked: after which, and how many.
fn paging(asked: &OfAll) -> Result<(Option<String>, Option<usize>), super::Problem> {
    let mut parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, PAGE_ROWS_MAX, PAGE_ROWS_MAX)?;
    Ok((parameters.remove("cursor"), Some(limit)))
}

pub(crate) fn tokens_doc() -> Doc {
    doc("Access", "List API tokens")
        .about("Those of the caller's application, or made from the caller's token.")
        .paged(PAGE_ROWS_MAX)
        .gives::<PageOf<TokenView>>(200, "A page of them, oldest first.")
}

pub(crate) async fn tokens(State(server): State<Server>, asked: OfAll) -> Answer {
    let (after, limit) = paging(&asked)?;
    let page = token::list(&server.world, &asked.principal, &asked.places, after.as_deref(), limit)?;
    asked.page(page.tokens, page.next.map(|next| next.to_string()).as_deref())
}

pub(crate) fn create_token_doc() -> Doc {
    doc("Access", "Make an API token")
        .about(
            "A key of its own that may do no more than the caller may at each use: fewer abilities, businesses, \
                types, records or fields, for a time. What it asks for beyond the caller is refused.",
        )
        .takes::<CreateToken>()
        .gives::<TokenCreated>(201, "It was made; its key is shown this once.")
        .codes(&OF_GRANT)
}

pub(crate) async fn create_token(State(server): State<Server>, asked: OfAll) -> Answer {
    let created = token::create(&server.world, &asked.principal, &asked.places, asked.read::<CreateToken>()?).await?;
    made(&created, &format!("{ROOT}/businesses/{}/tokens/{}", asked.places, created.id))
}

pub(crate) fn token_doc() -> Doc {
    doc("Access", "Read an API token").gives::<TokenView>(200, "It, without its key.").codes(&[Code::NotFound])
}

pub(crate) async fn token(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    ok(&token::get(&server.world, &asked.principal, &asked.places.0, &asked.places.1)?)
}

pub(crate) fn patch_token_doc() -> Doc {
    doc("Access", "Change an API token")
        .about("Its label and rate limit; what it may do stays as it was made.")
        .takes::<UpdateToken>()
        .gives::<TokenView>(200, "It as it now stands.")
        .codes(&OF_GRANT)
}

pub(crate) async fn patch_token(State(server): State<Server>, asked: OfOne) -> Answer {
    let body = asked.read::<UpdateToken>()?;
    ok(&token::update(&server.world, &asked.principal, &asked.places.0, &asked.places.1, body).await?)
}

pub(crate) fn revoke_token_doc() -> Doc {
    doc("Access", "Revoke an API token")
        .about("It ends at once, with the tokens made from it, its subscriptions and streams.")
        .answers(204, "It is revoked, or was.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn revoke_token(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    token::revoke(&server.world, &asked.principal, &asked.places.0, &asked.places.1).await?;
    gone()
}

pub(crate) fn applications_doc() -> Doc {
    doc("Access", "List applications")
        .about("Those that may enter the business and go beyond nothing that the caller may.")
        .paged(PAGE_ROWS_MAX)
        .gives::<PageOf<ApplicationView>>(200, "A page of them, oldest first.")
}

pub(crate) async fn applications(State(server): State<Server>, asked: OfAll) -> Answer {
    let (after, limit) = paging(&asked)?;
    let page = within::list(&server.world, &asked.principal, &asked.places, after.as_deref(), limit)?;
    asked.page(page.applications, page.next.map(|next| next.to_string()).as_deref())
}

pub(crate) fn create_application_doc() -> Doc {
    doc("Access", "Make an application")
        .about(
            "It may enter the business in the path alone, where its access rule says nothing else, and never more \
                than the caller may.",
        )
        .takes::<CreateApplicationHere>()
        .gives::<ApplicationCreated>(201, "It was made; its secrets are shown this once.")
        .codes(&OF_GRANT)
        .codes(&[Code::ProviderTaken])
}

pub(crate) async fn create_application(State(server): State<Server>, asked: OfAll) -> Answer {
    let body = asked.read::<CreateApplicationHere>()?;
    let created = within::create(&server.world, &asked.principal, &asked.places, body).await?;
    made(&created, &format!("{ROOT}/businesses/{}/applications/{}", asked.places, created.id))
}

pub(crate) fn application_doc() -> Doc {
    doc("Access", "Read an application")
        .gives::<ApplicationView>(200, "It, without its secrets.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn application(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    ok(&within::get(&server.world, &asked.principal, &asked.places.0, &asked.places.1)?)
}

pub(crate) fn patch_application_doc() -> Doc {
    doc("Access", "Change an application")
        .about("Its label, grant and rate limit; what is left out stays as it is.")
        .takes::<UpdateApplication>()
        .gives::<ApplicationView>(200, "It as it now stands.")
        .codes(&OF_GRANT)
}

pub(crate) async fn patch_application(State(server): State<Server>, asked: OfOne) -> Answer {
    let body = asked.read::<UpdateApplication>()?;
    let (business, id) = &asked.places;
    within::update(&server.world, &asked.principal, business, id, body).await?;
    ok(&within::get(&server.world, &asked.principal, business, id)?)
}

pub(crate) fn delete_application_doc() -> Doc {
    doc("Access", "Revoke an application")
        .about("Its credentials and tokens end, and its subscriptions are sent nothing more.")
        .answers(204, "It is revoked.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn delete_application(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    within::delete(&server.world, &asked.principal, &asked.places.0, &asked.places.1).await?;
    gone()
}

pub(crate) fn rotate_application_doc() -> Doc {
    doc("Access", "Replace an application's secrets")
        .about("The old ones end at once.")
        .gives::<ApplicationCreated>(200, "The new secrets, shown this once.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn rotate_application(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    ok(&within::rotate(&server.world, &asked.principal, &asked.places.0, &asked.places.1).await?)
}

pub(crate) fn audit_doc() -> Doc {
    doc("Access", "Read the audit log")
        .about("Who changed what in the business and of its subscriptions, tokens and types; newest first.")
        .paged(PAGE_ROWS_MAX)
        .gives::<PageOf<AuditView>>(200, "A page of it.")
}

pub(crate) async fn audit(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, 100, PAGE_ROWS_MAX)?;
    let before = request::number(&parameters, "cursor")?.map(|row| i64::try_from(row).unwrap_or(i64::MAX));
    let page = audit::list(&server.world, &asked.principal, Some(&asked.places), before, Some(limit)).await?;
    asked.page(page.entries, page.next.map(|next| next.to_string()).as_deref())
}
