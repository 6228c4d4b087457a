//! A connection's credentials: sealed, opened, kept anew where the platform changes them, and the link made with them.

use super::config::{difference, patched, shown};
use super::must_let_out;
use crate::account::change;
use crate::registry::{Known, Registry};
use async_trait::async_trait;
use lockstep_connect::{Failure, FailureType, Keep, Link};
use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::ConnectionId;
use lockstep_engine::World;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::seal::connection_place;
use lockstep_store::settings::{Expect, Put, Setting, SettingKey, SettingKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The put of a connection.
pub(super) fn put(connection: Connection, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Connection, connection.id);
    Put { key, value: Some(Setting::Connection(Box::new(connection))), expect }
}

/// Why a connection may not be used; none where it may.
#[must_use]
pub fn unready(connection: &Connection) -> Option<Refusal> {
    let id = connection.id;
    let text = match &connection.state {
        ConnectionState::Ready => return None,
        ConnectionState::NeedsLogin { since, reason } => format!(
            "{id} needs a login since {since}: {reason}. Log in with POST …/connections/{id}/authorize, or give \
             credentials anew with PATCH"
        ),
        ConnectionState::Revoked { since } => {
            format!("{id} was revoked at {since}: give credentials anew with PATCH, and it can be used again")
        }
    };
    Some(Refusal::new(Code::ConnectionNotReady, text))
}

/// A connection's whole configuration.
///
/// # Errors
/// `connection_not_ready`, where it was revoked; `sealing_key_wrong`, where it does not open.
pub fn opened(world: &World, connection: &Connection) -> Result<Value, Refusal> {
    if connection.config.is_empty() {
        let text = format!("{} holds no credentials: it was revoked. Give them anew with PATCH", connection.id);
        return Err(Refusal::new(Code::ConnectionNotReady, text));
    }
    let place = connection_place(&connection.business, connection.id, "config");
    let text = world.sealer.open(&connection.config, &place);
    let config = text.and_then(|text| serde_json::from_slice(&text).ok());
    config.ok_or_else(|| {
        let text = format!("what is sealed in {} does not open with this hub's key: give it anew", connection.id);
        Refusal::new(Code::SealingKeyWrong, text)
    })
}

/// The key that callers of a connection's inbound hooks must know, as it stands in their addresses.
///
/// # Errors
/// Those of [`opened`].
pub fn hook_key(world: &World, connection: &Connection) -> Result<String, Refusal> {
    let place = connection_place(&connection.business, connection.id, "hook-key");
    let text = world.sealer.open(&connection.hook_key, &place).and_then(|text| String::from_utf8(text).ok());
    text.ok_or_else(|| {
        let text =
            format!("{} has no hook key that opens with this hub's key: give its credentials anew", connection.id);
        Refusal::new(Code::ConnectionNotReady, text)
    })
}

/// A connection with this configuration, sealed, and shown without its secrets.
///
/// # Errors
/// `internal`, where the crypto library fails.
pub(super) fn with_config(
    world: &World,
    connection: Connection,
    known: &Known,
    config: &Value,
) -> Result<Connection, Rejection> {
    let place = connection_place(&connection.business, connection.id, "config");
    let sealed = world.sealer.seal(config.to_string().as_bytes(), &place)?;
    Ok(Connection { config: sealed, shown: shown(&schema(known), config), ..connection })
}

/// The JSON Schema of a connector's configuration.
pub(super) fn schema(known: &Known) -> Value {
    known.connector.source.spec().get("connectionSpecification").cloned().unwrap_or_else(|| json!({}))
}

/// What a link needs of the world.
pub(super) fn way_out(world: &World, keep: Option<Arc<dyn Keep>>) -> lockstep_connect::World {
    let seed = u64::try_from(world.ids.ordered() & u128::from(u64::MAX)).unwrap_or_default();
    lockstep_connect::World { transport: Arc::clone(&world.transport), clock: Arc::clone(&world.clock), seed, keep }
}

/// A link to a connection's account, whatever state it is in. There should be one at a time: two that refresh one token
/// undo each other.
///
/// # Errors
/// `connection_not_ready` where it holds no credentials; `busy` while the hub is held; `not_found` where its connector is
/// no more; `connection_failed`, where the connector does not take the configuration.
pub fn open(world: &Arc<World>, registry: &Registry, connection: &Connection) -> Result<Link, Refusal> {
    must_let_out(world)?;
    let known = registry.get(&connection.connector, &connection.version)?;
    let config = opened(world, connection)?;
    let keeper = keeper(world, &known, connection.id, config.clone());
    let link = known.connector.open(config, way_out(world, Some(keeper)));
    link.map_err(|failure| Refusal::new(Code::ConnectionFailed, format!("{}: {}", known.name, failure.message)))
}

/// Who keeps what a platform changes of a connection's configuration; `kept` is the configuration that it is given.
pub(super) fn keeper(world: &Arc<World>, known: &Arc<Known>, connection: ConnectionId, kept: Value) -> Arc<dyn Keep> {
    Arc::new(Keeper { world: Arc::clone(world), connection, known: Arc::clone(known), kept: Mutex::new(kept) })
}

/// Passes on what is to be kept, and remembers it.
pub(super) struct Remembering {
    inner: Arc<dyn Keep>,
    latest: Mutex<Option<Value>>,
}

impl Remembering {
    pub(super) fn new(inner: Arc<dyn Keep>) -> Arc<Self> {
        Arc::new(Self { inner, latest: Mutex::default() })
    }

    /// The configuration that was last kept, where one was.
    pub(super) fn latest(&self) -> Option<Value> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Keep for Remembering {
    async fn keep(&self, config: &Value) -> Result<(), Failure> {
        self.inner.keep(config).await?;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
        Ok(())
    }

    async fn reread(&self) -> Option<Value> {
        self.inner.reread().await
    }
}

/// Keeps what a platform changes of a connection's configuration.
struct Keeper {
    world: Arc<World>,
    connection: ConnectionId,
    known: Arc<Known>,
    /// The configuration as the link has it.
    kept: Mutex<Value>,
}

#[async_trait]
impl Keep for Keeper {
    /// Puts what is new into the configuration as it stands now.
    async fn keep(&self, config: &Value) -> Result<(), Failure> {
        let failed = |message: String| Failure { kind: FailureType::Transient, message };
        let patch = difference(&self.kept.lock().unwrap_or_else(PoisonError::into_inner), config);
        let keep = |connection: &Connection| {
            let standing = patched(opened(&self.world, connection)?, &patch)?;
            Ok::<_, Refusal>(Some(with_config(&self.world, connection.clone(), &self.known, &standing)?))
        };
        match change(&self.world, self.connection, ("system", "connection.refresh"), keep).await {
            Ok(Some(_)) => {
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = config.clone();
                Ok(())
            }
            Ok(None) => Err(failed(format!("{} is no more", self.connection))),
            Err(refusal) => Err(failed(refusal.rejection.message)),
        }
    }

    async fn reread(&self) -> Option<Value> {
        self.world.settings.refresh(self.world.store.as_ref()).await.ok()?;
        let (connection, _) = self.world.settings.read(|settings| settings.sharing.connection(self.connection))?;
        opened(&self.world, &connection).ok()
    }
}
