//! The REST face: records as it shows them, pages, and problems as RFC 9457 writes them.

use crate::operation::ExternalIdView;
use crate::record::ChangeView;
use lockstep_core::Fields;
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{BusinessId, RecordId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Record, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// What the hub itself is called where a record's ids are listed.
pub const OWN_PROVIDER: &str = "lockstep";

/// A record.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordBody<'a> {
    /// Its id; with `External-Ids: true` all its ids, the hub's own first, as `{provider, realm, id}`.
    #[schemars(with = "IdOrIds")]
    pub id: Value,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Cow<'a, str>,
    /// 1 at its making, one more with each change; also its `ETag`.
    pub version: u64,
    /// The change that brought it here.
    pub seq: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
    /// Whether it is a tombstone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Whether its values were erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// The record that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// What it is called elsewhere.
    pub external_ids: Vec<ExternalIdView<'a>>,
    /// Its values.
    pub fields: Cow<'a, Fields>,
}

/// An id, or all of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "says the shape of a value that is written by hand")]
enum IdOrIds {
    Id(RecordId),
    Ids(Vec<ForeignId>),
}

/// What a record is called by one party.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ForeignId {
    /// Who.
    pub provider: String,
    /// The account there; for the hub itself, the business.
    pub realm: String,
    /// The id there.
    pub id: String,
}

impl<'a> RecordBody<'a> {
    /// A record as it is, less what its reader may not see.
    #[must_use]
    pub fn of(record: &'a Record, fields: Cow<'a, Fields>) -> Self {
        let place = (record.id, &record.ty, record.version, record.last_seq);
        Self::at(place, (record.created_at, record.updated_at), &record.state, fields)
    }

    /// A record as a change left it.
    #[must_use]
    pub fn after(change: &'a Change, fields: Cow<'a, Fields>) -> Self {
        let place = (change.record, &change.ty, change.version, change.seq);
        Self::at(place, (change.created_at, change.at), &change.state, fields)
    }

    fn at(
        (id, ty, version, seq): (RecordId, &'a TypeId, u64, u64),
        (created_at, updated_at): (Timestamp, Timestamp),
        state: &'a State,
        fields: Cow<'a, Fields>,
    ) -> Self {
        Self {
            id: id.to_string().into(),
            ty: ty.as_str().into(),
            version,
            seq,
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            deleted: state.is_deleted,
            erased: state.is_erased,
            merged_into: state.merged_into,
            external_ids: state.external_ids.iter().map(ExternalIdView::from).collect(),
            fields,
        }
    }
}

/// All that a record is called, the hub's own id first.
#[must_use]
pub fn every_id(business: &BusinessId, record: RecordId, external: &[ExternalId]) -> Value {
    let own = ForeignId { provider: OWN_PROVIDER.to_owned(), realm: business.to_string(), id: record.to_string() };
    let others = external.iter().map(|id| ForeignId {
        provider: id.provider.to_string(),
        realm: id.realm.clone(),
        id: id.id.clone(),
    });
    std::iter::once(own).chain(others).map(|id| json!(id)).collect()
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page is, if there may be one; the same stands in the header `Link`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of a record's past, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage<'a> {
    /// Its changes.
    pub items: Vec<ChangeView<'a>>,
    /// Where the next page is, if there may be one; the same stands in the header `Link`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The seq below which changes are kept no more, where there were some of this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned_below: Option<u64>,
}

/// What a rollback came to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// The operation that was rolled back.
    pub operation_id: OperationId,
    /// Changes of it that were compensated, in whole or in part.
    pub restored: u64,
    /// Changes of which nothing was left to restore.
    pub unchanged: u64,
    /// Changes that could not be compensated, and fields that hold another value by now and keep it; the first of
    /// them.
    pub kept: Vec<Kept>,
}

/// What a rollback left as it is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The record.
    pub record_id: RecordId,
    /// Its fields that were changed again since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Why the whole of it was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
}

/// What went wrong, as RFC 9457 writes it: `application/problem+json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    /// The page about the code, at this hub.
    #[serde(rename = "type")]
    pub ty: String,
    /// The status in words.
    pub title: &'a str,
    /// The status.
    pub status: u16,
    /// What is wrong with what was sent, and the way out.
    pub detail: &'a str,
    /// The word for it, which never changes its meaning.
    pub code: Code,
    /// Where in the body it sits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault<'a>>,
}

/// One place at fault.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fault<'a> {
    /// RFC 6901 pointer into the body.
    pub pointer: &'a str,
    /// What is wrong there.
    pub code: Code,
    /// The same in words.
    pub detail: &'a str,
}

impl<'a> Problem<'a> {
    /// A refusal under its status.
    #[must_use]
    pub fn of(rejection: &'a Rejection, status: u16, title: &'a str) -> Self {
        let Rejection { code, message, pointer } = rejection;
        let fault = pointer.as_deref().map(|pointer| Fault { pointer, code: *code, detail: message });
        let errors = fault.into_iter().collect();
        Self { ty: format!("/errors/{code}"), title, status, detail: message, code: *code, errors }
    }
}

/// The id of what was made or changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
}

/// A choice of a drop-down list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Choice {
    /// What is chosen.
    pub id: String,
    /// What a person reads.
    pub label: String,
}
