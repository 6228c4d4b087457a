//! Scans: stored walks over many records or changes, for one subscription, at its own pace.
//!
//! A sync of all records and a replay of many changes are the same thing: a key that moves forward, and what stands
//! at each key sent through the subscription's lane beside its live deliveries. The key below which all is settled is
//! the scan's checkpoint, so a kill costs at most what was under way.

use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::ids::{BusinessId, RecordId, SubscriptionId, TypeId};
use crate::operation::OperationId;
use crate::record::Record;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;

/// A place in a scan: a record's id, or a seq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScanKey(pub u128);

impl ScanKey {
    /// The place of a record.
    #[must_use]
    pub const fn of_record(id: RecordId) -> Self {
        Self(id.0)
    }

    /// The place of a change.
    #[must_use]
    pub fn of_seq(seq: u64) -> Self {
        Self(u128::from(seq))
    }

    /// The seq, where it is one.
    #[must_use]
    pub fn seq(self) -> u64 {
        u64::try_from(self.0).unwrap_or(u64::MAX)
    }
}

// As text: JSON readers other than ours lose the digits of a number this long.
impl Serialize for ScanKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:x}", self.0))
    }
}

impl<'de> Deserialize<'de> for ScanKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(de::Error::custom)
    }
}

/// A walk for one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The operation that asked for it.
    pub operation: OperationId,
    /// The business.
    pub business: BusinessId,
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// What it walks over.
    pub over: Over,
    /// Up to and with which key all is settled.
    pub done: ScanKey,
}

/// What a scan walks over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Living records, each told as it is when it is sent.
    Records {
        /// Of this type.
        ty: TypeId,
        /// Those made or changed since.
        since: Option<Since>,
    },
    /// Changes of the past, each sent once more.
    Changes {
        /// Up to and with this seq.
        until: u64,
        /// Which of them.
        only: Picked,
    },
    /// Changes that were given up.
    Dead {
        /// Up to and with this seq.
        until: u64,
        /// Which of them.
        only: Picked,
    },
}

/// Records made or changed at or after an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The instant.
    pub at: Timestamp,
    /// Which of a record's times is asked.
    pub field: SinceField,
}

/// Which of a record's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinceField {
    /// When it was made.
    Created,
    /// When it last changed.
    #[default]
    Changed,
}

impl Since {
    /// Whether a record is asked for.
    #[must_use]
    pub fn takes(&self, record: &Record) -> bool {
        let at = match self.field {
            SinceField::Created => record.created_at,
            SinceField::Changed => record.updated_at,
        };
        at >= self.at
    }
}

/// Which changes are picked; all where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picked {
    /// Of these types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeSet<TypeId>>,
    /// Of these kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<ChangeKind>>,
    /// Of these records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<BTreeSet<RecordId>>,
}

impl Picked {
    /// Whether a change is among them.
    #[must_use]
    pub fn takes(&self, change: &Change) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&change.ty))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&change.kind))
            && self.records.as_ref().is_none_or(|records| records.contains(&change.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scans_place_reads_back_whole() {
        let key = ScanKey(u128::MAX - 7);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<ScanKey>(&text).unwrap(), key);
        assert_eq!(ScanKey::of_seq(77).seq(), 77);
    }
}
