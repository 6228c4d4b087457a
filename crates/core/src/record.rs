//! The canonical copy of a record: what it holds, and where each of its values came from.

use crate::Fields;
use crate::clock::Timestamp;
use crate::external_id::ExternalId;
use crate::ids::{RecordId, TypeId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a record holds at one moment. Shared between the record and the change that brought it there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Values by field id; no nulls.
    #[serde(rename = "f")]
    pub fields: Fields,
    /// What the record is called elsewhere.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// External ids that came by a merge where the record had one of the same slot: they lead here, and are never
    /// written to.
    #[serde(rename = "xa", default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<ExternalId>,
    /// Whether the record is a tombstone. It keeps its last values and its external ids.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_deleted: bool,
    /// The record that took its place, where it was merged. The ids it keeps are those it had before.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// Whether its values were erased: nothing is left of them, here or in the record's past.
    #[serde(rename = "e", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
}

impl State {
    /// A tombstone of which nothing is left.
    #[must_use]
    pub fn erased() -> Self {
        Self { is_deleted: true, is_erased: true, ..Self::default() }
    }

    /// The same less every value and external id.
    #[must_use]
    pub fn blanked(&self) -> Self {
        Self { is_deleted: self.is_deleted, merged_into: self.merged_into, is_erased: true, ..Self::default() }
    }

    /// Whether the record is called so, as its own id or by an alias.
    #[must_use]
    pub fn is_called(&self, external: &ExternalId) -> bool {
        self.external_ids.contains(external) || self.aliases.contains(external)
    }

    /// The same less one external id.
    #[must_use]
    pub fn without(&self, external: &ExternalId) -> Self {
        let less = |ids: &[ExternalId]| ids.iter().filter(|held| *held != external).cloned().collect();
        Self { external_ids: less(&self.external_ids), aliases: less(&self.aliases), ..self.clone() }
    }
}

/// Which change, from whom, set some of a record's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The change.
    #[serde(rename = "s")]
    pub seq: u64,
    /// When its source saw the values.
    #[serde(rename = "t")]
    pub observed_at: Timestamp,
    /// Who brought it.
    #[serde(rename = "o")]
    pub origin: crate::change::Origin,
    /// The fields whose present value it set.
    #[serde(rename = "f")]
    pub fields: Vec<String>,
}

/// A record: its present state and its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its type.
    pub ty: TypeId,
    /// 1 at its making, one more with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its newest change.
    pub last_seq: u64,
    /// What it holds.
    pub state: Arc<State>,
    /// Where each value came from; each field stands in at most one entry.
    pub provenance: Vec<Provenance>,
}

impl Record {
    /// Notes that `fields` were set by one change, and forgets what set them before.
    pub fn note_provenance(&mut self, entry: Provenance) {
        for earlier in &mut self.provenance {
            earlier.fields.retain(|field| !entry.fields.contains(field));
        }
        self.provenance.push(entry);
        self.provenance.retain(|entry| !entry.fields.is_empty());
    }
}

/// A record's address within its business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Its type.
    pub ty: TypeId,
    /// Its id.
    pub id: RecordId,
}
