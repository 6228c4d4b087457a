//! How a subscription proves itself to its endpoint.
//!
//! Each kind has one secret, sealed. What stands here is what the store keeps; opening it and using it is the
//! engine's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to prove who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Basic …`.
    Basic {
        /// Who.
        username: String,
        /// Sealed.
        password: String,
    },
    /// `Authorization: Bearer …` with a token that does not change.
    Bearer {
        /// Sealed.
        token: String,
    },
    /// A key in a header or in the query.
    ApiKey {
        /// Where it stands.
        place: KeyPlace,
        /// The header's or parameter's name.
        name: String,
        /// Sealed.
        value: String,
    },
    /// A token fetched by the client credentials grant of OAuth 2 (RFC 6749, section 4.4).
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are fetched.
        token_url: String,
        /// Who.
        client_id: String,
        /// Sealed.
        client_secret: String,
        /// Scopes asked for, separated by blanks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom the token is for, where the server wants to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// How the client proves itself to the token endpoint.
        client_auth: ClientAuth,
    },
    /// A client certificate.
    Mtls {
        /// The certificate and those that vouch for it, PEM.
        certificate: String,
        /// Its private key, PEM, sealed.
        key: String,
    },
}

/// Where an API key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyPlace {
    /// In a header.
    Header,
    /// In the query of the URL.
    Query,
}

/// How a client proves itself to a token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// By HTTP Basic.
    #[default]
    Basic,
    /// In the body of the request.
    Body,
}

impl Auth {
    /// The sealed secret.
    #[must_use]
    pub const fn sealed(&self) -> &String {
        match self {
            Self::Basic { password: sealed, .. }
            | Self::Bearer { token: sealed }
            | Self::ApiKey { value: sealed, .. }
            | Self::OAuth2 { client_secret: sealed, .. }
            | Self::Mtls { key: sealed, .. } => sealed,
        }
    }

    /// The sealed secret, to be sealed anew.
    pub const fn sealed_mut(&mut self) -> &mut String {
        match self {
            Self::Basic { password: sealed, .. }
            | Self::Bearer { token: sealed }
            | Self::ApiKey { value: sealed, .. }
            | Self::OAuth2 { client_secret: sealed, .. }
            | Self::Mtls { key: sealed, .. } => sealed,
        }
    }

    /// Whether it writes the header `Authorization`.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        match self {
            Self::Basic { .. } | Self::Bearer { .. } | Self::OAuth2 { .. } => true,
            Self::ApiKey { place, name, .. } => {
                *place == KeyPlace::Header && name.eq_ignore_ascii_case("authorization")
            }
            Self::Mtls { .. } => false,
        }
    }
}
