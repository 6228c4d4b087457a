//! Accepted calls and what became of them.

use lockstep_core::error::Rejection;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{Provider, RecordId, TypeId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use serde::{Deserialize, Serialize};

/// The answer `202`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The operation.
    pub operation_id: OperationId,
    /// The record it is about, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
}

/// The body of `correlate` and `uncorrelate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// The id elsewhere; a number is read as its digits.
    pub value: IdText,
    /// Who calls it so; the caller where left out.
    pub source: Option<Provider>,
    /// The account there.
    #[serde(default)]
    pub realm: String,
    /// The remote object, where it is not the type.
    pub object: Option<String>,
}

/// An id elsewhere, as text or number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum IdText {
    /// As text.
    Text(String),
    /// As a number.
    Number(serde_json::Number),
}

impl IdText {
    /// The id as text.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// An operation, as read by `/operation/get/{id}` and told by notices.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// Its id.
    pub operation_id: OperationId,
    /// The call: `create`, `update` …
    pub operation: String,
    /// `completed`, `unchanged`, `failed` or `running`.
    pub state: &'static str,
    /// When it was accepted, RFC 3339.
    pub at: String,
    /// The type it was about.
    #[serde(rename = "type")]
    pub ty: TypeId,
    /// The record it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// The record's version after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
    /// Records a sync found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// Notifications of a sync that arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
}

impl OperationView {
    /// The view of an operation.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        let mut view = Self {
            operation_id: operation.id,
            operation: operation.verb.clone(),
            state: "completed",
            at: operation.at.to_string(),
            ty: operation.ty.clone(),
            record_id: operation.record,
            version: None,
            error: None,
            matched: None,
            sent: None,
        };
        match &operation.state {
            OperationState::Completed { version } => view.version = Some(*version),
            OperationState::Unchanged => view.state = "unchanged",
            OperationState::Failed { rejection } => {
                view.state = "failed";
                view.error = Some(rejection.clone());
            }
            OperationState::Sync { matched, sent, waiting } => {
                view.state = if *waiting == 0 { "completed" } else { "running" };
                view.matched = Some(*matched);
                view.sent = Some(*sent);
            }
        }
        view
    }

    /// The kind of notice that tells of its end.
    #[must_use]
    pub fn event(&self) -> &'static str {
        if self.state == "failed" { "operation.failed" } else { "operation.completed" }
    }
}

/// An external id, as shown.
#[derive(Debug, Serialize)]
pub struct ExternalIdView<'a> {
    /// Who calls it so.
    pub provider: &'a Provider,
    /// The account there.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub realm: &'a str,
    /// The remote object, where it is not the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<&'a str>,
    /// The id there.
    pub id: &'a str,
}

impl<'a> From<&'a ExternalId> for ExternalIdView<'a> {
    fn from(external: &'a ExternalId) -> Self {
        Self {
            provider: &external.provider,
            realm: &external.realm,
            object: external.object.as_deref(),
            id: &external.id,
        }
    }
}
