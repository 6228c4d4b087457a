//! Connections: one authorised account on one platform, used by however many shares.
//!
//! Its credentials are sealed as one text; what is shown of them is kept beside, without secrets. External ids of the
//! account's objects stand under `(provider, realm)`: the connector's slug, and the account as the platform names it.

use crate::clock::Timestamp;
use crate::ids::{BusinessId, ConnectionId, Provider};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One account on one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The business that it belongs to.
    pub business: BusinessId,
    /// What people call it.
    pub label: String,
    /// The connector's name.
    pub connector: String,
    /// The connector's version that it stays with.
    pub version: String,
    /// Under which slug the ids of its objects stand.
    pub provider: Provider,
    /// The account there: as the platform names it, else the connection's own id.
    pub realm: String,
    /// What the platform calls the account, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The whole configuration as JSON, sealed.
    pub config: String,
    /// The configuration without its secrets.
    pub shown: Value,
    /// The key that callers of its inbound hooks must know, sealed.
    pub hook_key: String,
    /// What the platform was told of our hooks, by share's slot, as the connector wants it kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, Value>,
    /// Whether it can be used.
    pub state: ConnectionState,
    /// The login that somebody was sent to, where one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorizing: Option<Authorizing>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A login at the platform that is under way. There is one at a time: a new one takes the place of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorizing {
    /// SHA-256 of the state that the platform must bring back.
    pub state_digest: [u8; 32],
    /// The verifier of its code challenge, sealed.
    pub verifier: String,
    /// Where the browser goes afterwards; to a page of our own where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Who sent them: the principal's name in the audit log.
    pub by: String,
    /// Until when it may come back.
    pub expires_at: Timestamp,
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum ConnectionState {
    /// It can.
    Ready,
    /// The platform does not take its credentials, or none were given yet: somebody must log in.
    NeedsLogin {
        /// Since when.
        since: Timestamp,
        /// What the platform said.
        reason: String,
    },
    /// Its owner has ended it. Its credentials are gone.
    Revoked {
        /// Since when.
        since: Timestamp,
    },
}

impl Connection {
    /// Whether calls may be made with it.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, ConnectionState::Ready)
    }
}
