//! Businesses and the applications that call for them.

use crate::clock::Timestamp;
use crate::grant::Grant;
use crate::ids::{ApplicationId, BusinessId, OrganisationName, Provider};
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
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its credentials have been revoked.
    pub is_revoked: bool,
}
