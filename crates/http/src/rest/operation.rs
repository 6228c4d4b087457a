//! `/operations`: what became of a call.

use super::doc::{Doc, doc};
use super::{Answer, Asked, ok};
use crate::{Server, request};
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::{read, rollback};
use lockstep_wire::operation::{OperationView, OutcomesBody};
use lockstep_wire::rest::RolledBack;
use serde_json::{Value, json};

pub(crate) type OfOne = Asked<(String, String)>;

pub(crate) fn get_doc() -> Doc {
    doc("Operations", "Read an operation")
        .about("What became of a call: also of one line of an upload, and how far a sync or upload has come.")
        .query("outcomes", &json!({"type": "string", "enum": ["all", "failed"]}), "Lines of an upload to list.")
        .query("after", &json!({"type": "integer", "minimum": 0}), "Lines after this one.")
        .query("limit", &json!({"type": "integer", "minimum": 1}), "At most so many lines.")
        .gives::<OperationView>(200, "The operation.")
        .codes(&[Code::NotFound, Code::HistoryPruned])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfOne) -> Answer {
    let parameters = asked.parameters(&["outcomes", "after", "limit"])?;
    let mut body = serde_json::Map::new();
    body.extend(parameters.get("outcomes").map(|text| ("outcomes".to_owned(), Value::from(text.as_str()))));
    for name in ["after", "limit"] {
        body.extend(request::number(&parameters, name)?.map(|number| (name.to_owned(), Value::from(number))));
    }
    let body: OutcomesBody = serde_json::from_value(body.into())
        .map_err(|error| Refusal::new(Code::InvalidParameter, format!("the query does not fit this call: {error}")))?;
    let (business, id) = &asked.places;
    ok(&read::operation(&server.world, &asked.principal, business, id, &body).await?)
}

pub(crate) fn rollback_doc() -> Doc {
    doc("Operations", "Undo an operation")
        .about(
            "By compensating changes: a field gets its old value back while it still holds the one that the \
                operation set. What was changed again since stays, and is listed.",
        )
        .gives::<RolledBack>(200, "What was restored, and what was kept.")
        .codes(&[Code::NotFound, Code::HistoryPruned, Code::UnknownType, Code::RecordDeleted, Code::RecordNotFound])
        .codes(&[Code::OutsideGrant, Code::MergeRefused, Code::ValueTaken, Code::FieldRequired, Code::ExternalIdTaken])
}

pub(crate) async fn rollback(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&rollback::operation(&server.world, &asked.principal, business, id).await?)
}
