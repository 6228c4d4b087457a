//! What all streams of one account share: the way out, the clock, the configuration, tokens, and the budget of calls.

use std::sync::Arc;
use std::time::Duration;

use lockstep_core::clock::Clock;
use lockstep_egress::{Request, Response, SendError, Transport};
use lockstep_expr::interpolation::{Bound, Scope};
use serde_json::Value;
use tokio::time::Instant;

use crate::auth::Tokens;
use crate::budget::Budget;
use crate::config::Kept;
use crate::draft::Ready;
use crate::keep::Keep;
use crate::reply::RESPONSE_BYTES_MAX;
use crate::secret::Secrets;
use crate::source::World;

/// What all streams of one account share.
pub(crate) struct Account {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Value>,
    /// What its holder should keep.
    pub(crate) kept: Kept,
    pub(crate) keep: Option<Arc<dyn Keep>>,
    bound: Bound,
    pub(crate) budget: Budget,
    pub(crate) tokens: Tokens,
    pub(crate) secrets: Secrets,
    /// Drawn once for the account; what must not repeat itself elsewhere (a nonce) begins with it.
    pub(crate) seed: u64,
}

impl Account {
    pub(crate) fn new(world: World, config: Value, secrets: Secrets) -> Self {
        let config = Arc::new(config);
        let bound = Bound::from(Arc::clone(&config));
        let World { transport, clock, seed, keep } = world;
        Self {
            transport,
            clock,
            config,
            kept: Kept::default(),
            keep,
            bound,
            budget: Budget::default(),
            tokens: Tokens::default(),
            secrets,
            seed,
        }
    }

    /// What every template sees: the configuration and the time.
    pub(crate) fn scope(&self) -> Scope {
        Scope::new(self.now()).with_seed(self.seed).with("config", self.bound.clone())
    }

    /// Makes one call within the budget, and learns from the answer what is left of it. A trace of it, without secrets,
    /// goes to the log.
    pub(crate) async fn send(&self, call: &Ready, timeout: Duration) -> Result<Response, SendError> {
        self.budget.take(call).await;
        let request = Request {
            method: call.method.clone(),
            url: call.url.clone(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            identity: None,
            timeout,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        let began = Instant::now();
        let answer = self.transport.send(request).await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let url = || self.secrets.clean(call.url.as_str());
        match &answer {
            Ok(answer) => {
                self.budget.learn(call, answer.status.as_u16(), &answer.headers, self.now());
                let (status, bytes) = (answer.status.as_u16(), answer.body.len());
                tracing::debug!(method = %call.method, url = url(), status, ms, bytes, "a call");
            }
            Err(error) => {
                tracing::debug!(method = %call.method, url = url(), error = self.secrets.clean(&error.to_string()), ms, "a call")
            }
        }
        answer
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.clock.now().0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}
