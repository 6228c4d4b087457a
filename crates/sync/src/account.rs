//! One account, open: the link to its platform, and who keeps what the platform gives us to keep.

use async_trait::async_trait;
use lockstep_connect::{Failure, FailureType, Keep, Link, World as Outside};
use lockstep_core::clock::Timestamp;
use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::ConnectionId;
use lockstep_engine::World;
use lockstep_engine::seal::connection_place;
use lockstep_store::settings::{Audit, Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::{Commit, StoreError, Work};
use serde_json::Value;
use std::sync::Arc;

use crate::registry::Registry;

/// How often a change of a connection's row is tried against others'.
const TRIES: u32 = 5;

/// Opens the link of a connection.
///
/// # Errors
/// `connection_not_ready`, where its configuration cannot be opened; what the connector says of it.
pub(crate) fn open(world: &Arc<World>, registry: &Registry, connection: &Connection) -> Result<Link, Rejection> {
    let known = registry.get(&connection.connector, &connection.version)?;
    let config = config(world, connection).ok_or_else(|| {
        let text = format!("the configuration of connection {} cannot be unsealed: enter it again", connection.id);
        Rejection::new(Code::ConnectionNotReady, text)
    })?;
    let keeper = Keeper { world: Arc::clone(world), connection: connection.id };
    let outside = Outside {
        transport: Arc::clone(&world.transport),
        clock: Arc::clone(&world.clock),
        seed: seed(connection.id),
        keep: Some(Arc::new(keeper)),
    };
    let refused = |failure: Failure| Rejection::new(Code::ConnectionFailed, failure.message);
    known.connector.open(config, outside).map_err(refused)
}

/// What nonces of the account begin with: another each time it is opened would do as well.
fn seed(id: ConnectionId) -> u64 {
    u64::try_from(id.0 & u128::from(u64::MAX)).unwrap_or_default()
}

/// The configuration, unsealed.
pub(crate) fn config(world: &World, connection: &Connection) -> Option<Value> {
    let place = connection_place(&connection.business, connection.id, "config");
    serde_json::from_slice(&world.sealer.open(&connection.config, &place)?).ok()
}

/// Keeps what a platform gives: a refresh token that replaces another, above all.
struct Keeper {
    world: Arc<World>,
    connection: ConnectionId,
}

#[async_trait]
impl Keep for Keeper {
    async fn keep(&self, config: &Value) -> Result<(), Failure> {
        let failed = |message: String| Failure { kind: FailureType::Transient, message };
        let text = serde_json::to_vec(config).map_err(|error| failed(error.to_string()))?;
        let changed = change(&self.world, self.connection, "connection.renew", |world, connection| {
            let place = connection_place(&connection.business, connection.id, "config");
            connection.config = world.sealer.seal(&text, &place)?;
            Ok(true)
        });
        changed.await.map_err(|error| failed(format!("the renewed credentials could not be kept: {error}")))
    }

    async fn reread(&self) -> Option<Value> {
        self.world.settings.refresh(self.world.store.as_ref()).await.ok()?;
        let (connection, _) = self.world.settings.read(|settings| settings.sharing.connection(self.connection))?;
        config(&self.world, &connection)
    }
}

/// Changes a connection's row, again where somebody else did meanwhile. The change says whether there is one.
pub(crate) async fn change(
    world: &World,
    id: ConnectionId,
    action: &str,
    change: impl Fn(&World, &mut Connection) -> Result<bool, Rejection> + Send,
) -> Result<(), StoreError> {
    for _try in 0..TRIES {
        let standing = world.settings.read(|settings| settings.sharing.connection(id));
        let Some((connection, version)) = standing else { return Ok(()) };
        let mut next = connection.as_ref().clone();
        let is_changed = change(world, &mut next).map_err(|rejection| StoreError::Failed(rejection.message))?;
        if !is_changed {
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
    let since: Timestamp = world.clock.now();
    change(world, id, "connection.needs-login", |_world, connection| {
        let is_ready = connection.is_ready();
        connection.state = ConnectionState::NeedsLogin { since, reason: reason.to_owned() };
        Ok(is_ready)
    })
    .await
}
