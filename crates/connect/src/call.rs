//! One call made until it has an answer that means something: drafted, proven, within the budget, tried again.
//!
//! Everything that goes out goes through here. Errors name the address without its query and what the platform
//! complains of, without secrets; bodies are not shown.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lockstep_egress::SendError;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{Action, HttpRequester};
use tokio::time::Instant;

use crate::account::Account;
use crate::auth::Auth;
use crate::draft::{Draft, Ready};
use crate::failure::Failure;
use crate::reply::{self, Reply};
use crate::{backoff, verdict};

/// Time for one try, from resolving to the last byte, where the requester says nothing.
const TIMEOUT: Duration = Duration::from_secs(300);
/// No new try is begun after so long.
const TRYING_FOR: Duration = Duration::from_secs(600);
/// Most tries of a call that is only told to come later.
const RATE_LIMITED_TRIES_MAX: u32 = 60;
/// Most redirects followed, as browsers do.
const REDIRECTS_MAX: usize = 10;

/// Makes the calls of one requester.
pub(crate) struct Caller {
    account: Arc<Account>,
    requester: HttpRequester,
    auth: Auth,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An answer to be read.
    Reply(Box<Reply>),
    /// One that counts as an empty page.
    Nothing,
    /// Begin the pages anew.
    Reset,
}

impl Caller {
    pub(crate) fn new(account: &Arc<Account>, requester: &HttpRequester) -> Result<Self, Failure> {
        let base = requester.url_base.as_ref().or(requester.url.as_ref());
        let auth = Auth::new(account, requester.authenticator.as_ref(), base)?;
        Ok(Self { account: Arc::clone(account), requester: requester.clone(), auth })
    }

    pub(crate) fn scope(&self) -> Scope {
        self.account.scope()
    }

    /// Makes the call. `scope` is what templates see, `path` takes the place of the requester's own, `inject` adds
    /// what paging, windows and partitions say.
    pub(crate) async fn call(
        &self,
        scope: &Scope,
        path: Option<&str>,
        inject: impl FnOnce(&mut Draft) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        let mut draft = Draft::of(&self.requester, scope, path)?;
        inject(&mut draft)?;
        self.tried(&draft, scope)
            .await
            .map_err(|failure| Failure { message: self.account.secrets.clean(&failure.message), ..failure })
    }

    async fn tried(&self, draft: &Draft, scope: &Scope) -> Result<Answer, Failure> {
        let handler = self.requester.error_handler.as_ref();
        let retries = verdict::retries(handler, scope)?;
        let strategies = verdict::strategies(handler);
        let began = Instant::now();
        let mut is_renewed = false;
        for attempt in 1.. {
            let mut proven = draft.clone();
            self.auth.prove(&mut proven, scope).await?;
            let proven_at = Instant::now();
            let sent = self.send(proven).await?;
            let (reply, failure, action) = match sent {
                Ok(reply) => {
                    let verdict = verdict::judge(handler, &reply, scope)?;
                    match verdict.action {
                        Action::Success => return Ok(Answer::Reply(Box::new(reply))),
                        Action::Ignore => return Ok(Answer::Nothing),
                        Action::ResetPagination => return Ok(Answer::Reset),
                        Action::Fail => return Err(refused(&reply, verdict)),
                        Action::RefreshToken if is_renewed => return Err(refused(&reply, verdict)),
                        Action::RefreshToken => {
                            is_renewed = true;
                            self.auth.renew(&self.account, proven_at).await?;
                        }
                        Action::Retry | Action::RateLimited => {}
                    }
                    let action = verdict.action;
                    let failure = refused(&reply, verdict);
                    (Some(reply), failure, action)
                }
                Err(error) if error.is_policy() => return Err(Failure::config(error.to_string())),
                Err(error) => (None, Failure::transient(error.to_string()), Action::Retry),
            };
            let tries_max = if action == Action::RateLimited { RATE_LIMITED_TRIES_MAX.max(retries) } else { retries };
            if attempt > tries_max || retries == 0 {
                return Err(Failure { message: format!("{} (tried {attempt} times)", failure.message), ..failure });
            }
            let wait = backoff::wait(&strategies, reply.as_ref(), attempt, scope, self.account.now())?;
            if began.elapsed() + wait > TRYING_FOR {
                let message = format!(
                    "{} (tried {attempt} times; the next try would be in {} s, and a call is tried for {} s)",
                    failure.message,
                    wait.as_secs(),
                    TRYING_FOR.as_secs()
                );
                return Err(Failure { message, ..failure });
            }
            tracing::info!(
                wait.ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                attempt,
                "a call is tried again"
            );
            if action == Action::RateLimited {
                self.account.budget.hold(wait);
            }
            tokio::time::sleep(wait).await;
        }
        Err(Failure::system("a call was tried too often"))
    }

    /// One try, redirects followed. The outer error is ours, the inner one the network's.
    async fn send(&self, draft: Draft) -> Result<Result<Reply, SendError>, Failure> {
        let mut ready = draft.ready()?;
        self.auth.sign(&mut ready, &self.account)?;
        for _ in 0..=REDIRECTS_MAX {
            let answer = match self.account.send(&ready, self.timeout()).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            match redirected(&ready, answer.status, &answer.headers)? {
                Some(next) => ready = next,
                None => return Reply::of(answer, ready.url).map(Ok),
            }
        }
        Err(Failure::system(format!("{} redirects without end", reply::shown(&ready.url))))
    }

    fn timeout(&self) -> Duration {
        let read = self.requester.read_timeout_in_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        read.unwrap_or(TIMEOUT)
    }
}

/// What the answer refused with, in one sentence.
pub(crate) fn refused(reply: &Reply, verdict: verdict::Verdict) -> Failure {
    let message = verdict.message.map(|text| reply::plain(&text)).unwrap_or_else(|| {
        let complaint = reply.complaint().map(|text| format!(": {text}")).unwrap_or_default();
        let hint = match reply.status.as_u16() {
            401 => "; check the credentials in the configuration",
            403 => "; check what the credentials may do",
            _ => "",
        };
        format!("{} answers {}{complaint}{hint}", reply.shown_url(), reply.status)
    });
    Failure { kind: verdict.kind, message }
}

/// The request that a redirect asks for. Another host gets nothing that may prove who calls: no header that the
/// connector sets, whatever its name, and no body.
pub(crate) fn redirected(ready: &Ready, status: StatusCode, headers: &HeaderMap) -> Result<Option<Ready>, Failure> {
    let Some(location) = headers.get(LOCATION).filter(|_| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308))
    else {
        return Ok(None);
    };
    let odd = || Failure::system(format!("{} redirects to what is no URL", reply::shown(&ready.url)));
    let url = ready.url.join(location.to_str().map_err(|_odd| odd())?).map_err(|_odd| odd())?;
    let mut next = ready.clone();
    let becomes_get =
        status == StatusCode::SEE_OTHER || (ready.method == Method::POST && matches!(status.as_u16(), 301 | 302));
    if becomes_get {
        next.method = Method::GET;
        next.body = bytes::Bytes::new();
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_LENGTH);
    }
    if url.origin() != ready.url.origin() {
        if !next.body.is_empty() {
            return Err(Failure::config(format!(
                "{} redirects to {}; what was sent is for the first host alone, so give the other address in the configuration",
                reply::shown(&ready.url),
                url.host_str().unwrap_or_default()
            )));
        }
        next.headers =
            ready.headers.iter().filter(|(name, _)| [ACCEPT, ACCEPT_ENCODING].contains(name)).map(own).collect();
    }
    next.url = url;
    Ok(Some(next))
}

fn own((name, value): (&HeaderName, &HeaderValue)) -> (HeaderName, HeaderValue) {
    (name.clone(), value.clone())
}
