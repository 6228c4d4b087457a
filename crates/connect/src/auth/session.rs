//! Tokens that a login answers with.

use std::sync::Arc;

use http::Method;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{
    LegacySessionTokenAuthenticator, SessionTokenAuthenticator, SessionTokenUse, Text, TokenDecoder,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::account::Account;
use crate::auth::{KeyAt, Token, oauth2};
use crate::budget::span;
use crate::call::{Answer, Caller};
use crate::draft::{Draft, Form};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{dpath, python};

/// A login request, and where its token goes.
pub(crate) struct Session {
    account: Arc<Account>,
    login: Caller,
    said: SessionTokenAuthenticator,
    lives_for: Option<std::time::Duration>,
    key: String,
}

impl Session {
    pub(crate) fn new(account: &Arc<Account>, said: &SessionTokenAuthenticator) -> Result<Self, Failure> {
        let login = Caller::new(account, &said.login_requester)?;
        let lives_for = said.expiration_duration.as_deref().map(span).transpose()?;
        // The same login is the same token, whichever stream asks.
        let draft = Draft::of(&said.login_requester, &account.scope(), None)?;
        let key = format!("{draft:?} {:?} {:?}", said.login_requester.authenticator, said.session_token_path);
        Ok(Self { account: Arc::clone(account), login, said: said.clone(), lives_for, key })
    }

    pub(crate) async fn prove(&self, draft: &mut Draft, scope: &Scope) -> Result<(), Failure> {
        let token = self.token().await?;
        match &self.said.request_authentication {
            SessionTokenUse::Bearer(_) => draft.header("Authorization", format!("Bearer {token}")),
            SessionTokenUse::ApiKey(key) => {
                let seen = scope.with("session_token", token.as_str());
                let value = key.api_token.as_ref().map_or(Ok(token), |text| text.text(&seen))?;
                KeyAt::Option(key.inject_into.clone()).put(draft, value, scope)
            }
        }
    }

    /// The next request logs in again, unless another did so since this one was proven.
    pub(crate) async fn forget(&self, account: &Account, proven_at: Instant) {
        let cell = account.tokens.cell(&self.key);
        let mut held = cell.lock().await;
        held.take_if(|token| token.got_at <= proven_at);
    }

    async fn token(&self) -> Result<String, Failure> {
        let cell = self.account.tokens.cell(&self.key);
        let mut held = cell.lock().await;
        let now = self.account.now();
        if let Some(token) = held.as_ref().filter(|token| token.expires_at.is_some_and(|at| now < at)) {
            return Ok(token.value.clone());
        }
        let answer = self.login.call(&self.login.scope(), None, |_| Ok(())).await?;
        let Answer::Reply(reply) = answer else {
            return Err(Failure::system(
                "the answer to the login is ignored by its error handler; there is no token in it",
            ));
        };
        let value = self.read(&reply)?;
        self.account.secrets.add(&value);
        let end = |lives| now.checked_add(lives).unwrap_or(jiff::Timestamp::MAX);
        let expires_at = self.lives_for.map(end);
        *held = Some(Token { value: value.clone(), expires_at, refresh: None, got_at: Instant::now() });
        Ok(value)
    }

    fn read(&self, reply: &Reply) -> Result<String, Failure> {
        let body = match &self.said.decoder {
            Some(TokenDecoder::Text(_)) => return Ok(String::from_utf8_lossy(&reply.body).trim().to_owned()),
            Some(TokenDecoder::Xml(_)) => lockstep_files::xml::parse(&reply.body)
                .map_err(|error| Failure::system(format!("the answer of {} is no XML: {error}", reply.shown_url())))?,
            Some(TokenDecoder::Json(_)) | None => {
                let body = reply.json().map(Arc::unwrap_or_clone);
                body.ok_or_else(|| Failure::system(format!("{} answers the login without JSON", reply.shown_url())))?
            }
        };
        let path = &self.said.session_token_path;
        let token = dpath::get(&body, path).filter(|value| python::is_true(value)).map(python::text);
        token.ok_or_else(|| {
            Failure::system(format!("the answer of {} has nothing at `{}`", reply.shown_url(), path.join(".")))
        })
    }
}

/// The older form: a token of the configuration while it is good, then one of a login with name and password.
pub(crate) struct LegacySession {
    account: Arc<Account>,
    said: LegacySessionTokenAuthenticator,
    base: Option<Text>,
}

impl LegacySession {
    /// Its paths follow `base`, the beginning of the requester's own.
    pub(crate) fn new(account: &Arc<Account>, said: &LegacySessionTokenAuthenticator, base: Option<&Text>) -> Self {
        Self { account: Arc::clone(account), said: said.clone(), base: base.cloned() }
    }

    pub(crate) async fn prove(&self, draft: &mut Draft, scope: &Scope) -> Result<(), Failure> {
        let header = self.said.header.text(scope)?;
        let cell = self.account.tokens.cell(&format!("session {}", self.said.login_url.text(scope)?));
        let mut held = cell.lock().await;
        let token = match held.as_ref() {
            Some(token) => token.clone(),
            None => self.begin(&header, scope).await?,
        };
        draft.header(header, token.value.clone())?;
        *held = Some(token);
        Ok(())
    }

    async fn begin(&self, header: &str, scope: &Scope) -> Result<Token, Failure> {
        let text =
            |text: &Option<Text>| text.as_ref().map(|text| text.text(scope)).transpose().map(Option::unwrap_or_default);
        let base = text(&self.base)?;
        let at = |path: &str| format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
        let plain = |method, url| Draft {
            method,
            url,
            parameters: Vec::new(),
            headers: Vec::new(),
            form: Form::Empty,
            json: None,
        };
        let known = text(&self.said.session_token)?;
        if !known.is_empty() {
            let mut draft = plain(Method::GET, at(&self.said.validate_session_url.text(scope)?));
            draft.header(header, known.clone())?;
            if oauth2::send(&self.account, draft, "the test of the session").await.is_ok() {
                return Ok(Token { value: known, expires_at: None, refresh: None, got_at: Instant::now() });
            }
        }
        let (name, password) = (text(&self.said.username)?, text(&self.said.password)?);
        if name.is_empty() || password.is_empty() {
            return Err(Failure::config(
                "the session token is not valid, and there is no user name and password to log in with",
            ));
        }
        let mut draft = plain(Method::POST, at(&self.said.login_url.text(scope)?));
        draft.json = Some(json!({"username": name, "password": password}));
        let reply = oauth2::send(&self.account, draft, "the login").await?;
        let key = self.said.session_token_response_key.text(scope)?;
        let token =
            reply.json().and_then(|body| body.get(&key).filter(|value| !Value::is_null(value)).map(python::text));
        let value =
            token.ok_or_else(|| Failure::system(format!("the answer of {} has no `{key}`", reply.shown_url())))?;
        self.account.secrets.add(&value);
        Ok(Token { value, expires_at: None, refresh: None, got_at: Instant::now() })
    }
}
