//! A platform that takes one key, or gives one to whoever logs in: its connectors are the folders beside this file.

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lockstep_egress::{Request, Response, SendError, Transport};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The way to the shop.
#[derive(Default)]
pub(crate) struct Shop {
    /// The challenge of whoever was sent to log in: the code is theirs alone.
    challenge: Mutex<String>,
    /// Refresh tokens that are good, each for one use.
    refresh: Mutex<Vec<String>>,
}

impl Shop {
    /// Somebody logs in at an address: what they bring back.
    pub(crate) fn log_in(&self, url: &str) -> BTreeMap<String, String> {
        let query = url.split_once('?').expect("a query").1;
        let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!((asked["client_id"].as_str(), asked["code_challenge_method"].as_str()), ("me", "S256"));
        assert_eq!(asked["redirect_uri"], "https://hub.example/oauth/callback");
        self.challenge.lock().expect("a lock").clone_from(&asked["code_challenge"]);
        [("state".to_owned(), asked["state"].clone()), ("code".to_owned(), "the-code".to_owned())].into()
    }

    /// Gives out a refresh token.
    pub(crate) fn grant(&self, token: &str) {
        self.refresh.lock().expect("a lock").push(token.to_owned());
    }

    /// One for another: a token that was used before ends all of them.
    fn refreshed(&self, body: &[u8]) -> (u16, Value) {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let mut good = self.refresh.lock().expect("a lock");
        let Some(at) = good.iter().position(|token| *token == form["refresh_token"]) else {
            good.clear();
            return (400, json!({"error": "invalid_grant"}));
        };
        let next = format!("{}+", good.remove(at));
        good.push(next.clone());
        (200, json!({"access_token": "right-key", "refresh_token": next, "expires_in": 1}))
    }

    fn token(&self, body: &[u8]) -> (u16, Value) {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let proven = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        let is_theirs = proven == *self.challenge.lock().expect("a lock") && form["code"] == "the-code";
        match is_theirs && form["redirect_uri"] == "https://hub.example/oauth/callback" {
            true => (200, json!({"access_token": "right-key"})),
            false => (400, json!({"error": "invalid_grant"})),
        }
    }
}

fn answer(path: &str) -> (u16, Value) {
    let ann = json!({"id": "7", "mail": "Ann@Example.com", "first": "Annelies", "place": {"city": "Delft"}});
    match path {
        "/me" => (200, json!({"account": "acc-1", "name": "The shop"})),
        "/people/7" => (200, ann),
        "/people" | "/items" | "/things" => (200, json!([ann])),
        _ => (404, json!({"error": "there is no such thing"})),
    }
}

#[async_trait]
impl Transport for Shop {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let proof = request.headers.get("x-api-key").or_else(|| request.headers.get("authorization"));
        let is_known = proof.is_some_and(|key| key == "right-key" || key == "Bearer right-key");
        let is_other = proof.is_some_and(|key| key == "key-of-another");
        let (status, body) = match request.url.path() {
            "/token" => self.token(&request.body),
            "/refresh" => self.refreshed(&request.body),
            path if is_known => answer(path),
            "/me" if is_other => (200, json!({"account": "acc-2", "name": "Another shop"})),
            _ => (401, json!({"error": "no"})),
        };
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().expect("a value"));
        let status = http::StatusCode::from_u16(status).expect("a status");
        Ok(Response { status, headers, body: Bytes::from(body.to_string()), is_cut: false })
    }
}
