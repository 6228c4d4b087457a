//! How a subscription proves itself to its endpoint: as it is said, and as it is shown without its secret.

use lockstep_core::auth::{Auth, ClientAuth, KeyPlace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret on its way in; it does not show itself.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is said.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum AuthBody {
    /// Nothing is proved; what was said before is forgotten.
    None {},
    /// HTTP Basic.
    Basic {
        /// Who.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A bearer token that does not change.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A key in a header or in the query.
    ApiKey {
        /// Where it stands.
        r#in: KeyPlace,
        /// The header's or parameter's name.
        name: String,
        /// The key.
        value: Secret,
    },
    /// Tokens by the client credentials grant.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are fetched.
        token_url: String,
        /// Who.
        client_id: String,
        /// The secret.
        client_secret: Secret,
        /// Scopes, separated by blanks.
        scope: Option<String>,
        /// Whom the token is for.
        audience: Option<String>,
        /// How the client proves itself there.
        client_auth: Option<ClientAuth>,
    },
    /// A client certificate.
    Mtls {
        /// PEM: the certificate and those that vouch for it.
        certificate: String,
        /// PEM: its private key.
        key: Secret,
    },
}

/// What is shown: all but the secret.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AuthView {
    /// HTTP Basic.
    Basic {
        /// Who.
        username: String,
    },
    /// A bearer token.
    Bearer {},
    /// A key.
    ApiKey {
        /// Where it stands.
        r#in: KeyPlace,
        /// The header's or parameter's name.
        name: String,
    },
    /// Tokens by the client credentials grant.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are fetched, keys in it masked.
        token_url: String,
        /// Who.
        client_id: String,
        /// Scopes.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom the token is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// How the client proves itself there.
        client_auth: ClientAuth,
    },
    /// A client certificate.
    Mtls {
        /// PEM: the certificate; it is public.
        certificate: String,
    },
}

impl From<&Auth> for AuthView {
    fn from(auth: &Auth) -> Self {
        match auth {
            Auth::Basic { username, .. } => Self::Basic { username: username.clone() },
            Auth::Bearer { .. } => Self::Bearer {},
            Auth::ApiKey { place, name, .. } => Self::ApiKey { r#in: *place, name: name.clone() },
            Auth::OAuth2 { token_url, client_id, scope, audience, client_auth, .. } => Self::OAuth2 {
                token_url: crate::subscription::masked(token_url),
                client_id: client_id.clone(),
                scope: scope.clone(),
                audience: audience.clone(),
                client_auth: *client_auth,
            },
            Auth::Mtls { certificate, .. } => Self::Mtls { certificate: certificate.clone() },
        }
    }
}
