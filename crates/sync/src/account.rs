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

/// Changes a connection's row in somebody's name, again where somebody else did meanwhile. `change` gives it as it is to
/// be, or none where it is to stay. Gives it as it is then; none where nothing was changed, or it is not there.
///
/// # Errors
/// What `change` says, and what the store says.
pub(crate) async fn change<E: From<StoreError>>(
    world: &World,
    id: ConnectionId,
    (by, action): (&str, &str),
    change: impl Fn(&Connection) -> Result<Option<Connection>, E> + Send,
) -> Result<Option<Connection>, E> {
    for _try in 0..TRIES {
        let standing = world.settings.read(|settings| settings.sharing.connection(id));
        let Some((connection, version)) = standing else { return Ok(None) };
        let Some(next) = change(&connection)? else { return Ok(None) };
        let audit = Audit::of(world.clock.now(), by, action, id).within(&next.business);
        let put = Put {
            key: SettingKey::new(SettingKind::Connection, id),
            value: Some(Setting::Connection(Box::new(next.clone()))),
            expect: Expect::Version(version),
        };
        let control = Control { puts: vec![put], ..Control::of(audit) };
        let committed = world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await;
        world.settings.refresh(world.store.as_ref()).await?;
        match committed {
            Err(StoreError::Conflict(_)) => {}
            other => return Ok(other.map(|_done| Some(next))?),
        }
    }
    Err(StoreError::Busy(format!("connection {id} is being changed by others: try again in a moment")).into())
}

/// Notes that somebody must log in.
pub(crate) async fn needs_login(world: &World, id: ConnectionId, reason: &str) -> Result<(), StoreError> {
    let since = world.clock.now();
    let lose = |connection: &Connection| {
        let state = ConnectionState::NeedsLogin { since, reason: reason.to_owned() };
        Ok::<_, StoreError>(connection.is_ready().then(|| Connection { state, ..connection.clone() }))
    };
    change(world, id, ("system", "connection.needs-login"), lose).await.map(drop)
}
