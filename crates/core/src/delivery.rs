//! Deliveries and notices: what is on its way to one subscription.

use crate::clock::Timestamp;
use crate::ids::{BusinessId, ChangeId, ConnectionId, DeliveryId, RecordId, ShareId, SubscriptionId, TypeId};
use crate::operation::{Operation, OperationId};
use crate::record::RecordKey;
use crate::subscription::Subscription;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fmt;

impl DeliveryId {
    /// The id under which one change goes to one subscription, on every attempt and after every restart.
    #[must_use]
    pub fn of_change(change: ChangeId, subscription: SubscriptionId) -> Self {
        derived(&[&change.0.to_be_bytes(), &subscription.0.to_be_bytes()])
    }

    /// The id of a batch of changes, the same for the same members.
    #[must_use]
    pub fn of_batch(changes: impl IntoIterator<Item = ChangeId>, subscription: SubscriptionId) -> Self {
        let members: Vec<u8> = changes.into_iter().flat_map(|change| change.0.to_be_bytes()).collect();
        derived(&[b"batch", &subscription.0.to_be_bytes(), &members])
    }

    /// The id of a notice about an operation.
    #[must_use]
    pub fn of_operation(operation: OperationId, about: &str, subscription: SubscriptionId) -> Self {
        derived(&[&operation.number().to_be_bytes(), about.as_bytes(), &subscription.0.to_be_bytes()])
    }

    /// The id of a sync's notification of one record.
    #[must_use]
    pub fn of_sync(operation: OperationId, record: RecordId, subscription: SubscriptionId) -> Self {
        derived(&[&operation.number().to_be_bytes(), &record.0.to_be_bytes(), &subscription.0.to_be_bytes()])
    }
}

fn derived(parts: &[&[u8]]) -> DeliveryId {
    let hash = digest(&SHA256, &parts.concat());
    DeliveryId(hash.as_ref().iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte)))
}

/// Something addressed to one subscription that is no change: a row that waits until it is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, the same on every attempt.
    pub id: DeliveryId,
    /// The business it belongs to.
    pub business: BusinessId,
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// The head of the log when it was made.
    pub after_seq: u64,
    /// When it was made.
    pub at: Timestamp,
    /// What it says.
    pub body: NoticeBody,
    /// Attempts so far.
    pub attempt: u32,
    /// When it may next be tried.
    pub next_at: Timestamp,
}

impl Notice {
    /// Word to a subscription that waits for no change of the log.
    #[must_use]
    pub fn of(id: DeliveryId, to: &Subscription, body: NoticeBody, at: Timestamp) -> Self {
        let business = to.business.clone();
        Self { id, business, subscription: to.id, after_seq: 0, at, body, attempt: 0, next_at: at }
    }
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeBody {
    /// An operation has ended.
    Operation(Operation),
    /// A record as it is when this is sent, asked for by a sync.
    Current {
        /// The sync.
        operation: OperationId,
        /// The record's type.
        ty: TypeId,
        /// The record.
        record: RecordId,
    },
    /// A change of the past, once more.
    Replay {
        /// Which.
        seq: u64,
        /// Its record's type.
        ty: TypeId,
        /// Its record.
        record: RecordId,
        /// The replay of many that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<OperationId>,
    },
    /// Word of the owner's other subscription, or of a connection or share that one looks after.
    Warning {
        /// Such as `subscription.paused` or `share.failing`.
        event: String,
        /// Of what.
        about: About,
        /// What happened and what to do.
        message: String,
    },
}

/// What word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum About {
    /// A subscription.
    Subscription(SubscriptionId),
    /// A connection.
    Connection(ConnectionId),
    /// A share.
    Share(ShareId),
}

impl About {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Subscription(_) => "subscription",
            Self::Connection(_) => "connection",
            Self::Share(_) => "share",
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscription(id) => id.fmt(f),
            Self::Connection(id) => id.fmt(f),
            Self::Share(id) => id.fmt(f),
        }
    }
}

impl NoticeBody {
    /// The record whose order this keeps, if it is about one.
    #[must_use]
    pub fn record(&self) -> Option<RecordKey> {
        match self {
            Self::Current { ty, record, .. } | Self::Replay { ty, record, .. } => {
                Some(RecordKey { ty: ty.clone(), id: *record })
            }
            Self::Operation(_) | Self::Warning { .. } => None,
        }
    }

    /// The sync or replay of many that waits for it.
    #[must_use]
    pub const fn sync(&self) -> Option<OperationId> {
        match self {
            Self::Current { operation, .. } => Some(*operation),
            Self::Replay { operation, .. } => *operation,
            Self::Operation(_) | Self::Warning { .. } => None,
        }
    }
}

/// A record that one endpoint refused while others passed: its later changes wait behind this row. Where a
/// subscription wants no order, a single change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The record's type.
    pub ty: TypeId,
    /// The record.
    pub record: RecordId,
    /// The first change not delivered.
    pub first_seq: u64,
    /// Attempts of it so far.
    pub attempt: u32,
    /// When it may next be tried.
    pub next_at: Timestamp,
    /// Why the last attempt failed.
    pub reason: String,
    /// Whether it stands for this change alone and holds back no other of its record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alone: bool,
}

impl Parked {
    /// Under what the row is kept: its record, or, for a change that is parked alone, a place of the change's own.
    #[must_use]
    pub fn place(&self) -> RecordId {
        if self.is_alone { Self::place_alone(self.record, self.first_seq) } else { self.record }
    }

    /// The place of a change that is parked alone.
    #[must_use]
    pub fn place_alone(record: RecordId, seq: u64) -> RecordId {
        RecordId(derived(&[b"alone", &record.0.to_be_bytes(), &seq.to_be_bytes()]).0)
    }
}

/// An endpoint that is down, so that its warning and its pause count from the true beginning after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Since when.
    pub since: Timestamp,
    /// Whether its owner has been warned.
    pub is_warned: bool,
}

/// A change given up for one subscription, kept for replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The change.
    pub seq: u64,
    /// The record's type.
    pub ty: TypeId,
    /// The record.
    pub record: RecordId,
    /// When it was given up.
    pub at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

/// One HTTP try of one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The business.
    pub business: BusinessId,
    /// Whom it was for.
    pub subscription: SubscriptionId,
    /// The change, 0 for a notice.
    pub seq: u64,
    /// Which try of this delivery, from 1.
    pub number: u32,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// Why it failed, where it did: the reason and the head of the answer.
    pub failure: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_id_is_stable_and_its_own() {
        let id = DeliveryId::of_change(ChangeId(1), SubscriptionId(2));
        assert_eq!(id, DeliveryId::of_change(ChangeId(1), SubscriptionId(2)));
        assert_ne!(id, DeliveryId::of_change(ChangeId(2), SubscriptionId(1)));
        let operation = OperationId::fresh(1);
        assert_ne!(
            DeliveryId::of_sync(operation, RecordId(5), SubscriptionId(2)),
            DeliveryId::of_sync(operation, RecordId(6), SubscriptionId(2))
        );
    }
}
