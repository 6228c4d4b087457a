//! Both ways to prove who calls Copernica: the API token in the query, and a JWT fetched with it. It must not know
//! what is behind them.

use super::Copernica;
use super::answers::{Version, refusal};
use crate::chance::Chance;
use crate::platforms::people::hex;
use crate::platforms::{Answer, Call};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;

/// How long a JWT lives.
const JWT_SECONDS: i64 = 24 * 3600;

/// The third-party application that may ask for tokens.
const CLIENT: (&str, &str) = ("hub", "s3");

pub(super) struct Auth {
    chance: Chance,
    jwts: BTreeMap<String, Timestamp>,
}

impl Auth {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, "copernica auth"), jwts: BTreeMap::new() }
    }

    /// The exchange of the API token for a JWT: a form in, plain text out. Several may live at once.
    pub(super) fn exchange(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let token = call.field("access_token").filter(|_| call.is_form());
        if token.as_deref() != Some(Copernica::TOKEN) {
            return Err(refusal("Invalid access token"));
        }
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({"typ": "JWT", "alg": "RS256"}));
        let claims = json!({
            "iss": "copernica", "sub": Copernica::ACCOUNT, "iat": now.seconds(), "exp": now.seconds() + JWT_SECONDS,
        });
        // Nobody but the platform checks its signature, and it knows its own tokens.
        let jwt = format!("{head}.{}.{}", part(claims), hex(&self.chance, 64));
        self.jwts.insert(jwt.clone(), now.plus_ms(JWT_SECONDS * 1000));
        Ok(Answer::text(StatusCode::OK, "text/plain", jwt))
    }

    /// The last step of OAuth 2 for third-party applications: a code for an API token without expiry.
    pub(super) fn redeem(call: &Call) -> Result<Answer, Answer> {
        let client = (call.query("client_id"), call.query("client_secret"));
        let is_known = (client.0.as_deref(), client.1.as_deref()) == (Some(CLIENT.0), Some(CLIENT.1));
        let has_code = call.query("code").is_some() && call.query("redirect_uri").is_some();
        let body = json!({"access_token": Copernica::TOKEN});
        if is_known && has_code {
            Ok(Answer::json(StatusCode::OK, &body))
        } else {
            Err(refusal("Invalid data provided"))
        }
    }

    pub(super) fn is_authorized(&self, call: &Call, version: Version, now: Timestamp) -> bool {
        match version {
            Version::V4 => call.bearer().and_then(|jwt| self.jwts.get(jwt)).is_some_and(|expires_at| *expires_at > now),
            Version::Early(_) => call.query("access_token").as_deref() == Some(Copernica::TOKEN),
        }
    }

    pub(super) fn expire(&mut self) {
        self.jwts.clear();
    }
}
