//! The change feed: one entry of a business's log, as a reader may see it.

use crate::notification::Changes;
use crate::operation::ExternalIdView;
use crate::record::By;
use lockstep_core::Fields;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::ids::{BusinessId, ChangeId, RecordId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::rules::scope::{Reason, Seen};
use schemars::JsonSchema;
use serde::Serialize;

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeEntry<'a> {
    /// Its place in the business's log; each is higher than the one before.
    pub seq: u64,
    /// Its own id.
    pub id: ChangeId,
    /// When it was committed, RFC 3339.
    pub at: String,
    /// What happened: `created`, `updated`, `deleted`, `merged`, `correlated`.
    pub kind: ChangeKind,
    /// The same more closely: the kind, and for each field that changed `FIELD.updated` and the field's own kind of
    /// update, such as `assigned`.
    pub kinds: Vec<String>,
    /// The record's type.
    #[serde(rename = "type")]
    pub ty: &'a TypeId,
    /// The record.
    pub record_id: RecordId,
    /// The record's version after it.
    pub version: u64,
    /// Old and new values of what it changed; of a new record, all of it, where `fields` do not stand beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes<'a>>,
    /// What the record is called elsewhere after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ids: Option<Vec<ExternalIdView<'a>>>,
    /// The record's values after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a Fields>,
    /// Why it is told as another kind than it was: `left-scope`, `entered-scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The record that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// Whether the record's values were erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Who made it; not told of a record that left what the reader may see.
    #[serde(flatten)]
    pub by: Option<By<'a>>,
    /// By which operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
}

/// How much of each change is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// What changed, and the record after it.
    #[default]
    Full,
    /// What changed.
    Changes,
    /// That it changed.
    Id,
}

impl<'a> ChangeEntry<'a> {
    /// A change as its reader sees it.
    #[must_use]
    pub fn of(change: &'a Change, seen: &'a Seen<'a>, kinds: Vec<String>, business: &BusinessId, told: Told) -> Self {
        let is_there = !matches!(seen.kind, ChangeKind::Deleted | ChangeKind::Merged);
        let has_left = seen.reason == Some(Reason::LeftScope);
        // A deletion, and what has left the reader's sight, is told by the id alone.
        let has_values = is_there && told != Told::Id;
        let old = (seen.kind != ChangeKind::Created).then_some(&*seen.old);
        Self {
            seq: change.seq,
            id: change.id,
            at: change.at.to_string(),
            kind: seen.kind,
            kinds,
            ty: &change.ty,
            record_id: change.record,
            version: change.version,
            // Of a new record its values say it all.
            changes: (has_values && (old.is_some() || told == Told::Changes))
                .then_some(Changes { old, new: &seen.fields }),
            external_ids: has_values.then(|| seen.external_ids.iter().map(ExternalIdView::from).collect()),
            fields: (has_values && told == Told::Full).then_some(&*seen.fields),
            reason: seen.reason.map(Reason::as_str),
            merged_into: seen.merged_into.filter(|_| seen.kind == ChangeKind::Merged),
            erased: change.state.is_erased,
            by: (!has_left).then(|| By::from(&change.origin)),
            operation_id: (!has_left).then(|| change.operation(business)),
        }
    }
}

/// A page of the feed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FeedPage<'a> {
    /// Changes wanted, oldest first.
    pub changes: Vec<ChangeEntry<'a>>,
    /// The newest change examined, wanted or not: give it as `after` to go on.
    pub after: String,
    /// The same as a bare seq. Unlike `after` it does not tell a log from one restored since.
    pub seq: u64,
    /// The newest seq there is.
    pub head: u64,
}

/// Where a stream has come to: the data of its `heartbeat` events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heartbeat {
    /// The newest change examined.
    pub after: String,
    /// The same as a bare seq.
    pub seq: u64,
}
