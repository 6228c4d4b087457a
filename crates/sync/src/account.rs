//! Accounts at work: the one link that all calls of a connection go through, and what becomes of its row meanwhile.

use crate::control;
use crate::registry::Registry;
use lockstep_connect::Link;
use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_core::ids::{BusinessId, ConnectionId};
use lockstep_engine::World;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::settings::Settings;
use lockstep_store::settings::{Audit, Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::{Commit, StoreError, Work};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often a change of a connection's row is tried against others'.
const TRIES: u32 = 5;

/// Links that are open: two that refresh one token would undo each other.
#[derive(Default)]
pub(crate) struct Links(Mutex<BTreeMap<ConnectionId, Link>>);

impl Links {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection's link, opened where it is not.
    ///
    /// # Errors
    /// Those of [`control::account::open`].
    pub(crate) fn get(
        &self,
        world: &Arc<World>,
        registry: &Registry,
        connection: &Connection,
    ) -> Result<Link, Refusal> {
        let mut links = self.lock();
        if let Some(link) = links.get(&connection.id) {
            return Ok(link.clone());
        }
        let link = control::account::open(world, registry, connection)?;
        links.insert(connection.id, link.clone());
        Ok(link)
    }

    /// The next call opens it anew.
    pub(crate) fn close(&self, connection: ConnectionId) {
        self.lock().remove(&connection);
    }
}

/// Whether a business is there and not closed: nothing is done for the shares of one that is.
pub(crate) fn is_open(settings: &Settings, business: &BusinessId) -> bool {
    settings.businesses.get(business).is_some_and(|(business, _)| !business.is_closed)
}

/// Changes a connection's row, again where somebody else did meanwhile. The change says whether there is one.
pub(crate) async fn change(
    world: &World,
    id: ConnectionId,
    action: &str,
    change: impl Fn(&mut Connection) -> bool + Send,
) -> Result<(), StoreError> {
    for _try in 0..TRIES {
        let standing = world.settings.read(|settings| settings.sharing.connection(id));
        let Some((connection, version)) = standing else { return Ok(()) };
        let mut next = connection.as_ref().clone();
        if !change(&mut next) {
            return Ok(());
        }
        let audit = Audit::of(world.clock.now(), "system", action, id).within(&next.business);
        let put = Put {
            key: SettingKey::new(SettingKind::Connection, id),
            value: Some(Setting::Connection(Box::new(next))),
            expect: Expect::Version(version),
        };
        let control = Control { puts: vec![put], ..Control::of(audit) };
        let committed = world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await;
        world.settings.refresh(world.store.as_ref()).await?;
        match committed {
            Err(StoreError::Conflict(_)) => {}
            other => return other.map(|_done| ()),
        }
    }
    Err(StoreError::Busy(format!("connection {id} changes too often")))
}

/// Notes that somebody must log in.
pub(crate) async fn needs_login(world: &World, id: ConnectionId, reason: &str) -> Result<(), StoreError> {
    let since = world.clock.now();
    change(world, id, "connection.needs-login", |connection| {
        let was_ready = connection.is_ready();
        connection.state = ConnectionState::NeedsLogin { since, reason: reason.to_owned() };
        was_ready
    })
    .await
}
