//! Management calls: businesses and the credentials of applications.

use crate::rate::{RateLimitBody, given};
use lockstep_core::application::Application;
use lockstep_core::grant::{Ability, BusinessAccessRule, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, OrganisationName, Provider, TypeId};
use lockstep_core::rate::RateLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `POST /management/business/create`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateBusiness {
    /// The organisation it belongs to; it comes into being when first named.
    pub organisation_name: OrganisationName,
    /// A name for people.
    pub name: String,
    /// Its id; drawn where none is given.
    pub id: Option<BusinessId>,
}

/// `POST /management/business/update/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateBusiness {
    /// A new name.
    pub name: String,
}

/// A business, as listed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BusinessView {
    /// Its id.
    pub id: BusinessId,
    /// The organisation it belongs to.
    pub organisation_name: OrganisationName,
    /// Its name.
    pub name: String,
    /// How many living records it has, by type.
    pub records: BTreeMap<TypeId, u64>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// `POST /management/auth/create`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApplication {
    /// A name for people.
    pub label: String,
    /// Its slug; that of the label where none is given.
    pub provider: Option<Provider>,
    /// The organisation it belongs to.
    pub organisation_name: OrganisationName,
    /// How often it may call.
    pub rate_limit: Option<RateLimitBody>,
    /// What it may do.
    #[serde(flatten)]
    pub grant: GrantBody,
}

/// An application to be made in the organisation of a business. What is left out of its grant is as its maker has it,
/// but for administering, and for the business: that is the one in the path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApplicationHere {
    /// A name for people.
    pub label: String,
    /// Its slug; that of the label where none is given.
    pub provider: Option<Provider>,
    /// How often it may call.
    pub rate_limit: Option<RateLimitBody>,
    /// What it may do.
    #[serde(flatten)]
    pub grant: GrantBody,
}

/// A grant, as given. What is left out is allowed, except administering.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantBody {
    /// Where.
    pub business_access_rule: Option<BusinessAccessRule>,
    /// What.
    pub abilities: Option<BTreeSet<Ability>>,
    /// With which types.
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Which records of a type.
    pub conditions: Option<BTreeMap<TypeId, String>>,
    /// Fields that are not there.
    pub hidden_fields: Option<BTreeMap<TypeId, BTreeSet<String>>>,
}

/// `POST /management/auth/update/{id}`. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateApplication {
    /// A new name.
    pub label: Option<String>,
    /// The organisation it belongs to; it cannot be moved, so it must be the same.
    pub organisation_name: Option<OrganisationName>,
    /// How often it may call; null takes the limit away.
    #[serde(default, deserialize_with = "given")]
    pub rate_limit: Option<Option<RateLimitBody>>,
    /// A new grant, member by member.
    #[serde(flatten)]
    pub grant: GrantBody,
}

/// The answer to a creation; the secrets are shown this once.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationCreated {
    /// Its id.
    pub id: ApplicationId,
    /// Its slug.
    pub provider: Provider,
    /// The user name of HTTP Basic.
    pub client_id: String,
    /// The password of HTTP Basic.
    pub client_secret: String,
    /// The API key.
    pub api_key: String,
}

/// An application, as listed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationView {
    /// Its id.
    pub id: ApplicationId,
    /// Its name.
    pub label: String,
    /// Its slug.
    pub provider: Provider,
    /// The organisation it belongs to.
    pub organisation_name: OrganisationName,
    /// The user name of HTTP Basic.
    pub client_id: String,
    /// Where.
    pub business_access_rule: BusinessAccessRule,
    /// What.
    pub abilities: BTreeSet<Ability>,
    /// With which types; all where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Which records of a type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<TypeId, String>,
    /// Fields that are not there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_fields: BTreeMap<TypeId, BTreeSet<String>>,
    /// How often it may call; as the server says where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

impl ApplicationView {
    /// The view of an application.
    #[must_use]
    pub fn of(application: &Application) -> Self {
        let Application { id, label, provider, organisation, client_id, grant, created_at, .. } = application.clone();
        Self {
            id,
            label,
            provider,
            organisation_name: organisation,
            client_id,
            business_access_rule: grant.business_access_rule,
            abilities: grant.abilities,
            types: grant.types,
            conditions: grant.conditions,
            hidden_fields: grant.hidden_fields,
            rate_limit: application.rate_limit,
            created_at: created_at.to_string(),
        }
    }
}

/// A page of a business's applications, oldest first.
#[derive(Debug, Serialize)]
pub struct ApplicationsView {
    /// The applications.
    pub applications: Vec<ApplicationView>,
    /// The id after which there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<ApplicationId>,
}

/// The answer to a creation or change of a business.
#[derive(Debug, Serialize)]
pub struct BusinessChanged {
    /// Its id.
    pub id: BusinessId,
}

/// The answer to a change of an application.
#[derive(Debug, Serialize)]
pub struct ApplicationChanged {
    /// Its id.
    pub id: ApplicationId,
}

/// The answer to `POST /management/release`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Whether there was a hold to end.
    pub released: bool,
    /// Since when it had been, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_since: Option<String>,
}
