//! The working set of one commit in one business: what was loaded, and what the commands decided so far made of it.
//!
//! A later command of the batch sees an earlier one's effect because both decide over the same set. The store
//! fills it, the rules alter it, the store writes what it says under `written`.

use crate::change::Change;
use crate::clock::Timestamp;
use crate::command::Outcome;
use crate::delivery::Notice;
use crate::external_id::ExternalKey;
use crate::ids::{BusinessId, RecordId, TypeId};
use crate::operation::{Operation, OperationId};
use crate::position::Position;
use crate::record::{Record, RecordKey};
use crate::rules::matching::LookupKey;
use crate::scan::Scan;
use crate::shadow::{Shadow, ShadowKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a command needs loaded before it can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Records.
    pub records: Vec<RecordKey>,
    /// External ids.
    pub externals: Vec<ExternalKey>,
    /// Idempotency keys.
    pub idempotency: Vec<[u8; 16]>,
    /// Values to find records by.
    pub lookups: Vec<LookupKey>,
    /// Shadows.
    pub shadows: Vec<ShadowKey>,
}

/// What is remembered under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Digest of the request that first used the key.
    pub request: [u8; 16],
    /// What it was answered.
    pub outcome: Outcome,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
}

/// What was loaded and what has been decided.
#[derive(Debug)]
pub struct WorkingSet {
    /// The business.
    pub business: BusinessId,
    /// The newest seq.
    pub head: u64,
    /// The log's epoch.
    pub epoch: u32,
    /// When the newest change was made.
    pub last_at: Timestamp,
    /// Records by address; none where there is no such record.
    pub records: BTreeMap<RecordKey, Option<Record>>,
    /// External ids; none where no record holds it.
    pub externals: BTreeMap<ExternalKey, Option<RecordKey>>,
    /// Idempotency keys; none where one is unknown or expired.
    pub idempotency: BTreeMap<[u8; 16], Option<Remembered>>,
    /// Records by a value of theirs, as they stood before this commit; at most [`crate::limits::MATCHES_MAX`] of each.
    pub lookups: BTreeMap<LookupKey, Vec<RecordId>>,
    /// Shadows of remote objects; none where nothing is known of one.
    pub shadows: BTreeMap<ShadowKey, Option<Shadow>>,
    /// What is to be written.
    pub written: Written,
}

/// What a store writes of a working set.
#[derive(Debug, Default)]
pub struct Written {
    /// New entries of the log, in order.
    pub changes: Vec<Arc<Change>>,
    /// Records that changed.
    pub records: BTreeSet<RecordKey>,
    /// External ids that were given, taken or moved.
    pub externals: BTreeSet<ExternalKey>,
    /// New idempotency keys.
    pub idempotency: BTreeSet<[u8; 16]>,
    /// Values by which a record is found from now on, or no longer.
    pub lookups: BTreeMap<(LookupKey, RecordId), bool>,
    /// Operations that need a row.
    pub operations: Vec<Operation>,
    /// Notices to subscriptions.
    pub notices: Vec<Notice>,
    /// Scans that begin.
    pub scans: Vec<Scan>,
    /// Shadows that changed.
    pub shadows: BTreeSet<ShadowKey>,
    /// Records whose past is to be blanked, from this change back along the chain.
    pub erasures: Vec<(RecordKey, u64)>,
}

impl WorkingSet {
    /// An empty set over a business whose log, in its first epoch, stands at `head`.
    #[must_use]
    pub fn new(business: BusinessId, head: u64, last_at: Timestamp) -> Self {
        Self {
            business,
            head,
            epoch: Position::FIRST_EPOCH,
            last_at,
            records: BTreeMap::new(),
            externals: BTreeMap::new(),
            idempotency: BTreeMap::new(),
            lookups: BTreeMap::new(),
            shadows: BTreeMap::new(),
            written: Written::default(),
        }
    }

    /// The same in another epoch.
    #[must_use]
    pub fn in_epoch(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// The operation that one change of this set is.
    pub(super) fn operation_of(&self, seq: u64) -> OperationId {
        OperationId::of_change(&self.business, Position { epoch: self.epoch, seq })
    }

    /// A record, if it is loaded.
    pub(super) fn record(&self, key: &RecordKey) -> Result<Option<&Record>, Keys> {
        match self.records.get(key) {
            Some(slot) => Ok(slot.as_ref()),
            None => Err(Keys { records: vec![key.clone()], ..Keys::default() }),
        }
    }

    /// Some records of a type, if they are loaded; all that are not are asked for together.
    pub(super) fn records(&self, ty: &TypeId, ids: impl IntoIterator<Item = RecordId>) -> Result<Vec<&Record>, Keys> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            let key = RecordKey { ty: ty.clone(), id };
            match self.records.get(&key) {
                Some(slot) => found.extend(slot.as_ref()),
                None => missing.push(key),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(Keys { records: missing, ..Keys::default() }) }
    }

    /// The holder of an external id, if that is loaded.
    pub(super) fn holder(&self, key: &ExternalKey) -> Result<Option<&RecordKey>, Keys> {
        match self.externals.get(key) {
            Some(slot) => Ok(slot.as_ref()),
            None => Err(Keys { externals: vec![key.clone()], ..Keys::default() }),
        }
    }

    /// What an idempotency key remembers, if that is loaded.
    pub(super) fn remembered(&self, key: [u8; 16]) -> Result<Option<&Remembered>, Keys> {
        match self.idempotency.get(&key) {
            Some(slot) => Ok(slot.as_ref()),
            None => Err(Keys { idempotency: vec![key], ..Keys::default() }),
        }
    }

    /// Records with a value, if that is loaded: as they stood, with what this commit has made of it.
    pub(super) fn matches(&self, key: &LookupKey) -> Result<BTreeSet<RecordId>, Keys> {
        let Some(stood) = self.lookups.get(key) else {
            return Err(Keys { lookups: vec![key.clone()], ..Keys::default() });
        };
        let mut ids: BTreeSet<RecordId> = stood.iter().copied().collect();
        let first = (key.clone(), RecordId(0));
        let written = self.written.lookups.range(first..).take_while(|((other, _), _)| other == key);
        for ((_, id), is_so) in written {
            if *is_so {
                ids.insert(*id)
            } else {
                ids.remove(id)
            };
        }
        Ok(ids)
    }

    /// What a remote object is known to hold, if that is loaded.
    pub(super) fn shadow(&self, key: &ShadowKey) -> Result<Option<&Shadow>, Keys> {
        match self.shadows.get(key) {
            Some(slot) => Ok(slot.as_ref()),
            None => Err(Keys { shadows: vec![key.clone()], ..Keys::default() }),
        }
    }

    /// Keeps what a remote object holds, or that nothing is known of it any more.
    pub(super) fn set_shadow(&mut self, key: ShadowKey, shadow: Option<Shadow>) {
        self.shadows.insert(key.clone(), shadow);
        self.written.shadows.insert(key);
    }

    /// Gives an external id to a record, or to none.
    pub(super) fn set_holder(&mut self, key: ExternalKey, holder: Option<RecordKey>) {
        self.externals.insert(key.clone(), holder);
        self.written.externals.insert(key);
    }

    /// Enters a change and the record as it is after it.
    pub(super) fn enter(&mut self, record: Record, change: Change) {
        let key = RecordKey { ty: record.ty.clone(), id: record.id };
        self.head = change.seq;
        self.last_at = change.at;
        self.records.insert(key.clone(), Some(record));
        self.written.records.insert(key);
        self.written.changes.push(Arc::new(change));
    }
}
