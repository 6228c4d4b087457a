//! Accepted calls and what became of them.

use lockstep_core::command::Ending;
use lockstep_core::error::Rejection;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{Provider, RecordId, TypeId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use schemars::JsonSchema;
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
#[derive(Debug, Deserialize, JsonSchema)]
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

/// The body of `merge`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeBody {
    /// The record that is to stay.
    pub into: String,
}

/// An id elsewhere, as text or number.
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// Its id.
    pub operation_id: OperationId,
    /// The call: `create`, `update` …
    pub operation: String,
    /// `completed`, `unchanged`, `failed`, `running` or `interrupted`.
    pub state: &'static str,
    /// When it was accepted, RFC 3339.
    pub at: String,
    /// The type it was about, if it was about one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub ty: Option<TypeId>,
    /// The record it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// The record's version after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
    /// Notifications that a sync or replay found to be due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// Those of them that arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// How far an upload has come.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadView>,
}

/// How far an upload has come; counts are of durable lines.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadView {
    /// Lines durable: an interrupted upload goes on with the next.
    pub lines: u64,
    /// Those that changed a record.
    pub changed: u64,
    /// Those that asked for what already stood.
    pub unchanged: u64,
    /// Those that failed.
    pub failed: u64,
    /// What became of the lines asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Vec<LineView>>,
    /// The line after which to ask for more, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What became of one line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineView {
    /// Which, from 1.
    pub line: u64,
    /// `changed`, `unchanged` or `failed`.
    pub state: &'static str,
    /// The record it was about, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// The seq of its change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The record's version after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
}

impl LineView {
    /// The view of a line's end.
    #[must_use]
    pub fn of(line: u64, record_id: Option<RecordId>, ending: Ending) -> Self {
        let mut view = Self { line, state: "unchanged", record_id, seq: None, version: None, error: None };
        match ending {
            Ending::Changed { seq, version } => {
                view.state = "changed";
                view.seq = Some(seq);
                view.version = Some(version);
            }
            Ending::Failed(rejection) | Ending::Refused(rejection) => {
                view.state = "failed";
                view.error = Some(rejection);
            }
            Ending::Unchanged | Ending::Taken { .. } | Ending::Syncing { .. } | Ending::Uploading => {}
        }
        view
    }
}

/// The body of `/operation/get/{id}`: which outcomes of an upload's lines are wanted; none where it is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutcomesBody {
    /// `all` or `failed`.
    pub outcomes: Option<OutcomesWanted>,
    /// Those after this line.
    #[serde(default)]
    pub after: u64,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Which outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutcomesWanted {
    /// Of every line.
    All,
    /// Of lines that failed.
    Failed,
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
            upload: None,
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
            OperationState::Upload(upload) => {
                view.state = if upload.is_complete { "completed" } else { "interrupted" };
                view.upload = Some(UploadView {
                    lines: upload.lines,
                    changed: upload.changed,
                    unchanged: upload.unchanged,
                    failed: upload.failed,
                    outcomes: None,
                    next: None,
                });
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
#[derive(Debug, Serialize, JsonSchema)]
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
