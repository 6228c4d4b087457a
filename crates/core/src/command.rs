//! Commands: everything that comes in, as one kind of value that the rules decide.

use crate::Fields;
use crate::change::{Change, Origin};
use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::external_id::ExternalId;
use crate::ids::{BusinessId, ChangeId, ConnectionId, Provider, RecordId, SubscriptionId, TypeId};
use crate::operation::OperationId;
use crate::rules::scope::Reach;
use crate::scan::Since;
use crate::shadow::{Seen, ShadowKey, ShadowState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing asked of one business.
#[derive(Clone, Debug)]
pub struct Command {
    /// The business.
    pub business: BusinessId,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who asks.
    pub origin: Origin,
    /// What the caller may see of the type.
    pub reach: Arc<Reach>,
    /// The type it is about.
    pub ty: TypeId,
    /// What is asked.
    pub action: Action,
    /// The version that the record must have.
    pub if_match: Option<u64>,
    /// The caller's key for having effect once.
    pub idempotency: Option<Idempotency>,
    /// Ids drawn for it beforehand, since rules draw none.
    pub fresh: FreshIds,
    /// Subscriptions to tell of its end.
    pub tell: Arc<Tell>,
    /// The upload that it is a line of. A line has no row and tells nobody: its upload does.
    pub upload: Option<OperationId>,
    /// About how many bytes it holds, for limits.
    pub bytes: usize,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A new record, or the one that holds the external id.
    Create {
        /// Its values, checked.
        fields: Fields,
        /// What it is called elsewhere.
        external_id: Option<ExternalId>,
        /// Groups of fields, of one of which all must be equal for a standing record to be updated instead.
        matching: Vec<MatchGroup>,
    },
    /// New values for some fields; null clears.
    Update {
        /// Which record.
        target: Target,
        /// JSON merge patch, checked.
        patch: Fields,
    },
    /// These values and no others, among those that the caller may see and write.
    Replace {
        /// Which record; one is made where no record has the external id.
        target: Target,
        /// Its values, checked.
        fields: Fields,
    },
    /// What one change did, undone where it still stands.
    Rollback {
        /// The change.
        of: Arc<Change>,
    },
    /// A tombstone.
    Delete {
        /// Which record.
        target: Target,
    },
    /// A tombstone without values, and none left in the record's past.
    Erase {
        /// Which record.
        target: Target,
        /// The accounts whose shadows of it go too.
        accounts: Vec<ShadowedAccount>,
    },
    /// Attach an external id.
    Correlate {
        /// Which record.
        target: Target,
        /// What it is called elsewhere.
        external_id: ExternalId,
        /// Whether to take it from another record that has it.
        force: bool,
    },
    /// Detach an external id.
    Uncorrelate {
        /// Which record.
        target: Target,
        /// What it is no longer called.
        external_id: ExternalId,
    },
    /// A tombstone that points to the record which takes its place, its blanks filled and its ids its own.
    Merge {
        /// Which record goes.
        target: Target,
        /// Which record stays.
        into: Target,
    },
    /// The end of a merge: the record lives again as it was, with its ids.
    Unmerge {
        /// Which record.
        target: Target,
    },
    /// Send a record as it is.
    SyncById {
        /// Which record.
        target: Target,
        /// To whom.
        subscriptions: Vec<SubscriptionId>,
    },
    /// Send every record of the type as it is.
    SyncAll {
        /// Those made or changed since, where that is asked.
        since: Option<Since>,
        /// To whom.
        subscriptions: Vec<SubscriptionId>,
    },
    /// Begin an upload of many; its lines are commands of their own.
    CreateMany,
    /// Take in a remote object as a platform showed it.
    Take(Box<Take>),
    /// Keep what a write to a platform came to.
    Pushed(Box<Pushed>),
}

/// An account whose objects have shadows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowedAccount {
    /// The slug under which its ids stand.
    pub provider: Provider,
    /// The account.
    pub realm: String,
    /// The connection that the shadows are of.
    pub connection: ConnectionId,
}

/// A remote object, as a platform showed it to a share.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// The object.
    pub object: ShadowKey,
    /// What its record is called by it.
    pub external_id: ExternalId,
    /// What it holds, checked.
    pub seen: Seen,
    /// Groups by which its record is recognised, where none is known.
    pub matching: Vec<MatchGroup>,
    /// How far it is taken in.
    pub intake: Intake,
}

/// How far an object is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Not at all: what is known of it stays as it is, so that its edits count when it is wanted again.
    Nothing,
    /// Its record is recognised.
    Link,
    /// Its edits are taken into a record that is recognised; none is made.
    Known,
    /// The same, and a record is made of one that is new, or has changed since it was left out.
    Changed,
    /// The same of one that was left out before, too.
    All,
}

/// What a write to a platform came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// The record that was written.
    pub record: RecordId,
    /// The object.
    pub object: ShadowKey,
    /// What the record is called by it; none where the record is no longer to be called so.
    pub external_id: ExternalId,
    /// What the object is known to hold from now on; no values where nothing new is known of them.
    pub values: Option<Fields>,
    /// How sure that is.
    pub state: ShadowState,
}

/// What became of an object that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Taken {
    /// A record was made of it.
    Created,
    /// Its record changed.
    Updated,
    /// Its record was recognised, and linked without a change.
    Matched,
    /// All it says stood already.
    Unchanged,
    /// It is nobody's yet, and was not to be made one.
    Skipped,
    /// More is known of it than this: it has to be read again.
    Stale,
}

/// Fields by which a record is recognised, all of them together.
pub type MatchGroup = Vec<String>;

impl Action {
    /// The values that it would write, as the caller gave them.
    #[must_use]
    pub const fn fields(&self) -> Option<&Fields> {
        match self {
            Self::Create { fields, .. } | Self::Update { patch: fields, .. } | Self::Replace { fields, .. } => {
                Some(fields)
            }
            _ => None,
        }
    }

    /// The call's last word on the RPC face.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Replace { .. } => "replace",
            Self::Rollback { .. } => "rollback",
            Self::Delete { .. } => "delete",
            Self::Erase { .. } => "erase",
            Self::Correlate { .. } => "correlate",
            Self::Uncorrelate { .. } => "uncorrelate",
            Self::Merge { .. } => "merge",
            Self::Unmerge { .. } => "unmerge",
            Self::SyncById { .. } => "sync-by-id",
            Self::SyncAll { .. } => "sync-all",
            Self::CreateMany => "create-many",
            Self::Take(_) => "take",
            Self::Pushed(_) => "pushed",
        }
    }
}

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its own id.
    Id(RecordId),
    /// By what it is called elsewhere.
    External(ExternalId),
}

/// A caller's key, scoped and digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Digest of principal, business, path and key.
    pub key: [u8; 16],
    /// Digest of the request.
    pub request: [u8; 16],
}

/// Ids drawn before the rules run.
#[derive(Clone, Copy, Debug)]
pub struct FreshIds {
    /// For a record, should one be made.
    pub record: RecordId,
    /// For the change, should there be one.
    pub change: ChangeId,
    /// For the change of another record, should the command touch two.
    pub second_change: ChangeId,
    /// For the operation, should it need a row.
    pub operation: OperationId,
}

/// Subscriptions to tell of an operation's end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tell {
    /// Of a failure.
    pub failed: Vec<SubscriptionId>,
    /// Of any other end.
    pub completed: Vec<SubscriptionId>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its operation.
    pub operation: OperationId,
    /// The record it was about, where one is known.
    pub record: Option<RecordId>,
    /// How it ended.
    pub ending: Ending,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It changed a record.
    Changed {
        /// The seq of the change.
        seq: u64,
        /// The record's version after it.
        version: u64,
    },
    /// It asked for what already stood.
    Unchanged,
    /// An object was taken in, or a write to one was kept.
    Taken {
        /// What became of it.
        what: Taken,
        /// The seq of the change that it made, where it made one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// It could not be carried out as things stood; the operation says why.
    Failed(Rejection),
    /// A sync began.
    Syncing {
        /// Notifications found to be due; none are known of yet where all records are asked for.
        matched: u64,
    },
    /// An upload began, or goes on.
    Uploading,
    /// It was not taken at all, and left nothing behind.
    Refused(Rejection),
}
