//! A subscription: an application's wish to be told, with its scope, and the endpoint it names.

use crate::clock::Timestamp;
use crate::ids::{ApplicationId, BusinessId, RecordId, SubscriptionId, TypeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a notification is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Standard Webhooks.
    #[default]
    Standard,
    /// The Data API's envelope (S0).
    Envelope,
    /// The bare record (S1, Zapier).
    Fields,
    /// Type, id, business and seq.
    Thin,
}

impl Format {
    /// Every format, in the order of the docs.
    pub const ALL: [(&'static str, Self); 4] =
        [("standard", Self::Standard), ("envelope", Self::Envelope), ("fields", Self::Fields), ("thin", Self::Thin)];
}

/// How notifications are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// `v1`: HMAC-SHA256 with the shared secret.
    #[default]
    Hmac,
    /// `v1a`: Ed25519; the subscriber holds the public key alone.
    Ed25519,
    /// Both.
    Both,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// The owner asked for it.
    Asked,
    /// The endpoint was down for days.
    EndpointDown,
}

/// A secret that signs, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The sealed 32 bytes.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops signing, where it has been replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The business whose changes it wants.
    pub business: BusinessId,
    /// Whose it is; none for the administrator's.
    pub application: Option<ApplicationId>,
    /// A name for people.
    pub label: String,
    /// Where notifications go.
    pub url: String,
    /// Types wanted; all where none are named.
    pub types: Option<BTreeSet<TypeId>>,
    /// Kinds wanted; all where none are named.
    pub kinds: Option<BTreeSet<String>>,
    /// For updates, fields of which one must have changed; any where none are named.
    pub fields: Option<BTreeSet<String>>,
    /// Records wanted; all where none are named.
    pub record_ids: Option<BTreeSet<RecordId>>,
    /// A condition on the record.
    pub condition: Option<String>,
    /// How it is written.
    pub format: Format,
    /// How it is signed.
    pub signing: Signing,
    /// Whether the owner's own changes are left out.
    pub exclude_own: bool,
    /// The secrets, newest first; older ones sign until they expire.
    pub secrets: Vec<SealedSecret>,
    /// Why nothing is sent, if nothing is.
    pub paused: Option<Pause>,
    /// Whether the endpoint said 410: it is not called again.
    pub is_ended: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Subscription {
    /// Whether deliveries go out.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.paused.is_none() && !self.is_ended
    }

    /// Whether a kind is asked for: by name, or because none are named.
    #[must_use]
    pub fn takes_kind(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }

    /// Whether a kind is asked for by name.
    #[must_use]
    pub fn lists_kind(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_some_and(|kinds| kinds.contains(kind))
    }
}

/// Where a new subscription's reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartAt {
    /// At the head of the commit that makes it.
    #[default]
    Now,
    /// With the oldest change there is.
    Beginning,
    /// After this seq.
    After(u64),
}
