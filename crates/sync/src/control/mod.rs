//! Control of shares: each call is asked who calls, checked, and committed as one change of settings with its audit
//! entry. What is to be done then is asked of the [`Workers`]; nothing here works for a share itself.

pub mod account;
pub mod config;
pub mod connection;
pub mod connectors;
pub mod login;
pub mod plan;
pub mod preview;
pub mod problem;
pub mod run;
pub mod share;
mod workers;

pub use workers::{Only, Workers};

use crate::registry::Registry;
use lockstep_core::error::Code;
use lockstep_core::ids::ConnectionId;
use lockstep_engine::World;
use lockstep_engine::control::hold;
use lockstep_engine::refusal::Refusal;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;
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
    /// Held by what makes shares and by what drops what they stand on, so that neither overtakes the other.
    turn: Mutex<()>,
}

impl Switchboard {
    /// A switchboard of a hub.
    #[must_use]
    pub fn new(world: Arc<World>, registry: Arc<Registry>, workers: Arc<dyn Workers>, public_url: Url) -> Self {
        Self { world, registry, workers, public_url, turn: Mutex::new(()) }
    }

    /// An address at this hub.
    fn place(&self, path: &[&str]) -> Url {
        place(&self.public_url, path)
    }

    /// The address of the inbound hook of a connection's remote object, named as [`lockstep_core::share::Share::slot`]
    /// does; with the key, where it is to be pasted as it is.
    #[must_use]
    pub fn hook_url(&self, connection: ConnectionId, slot: &str, key: Option<&str>) -> String {
        hook_url(&self.public_url, connection, slot, key)
    }
}

fn place(public_url: &Url, path: &[&str]) -> Url {
    let mut url = public_url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// See [`Switchboard::hook_url`].
pub(crate) fn hook_url(public_url: &Url, connection: ConnectionId, slot: &str, key: Option<&str>) -> String {
    let mut url = place(public_url, &["hook", &connection.to_string(), slot]);
    url.set_query(key.map(|key| format!("key={key}")).as_deref());
    url.to_string()
}

/// That calls may leave: a restored hub that refreshes a token takes it from the one that it is a copy of.
fn must_let_out(world: &World) -> Result<(), Refusal> {
    match world.settings.read(|settings| settings.hold.is_some()) {
        true => Err(Refusal::new(Code::Busy, hold::WHY)),
        false => Ok(()),
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switchboard({})", self.public_url)
    }
}
