//! Control of shares: each call is asked who calls, checked, and committed as one change of settings with its audit
//! entry. What is to be done then is asked of the [`Workers`]; nothing here works for a share itself.

mod workers;

pub use workers::{Only, Workers};

use crate::registry::Registry;
use lockstep_engine::World;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// What the use cases of this room stand on.
pub struct Switchboard {
    /// The hub's own world.
    pub world: Arc<World>,
    /// The connectors there are.
    pub registry: Arc<Registry>,
    /// Whoever works for shares.
    pub workers: Arc<dyn Workers>,
    /// Where platforms and people reach this hub.
    pub public_url: Url,
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switchboard({})", self.public_url)
    }
}
