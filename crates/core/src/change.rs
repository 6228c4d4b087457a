//! A change: one entry of a business's log.
//!
//! It holds the full state after it and the old values of what it changed, so the state before follows from the
//! change alone; `prev_seq` links it to the record's previous change, so a record's history is a walk along the
//! chain and needs no index.

use crate::Fields;
use crate::clock::Timestamp;
use crate::external_id::ExternalId;
use crate::ids::{ApplicationId, ChangeId, ConnectionId, Provider, RecordId, ShareId, TokenId, TypeId};
use crate::operation::OperationId;
use crate::position::Position;
use crate::record::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What happened to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It came into being, or back.
    Created,
    /// Fields changed.
    Updated,
    /// It became a tombstone.
    Deleted,
    /// It became a tombstone in favour of another record.
    Merged,
    /// Its external ids changed.
    Correlated,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Created, Self::Updated, Self::Deleted, Self::Merged, Self::Correlated];

    /// The kind as written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Merged => "merged",
            Self::Correlated => "correlated",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The administrator's key.
    #[serde(rename = "adm")]
    Admin,
    /// An application, by its credentials.
    #[serde(rename = "app")]
    Application {
        /// Which.
        #[serde(rename = "i")]
        id: ApplicationId,
        /// Its slug.
        #[serde(rename = "p")]
        provider: Provider,
        /// The token it called with, where that was not its own credential.
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenId>,
    },
    /// A share, which brought what a platform shows.
    #[serde(rename = "shr")]
    Share {
        /// Which.
        #[serde(rename = "i")]
        id: ShareId,
        /// The connection that it is of.
        #[serde(rename = "c")]
        connection: ConnectionId,
        /// The slug under which that platform's ids stand.
        #[serde(rename = "p")]
        provider: Provider,
        /// Whether its baseline brought it: what was there before, and no news.
        #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
        is_history: bool,
    },
}

impl Origin {
    /// The application behind it, if one is.
    #[must_use]
    pub const fn application(&self) -> Option<ApplicationId> {
        match self {
            Self::Admin | Self::Share { .. } => None,
            Self::Application { id, .. } => Some(*id),
        }
    }

    /// The word for its kind, as notifications say it.
    #[must_use]
    pub const fn by(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Application { .. } => "application",
            Self::Share { .. } => "share",
        }
    }

    /// The share behind it, if one is.
    #[must_use]
    pub const fn share(&self) -> Option<ShareId> {
        match self {
            Self::Share { id, .. } => Some(*id),
            Self::Admin | Self::Application { .. } => None,
        }
    }

    /// The token behind it, if one is.
    #[must_use]
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Admin | Self::Share { .. } => None,
            Self::Application { token, .. } => *token,
        }
    }

    /// The slug under which the caller's own external ids stand.
    #[must_use]
    pub const fn provider(&self) -> Option<&Provider> {
        match self {
            Self::Admin => None,
            Self::Application { provider, .. } | Self::Share { provider, .. } => Some(provider),
        }
    }
}

/// One entry of a business's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its position: 1, 2, 3 … without holes.
    pub seq: u64,
    /// Its own id, from which the ids of its deliveries derive.
    pub id: ChangeId,
    /// When it was committed; never before its predecessor in the business.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// The record's type.
    pub ty: TypeId,
    /// The record.
    pub record: RecordId,
    /// The record's version after it.
    pub version: u64,
    /// The record's previous change; 0 where this is its first.
    pub prev_seq: u64,
    /// When the record was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub origin: Origin,
    /// The operation it belongs to, where that is not simply this change in the log's first epoch.
    pub operation: Option<OperationId>,
    /// What the record holds after it.
    pub state: Arc<State>,
    /// The values before it of each field it changed; null where there was none.
    pub old: Fields,
    /// The external ids before it, where it changed them.
    pub old_external_ids: Option<Vec<ExternalId>>,
    /// Whether the record was a tombstone before it.
    pub was_deleted: bool,
}

impl Change {
    /// Whether a living record stood there before this change.
    #[must_use]
    pub const fn existed_before(&self) -> bool {
        self.prev_seq != 0 && !self.was_deleted
    }

    /// The fields before this change.
    #[must_use]
    pub fn fields_before(&self) -> Fields {
        let mut fields = self.state.fields.clone();
        for (field, value) in &self.old {
            if value.is_null() {
                fields.remove(field);
            } else {
                fields.insert(field.clone(), value.clone());
            }
        }
        fields
    }

    /// The same less every value and external id: what happened when is still told, and no longer what it was.
    #[must_use]
    pub fn blanked(&self) -> Self {
        Self {
            state: Arc::new(self.state.blanked()),
            old: Fields::new(),
            old_external_ids: self.old_external_ids.as_ref().map(|_| Vec::new()),
            ..self.clone()
        }
    }

    /// The operation that made this change.
    #[must_use]
    pub fn operation(&self, business: &crate::ids::BusinessId) -> OperationId {
        self.operation.unwrap_or_else(|| OperationId::of_change(business, Position::first(self.seq)))
    }
}
