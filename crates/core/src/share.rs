//! Shares: a connection's remote object and a type, with what goes which way.

use crate::Fields;
use crate::clock::Timestamp;
use crate::command::MatchGroup;
use crate::external_id::ExternalId;
use crate::ids::{BusinessId, ConnectionId, ShareId, TypeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A connection's remote object, brought together with a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its id.
    pub id: ShareId,
    /// The business.
    pub business: BusinessId,
    /// The connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub label: String,
    /// The remote object, as the connector names it.
    pub object: String,
    /// What the connector asks to know of the object, such as which database it stands in.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub options: Fields,
    /// The type.
    pub ty: TypeId,
    /// Which way.
    pub direction: Direction,
    /// Fields there and here; the connector's own where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Value>,
    /// Which records: those for which the expression is true of the record as the hub has it, or would have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What becomes of the other side when the condition no longer holds.
    #[serde(default)]
    pub on_leave: OnLeave,
    /// Whether records from before the share are created on the other side.
    #[serde(default)]
    pub history: History,
    /// Groups of fields by which a record is recognised; the connector's own where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<Vec<MatchGroup>>,
    /// When what has changed is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What is on.
    #[serde(default)]
    pub switches: Switches,
    /// Whether nothing is done for it at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_paused: bool,
    /// Raised with each change of what it does; a run names it.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which way a share goes, seen from the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the platform into the hub.
    In,
    /// From the hub to the platform.
    Out,
}

/// What becomes of the other side when a record leaves a share's condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLeave {
    /// Nothing: it stays there as it is.
    #[default]
    Ignore,
    /// It stays there and is no longer known to be the same.
    Unlink,
}

/// Whether what was there before the share is brought over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// Only what matches is made equal; the rest waits until it changes.
    #[default]
    None,
    /// All of it.
    All,
}

/// When a share pulls by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// A cron expression of five fields, or six with seconds in front, in UTC.
    pub cron: String,
    /// At most so many seconds later, the same for one share each time, so that not all come at once.
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// What of a share is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields, default)]
pub struct Switches {
    /// Pulls by schedule.
    pub pull: bool,
    /// Inbound hooks.
    pub hooks: bool,
    /// Pushes of changes as they come.
    pub push: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { pull: true, hooks: true, push: true }
    }
}

impl Share {
    /// Whether the platform's edits come in.
    #[must_use]
    pub fn takes_in(&self) -> bool {
        self.direction == Direction::In
    }

    /// Whether changes are written to the platform.
    #[must_use]
    pub fn sends_out(&self) -> bool {
        self.direction == Direction::Out
    }

    /// The remote object as external ids and shadows name it: with its options, where it has some.
    #[must_use]
    pub fn slot(&self) -> String {
        if self.options.is_empty() {
            return self.object.clone();
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let options: Vec<String> = self.options.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        format!("{}[{}]", self.object, options.join(","))
    }

    /// The external id of one of its objects.
    #[must_use]
    pub fn external(&self, connection: &crate::connection::Connection, id: &str) -> ExternalId {
        let slot = self.slot();
        ExternalId {
            provider: connection.provider.clone(),
            realm: connection.realm.clone(),
            object: (slot != self.ty.as_str()).then_some(slot),
            id: id.to_owned(),
        }
    }
}
