//! Records of the past and where their values came from.

use crate::notification::Changes;
use crate::operation::ExternalIdView;
use lockstep_core::change::{Change, ChangeKind, Origin};
use lockstep_core::ids::{BusinessId, Provider, RecordId, ShareId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Provenance, Record};
use lockstep_core::rules::scope::Reason;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Who made a change, and by which call.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct By<'a> {
    /// `admin`, `application` or `share`.
    pub by: &'static str,
    /// The slug of the application, or of the share's connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a Provider>,
    /// The share that brought it from a platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareId>,
}

impl<'a> From<&'a Origin> for By<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self { by: origin.by(), provider: origin.provider(), share: origin.share() }
    }
}

/// One change of a record's history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeView<'a> {
    /// Its place in the business's log.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// What happened.
    pub kind: ChangeKind,
    /// Why that is not what happened: `entered-scope` or `left-scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The record's version after it.
    pub version: u64,
    /// Who made it; not told of a record that left what the reader may see.
    #[serde(flatten)]
    pub by: Option<By<'a>>,
    /// By which operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    /// Old and new values of what it changed.
    pub changes: Changes<'a>,
    /// What the record is called elsewhere after it, where that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ids: Option<Vec<ExternalIdView<'a>>>,
    /// The record that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// Whether its values were erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl<'a> ChangeView<'a> {
    /// The view of a change as it is told, and why it is told so.
    #[must_use]
    pub fn of(change: &'a Change, reason: Option<Reason>, business: &BusinessId) -> Self {
        let state = &change.state;
        let has_left = reason == Some(Reason::LeftScope);
        // What came into being, or into sight, is new as a whole.
        let is_new = change.kind == ChangeKind::Created && change.old.is_empty();
        let external_ids =
            change.old_external_ids.as_ref().map(|_| state.external_ids.iter().map(ExternalIdView::from).collect());
        Self {
            seq: change.seq,
            at: change.at.to_string(),
            kind: change.kind,
            reason: reason.map(Reason::as_str),
            version: change.version,
            by: (!has_left).then(|| By::from(&change.origin)),
            operation_id: (!has_left).then(|| change.operation(business)),
            changes: Changes { old: (!is_new).then_some(&change.old), new: &state.fields },
            external_ids,
            merged_into: state.merged_into.filter(|_| change.kind == ChangeKind::Merged),
            erased: state.is_erased,
        }
    }
}

/// A record's history, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView<'a> {
    /// Its changes.
    pub changes: Vec<ChangeView<'a>>,
    /// The seq before which to ask for more, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The seq below which changes are kept no more, where there were some of this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned_below: Option<u64>,
}

/// Where a record's values came from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WhyView<'a> {
    /// By field.
    pub fields: BTreeMap<&'a str, FieldWhy<'a>>,
}

impl<'a> WhyView<'a> {
    /// Of each value that a record has.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let of_entry = |entry: &'a Provenance| {
            let values = &record.state.fields;
            let set = entry.fields.iter().filter_map(|field| Some((field.as_str(), values.get(field)?)));
            set.map(|(field, value)| {
                let observed_at = entry.observed_at.to_string();
                (field, FieldWhy { value, seq: entry.seq, observed_at, by: By::from(&entry.origin) })
            })
        };
        Self { fields: record.provenance.iter().flat_map(of_entry).collect() }
    }
}

/// Where one value came from.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldWhy<'a> {
    /// The value.
    pub value: &'a Value,
    /// The change that set it.
    pub seq: u64,
    /// When its source saw it, RFC 3339.
    pub observed_at: String,
    /// Who brought it.
    #[serde(flatten)]
    pub by: By<'a>,
}

/// Records that look like one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SimilarView {
    /// Which, with what they share.
    pub similar: Vec<Similar>,
}

/// One that does.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Similar {
    /// The record.
    pub record_id: RecordId,
    /// The match groups in which both agree, as `?match=` takes them.
    pub agrees_in: Vec<String>,
}
