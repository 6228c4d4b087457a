//! OAuth 2 (RFC 6749): refresh token, client credentials, password, JWT bearer.
//!
//! A token is renewed shortly before it runs out, by whoever comes first; the others wait, and share what comes of it. A
//! refresh token that is good for one use is given to whoever keeps the configuration before what came with it is used;
//! so a renewal that has begun goes on when whoever asked for it does not wait any longer.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use lockstep_expr::datetime;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{FailureType, OAuthAuthenticator, RefreshTokenUpdater, Text};
use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::account::Account;
use crate::auth::jwt::Jwt;
use crate::auth::{Cell, Token};
use crate::draft::{Draft, Form};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{backoff, dpath, python, tree};

/// A token is taken for spent this long before it runs out, so that it does not run out on the way.
const SPENT_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
/// How long a token is taken to live that does not say.
const LIVES_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// Tries of a token request.
const TRIES: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Deepest place in an answer where the token is looked for.
const DEPTH_MAX: usize = 5;

pub(crate) struct OAuth {
    account: Arc<Account>,
    said: OAuthAuthenticator,
    assertion: Option<Jwt>,
    key: String,
}

impl OAuth {
    pub(crate) fn new(account: &Arc<Account>, said: &OAuthAuthenticator) -> Result<Self, Failure> {
        let scope = account.scope();
        let uses_assertion = said.use_profile_assertion.as_ref().map_or(Ok(false), |text| text.is_true(&scope))?;
        let assertion = said.profile_assertion.as_ref().filter(|_| uses_assertion).map(|jwt| Jwt::new(jwt));
        let oauth = Self { account: Arc::clone(account), said: said.clone(), assertion, key: String::new() };
        let mut key = oauth.endpoint(&scope)?;
        for (name, value) in oauth.fields(&scope, None)? {
            key.push_str(&format!("\n{name}={}", python::text(&value)));
        }
        Ok(Self { key, ..oauth })
    }

    /// The access token, renewed where it has run out.
    pub(crate) async fn token(self: &Arc<Self>) -> Result<String, Failure> {
        let scope = self.account.scope();
        if let (Some(fixed), None) = (&self.said.access_token_value, &self.said.token_refresh_endpoint) {
            return Ok(fixed.text(&scope)?);
        }
        let cell = self.account.tokens.cell(&self.key);
        let failures = cell.failures();
        let mut held = cell.lock().await;
        if held.is_none() {
            *held = self.given(&scope)?;
        }
        let now = self.account.now();
        if let Some(token) = held.as_ref().filter(|token| token.expires_at.is_none_or(|at| now < at)) {
            return Ok(token.value.clone());
        }
        match cell.failed_since(failures) {
            Some(failure) => Err(failure),
            None => self.ask_through(cell, held).await,
        }
    }

    /// Gets a new token in place of the one that was held then. Where several requests were refused with it, the first
    /// renews it for all: a platform may take back a token when it gives the next.
    pub(crate) async fn renew(self: &Arc<Self>, proven_at: Instant) -> Result<(), Failure> {
        let cell = self.account.tokens.cell(&self.key);
        let failures = cell.failures();
        let held = cell.lock().await;
        if held.as_ref().is_some_and(|token| token.got_at > proven_at) {
            return Ok(());
        }
        match cell.failed_since(failures) {
            Some(failure) => Err(failure),
            None => self.ask_through(cell, held).await.map(drop),
        }
    }

    /// Asks in a task of its own, which ends also where nobody waits for it any more: between the request and its answer
    /// nobody but it knows the next refresh token.
    #[expect(
        clippy::disallowed_methods,
        reason = "a renewal outlives the caller who hung up, and ends with its answer"
    )]
    async fn ask_through(
        self: &Arc<Self>,
        cell: Arc<Cell>,
        mut held: OwnedMutexGuard<Option<Token>>,
    ) -> Result<String, Failure> {
        let oauth = Arc::clone(self);
        let renewal = async move {
            let asked = oauth.ask(&oauth.account.scope(), &mut held).await;
            if let Err(failure) = &asked {
                cell.fail(failure.clone());
            }
            asked
        };
        let ended = tokio::spawn(renewal.in_current_span()).await;
        ended.unwrap_or_else(|error| Err(Failure::transient(format!("a token was not renewed to the end: {error}"))))
    }

    /// The token of the configuration, with the time at which it runs out.
    fn given(&self, scope: &Scope) -> Result<Option<Token>, Failure> {
        let path = |path: &[String]| {
            dpath::get(&self.account.config, path).filter(|value| python::is_true(value)).map(python::text)
        };
        let updater = self.said.refresh_token_updater.as_ref();
        let (value, expiry) = match updater {
            Some(updater) => {
                let token = if updater.access_token_config_path.is_empty() {
                    path(&["credentials".to_owned(), "access_token".to_owned()])
                } else {
                    path(&updater.access_token_config_path)
                };
                let expiry = if updater.token_expiry_date_config_path.is_empty() {
                    path(&["credentials".to_owned(), "token_expiry_date".to_owned()])
                } else {
                    path(&updater.token_expiry_date_config_path)
                };
                (token, expiry)
            }
            None => {
                let text = |text: &Option<Text>| text.as_ref().map(|text| text.text(scope)).transpose();
                (text(&self.said.access_token_value)?, text(&self.said.token_expiry_date)?)
            }
        };
        let expires_at = expiry.filter(|text| !text.is_empty()).and_then(|text| datetime::parse_any(&text).ok());
        let expires_at = expires_at.map(|moment| moment.timestamp());
        // Without a time it cannot be known whether it still holds: a new one is asked for.
        Ok(value.filter(|value| !value.is_empty()).zip(expires_at).map(|(value, at)| Token {
            value,
            expires_at: Some(at),
            refresh: None,
            got_at: Instant::now(),
        }))
    }

    fn endpoint(&self, scope: &Scope) -> Result<String, Failure> {
        let endpoint = self.said.token_refresh_endpoint.as_ref().map(|text| text.text(scope)).transpose()?;
        Ok(endpoint.unwrap_or_default())
    }

    fn named(name: Option<&Text>, otherwise: &str, scope: &Scope) -> Result<String, Failure> {
        Ok(name
            .map(|name| name.text(scope))
            .transpose()?
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| otherwise.to_owned()))
    }

    /// What the token request says, in the order in which it is said.
    fn fields(&self, scope: &Scope, rotated: Option<&str>) -> Result<Vec<(String, Value)>, Failure> {
        let said = &self.said;
        let grant = Self::named(said.grant_type.as_ref(), "refresh_token", scope)?;
        let grant_name = Self::named(said.grant_type_name.as_ref(), "grant_type", scope)?;
        if let Some(assertion) = &self.assertion {
            let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            return Ok(vec![(grant_name, bearer.into()), ("assertion".into(), assertion.token(scope)?.into())]);
        }
        let mut fields = vec![(grant_name, Value::String(grant.clone()))];
        let headers = self.headers(scope)?;
        let proves_in_header = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.text(scope)).transpose();
        if !proves_in_header {
            let id = text(&said.client_id)?.filter(|id| !id.is_empty());
            let id =
                id.ok_or_else(|| Failure::config("the client id for OAuth is empty; give it in the configuration"))?;
            fields.push((Self::named(said.client_id_name.as_ref(), "client_id", scope)?, id.into()));
            let secret = text(&said.client_secret)?.unwrap_or_default();
            fields.push((Self::named(said.client_secret_name.as_ref(), "client_secret", scope)?, secret.into()));
        }
        let refresh = match rotated {
            Some(token) => Some(token.to_owned()),
            None => self.refresh_token(scope)?,
        };
        if let Some(token) = refresh.filter(|token| !token.is_empty()) {
            fields.push((Self::named(said.refresh_token_name.as_ref(), "refresh_token", scope)?, token.into()));
        } else if grant == "refresh_token" {
            return Err(Failure::config("there is no refresh token in the configuration; authorise again"));
        }
        if !said.scopes.is_empty() {
            fields.push(("scopes".to_owned(), said.scopes.clone().into()));
        }
        if let Some(body) = &said.refresh_request_body {
            for (name, value) in tree::parameters(body, scope)? {
                if !fields.iter().any(|(known, _)| *known == name) {
                    fields.push((name, value));
                }
            }
        }
        Ok(fields)
    }

    fn refresh_token(&self, scope: &Scope) -> Result<Option<String>, Failure> {
        let own = self.said.refresh_token.as_ref().map(|text| text.text(scope)).transpose()?;
        let updater = self.said.refresh_token_updater.as_ref();
        let kept = updater.map(refresh_path).and_then(|path| dpath::get(&self.account.config, &path).map(python::text));
        Ok(kept.or(own))
    }

    fn headers(&self, scope: &Scope) -> Result<Vec<(String, String)>, Failure> {
        self.said
            .refresh_request_headers
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |headers| tree::headers(headers, scope))
    }

    /// Gets a token and holds it; gives its value. One that came with another refresh token is used only once that is
    /// kept: whoever loses it has lost the account.
    async fn ask(&self, scope: &Scope, held: &mut Option<Token>) -> Result<String, Failure> {
        let rotated = held.as_ref().and_then(|token| token.refresh.clone());
        let token = match self.asked(scope, rotated.as_deref()).await {
            Err(failure) if failure.kind == FailureType::Config => {
                // Another process may have used the refresh token before us, and kept what it got for it.
                let used = rotated.or(self.refresh_token(scope)?);
                match self.kept_elsewhere().await.filter(|kept| Some(kept) != used.as_ref()) {
                    Some(kept) => self.asked(scope, Some(&kept)).await?,
                    None => return Err(failure),
                }
            }
            answered => answered?,
        };
        let value = token.value.clone();
        let spent = Token { expires_at: Some(jiff::Timestamp::UNIX_EPOCH), ..token.clone() };
        // Held as spent until it is kept, so that the next one who asks at least has its refresh token.
        *held = Some(spent);
        if let (Some(keep), Some(config)) = (&self.account.keep, self.account.kept.current()) {
            keep.keep(&config).await.map_err(|failure| failure.while_at("a new refresh token could not be kept"))?;
            self.account.kept.take();
        }
        *held = Some(token);
        Ok(value)
    }

    /// The refresh token of the configuration as it is kept now.
    async fn kept_elsewhere(&self) -> Option<String> {
        let updater = self.said.refresh_token_updater.as_ref()?;
        let config = self.account.keep.as_ref()?.reread().await?;
        let found =
            dpath::get(&config, &refresh_path(updater)).filter(|value| python::is_true(value)).map(python::text)?;
        self.account.secrets.add(&found);
        Some(found)
    }

    async fn asked(&self, scope: &Scope, rotated: Option<&str>) -> Result<Token, Failure> {
        let url = self.endpoint(scope)?;
        if url.is_empty() {
            return Err(Failure::config("there is no address to get a token from; give `token_refresh_endpoint`"));
        }
        let fields = self.fields(scope, rotated)?;
        let as_query = self.said.send_refresh_request_as_query_params;
        let (parameters, form) = if as_query { (fields, Form::Empty) } else { (Vec::new(), Form::Fields(fields)) };
        let headers = self.headers(scope)?.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        let draft = Draft { method: Method::POST, url, parameters, headers, form, json: None };
        let reply = send(&self.account, draft, "the token request").await?;
        self.take(&reply, scope, rotated)
    }

    fn take(&self, reply: &Reply, scope: &Scope, rotated: Option<&str>) -> Result<Token, Failure> {
        let body =
            reply.json().ok_or_else(|| Failure::system(format!("{} answers without JSON", reply.shown_url())))?;
        let name = Self::named(self.said.access_token_name.as_ref(), "access_token", scope)?;
        let value = find(&body, &name, 0).filter(|value| python::is_true(value)).map(python::text);
        let value =
            value.ok_or_else(|| Failure::system(format!("the answer of {} holds no `{name}`", reply.shown_url())))?;
        self.account.secrets.add(&value);
        let updater = self.said.refresh_token_updater.as_ref();
        let found = updater.and_then(|updater| find(&body, &updater.refresh_token_name, 0));
        let refresh =
            found.filter(|value| python::is_true(value)).map(python::text).or_else(|| rotated.map(ToOwned::to_owned));
        if let Some(refresh) = &refresh {
            self.account.secrets.add(refresh);
        }
        let expires = Self::named(self.said.expires_in_name.as_ref(), "expires_in", scope)?;
        let expires_at = match find(&body, &expires, 0) {
            None | Some(Value::Null) => self.account.now() + LIVES_FOR,
            Some(said) => self.expiry(&python::text(said))?,
        };
        if let (Some(updater), Some(refresh)) = (updater, &refresh) {
            let path = |own: &[String], usual: &str| match own {
                [] => vec!["credentials".to_owned(), usual.to_owned()],
                own => own.to_vec(),
            };
            self.account.kept.write(vec![
                (path(&updater.access_token_config_path, "access_token"), value.clone()),
                (path(&updater.refresh_token_config_path, "refresh_token"), refresh.clone()),
                (path(&updater.token_expiry_date_config_path, "token_expiry_date"), expires_at.to_string()),
            ]);
        }
        Ok(Token { value, expires_at: Some(expires_at - SPENT_BEFORE), refresh, got_at: Instant::now() })
    }

    fn expiry(&self, said: &str) -> Result<jiff::Timestamp, Failure> {
        if self.said.token_expiry_date_format.is_some() {
            return Ok(datetime::parse_any(said)?.timestamp());
        }
        let seconds: f64 = said
            .trim()
            .parse()
            .map_err(|_odd| Failure::system(format!("a token lives for {said:?}; a number of seconds is expected")))?;
        let lives = jiff::SignedDuration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).unwrap_or(LIVES_FOR);
        Ok(self.account.now() + lives)
    }
}

/// Where the refresh token stands in the configuration.
fn refresh_path(updater: &RefreshTokenUpdater) -> Vec<String> {
    match updater.refresh_token_config_path.as_slice() {
        [] => vec!["credentials".to_owned(), "refresh_token".to_owned()],
        own => own.to_vec(),
    }
}

/// Makes a call that gets a token: tried again while the platform is not itself.
pub(crate) async fn send(account: &Account, draft: Draft, what: &str) -> Result<Reply, Failure> {
    let scope = account.scope();
    for attempt in 1..=TRIES {
        let ready = draft.clone().ready()?;
        let url = ready.url.clone();
        let failure = match account.send(&ready, TIMEOUT).await {
            Err(error) if error.is_policy() => return Err(Failure::config(error.to_string())),
            Err(error) => Failure::transient(error.to_string()),
            Ok(answer) => {
                let reply = Reply::of(answer, url)?;
                if reply.is_ok() {
                    return Ok(reply);
                }
                let said = reply.complaint().map(|text| format!(": {text}")).unwrap_or_default();
                let message = format!("{what} to {} is refused with {}{said}", reply.shown_url(), reply.status);
                let may_pass = reply.status.as_u16() == 429 || reply.status.is_server_error();
                if !may_pass {
                    return Err(Failure::config(format!("{message}; check the credentials, or authorise again")));
                }
                if attempt == TRIES {
                    return Err(Failure::transient(format!("{message} (tried {attempt} times)")));
                }
                let wait = backoff::wait(&[], Some(&reply), attempt, &scope, account.now())?;
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        if attempt == TRIES {
            return Err(failure.while_at(what));
        }
        tokio::time::sleep(backoff::wait(&[], None, attempt, &scope, account.now())?).await;
    }
    Err(Failure::transient(format!("{what} did not get through")))
}

/// The entry of that name, wherever it is.
fn find<'v>(value: &'v Value, name: &str, depth: usize) -> Option<&'v Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| inner(fields, name, depth)),
        Value::Array(items) => items.iter().find_map(|item| find(item, name, depth + 1)),
        _ => None,
    }
}

fn inner<'v>(fields: &'v Map<String, Value>, name: &str, depth: usize) -> Option<&'v Value> {
    fields.values().find_map(|value| find(value, name, depth + 1))
}
