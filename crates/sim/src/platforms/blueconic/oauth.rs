//! BlueConic's OAuth 2.0: client credentials, authorization code with PKCE, refresh tokens that are used once.
//! It must not know what a token opens.

use crate::chance::Chance;
use crate::platforms::people::hex;
use crate::platforms::{Answer, Call};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::LOCATION;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// How long an access token lives.
const TOKEN_SECONDS: i64 = 3600;

pub(super) struct OAuth {
    chance: Chance,
    given: u64,
    access: BTreeMap<String, Timestamp>,
    refresh: BTreeSet<String>,
    codes: BTreeMap<String, Code>,
}

/// A code that waits to be exchanged.
struct Code {
    challenge: String,
    is_hashed: bool,
    redirect_uri: String,
}

impl OAuth {
    pub(super) const CLIENT: (&str, &str) = ("hub", "s3");

    pub(super) fn new(seed: u64) -> Self {
        let chance = Chance::new(seed, "blueconic oauth");
        Self { chance, given: 0, access: BTreeMap::new(), refresh: BTreeSet::new(), codes: BTreeMap::new() }
    }

    pub(super) fn is_authorized(&self, call: &Call, now: Timestamp) -> bool {
        call.bearer().and_then(|token| self.access.get(token)).is_some_and(|expires_at| *expires_at > now)
    }

    /// Every access token ends; refresh tokens stay.
    pub(super) fn expire(&mut self) {
        self.access.clear();
    }

    pub(super) fn answer(&mut self, call: &Call, step: &str, now: Timestamp) -> Answer {
        match (call.method.as_str(), step) {
            ("POST", "token") => self.token(call, now).unwrap_or_else(|refusal| refusal),
            ("GET", "authorize") => self.authorize(call),
            ("POST", "revoke") => self.revoke(call).unwrap_or_else(|refusal| refusal),
            _ => Answer::empty(StatusCode::NOT_FOUND),
        }
    }

    fn token(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        if !call.is_form() {
            return Err(refusal(StatusCode::BAD_REQUEST, "invalid_request", "the parameters belong into a form"));
        }
        check_client(call)?;
        let has_refresh = match call.field("grant_type").as_deref() {
            Some("client_credentials") => false,
            Some("authorization_code") => {
                self.redeem(call)?;
                true
            }
            Some("refresh_token") => {
                let known = call.field("refresh_token").is_some_and(|token| self.refresh.remove(&token));
                if !known {
                    return Err(refusal(
                        StatusCode::BAD_REQUEST,
                        "invalid_grant",
                        "the refresh token is unknown or used",
                    ));
                }
                true
            }
            _ => {
                let text = "the grant type is missing or not supported";
                return Err(refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type", text));
            }
        };
        self.given += 1;
        let access = format!("at-{}-{}", self.given, hex(&self.chance, 24));
        self.access.insert(access.clone(), now.plus_ms(TOKEN_SECONDS * 1000));
        let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": TOKEN_SECONDS});
        if has_refresh {
            let refresh = format!("rt-{}-{}", self.given, hex(&self.chance, 24));
            body["refresh_token"] = Value::from(refresh.as_str());
            self.refresh.insert(refresh);
        }
        Ok(Answer::json(StatusCode::OK, &body))
    }

    /// Takes a code back for a verifier that fits its challenge.
    fn redeem(&mut self, call: &Call) -> Result<(), Answer> {
        let code = call.field("code").and_then(|code| self.codes.remove(&code));
        let verifier = call.field("code_verifier").unwrap_or_default();
        let fits = |code: &Code| {
            let hashed = || URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            let shown = if code.is_hashed { hashed() } else { verifier.clone() };
            shown == code.challenge && call.field("redirect_uri").as_ref() == Some(&code.redirect_uri)
        };
        let text = "the code, its verifier or its redirect_uri does not fit";
        code.filter(fits).map(drop).ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "invalid_grant", text))
    }

    /// The login screen is passed over: whoever comes is let in, and sent back with a code.
    fn authorize(&mut self, call: &Call) -> Answer {
        let Some(mut back) = call.query("redirect_uri").and_then(|uri| Url::parse(&uri).ok()) else {
            return refusal(StatusCode::BAD_REQUEST, "invalid_request", "redirect_uri is missing or no URL");
        };
        let redirect_uri = back.to_string();
        let challenge = call.query("code_challenge").filter(|challenge| !challenge.is_empty());
        let method = call.query("code_challenge_method").unwrap_or_else(|| "PLAIN".to_owned());
        let is_known = call.query("client_id").as_deref() == Some(Self::CLIENT.0);
        let outcome = match (challenge, method.as_str()) {
            (Some(challenge), "PLAIN" | "S256") if is_known => {
                let code = hex(&self.chance, 32);
                self.codes.insert(code.clone(), Code { challenge, is_hashed: method == "S256", redirect_uri });
                ("code", code)
            }
            _ => ("error", if is_known { "invalid_request" } else { "unauthorized_client" }.to_owned()),
        };
        back.query_pairs_mut().append_pair(outcome.0, &outcome.1);
        if let Some(state) = call.query("state") {
            back.query_pairs_mut().append_pair("state", &state);
        }
        Answer::empty(StatusCode::FOUND).with(LOCATION.as_str(), back.as_str())
    }

    fn revoke(&mut self, call: &Call) -> Result<Answer, Answer> {
        let body = call.json().unwrap_or_default();
        let told = |name: &str| body[name].as_str().map(str::to_owned).or_else(|| call.field(name));
        if (told("client_id").as_deref(), told("client_secret").as_deref())
            != (Some(Self::CLIENT.0), Some(Self::CLIENT.1))
        {
            return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", "client id or secret is wrong"));
        }
        let token = told("token").unwrap_or_default();
        self.access.remove(&token);
        self.refresh.remove(&token);
        Ok(Answer::empty(StatusCode::OK))
    }
}

fn check_client(call: &Call) -> Result<(), Answer> {
    let (id, secret) = (call.field("client_id"), call.field("client_secret"));
    let is_known = (id.as_deref(), secret.as_deref()) == (Some(OAuth::CLIENT.0), Some(OAuth::CLIENT.1));
    let wrong = || refusal(StatusCode::UNAUTHORIZED, "invalid_client", "client id or secret is missing or wrong");
    if is_known { Ok(()) } else { Err(wrong()) }
}

fn refusal(status: StatusCode, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({"error": error, "error_description": description}))
}
