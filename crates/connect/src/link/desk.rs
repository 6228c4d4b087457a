//! Where calls of a link are made: drafted from what the file says, proven, within the budget, and judged.
//!
//! A call whose answer was lost is made again only where that is harmless; else the outcome is unknown, and whoever
//! asked decides. Redirects of writes are not followed: they are answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep_core::Fields;
use lockstep_egress::SendError;
use lockstep_manifest::{
    Action, Blank, Call, ClassSaid, ErrorSaid, FailureType, HttpRequester, Method, Remote, Sharing, Step,
};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::tables::Table;
use super::{Class, Trouble};
use crate::account::Account;
use crate::auth::Auth;
use crate::draft::{Draft, Form};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::source::Session;
use crate::{backoff, call, verdict};

/// Tries of one call.
const TRIES: u32 = 6;
/// Longest wait between two tries; a longer one is whoever asked's to wait.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Time for one try, where the requester says nothing.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most redirects followed.
const REDIRECTS_MAX: usize = 5;

/// What a link works with.
pub(crate) struct Desk {
    pub(super) session: Session,
    pub(super) sharing: Arc<Sharing>,
    pub(super) tables: Mutex<BTreeMap<String, Table>>,
    auth: Auth,
    slots: Semaphore,
}

/// What a call sees and what its refusals mean.
pub(super) struct Asked<'a> {
    pub(super) scope: &'a Map<String, Value>,
    pub(super) errors: &'a [ErrorSaid],
    /// Whether it may be made twice, where the file says nothing.
    pub(super) is_harmless: bool,
}

/// What the file says that an answer means, and what it says of it. No class: it is no refusal.
pub(super) type Meaning = (Option<Class>, Option<String>);

/// What to do after a try.
enum Next {
    Done(Reply),
    GiveUp(Trouble),
    /// Again, with the token renewed.
    Renew(Trouble),
    /// Again, after a wait.
    Wait(Option<Reply>, Trouble),
}

impl Desk {
    pub(super) fn new(session: &Session, sharing: &Arc<Sharing>) -> Result<Self, Failure> {
        let requester = &sharing.requester;
        let base = requester.url_base.as_ref().or(requester.url.as_ref());
        Ok(Self {
            auth: Auth::new(session.account(), requester.authenticator.as_ref(), base)?,
            slots: Semaphore::new(sharing.at_once),
            tables: Mutex::default(),
            session: session.clone(),
            sharing: Arc::clone(sharing),
        })
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        self.session.account()
    }

    /// What is said of an object.
    pub(super) fn remote(&self, object: &str) -> Result<&Remote, Trouble> {
        self.sharing.types.get(object).ok_or_else(|| {
            let known: Vec<&str> = self.sharing.types.keys().map(String::as_str).collect();
            Trouble::system(format!("the connector knows no object {object}; it has {}", known.join(", ")))
        })
    }

    /// What every text of the file sees.
    pub(super) fn scope(&self, options: &Fields) -> Map<String, Value> {
        let config = self.account().config.as_ref().clone();
        Map::from_iter([("config".to_owned(), config), ("options".to_owned(), Value::Object(options.clone()))])
    }

    /// Makes a call until it has an answer that means something.
    pub(super) async fn ask(&self, call: &Call, asked: &Asked<'_>) -> Result<Reply, Trouble> {
        let answered = self.asked(call, asked).await;
        answered.map_err(|mut trouble| {
            trouble.failure.message = self.account().secrets.clean(&trouble.failure.message);
            trouble
        })
    }

    async fn asked(&self, call: &Call, asked: &Asked<'_>) -> Result<Reply, Trouble> {
        let draft = draft_of(self.account(), &self.sharing.requester, call, asked.scope)?;
        let is_harmless = call.is_idempotent.unwrap_or(asked.is_harmless || call.method == Method::Get);
        let mut is_renewed = false;
        for attempt in 1..=TRIES {
            let proven_at = Instant::now();
            let sent = self.tried(&draft, call.is_open).await?;
            let (reply, trouble) = match self.judged(sent, asked, is_harmless)? {
                Next::Done(reply) => return Ok(reply),
                Next::GiveUp(trouble) => return Err(trouble),
                Next::Renew(trouble) if is_renewed => return Err(trouble),
                Next::Renew(_) => {
                    is_renewed = true;
                    self.auth.renew(self.account(), proven_at).await?;
                    continue;
                }
                Next::Wait(reply, trouble) => (reply, trouble),
            };
            let wait = backoff::wait(&[], reply.as_ref(), attempt, &self.account().scope(), self.account().now());
            let wait = wait.unwrap_or(Duration::MAX);
            let is_limited = reply.as_ref().is_some_and(|reply| reply.status.as_u16() == 429);
            if is_limited && wait <= WAIT_MAX {
                self.account().budget.hold(wait);
            }
            if attempt == TRIES || wait > WAIT_MAX {
                let after = (is_limited || wait > WAIT_MAX).then_some(wait).filter(|wait| *wait < Duration::MAX);
                return Err(Trouble { after, ..trouble });
            }
            tracing::info!(attempt, "a call is tried again");
            tokio::time::sleep(wait).await;
        }
        Err(Trouble::system("a call was tried too often"))
    }

    /// One try. The inner error is the network's.
    async fn tried(&self, draft: &Draft, is_open: bool) -> Result<Result<Reply, SendError>, Trouble> {
        let mut proven = draft.clone();
        if !is_open {
            self.auth.prove(&mut proven, &self.account().scope()).await?;
        }
        let mut ready = proven.ready()?;
        let is_read = ready.method == http::Method::GET;
        let timeout = self.sharing.requester.read_timeout_in_seconds;
        let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(TIMEOUT);
        let _slot = self.slots.acquire().await.map_err(|_closed| Trouble::system("the link is closed"))?;
        for _ in 0..=REDIRECTS_MAX {
            if !is_open {
                self.auth.sign(&mut ready, self.account())?;
            }
            let answer = match self.account().send(&ready, timeout).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            match call::redirected(&ready, answer.status, &answer.headers)? {
                Some(next) if is_read => ready = next,
                _ => return Ok(Ok(Reply::of(answer, ready.url)?)),
            }
        }
        Err(Trouble::system("the platform redirects without end"))
    }

    fn judged(&self, sent: Result<Reply, SendError>, asked: &Asked<'_>, is_harmless: bool) -> Result<Next, Trouble> {
        let reply = match sent {
            Ok(reply) => reply,
            Err(error) => {
                let trouble = Trouble::unsent(&error, is_harmless);
                let may_pass = trouble.class == Class::Down;
                return Ok(if may_pass { Next::Wait(None, trouble) } else { Next::GiveUp(trouble) });
            }
        };
        if let Some((class, message)) = said(asked.errors, &reply, asked.scope)? {
            let Some(class) = class else { return Ok(Next::Done(reply)) };
            let trouble = Trouble::new(class, told(&reply, message, class));
            return Ok(if class == Class::Retry { Next::Wait(Some(reply), trouble) } else { Next::GiveUp(trouble) });
        }
        let judged = verdict::judge(self.sharing.requester.error_handler.as_ref(), &reply, &self.account().scope())?;
        let status = reply.status.as_u16();
        let broken = if is_harmless { Class::Down } else { Class::Unknown };
        let class = match (judged.action, status) {
            (Action::RefreshToken, _) => Class::Auth,
            (Action::RateLimited, _) | (_, 429) => Class::Retry,
            // A reader asks again whatever it does not know; a write that is refused as it is stays refused.
            (Action::Retry, _) if judged.is_said => broken,
            (_, 408 | 500..) => broken,
            (Action::Fail, _) if status < 400 => Class::Permanent,
            (_, ..=399) => return Ok(Next::Done(reply)),
            (_, 401 | 403) => Class::Auth,
            (Action::Fail, _) if judged.kind == FailureType::Config => Class::Auth,
            (_, 404 | 410) => Class::Gone,
            (_, 409) => Class::Duplicate,
            _ => Class::Permanent,
        };
        let action = judged.action;
        let trouble = Trouble::new(class, call::refused(&reply, judged));
        Ok(match class {
            _ if action == Action::RefreshToken => Next::Renew(trouble),
            Class::Retry | Class::Down => Next::Wait(Some(reply), trouble),
            _ => Next::GiveUp(trouble),
        })
    }
}

/// A call of the file, drafted: what the requester says, with what the call says.
pub(crate) fn draft_of(
    account: &Account,
    requester: &HttpRequester,
    call: &Call,
    scope: &Map<String, Value>,
) -> Result<Draft, Trouble> {
    let path = call.path.path(scope).map_err(Trouble::system)?;
    let path = path.trim_start_matches('/');
    let mut draft = Draft::of(requester, &account.scope(), Some(path))?;
    draft.method = method(call.method);
    let entries = |blank: &Option<Blank>| -> Result<Vec<(String, Value)>, Trouble> {
        match blank.as_ref().map(|blank| blank.value(scope)).transpose()? {
            Some(Value::Object(entries)) => Ok(entries.into_iter().collect()),
            _ => Ok(Vec::new()),
        }
    };
    draft.parameters.extend(entries(&call.parameters)?);
    draft.headers.extend(entries(&call.headers)?);
    if call.form.is_some() {
        draft.form = Form::Fields(entries(&call.form)?);
    }
    if let Some(json) = &call.json {
        draft.json = Some(json.value(scope)?);
    }
    Ok(draft)
}

/// What the file says of an answer; no class where it is none of a refusal.
fn said(errors: &[ErrorSaid], reply: &Reply, scope: &Map<String, Value>) -> Result<Option<Meaning>, Trouble> {
    if errors.is_empty() {
        return Ok(None);
    }
    let seen = seen(reply, scope);
    let text = String::from_utf8_lossy(&reply.body);
    // What is said of refusals is of refusals: words alone mean nothing in an answer that is fine.
    let is_meant = |error: &&ErrorSaid| !error.status.0.is_empty() || error.when.is_some() || !reply.is_ok();
    for error in errors.iter().filter(is_meant) {
        let fits = (error.status.0.is_empty() || error.status.0.contains(&reply.status.as_u16()))
            && (error.contains.0.is_empty() || error.contains.0.iter().any(|word| text.contains(word.as_str())));
        if fits && holds(error.when.as_ref(), &seen)? {
            return meaning(error, &seen).map(Some);
        }
    }
    Ok(None)
}

/// What an error of the file means, and says.
pub(super) fn meaning(error: &ErrorSaid, scope: &Map<String, Value>) -> Result<Meaning, Trouble> {
    let message = error.message.as_ref().map(|message| message.text(scope)).transpose();
    Ok((class(error.class), message?))
}

/// Whether a condition holds; none always does.
pub(super) fn holds(when: Option<&lockstep_manifest::Fill>, scope: &Map<String, Value>) -> Result<bool, Trouble> {
    Ok(when.map_or(Ok(true), |when| when.is_true(scope))?)
}

/// Puts what is kept of a step's answer into the scope of those after it.
pub(super) fn keep(scope: &mut Map<String, Value>, step: &Step, seen: &Map<String, Value>) -> Result<(), Trouble> {
    for (name, fill) in &step.keep {
        scope.insert(name.clone(), fill.value(seen)?);
    }
    Ok(())
}

/// The scope with an answer in it: `status`, `body`, `headers`.
pub(crate) fn seen(reply: &Reply, scope: &Map<String, Value>) -> Map<String, Value> {
    let mut seen = scope.clone();
    let headers = reply.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    seen.insert("headers".to_owned(), Value::Object(headers.collect()));
    seen.insert("status".to_owned(), reply.status.as_u16().into());
    let body = reply.json().map(|body| body.as_ref().clone());
    seen.insert("body".to_owned(), body.unwrap_or_default());
    seen
}

const fn class(said: ClassSaid) -> Option<Class> {
    Some(match said {
        ClassSaid::Done => return None,
        ClassSaid::Retry => Class::Retry,
        ClassSaid::Unknown => Class::Unknown,
        ClassSaid::Permanent => Class::Permanent,
        ClassSaid::Gone => Class::Gone,
        ClassSaid::Duplicate => Class::Duplicate,
        ClassSaid::Ambiguous => Class::Ambiguous,
        ClassSaid::Auth => Class::Auth,
        ClassSaid::Down => Class::Down,
    })
}

fn told(reply: &Reply, message: Option<String>, class: Class) -> Failure {
    let kind = match class {
        Class::Auth => FailureType::Config,
        Class::Retry | Class::Down | Class::Unknown => FailureType::Transient,
        _ => FailureType::System,
    };
    call::refused(reply, verdict::Verdict { action: Action::Fail, kind, message, is_said: true })
}

const fn method(said: Method) -> http::Method {
    match said {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}
