//! Hooks of platforms on their way in: read, proved, and kept as hints before they are answered.

use crate::account;
use crate::control::account::{hook_key, opened};
use crate::office::Office;
use crate::worker::Order;
use lockstep_connect::{Connector, Hint, HookCall, HookRefused};
use lockstep_core::connection::Connection;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::ConnectionId;
use lockstep_core::share::Share;
use lockstep_core::work::{Word, WorkKey, WorkPut};
use lockstep_engine::refusal::Refusal;
use lockstep_store::turn::Turn;
use lockstep_store::{Commit, Work};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Public keys that hooks are signed with, as far as they were fetched; by connection and name.
#[derive(Default)]
pub(crate) struct Keys(Mutex<BTreeMap<(ConnectionId, String), String>>);

/// Keys remembered; a platform has one or two.
const KEYS_MAX: usize = 1_000;

impl Keys {
    fn of(&self, connection: ConnectionId) -> BTreeMap<String, String> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = keys.iter().filter(|((id, _), _)| *id == connection);
        own.map(|((_, name), key)| (name.clone(), key.clone())).collect()
    }

    fn keep(&self, connection: ConnectionId, name: String, key: String) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEYS_MAX {
            keys.insert((connection, name), key);
        }
    }
}

impl Office {
    /// That hooks are taken for a connection's object: asked before a call is read any further.
    ///
    /// # Errors
    /// `not_found`.
    pub fn listens(&self, connection: &str, object: &str) -> Result<(), Refusal> {
        self.listeners(connection, object).map(drop)
    }

    /// The connection, and the shares that hooks of its object are for: at least one.
    fn listeners(&self, connection: &str, object: &str) -> Result<(Arc<Connection>, Vec<Arc<Share>>), Refusal> {
        let found = connection.parse::<ConnectionId>().ok().and_then(|id| {
            self.world().settings.read(|settings| {
                let (connection, _) = settings.sharing.connection(id)?;
                let shares = settings.sharing.shares_on(id).map(|(share, _)| Arc::clone(share));
                let wanted = |share: &Arc<Share>| share.slot() == object && share.takes_in() && share.switches.hooks;
                let shares: Vec<_> = shares.filter(wanted).collect();
                let is_taken = account::is_open(settings, &connection.business) && !shares.is_empty();
                is_taken.then_some((connection, shares))
            })
        });
        found.ok_or_else(|| Refusal::new(Code::NotFound, format!("no hooks are taken for {}", shown(object))))
    }

    /// Takes a call of a platform. When this returns, what it said is durable.
    ///
    /// # Errors
    /// `not_found` for what takes no hooks, `unauthorized` for what does not prove where it comes from, `invalid_body`
    /// for what cannot be read, and what the store says.
    pub async fn hook(&self, connection: &str, object: &str, call: HookCall) -> Result<(), Refusal> {
        let (connection, shares) = self.listeners(connection, object)?;
        let known = self.registry().get(&connection.connector, &connection.version)?;
        let call = HookCall {
            secret: hook_key(self.world(), &connection)?,
            config: opened(self.world(), &connection)?,
            now: self.world().clock.now(),
            ..call
        };
        for share in shares {
            let mut hints = self.read_hook(&connection, &known.connector, &share, &call).await?;
            hints.retain(|hint| is_id(&connection, &share, hint));
            self.raise(&share, hints).await?;
        }
        Ok(())
    }

    async fn read_hook(
        &self,
        connection: &Connection,
        connector: &Connector,
        share: &Share,
        call: &HookCall,
    ) -> Result<Vec<Hint>, Refusal> {
        let call = HookCall { keys: self.keys.of(connection.id), ..call.clone() };
        match connector.hook(&share.object, &share.options, &call) {
            Err(HookRefused::NeedsKey(name)) => {
                let unproven = |why: String| Refusal::from(Rejection::new(Code::Unauthenticated, why));
                let link = self.link_of(connection)?;
                let key = link.hook_key(&share.object, &name).await;
                let key = key.map_err(|trouble| unproven(trouble.to_string()))?;
                self.keys.keep(connection.id, name.clone(), key.clone());
                let mut keys = call.keys.clone();
                keys.insert(name, key);
                connector.hook(&share.object, &share.options, &HookCall { keys, ..call }).map_err(|why| refused(&why))
            }
            other => other.map_err(|why| refused(&why)),
        }
    }

    async fn raise(&self, share: &Share, hints: Vec<Hint>) -> Result<(), Refusal> {
        if hints.is_empty() {
            return Ok(());
        }
        let now = self.world().clock.now();
        let mut puts = Vec::with_capacity(hints.len());
        for hint in hints {
            let key = WorkKey::hint(share.id, &hint.id);
            // What says that an object is gone is looked after: a platform's word for it may be early or wrong.
            let object = hint.object.filter(|_| !hint.is_gone);
            let shown = object.and_then(|object| {
                let version = object.version.clone()?;
                Some(Word { object: serde_json::to_value(object).ok()?, version })
            });
            puts.push((key, WorkPut::Raise { at: now, shown }));
        }
        let keys: Vec<WorkKey> = puts.iter().map(|(key, _)| key.clone()).collect();
        let turn = Turn { puts, ..Turn::of(share.business.clone(), share.id, now) };
        self.world().store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
        if let Some(door) = self.door(share.connection) {
            for key in keys {
                drop(door.give(Order::Hinted(key)));
            }
        }
        Ok(())
    }
}

/// Whether what a hook calls an object is an id. What is none is left out and said in the log: no record could have it,
/// and the other objects of the call are not held back by it.
fn is_id(connection: &Connection, share: &Share, hint: &Hint) -> bool {
    let checked = ExternalId::check(connection.provider.clone(), &connection.realm, None, &hint.id);
    if checked.is_err() {
        let bytes = hint.id.len();
        tracing::warn!(share = %share.id, bytes, "a hook tells of an object whose id is too long or not printable");
    }
    checked.is_ok()
}

fn refused(why: &HookRefused) -> Refusal {
    let code = match why {
        HookRefused::NotTaken(_) => Code::NotFound,
        HookRefused::Verb(_) => Code::MethodNotAllowed,
        HookRefused::Unproven(_) | HookRefused::NeedsKey(_) => Code::Unauthenticated,
        HookRefused::Unread(_) => Code::InvalidBody,
    };
    Refusal::new(code, why.to_string())
}
