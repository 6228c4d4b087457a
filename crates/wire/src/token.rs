//! Tokens: credentials narrowed from another.

use crate::rate::{RateLimitBody, given};
use crate::subscription::Wanted;
use lockstep_core::application::Token;
use lockstep_core::clock::Timestamp;
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, TokenId, TypeId};
use lockstep_core::rate::RateLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a new token is to be. What is left out is as its maker has it, but for the businesses.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateToken {
    /// A name for people.
    pub label: String,
    /// The only businesses it may enter, or `"*"`: all that its maker may, later ones too. The one in the path where
    /// left out.
    pub businesses: Option<Wanted<BusinessId>>,
    /// What it may do.
    pub abilities: Option<BTreeSet<Ability>>,
    /// With which types.
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Conditions that records of a type must meet besides its maker's.
    #[serde(default)]
    pub conditions: BTreeMap<TypeId, String>,
    /// Fields that are not there for it besides its maker's.
    #[serde(default)]
    pub hidden_fields: BTreeMap<TypeId, BTreeSet<String>>,
    /// How often it may call.
    pub rate_limit: Option<RateLimitBody>,
    /// When it ends by itself, RFC 3339.
    pub expires_at: Option<String>,
}

/// What may be changed of a token. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateToken {
    /// A new name.
    pub label: Option<String>,
    /// How often it may call; null takes the limit away.
    #[serde(default, deserialize_with = "given")]
    pub rate_limit: Option<Option<RateLimitBody>>,
}

/// The answer to a creation; the key is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCreated {
    /// Its id.
    pub id: TokenId,
    /// The key to call with.
    pub api_key: String,
    /// When it ends by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A token, as shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub label: String,
    /// The application it calls for.
    pub application_id: ApplicationId,
    /// The token it was made from, where that was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_from: Option<TokenId>,
    /// Who made it: an application's or a token's id.
    pub made_by: String,
    /// The only businesses it may enter; all that the application may where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub businesses: Option<BTreeSet<BusinessId>>,
    /// The only abilities left of the application's; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abilities: Option<BTreeSet<Ability>>,
    /// The only types left of the application's; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Conditions besides the application's: all must hold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<TypeId, BTreeSet<String>>,
    /// Fields hidden besides the application's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_fields: BTreeMap<TypeId, BTreeSet<String>>,
    /// How often it may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// `active`, `revoked` or `expired`.
    pub state: &'static str,
    /// When it ends, or ended, by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was revoked, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

impl TokenView {
    /// The view of a token at an instant.
    #[must_use]
    pub fn of(token: &Token, is_revoked: bool, now: Timestamp) -> Self {
        let narrowing = token.narrowing.clone();
        Self {
            id: token.id,
            label: token.label.clone(),
            application_id: token.application,
            made_from: token.parents.last().copied(),
            made_by: token.made_by.clone(),
            businesses: narrowing.businesses,
            abilities: narrowing.abilities,
            types: narrowing.types,
            conditions: narrowing.conditions,
            hidden_fields: narrowing.hidden_fields,
            rate_limit: token.rate_limit,
            state: match (is_revoked, token.has_expired(now)) {
                (true, _) => "revoked",
                (false, true) => "expired",
                (false, false) => "active",
            },
            expires_at: token.expires_at.map(|at| at.to_string()),
            revoked_at: token.revoked_at.map(|at| at.to_string()),
            created_at: token.created_at.to_string(),
        }
    }
}

/// A page of tokens, oldest first.
#[derive(Debug, Serialize)]
pub struct TokensView {
    /// The tokens.
    pub tokens: Vec<TokenView>,
    /// The id after which there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<TokenId>,
}

/// The answer to a revocation.
#[derive(Debug, Serialize)]
pub struct TokenChanged {
    /// Its id.
    pub id: TokenId,
}
