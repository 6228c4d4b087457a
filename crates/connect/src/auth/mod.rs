//! Proof of who calls: put into each request, renewed where it runs out.
//!
//! Tokens belong to the account, not to the stream: whoever logs in with the same request shares its token, and
//! while one renews it the others wait for it ([`Tokens`]). A new token is a secret from the moment it arrives.

mod jwt;
mod oauth1;
pub(crate) mod oauth2;
mod session;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{ApiKeyAuthenticator, Authenticator, RequestOption, Text};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::account::Account;
use crate::draft::{Draft, Ready};
use crate::failure::Failure;
use crate::{dpath, python};

/// A way to prove who calls, ready for use.
pub(crate) enum Auth {
    None,
    Key(KeyAt, Text),
    Bearer(Text),
    Basic(Text, Option<Text>),
    Granted(Arc<oauth2::OAuth>),
    Signed(Box<oauth1::OAuth1>),
    Jwt(Box<jwt::Jwt>),
    Session(Box<session::Session>),
    LegacySession(Box<session::LegacySession>),
}

/// Where a key goes.
pub(crate) enum KeyAt {
    Header(Text),
    Option(RequestOption),
}

/// A token and when it runs out; without a time it is good for one request.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) expires_at: Option<jiff::Timestamp>,
    /// What renews it, where that came with it.
    pub(crate) refresh: Option<String>,
    /// When it was got: a request that was proven before that was refused with another one.
    pub(crate) got_at: Instant,
}

/// The place of one token. Whoever holds it may renew it; others wait, and share what comes of that.
#[derive(Default)]
pub(crate) struct Cell {
    token: Arc<tokio::sync::Mutex<Option<Token>>>,
    /// How many renewals have failed, and why the last one did.
    failed: Mutex<(u64, Option<Failure>)>,
}

impl Cell {
    pub(crate) async fn lock(&self) -> OwnedMutexGuard<Option<Token>> {
        Arc::clone(&self.token).lock_owned().await
    }

    /// How many renewals have failed so far: asked before one waits.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Why the last renewal failed, where that was since there were so many failures.
    pub(crate) fn failed_since(&self, failures: u64) -> Option<Failure> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.1.clone().filter(|_| failed.0 > failures)
    }

    pub(crate) fn fail(&self, failure: Failure) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = (failed.0 + 1, Some(failure));
    }
}

/// The tokens of an account, by what was asked to get them.
#[derive(Default)]
pub(crate) struct Tokens {
    cells: Mutex<BTreeMap<String, Arc<Cell>>>,
}

impl Tokens {
    /// The place of one token.
    pub(crate) fn cell(&self, key: &str) -> Arc<Cell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key.to_owned()).or_default())
    }
}

impl Auth {
    /// The proof of a requester whose paths begin at `base`.
    pub(crate) fn new(
        account: &Arc<Account>,
        said: Option<&Authenticator>,
        base: Option<&Text>,
    ) -> Result<Self, Failure> {
        Ok(match said {
            None | Some(Authenticator::NoAuth(_)) => Self::None,
            Some(Authenticator::ApiKey(key)) => Self::key(key)?,
            Some(Authenticator::Bearer(bearer)) => Self::Bearer(bearer.api_token.clone()),
            Some(Authenticator::Basic(basic)) => Self::Basic(basic.username.clone(), basic.password.clone()),
            Some(Authenticator::OAuth(said)) => Self::Granted(Arc::new(oauth2::OAuth::new(account, said)?)),
            Some(Authenticator::OAuth1(said)) => Self::Signed(Box::new(oauth1::OAuth1::new(said, &account.scope())?)),
            Some(Authenticator::Jwt(said)) => Self::Jwt(Box::new(jwt::Jwt::new(said))),
            Some(Authenticator::Session(said)) => Self::Session(Box::new(session::Session::new(account, said)?)),
            Some(Authenticator::LegacySession(said)) => {
                Self::LegacySession(Box::new(session::LegacySession::new(account, said, base)))
            }
            Some(Authenticator::Selective(said)) => {
                let path = said.authenticator_selection_path.join(".");
                let chosen = dpath::get(&account.config, &said.authenticator_selection_path).map(python::text);
                let chosen = chosen.ok_or_else(|| {
                    Failure::config(format!(
                        "the configuration has no `{path}`, which chooses how to authenticate; give one of {}",
                        names(&said.authenticators)
                    ))
                })?;
                let inner = said.authenticators.get(&chosen).ok_or_else(|| {
                    let known = names(&said.authenticators);
                    Failure::config(format!("`{path}` is {chosen:?} in the configuration; give one of {known}"))
                })?;
                Self::new(account, Some(inner), base)?
            }
        })
    }

    fn key(said: &ApiKeyAuthenticator) -> Result<Self, Failure> {
        let at = match (&said.inject_into, &said.header) {
            (Some(option), _) => KeyAt::Option(option.clone()),
            (None, Some(header)) => KeyAt::Header(header.clone()),
            (None, None) => return Err(Failure::system("an ApiKeyAuthenticator needs `inject_into` or `header`")),
        };
        let token =
            said.api_token.clone().ok_or_else(|| Failure::system("an ApiKeyAuthenticator needs `api_token`"))?;
        Ok(Self::Key(at, token))
    }

    /// Puts the proof into the request.
    pub(crate) async fn prove(&self, draft: &mut Draft, scope: &Scope) -> Result<(), Failure> {
        match self {
            Self::None | Self::Signed(_) => Ok(()),
            Self::Key(at, token) => at.put(draft, token.text(scope)?, scope),
            Self::Bearer(token) => draft.header("Authorization", format!("Bearer {}", token.text(scope)?)),
            Self::Basic(name, password) => {
                let password = password.as_ref().map(|text| text.text(scope)).transpose()?.unwrap_or_default();
                let pair = STANDARD.encode(format!("{}:{password}", name.text(scope)?));
                draft.header("Authorization", format!("Basic {pair}"))
            }
            Self::Granted(oauth) => draft.header("Authorization", format!("Bearer {}", oauth.token().await?)),
            Self::Jwt(jwt) => jwt.prove(draft, scope),
            // A login is a call of its own, within this one.
            Self::Session(session) => Box::pin(session.prove(draft, scope)).await,
            Self::LegacySession(session) => session.prove(draft, scope).await,
        }
    }

    /// Signs the finished request, where the proof covers it.
    pub(crate) fn sign(&self, ready: &mut Ready, account: &Account) -> Result<(), Failure> {
        match self {
            Self::Signed(oauth) => oauth.sign(ready, account),
            _ => Ok(()),
        }
    }

    /// Gets a new token in place of the one that a request was proven with then, unless that was done meanwhile.
    pub(crate) async fn renew(&self, account: &Account, proven_at: Instant) -> Result<(), Failure> {
        match self {
            Self::Granted(oauth) => oauth.renew(proven_at).await,
            Self::Session(session) => {
                session.forget(account, proven_at).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl KeyAt {
    fn put(&self, draft: &mut Draft, token: String, scope: &Scope) -> Result<(), Failure> {
        match self {
            Self::Header(name) => draft.header(name.text(scope)?, token),
            Self::Option(option) => draft.inject(option, Value::String(token), scope),
        }
    }
}

fn names(authenticators: &BTreeMap<String, Authenticator>) -> String {
    authenticators.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
