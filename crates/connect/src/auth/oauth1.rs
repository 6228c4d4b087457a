//! OAuth 1.0a (RFC 5849): every request is signed over its verb, address, parameters and form.
//!
//! Our extension of the format. A nonce is drawn from the account for each try, so that a repeated call is not taken
//! for a replay.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{OAuth1Authenticator, SignatureMethod, Text};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use sha1::Sha1;

use crate::account::Account;
use crate::draft::Ready;
use crate::failure::Failure;

pub(crate) struct OAuth1 {
    consumer_key: String,
    consumer_secret: String,
    token: Option<String>,
    token_secret: String,
    realm: Option<String>,
    signer: Signing,
    count: AtomicU64,
}

enum Signing {
    Hmac(hmac::Algorithm, &'static str),
    Rsa(Box<SigningKey<Sha1>>),
}

impl OAuth1 {
    pub(crate) fn new(said: &OAuth1Authenticator, scope: &Scope) -> Result<Self, Failure> {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.text(scope)).transpose();
        let signer = match said.signature_method {
            SignatureMethod::HmacSha1 => Signing::Hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, "HMAC-SHA1"),
            SignatureMethod::HmacSha256 => Signing::Hmac(hmac::HMAC_SHA256, "HMAC-SHA256"),
            SignatureMethod::RsaSha1 => {
                let pem = text(&said.private_key)?.unwrap_or_default().replace("\\n", "\n");
                let key = RsaPrivateKey::from_pkcs8_pem(&pem).or_else(|_other| RsaPrivateKey::from_pkcs1_pem(&pem));
                let key = key.map_err(|error| {
                    Failure::config(format!("the private key for RSA-SHA1 does not read ({error}); give it in PEM"))
                })?;
                Signing::Rsa(Box::new(SigningKey::new(key)))
            }
        };
        Ok(Self {
            consumer_key: said.consumer_key.text(scope)?,
            consumer_secret: text(&said.consumer_secret)?.unwrap_or_default(),
            token: text(&said.token)?.filter(|token| !token.is_empty()),
            token_secret: text(&said.token_secret)?.unwrap_or_default(),
            realm: text(&said.realm)?.filter(|realm| !realm.is_empty()),
            signer,
            count: AtomicU64::new(0),
        })
    }

    pub(crate) fn sign(&self, ready: &mut Ready, account: &Account) -> Result<(), Failure> {
        let now = account.now();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let nonce = format!("{:x}{:x}{count:x}", now.as_nanosecond(), account.seed);
        let mut own = vec![
            ("oauth_consumer_key", self.consumer_key.clone()),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", self.signer.name().to_owned()),
            ("oauth_timestamp", now.as_second().to_string()),
            ("oauth_version", "1.0".to_owned()),
        ];
        own.extend(self.token.clone().map(|token| ("oauth_token", token)));
        let signature = self.signature(&base_string(ready, &own));
        own.push(("oauth_signature", signature));
        let realm = self.realm.iter().map(|realm| ("realm", realm.clone()));
        let fields: Vec<String> =
            realm.chain(own).map(|(name, value)| format!("{name}=\"{}\"", escape(&value))).collect();
        let value = HeaderValue::from_str(&format!("OAuth {}", fields.join(", ")))
            .map_err(|_odd| Failure::config("the OAuth credentials cannot stand in a header; check them"))?;
        ready.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn signature(&self, base: &str) -> String {
        match &self.signer {
            Signing::Hmac(algorithm, _) => {
                let key = format!("{}&{}", escape(&self.consumer_secret), escape(&self.token_secret));
                STANDARD.encode(hmac::sign(&hmac::Key::new(*algorithm, key.as_bytes()), base.as_bytes()))
            }
            Signing::Rsa(key) => STANDARD.encode(key.sign(base.as_bytes()).to_bytes()),
        }
    }
}

impl Signing {
    const fn name(&self) -> &'static str {
        match self {
            Self::Hmac(_, name) => name,
            Self::Rsa(_) => "RSA-SHA1",
        }
    }
}

/// RFC 5849, section 3.4.1: verb, address without query, and all parameters sorted by their escaped forms.
fn base_string(ready: &Ready, own: &[(&str, String)]) -> String {
    let query = ready.url.query_pairs().into_owned();
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let all = query.chain(ready.form.iter().cloned()).chain(own);
    let mut escaped: Vec<(String, String)> = all.map(|(name, value)| (escape(&name), escape(&value))).collect();
    escaped.sort();
    let parameters: Vec<String> = escaped.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let address = crate::reply::shown(&ready.url);
    format!("{}&{}&{}", ready.method, escape(&address), escape(&parameters.join("&")))
}

/// Section 3.6: everything but letters, digits, `-`, `.`, `_` and `~`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    /// The request of RFC 5849, section 3.4.1.1.
    #[test]
    fn the_base_string_is_that_of_the_rfc() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let ready = Ready {
            method: Method::POST,
            url: "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            form: vec![pair("c2", ""), pair("a3", "2 q")],
        };
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2".to_owned()),
            ("oauth_token", "kkk9d7dh3k39sjv7".to_owned()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", "137131201".to_owned()),
            ("oauth_nonce", "7d8f3e4a".to_owned()),
        ];
        assert_eq!(
            base_string(&ready, &own),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26\
             c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
             oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }
}
