//! JSON Web Tokens (RFC 7519) of our own making, signed anew for each request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{JwtAuthenticator, Text};
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::failure::Failure;
use crate::tree;

pub(crate) struct Jwt {
    said: JwtAuthenticator,
}

impl Jwt {
    pub(crate) fn new(said: &JwtAuthenticator) -> Self {
        Self { said: said.clone() }
    }

    pub(crate) fn prove(&self, draft: &mut Draft, scope: &Scope) -> Result<(), Failure> {
        let token = self.token(scope)?;
        let prefix = self.said.header_prefix.as_ref().map(|prefix| prefix.text(scope)).transpose()?;
        let value = match prefix.filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{prefix} {token}"),
            None => token,
        };
        match &self.said.request_option {
            Some(option) => draft.inject(option, Value::String(value), scope),
            None => draft.header("Authorization", value),
        }
    }

    /// The token as of now.
    pub(crate) fn token(&self, scope: &Scope) -> Result<String, Failure> {
        let header = self.header(scope)?;
        let key = self.key(header.alg, scope)?;
        let unsigned = |error| {
            Failure::config(format!("the token cannot be signed with this key ({error}); check the key and its format"))
        };
        jsonwebtoken::encode(&header, &self.payload(scope)?, &key).map_err(unsigned)
    }

    fn header(&self, scope: &Scope) -> Result<Header, Failure> {
        let algorithm: Algorithm = self.said.algorithm.parse().map_err(|_unknown| {
            Failure::system(format!(
                "tokens are not signed with {} here; give HS, RS, PS or ES256/384, or EdDSA",
                self.said.algorithm
            ))
        })?;
        let mut header = Header::new(algorithm);
        let said = self.said.jwt_headers.as_ref();
        let text = |text: Option<&Text>| {
            text.map(|text| text.text(scope)).transpose().map(|text| text.filter(|text| !text.is_empty()))
        };
        header.kid = text(said.and_then(|said| said.kid.as_ref()))?;
        header.cty = text(said.and_then(|said| said.cty.as_ref()))?;
        if let Some(typ) = text(said.and_then(|said| said.typ.as_ref()))? {
            header.typ = Some(typ);
        }
        for (name, value) in
            additional(self.said.additional_jwt_headers.as_ref(), &["kid", "alg", "typ", "cty"], scope)?
        {
            header.extras.insert(name, crate::python::text(&value));
        }
        Ok(header)
    }

    fn payload(&self, scope: &Scope) -> Result<Map<String, Value>, Failure> {
        let own = ["iss", "sub", "aud", "iat", "exp", "nbf"];
        let mut payload = additional(self.said.additional_jwt_payload.as_ref(), &own, scope)?;
        if let Some(said) = &self.said.jwt_payload {
            for (name, text) in [("iss", &said.iss), ("sub", &said.sub), ("aud", &said.aud)] {
                if let Some(text) = text {
                    payload.insert(name.to_owned(), text.value(scope)?);
                }
            }
        }
        let now = scope.now().as_second();
        payload.insert("iat".to_owned(), now.into());
        payload.insert("nbf".to_owned(), now.into());
        payload.insert("exp".to_owned(), now.saturating_add(self.said.token_duration).into());
        Ok(payload)
    }

    fn key(&self, algorithm: Algorithm, scope: &Scope) -> Result<EncodingKey, Failure> {
        let passphrase = self.said.passphrase.as_ref().map(|text| text.text(scope)).transpose()?;
        if passphrase.is_some_and(|text| !text.is_empty()) {
            return Err(Failure::config(
                "keys with a passphrase are not read; decrypt the key, for instance with `openssl pkey`",
            ));
        }
        let secret = self.said.secret_key.text(scope)?;
        let encodes = self.said.base64_encode_secret_key.as_ref().map_or(Ok(false), |text| text.is_true(scope))?;
        let secret = if encodes { STANDARD.encode(secret) } else { secret };
        // In forms and environment variables, line breaks of a key are often written out.
        let pem = secret.replace("\\n", "\n");
        let read = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                return Ok(EncodingKey::from_secret(secret.as_bytes()));
            }
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        read.map_err(|error| Failure::config(format!("the private key does not read ({error}); give it in PEM")))
    }
}

/// Entries that the manifest adds; those with a field of their own are not among them.
fn additional(
    said: Option<&lockstep_manifest::Tree>,
    own: &[&str],
    scope: &Scope,
) -> Result<Map<String, Value>, Failure> {
    let Some(said) = said else { return Ok(Map::new()) };
    let Value::Object(fields) = tree::value(said, scope)? else { return Ok(Map::new()) };
    match fields.keys().find(|name| own.contains(&name.as_str())) {
        Some(name) => Err(Failure::system(format!(
            "`{name}` of a token has a field of its own; take it out of the additional ones"
        ))),
        None => Ok(fields),
    }
}
