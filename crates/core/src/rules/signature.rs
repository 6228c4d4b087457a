//! Signatures of notifications, as Standard Webhooks 1.0 has them.
//!
//! The signed text is `id.timestamp.body`. `v1` is HMAC-SHA256 with a shared secret shown as `whsec_` and base64;
//! `v1a` is Ed25519 with a public key shown as `whpk_` and base64. While a secret is being replaced the header
//! carries a signature by each, separated by spaces.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Keys that sign for one subscription, ready to use.
pub struct Signer {
    shared: Vec<hmac::Key>,
    pairs: Vec<Ed25519KeyPair>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} shared, {} pairs)", self.shared.len(), self.pairs.len())
    }
}

impl Signer {
    /// A signer from 32-byte secrets: which kinds of signature each gives.
    #[must_use]
    pub fn new(secrets: &[[u8; 32]], with_hmac: bool, with_ed25519: bool) -> Self {
        let shared = secrets.iter().filter(|_| with_hmac).map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret));
        let pairs = secrets.iter().filter(|_| with_ed25519).filter_map(pair);
        Self { shared: shared.collect(), pairs: pairs.collect() }
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut header = String::with_capacity(64 * (self.shared.len() + self.pairs.len()));
        let head = format!("{id}.{timestamp_s}.");
        for key in &self.shared {
            let mut context = hmac::Context::with_key(key);
            context.update(head.as_bytes());
            context.update(body);
            push(&mut header, "v1,", context.sign().as_ref());
        }
        if !self.pairs.is_empty() {
            let text = [head.as_bytes(), body].concat();
            for pair in &self.pairs {
                push(&mut header, "v1a,", pair.sign(&text).as_ref());
            }
        }
        header
    }
}

fn push(header: &mut String, scheme: &str, signature: &[u8]) {
    if !header.is_empty() {
        header.push(' ');
    }
    header.push_str(scheme);
    STANDARD.encode_string(signature, header);
}

/// The Ed25519 pair that a secret is the seed of. The seed goes through a hash of its own, so that knowing the
/// shared secret's use in one scheme says nothing of the other.
fn pair(secret: &[u8; 32]) -> Option<Ed25519KeyPair> {
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"lockstep ed25519 seed 1");
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).ok()
}

/// A shared secret as its subscriber is shown it.
#[must_use]
pub fn shown_secret(secret: &[u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The public key that verifies `v1a` signatures by this secret.
#[must_use]
pub fn shown_public_key(secret: &[u8; 32]) -> Option<String> {
    pair(secret).map(|pair| format!("whpk_{}", STANDARD.encode(pair.public_key().as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn signs_the_sample_of_the_specification() {
        // Secret, id, timestamp, body and signature as in the Standard Webhooks test suite.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signer = Signer { shared: vec![key], pairs: Vec::new() };
        let header = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_in_each_scheme_and_the_pair_verifies() {
        let secrets = [[7; 32], [8; 32]];
        let header = Signer::new(&secrets, true, true).sign("dlv_1", 5, b"{}");
        let parts: Vec<_> = header.split(' ').collect();
        assert_eq!(
            parts.iter().map(|part| part.split_once(',').unwrap().0).collect::<Vec<_>>(),
            ["v1", "v1", "v1a", "v1a"]
        );
        let key = shown_public_key(&secrets[0]).unwrap();
        let key = STANDARD.decode(key.strip_prefix("whpk_").unwrap()).unwrap();
        let signature = STANDARD.decode(parts[2].strip_prefix("v1a,").unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, &key).verify(b"dlv_1.5.{}", &signature).unwrap();
    }
}
