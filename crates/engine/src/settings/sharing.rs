//! Connections and shares, as last read.

use lockstep_core::connection::Connection;
use lockstep_core::ids::{BusinessId, ConnectionId, ShareId};
use lockstep_core::share::Share;
use lockstep_store::settings::Setting;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All connections and shares, each with the version of its row.
#[derive(Debug, Default)]
pub struct Sharing {
    connections: BTreeMap<ConnectionId, (Arc<Connection>, u64)>,
    shares: BTreeMap<ShareId, (Arc<Share>, u64)>,
    by_connection: BTreeMap<ConnectionId, BTreeSet<ShareId>>,
}

impl Sharing {
    pub(super) fn apply(&mut self, id: &str, value: Option<Setting>, version: u64) {
        if let Ok(id) = id.parse::<ConnectionId>() {
            match value {
                Some(Setting::Connection(connection)) => {
                    self.connections.insert(id, (Arc::new(*connection), version));
                }
                _ => {
                    self.connections.remove(&id);
                }
            }
        } else if let Ok(id) = id.parse::<ShareId>() {
            if let Some((share, _)) = self.shares.remove(&id) {
                self.by_connection.entry(share.connection).or_default().remove(&id);
            }
            if let Some(Setting::Share(share)) = value {
                self.by_connection.entry(share.connection).or_default().insert(id);
                self.shares.insert(id, (Arc::new(*share), version));
            }
        }
    }

    /// A connection, with the version of its row.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<(Arc<Connection>, u64)> {
        self.connections.get(&id).cloned()
    }

    /// All connections, each with the version of its row.
    pub fn connections(&self) -> impl Iterator<Item = &(Arc<Connection>, u64)> {
        self.connections.values()
    }

    /// The connections of a business, in the order of their making.
    pub fn connections_of(&self, business: &BusinessId) -> impl Iterator<Item = &(Arc<Connection>, u64)> {
        self.connections.values().filter(move |(connection, _)| connection.business == *business)
    }

    /// A share, with the version of its row.
    #[must_use]
    pub fn share(&self, id: ShareId) -> Option<(Arc<Share>, u64)> {
        self.shares.get(&id).cloned()
    }

    /// The shares of a business, in the order of their making.
    pub fn shares_of(&self, business: &BusinessId) -> impl Iterator<Item = &(Arc<Share>, u64)> {
        self.shares.values().filter(move |(share, _)| share.business == *business)
    }

    /// The shares of a connection.
    pub fn shares_on(&self, connection: ConnectionId) -> impl Iterator<Item = &(Arc<Share>, u64)> {
        let ids = self.by_connection.get(&connection).into_iter().flatten();
        ids.filter_map(|id| self.shares.get(id))
    }
}
