//! Businesses and the applications that call for them.

use crate::clock::Timestamp;
use crate::grant::{Grant, Narrowing};
use crate::ids::{ApplicationId, BusinessId, OrganisationName, Provider, TokenId};
use crate::rate::RateLimit;
use serde::{Deserialize, Serialize};

/// One unit of an organisation; the unit of tenancy, owner of one change log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Business {
    /// Its id.
    pub id: BusinessId,
    /// The organisation it belongs to.
    pub organisation: OrganisationName,
    /// A name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it has been deleted: nobody reaches it, its data stays.
    pub is_closed: bool,
}

/// A party that calls Lockstep with credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// A name for people.
    pub label: String,
    /// Its slug, fixed, unique in its organisation.
    pub provider: Provider,
    /// The organisation it belongs to.
    pub organisation: OrganisationName,
    /// The user name of HTTP Basic.
    pub client_id: String,
    /// SHA-256 of the client secret.
    pub secret_digest: [u8; 32],
    /// SHA-256 of the API key.
    pub key_digest: [u8; 32],
    /// What it may do.
    pub grant: Grant,
    /// How often it may call; as the server says where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its credentials have been revoked.
    pub is_revoked: bool,
}

/// A credential narrowed from an application's. What it may do is asked at each use: the application's grant as it is
/// then, less what the token leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The application it calls for.
    pub application: ApplicationId,
    /// The tokens it was made from, the first first; with the end of any of them it ends too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<TokenId>,
    /// A name for people.
    pub label: String,
    /// SHA-256 of its key.
    pub key_digest: [u8; 32],
    /// What is left of the application's grant, with all that its parents leave out.
    pub narrowing: Narrowing,
    /// How often it may call; as the server says where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it has been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Who made it, as the audit log names them.
    pub made_by: String,
}

impl Token {
    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let expired = self.expires_at.filter(|at| *at <= now);
        self.revoked_at.into_iter().chain(expired).min()
    }
}
