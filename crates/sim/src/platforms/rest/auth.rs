//! Ways to prove who calls, and the tokens of the one that hands them out. It must not know what is behind them.

use crate::chance::Chance;
use crate::platforms::people::hex;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How long an access token lives.
const TOKEN_SECONDS: i64 = 600;

/// What a platform wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    Open,
    /// The key in the header `X-Api-Key`.
    KeyHeader,
    /// The key in the query, as `api_key`.
    KeyQuery,
    /// The key as bearer.
    Bearer,
    /// User and password.
    Basic,
    /// An access token from `/oauth/token`, by client credentials or a refresh token, which is used once.
    OAuth2,
}

impl Auth {
    /// The key, and the password.
    pub const KEY: &str = "key-1";
    /// The user, and the client.
    pub const USER: &str = "hub";
    /// The first refresh token.
    pub const REFRESH: &str = "rt-0";

    pub(super) fn is_proved(self, call: &Call, tokens: &Tokens, now: Timestamp) -> bool {
        match self {
            Self::Open => true,
            Self::KeyHeader => call.header("x-api-key") == Self::KEY,
            Self::KeyQuery => call.query("api_key").as_deref() == Some(Self::KEY),
            Self::Bearer => call.bearer() == Some(Self::KEY),
            Self::Basic => {
                call.basic().is_some_and(|(user, key)| (user.as_str(), key.as_str()) == (Self::USER, Self::KEY))
            }
            Self::OAuth2 => call.bearer().and_then(|token| tokens.access.get(token)).is_some_and(|at| *at > now),
        }
    }
}

pub(super) struct Tokens {
    chance: Chance,
    access: BTreeMap<String, Timestamp>,
    refresh: BTreeSet<String>,
}

impl Tokens {
    pub(super) fn new(seed: u64) -> Self {
        let refresh = BTreeSet::from([Auth::REFRESH.to_owned()]);
        Self { chance: Chance::new(seed, "rest tokens"), access: BTreeMap::new(), refresh }
    }

    pub(super) fn expire(&mut self) {
        self.access.clear();
    }

    /// A refresh token that is shown twice is refused: of two that race, one loses.
    pub(super) fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        let refused = |error: &str| Answer::json(StatusCode::BAD_REQUEST, &json!({ "error": error }));
        let told = (call.field("client_id"), call.field("client_secret"));
        let (user, key) = call.basic().map_or(told, |(user, key)| (Some(user), Some(key)));
        if (user.as_deref(), key.as_deref()) != (Some(Auth::USER), Some(Auth::KEY)) {
            return Answer::json(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
        }
        let mut body = json!({
            "access_token": format!("at-{}", hex(&self.chance, 24)), "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
        });
        match call.field("grant_type").as_deref() {
            Some("client_credentials") => {}
            Some("refresh_token") => {
                if !call.field("refresh_token").is_some_and(|token| self.refresh.remove(&token)) {
                    return refused("invalid_grant");
                }
                let refresh = format!("rt-{}", hex(&self.chance, 24));
                body["refresh_token"] = refresh.clone().into();
                self.refresh.insert(refresh);
            }
            _ => return refused("unsupported_grant_type"),
        }
        let access = body["access_token"].as_str().unwrap_or_default().to_owned();
        self.access.insert(access, now.plus_ms(TOKEN_SECONDS * 1000));
        Answer::json(StatusCode::OK, &body)
    }
}
