//! Who may come in: OAuth 1.0a (RFC 5849) with HMAC-SHA1, checked from the request as it arrived and sharing nothing
//! with whoever signs. It must not know what is behind the door.
//!
//! The words of a refusal are those of the OAuth problem reporting extension.

use super::PlatformX;
use crate::platforms::Call;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use lockstep_core::clock::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// How far a timestamp may be from the present, and from the newest that was taken, in seconds.
const WINDOW_SECONDS: i64 = 300;

/// What was taken so far.
#[derive(Default)]
pub(super) struct Doorkeeper {
    /// Every nonce, for good: one that comes again is refused whatever its time.
    nonces: BTreeSet<String>,
    /// The newest timestamp, in seconds.
    newest: i64,
}

impl Doorkeeper {
    /// Lets a call in once, or says why not. A nonce is used up only by a call whose signature holds.
    pub(super) fn admit(&mut self, call: &Call, now: Timestamp) -> Result<(), &'static str> {
        let told = told(call).ok_or("parameter_rejected")?;
        let get = |name: &str| told.get(name).map(String::as_str).ok_or("parameter_absent");
        if get("oauth_signature_method")? != "HMAC-SHA1" {
            return Err("signature_method_rejected");
        }
        if told.get("oauth_version").is_some_and(|version| version != "1.0") {
            return Err("version_rejected");
        }
        if get("oauth_consumer_key")? != PlatformX::CONSUMER_KEY {
            return Err("consumer_key_unknown");
        }
        if get("oauth_token")? != PlatformX::TOKEN {
            return Err("token_rejected");
        }
        let (timestamp, nonce) = (get("oauth_timestamp")?, get("oauth_nonce")?);
        let timestamp: i64 = timestamp.parse().ok().filter(|time| *time > 0).ok_or("parameter_rejected")?;
        let tag = STANDARD.decode(get("oauth_signature")?).map_err(|_odd| "signature_invalid")?;
        hmac::verify(&key(), base_string(call, &told).as_bytes(), &tag).map_err(|_other| "signature_invalid")?;
        let is_off = (timestamp - now.0.div_euclid(1000)).abs() > WINDOW_SECONDS;
        if is_off || timestamp < self.newest - WINDOW_SECONDS {
            return Err("timestamp_refused");
        }
        if nonce.is_empty() || !self.nonces.insert(nonce.to_owned()) {
            return Err("nonce_used");
        }
        self.newest = self.newest.max(timestamp);
        Ok(())
    }
}

/// Section 3.4.2: both secrets, escaped.
fn key() -> hmac::Key {
    let secrets = format!("{}&{}", escape(PlatformX::CONSUMER_SECRET), escape(PlatformX::TOKEN_SECRET));
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secrets.as_bytes())
}

/// Section 3.5.1: the parameters of the header, unescaped, without the realm. None where one stands there twice or
/// does not read.
fn told(call: &Call) -> Option<BTreeMap<String, String>> {
    let mut told = BTreeMap::new();
    for part in call.header(AUTHORIZATION.as_str()).strip_prefix("OAuth ")?.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let (name, value) = (unescape(name)?, unescape(value)?);
        if name != "realm" && told.insert(name, value).is_some() {
            return None;
        }
    }
    Some(told)
}

/// Section 3.4.1: the verb, the address, and every parameter of header, query and form but the signature, sorted in
/// their escaped form. A body that is no form stays out.
fn base_string(call: &Call, told: &BTreeMap<String, String>) -> String {
    let mut pairs: Vec<(String, String)> = call.url.query_pairs().into_owned().collect();
    if call.is_form() {
        pairs.extend(form_urlencoded::parse(&call.body).into_owned());
    }
    let own = told.iter().filter(|(name, _)| *name != "oauth_signature");
    pairs.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    let mut escaped: Vec<(String, String)> =
        pairs.into_iter().map(|(name, value)| (escape(&name), escape(&value))).collect();
    escaped.sort();
    let parameters: Vec<String> = escaped.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}&{}&{}", call.method, escape(&address(&call.url)), escape(&parameters.join("&")))
}

/// Section 3.4.1.2: scheme, host, a port that is not the scheme's own, and the path.
fn address(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Section 3.6.
fn escape(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let piece = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(piece).collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => found.push(u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?),
            byte => found.push(byte),
        }
    }
    String::from_utf8(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    /// The request of RFC 5849, section 3.4.1.1, whose base string stands there.
    #[test]
    fn the_base_string_is_that_of_the_rfc() {
        let header = "OAuth realm=\"Example\", oauth_consumer_key=\"9djdj82h48djs9d2\", oauth_token=\"kkk9d7dh3k39sjv7\", \
                      oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131201\", oauth_nonce=\"7d8f3e4a\", \
                      oauth_signature=\"bYT5CMsGcbgUdFHObYMEfcx6bsw%3D\"";
        let mut call = Call::new(Method::POST, "/").with_form(&[("c2", ""), ("a3", "2 q")]);
        call.url = "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().expect("a URL");
        let call = call.with("authorization", header);
        assert_eq!(
            base_string(&call, &told(&call).expect("a header")),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26\
             c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
             oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        for text in ["", "a b", "c&s=1", "Zoë~._-", "100%"] {
            assert_eq!(unescape(&escape(text)).as_deref(), Some(text));
        }
        assert_eq!([unescape("%4"), unescape("%zz")], [None, None]);
    }
}
