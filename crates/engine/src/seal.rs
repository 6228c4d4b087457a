//! Sealing: secrets at rest are AES-256-GCM, bound to where they belong, so a sealed value copied to another row
//! does not open.
//!
//! A sealed value reads `1.KEYID.BASE64(nonce ‖ text ‖ tag)`; the key id says which key it was sealed with, for
//! the day there are two.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use lockstep_core::connection::Connection;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{BusinessId, ConnectionId, SubscriptionId};
use lockstep_core::subscription::Subscription;
use std::fmt;

const CHECK_TEXT: &[u8] = b"lockstep sealing check";
const CHECK_PLACE: &str = "sealing/check";

/// Seals and opens with one key.
pub struct Sealer {
    key: RandomizedNonceKey,
    key_id: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.key_id)
    }
}

impl Sealer {
    /// A sealer with this key.
    ///
    /// # Errors
    /// `sealing_key_invalid`; 32 bytes are always a key, so only a broken crypto library gives it.
    pub fn new(key: &[u8; 32]) -> Result<Self, Rejection> {
        let invalid = |_| Rejection::new(Code::SealingKeyInvalid, "the sealing key was refused by the crypto library");
        let hash = digest(&SHA256, &[b"lockstep key id 1", &key[..]].concat());
        let key_id = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, key).map_err(invalid)?, key_id })
    }

    /// Names the key, and gives nothing of it away.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Seals a secret for the place it will stand in.
    ///
    /// # Errors
    /// `internal`, where the crypto library fails.
    pub fn seal(&self, secret: &[u8], place: &str) -> Result<String, Rejection> {
        let failed = |_| Rejection::new(Code::Internal, "a secret could not be sealed");
        let mut text = secret.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut text).map_err(failed)?;
        let bytes = [&nonce.as_ref()[..], &text].concat();
        Ok(format!("1.{}.{}", self.key_id, STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for a place; none where it is not ours, not whole, or from elsewhere.
    #[must_use]
    pub fn open(&self, sealed: &str, place: &str) -> Option<Vec<u8>> {
        let (_, rest) = sealed.split_once("1.").filter(|(before, _)| before.is_empty())?;
        let (_, text) = rest.split_once('.').filter(|(key_id, _)| *key_id == self.key_id)?;
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).ok()?;
        Some(opened.to_vec())
    }

    /// Opens a secret of 32 bytes.
    #[must_use]
    pub fn open_secret(&self, sealed: &str, place: &str) -> Option<[u8; 32]> {
        self.open(sealed, place)?.try_into().ok()
    }

    /// The value that a store keeps to tell this key from another.
    ///
    /// # Errors
    /// `internal`, where the crypto library fails.
    pub fn check_value(&self) -> Result<String, Rejection> {
        self.seal(CHECK_TEXT, CHECK_PLACE)
    }

    /// Whether a store's check value was sealed with this key.
    ///
    /// # Errors
    /// `sealing_key_wrong`.
    pub fn check(&self, value: &str) -> Result<(), Rejection> {
        match self.open(value, CHECK_PLACE) {
            Some(text) if text == CHECK_TEXT => Ok(()),
            _ => Err(Rejection::new(
                Code::SealingKeyWrong,
                "this data folder was sealed with another key: give the one it was made with, in LOCKSTEP_SECRET_KEY, \
                 --secret-key-file or the folder's lockstep.key",
            )),
        }
    }
}

/// Where a subscription's secrets stand.
#[must_use]
pub fn subscription_place(business: &BusinessId, subscription: SubscriptionId) -> String {
    format!("{business}/{subscription}/secret")
}

/// Where a subscription's own header stands.
#[must_use]
pub fn header_place(business: &BusinessId, subscription: SubscriptionId, name: &str) -> String {
    format!("{business}/{subscription}/header/{name}")
}

/// Where the secret stands by which a subscription proves itself to its endpoint.
#[must_use]
pub fn auth_place(business: &BusinessId, subscription: SubscriptionId) -> String {
    format!("{business}/{subscription}/auth")
}

/// Where a connection's configuration, or the key of its hooks, stands.
#[must_use]
pub fn connection_place(business: &BusinessId, connection: ConnectionId, what: &str) -> String {
    format!("{business}/{connection}/{what}")
}

/// Everything sealed in a connection, each with its place. One that was revoked holds nothing any more.
pub fn sealed_in_connection(connection: &mut Connection) -> Vec<(String, &mut String)> {
    let Connection { business, id, config, hook_key, authorizing, .. } = connection;
    let verifier = authorizing.as_mut().map(|authorizing| ("verifier", &mut authorizing.verifier));
    let places = [("config", config), ("hook-key", hook_key)].into_iter().chain(verifier);
    let sealed = places.filter(|(_, sealed)| !sealed.is_empty());
    sealed.map(|(what, sealed)| (connection_place(business, *id, what), sealed)).collect()
}

/// Everything sealed in a subscription, each with its place.
pub fn sealed_places(subscription: &mut Subscription) -> Vec<(String, &mut String)> {
    let Subscription { business, id, secrets, headers, auth, .. } = subscription;
    let secrets = secrets.iter_mut().map(|secret| (subscription_place(business, *id), &mut secret.sealed));
    let headers = headers.iter_mut().map(|(name, sealed)| (header_place(business, *id, name), sealed));
    let auth = auth.iter_mut().map(|auth| (auth_place(business, *id), auth.sealed_mut()));
    secrets.chain(headers).chain(auth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_in_its_place() {
        let (sealer, other) = (Sealer::new(&[1; 32]).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let sealed = sealer.seal(&[9; 32], "here").unwrap();
        assert_eq!(sealer.open_secret(&sealed, "here"), Some([9; 32]));
        assert_eq!(sealer.open(&sealed, "there"), None);
        assert_eq!(other.open(&sealed, "here"), None);
        assert_ne!(sealed, sealer.seal(&[9; 32], "here").unwrap(), "each sealing has a nonce of its own");
        for broken in ["", "1.", "1.x", &sealed[..sealed.len() - 2], &sealed.replace("1.", "2.")] {
            assert_eq!(sealer.open(broken, "here"), None, "{broken}");
        }
    }

    #[test]
    fn everything_sealed_in_a_subscription_is_found_with_a_place_of_its_own() {
        let mut subscription: Subscription = serde_json::from_value(serde_json::json!({
            "id": SubscriptionId(1), "business": "a1", "label": "", "url": "https://a.example/", "format": "standard",
            "signing": "hmac", "exclude_own": false, "is_ended": false, "created_at": 0,
            "secrets": [{"sealed": "one", "created_at": 0}, {"sealed": "two", "created_at": 0}],
            "headers": {"x-a": "three", "x-b": "four"}, "auth": {"kind": "bearer", "token": "five"},
        }))
        .unwrap();
        let found: Vec<_> =
            sealed_places(&mut subscription).into_iter().map(|(place, sealed)| (place, sealed.clone())).collect();
        let sealed: Vec<_> = found.iter().map(|(_, sealed)| sealed.as_str()).collect();
        assert_eq!(sealed, ["one", "two", "three", "four", "five"]);
        let places: std::collections::BTreeSet<_> = found.iter().map(|(place, _)| place).collect();
        assert_eq!(places.len(), 4, "secrets that replace each other share a place: {places:?}");
    }

    #[test]
    fn everything_sealed_in_a_connection_is_found_with_a_place_of_its_own() {
        let mut connection: Connection = serde_json::from_value(serde_json::json!({
            "id": ConnectionId(1), "business": "a1", "label": "", "connector": "shop", "version": "1",
            "provider": "shop", "realm": "r", "config": "one", "shown": {}, "hook_key": "two",
            "state": {"is": "ready"}, "created_at": 0,
            "authorizing": {"state_digest": vec![0; 32], "verifier": "three", "by": "admin", "expires_at": 0},
        }))
        .unwrap();
        let found: Vec<_> =
            sealed_in_connection(&mut connection).into_iter().map(|(place, sealed)| (place, sealed.clone())).collect();
        let sealed: Vec<_> = found.iter().map(|(_, sealed)| sealed.as_str()).collect();
        assert_eq!(sealed, ["one", "two", "three"]);
        let places: std::collections::BTreeSet<_> = found.iter().map(|(place, _)| place).collect();
        assert_eq!(places.len(), 3, "{places:?}");
        (connection.config, connection.hook_key, connection.authorizing) = (String::new(), String::new(), None);
        assert!(sealed_in_connection(&mut connection).is_empty(), "one that was revoked holds nothing");
    }

    #[test]
    fn the_check_value_tells_a_wrong_key() {
        let (sealer, other) = (Sealer::new(&[1; 32]).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let value = sealer.check_value().unwrap();
        assert_eq!(sealer.check(&value), Ok(()));
        assert_eq!(other.check(&value).unwrap_err().code, Code::SealingKeyWrong);
    }
}
