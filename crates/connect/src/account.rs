//! What all streams of one account share: the way out, the clock, the configuration, tokens, and the budget of calls.

use std::sync::Arc;

use lockstep_core::clock::Clock;
use lockstep_egress::Transport;
use lockstep_expr::interpolation::{Bound, Scope};
use serde_json::Value;

use crate::auth::Tokens;
use crate::budget::Budget;
use crate::secret::Secrets;
use crate::source::World;

/// What all streams of one account share.
pub(crate) struct Account {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Value>,
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
        let World { transport, clock, seed } = world;
        Self { transport, clock, config, bound, budget: Budget::default(), tokens: Tokens::default(), secrets, seed }
    }

    /// What every template sees: the configuration and the time.
    pub(crate) fn scope(&self) -> Scope {
        Scope::new(self.now()).with_seed(self.seed).with("config", self.bound.clone())
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.clock.now().0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}
