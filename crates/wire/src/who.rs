//! Who the caller is, and where it may go.

use lockstep_core::grant::{Ability, BusinessAccessRule, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, OrganisationName, Provider, TokenId, TypeId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The caller.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// `admin`, `application` or `token`.
    pub kind: &'static str,
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// The API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// When the token ends by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its slug, the source of the external ids it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Its organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation_name: Option<OrganisationName>,
    /// What it may do.
    pub abilities: BTreeSet<Ability>,
    /// Where; everywhere in its organisation where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_access_rule: Option<BusinessAccessRule>,
    /// With which types; all where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Which records of a type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<TypeId, String>,
}

/// A business that the caller may enter.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BusinessEntry {
    /// Its id.
    pub id: BusinessId,
    /// Its name.
    pub name: String,
    /// The organisation it belongs to.
    pub organisation_name: OrganisationName,
    /// When it was made, RFC 3339.
    pub created_at: String,
}
