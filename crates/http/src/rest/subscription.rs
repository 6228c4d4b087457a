//! `/subscriptions`: who is told of changes, and how that went.

use super::doc::{Doc, doc};
use super::{Answer, Asked, ROOT, gone, made, ok};
use crate::{Server, request};
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_core::limits;
use lockstep_engine::control::{replay, subscription};
use lockstep_engine::refusal::Refusal;
use lockstep_wire::subscription::{
    DeliveriesBody, DeliveriesView, ReplayBody, Replayed, SubscriptionBody, SubscriptionCreated, SubscriptionView,
    TestView,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type OfAll = Asked<String>;
type OfOne = Asked<(String, String)>;

const OF_BODY: [Code; 9] = [
    Code::UrlRefused,
    Code::InvalidCondition,
    Code::InvalidTemplate,
    Code::UnknownType,
    Code::UnknownField,
    Code::LimitReached,
    Code::LogRestored,
    Code::HistoryPruned,
    Code::SubscriptionEnded,
];

pub(crate) fn create_doc() -> Doc {
    doc("Subscriptions", "Subscribe")
        .about(
            "The address may also stand in `hookUrl`, `target_url` or `targetUrl`, and kinds as `events` of \
                `create`, `update`, `delete`. The endpoint is told by signed POSTs; one that answers 410 ends the \
                subscription.",
        )
        .takes::<SubscriptionBody>()
        .gives::<SubscriptionCreated>(201, "It was made; its secret is shown this once.")
        .codes(&OF_BODY)
}

pub(crate) async fn create(State(server): State<Server>, asked: OfAll) -> Answer {
    let body = asked.read()?;
    let created = subscription::create(&server.world, &asked.principal, &asked.places, body).await?;
    made(&created, &format!("{ROOT}/businesses/{}/subscriptions/{}", asked.places, created.id))
}

pub(crate) fn list_doc() -> Doc {
    doc("Subscriptions", "List subscriptions")
        .about("An application's own, in order of their making; all of a business for the administrator.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<super::doc::PageOf<SubscriptionView>>(200, "A page of them.")
}

pub(crate) async fn list(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, limits::PAGE_ROWS_MAX, limits::PAGE_ROWS_MAX)?;
    let mut all = subscription::list(&server.world, &asked.principal, &asked.places)?;
    all.sort_by_key(|view| view.id);
    if let Some(after) = super::after(&parameters)? {
        all.retain(|view| view.id > after);
    }
    let cursor = all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|view| view.id.to_string());
    all.truncate(limit);
    asked.page(all, cursor.as_deref())
}

pub(crate) fn get_doc() -> Doc {
    doc("Subscriptions", "Read a subscription")
        .gives::<SubscriptionView>(200, "It, without its secrets.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&subscription::get(&server.world, &asked.principal, business, id)?)
}

pub(crate) fn patch_doc() -> Doc {
    doc("Subscriptions", "Change a subscription")
        .about("What is left out stays as it is.")
        .takes::<SubscriptionBody>()
        .gives::<SubscriptionView>(200, "It as it now stands.")
        .codes(&OF_BODY)
        .codes(&[Code::NotFound])
}

pub(crate) async fn patch(State(server): State<Server>, asked: OfOne) -> Answer {
    let body = asked.read()?;
    let (business, id) = &asked.places;
    subscription::update(&server.world, &asked.principal, business, id, body).await?;
    ok(&subscription::get(&server.world, &asked.principal, business, id)?)
}

pub(crate) fn delete_doc() -> Doc {
    doc("Subscriptions", "Unsubscribe").answers(204, "It is gone.").codes(&[Code::NotFound])
}

pub(crate) async fn delete(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    subscription::delete(&server.world, &asked.principal, business, id).await?;
    gone()
}

pub(crate) fn test_doc() -> Doc {
    doc("Subscriptions", "Send a test")
        .about("A made-up record goes to the endpoint by the path that deliveries take.")
        .gives::<TestView>(200, "How that went.")
        .codes(&[Code::NotFound, Code::SubscriptionEnded])
}

pub(crate) async fn test(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&subscription::test(&server.world, &server.post_room, &asked.principal, business, id).await?)
}

pub(crate) fn deliveries_doc() -> Doc {
    let number = || json!({"type": "integer", "minimum": 0});
    doc("Subscriptions", "How deliveries went")
        .query("only", &json!({"type": "string", "enum": ["failed", "delivered"]}), "Attempts that ended so.")
        .query("seq", &number(), "Attempts of this change; 0 for those of no change.")
        .query("since", &json!({"type": "string"}), "Attempts since a date or instant.")
        .query("limit", &json!({"type": "integer", "minimum": 1}), "At most so many attempts and dead letters.")
        .query("deadLettersAfter", &number(), "Dead letters after this seq.")
        .gives::<DeliveriesView>(200, "Its cursor and gate, attempts, parked records and dead letters.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn deliveries(State(server): State<Server>, asked: OfOne) -> Answer {
    let parameters = asked.parameters(&["only", "seq", "since", "limit", "deadLettersAfter"])?;
    let body = deliveries_body(&parameters)?;
    let (business, id) = &asked.places;
    ok(&subscription::deliveries(&server.world, &server.post_room, &asked.principal, business, id, &body).await?)
}

/// The query as the body that the RPC face takes.
fn deliveries_body(parameters: &BTreeMap<String, String>) -> Result<DeliveriesBody, Refusal> {
    let mut body = serde_json::Map::new();
    for name in ["only", "since"] {
        body.extend(parameters.get(name).map(|text| (name.to_owned(), Value::from(text.as_str()))));
    }
    for name in ["seq", "limit", "deadLettersAfter"] {
        body.extend(request::number(parameters, name)?.map(|number| (name.to_owned(), Value::from(number))));
    }
    serde_json::from_value(body.into())
        .map_err(|error| Refusal::new(Code::InvalidParameter, format!("the query does not fit this call: {error}")))
}

pub(crate) fn replay_doc() -> Doc {
    doc("Subscriptions", "Send once more")
        .about(
            "One change by `seq`, a range by seq or time, or all that was given up; each narrowed by types, kinds \
                and records. Many are an operation with counts.",
        )
        .takes::<ReplayBody>()
        .gives::<Replayed>(200, "The delivery, or the operation that sends many.")
        .codes(&[
            Code::NotFound,
            Code::HistoryPruned,
            Code::SubscriptionEnded,
            Code::LogRestored,
            Code::UnknownType,
            Code::LimitReached,
        ])
}

pub(crate) async fn replay(State(server): State<Server>, asked: OfOne) -> Answer {
    let body = asked.read()?;
    let (business, id) = &asked.places;
    ok(&replay::replay(&server.world, &asked.principal, business, id, body).await?)
}

pub(crate) fn rotate_doc() -> Doc {
    doc("Subscriptions", "Replace the secret")
        .about("The old one signs beside the new for 24 hours.")
        .gives::<SubscriptionCreated>(200, "The new secret, shown this once.")
        .codes(&[Code::NotFound, Code::LimitReached])
}

pub(crate) async fn rotate(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&subscription::rotate_secret(&server.world, &asked.principal, business, id).await?)
}
