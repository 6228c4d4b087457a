//! What goes over a link: objects, writes, and what became of them.

use lockstep_core::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Trouble;

/// A remote object as the platform showed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its id there.
    pub id: String,
    /// Its values, in the tree that mappings name places of.
    pub tree: Value,
    /// What grows with each edit of it, where the connector names such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was last edited, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// Whether it says that it is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gone: bool,
}

/// One object to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// A word of the caller's that the outcome is told apart by; unique among the writes of one call.
    pub token: String,
    /// Its id there, where it is known.
    pub id: Option<String>,
    /// The remote tree of what differs.
    pub changed: Value,
    /// The remote tree of all there is to say.
    pub whole: Value,
    /// What it is recognised by where its id is not known: remote paths and values; groups are alternatives.
    pub groups: Vec<Vec<(String, Value)>>,
    /// Whether a new object may be made.
    pub may_create: bool,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It is written.
    Done {
        /// The object's id.
        id: String,
        /// Whether it is a new one.
        is_new: bool,
        /// The object as it is now, where the platform answered so.
        object: Option<Object>,
    },
    /// It is not, or that is not known.
    Refused(Trouble),
}

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The account's id, which tells it from others of the platform.
    pub id: Option<String>,
    /// What people call it.
    pub label: Option<String>,
}

/// From how many objects on they are written in bulk, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// Fewer are written one by one.
    pub from: usize,
    /// Most of one job.
    pub size: usize,
}

/// A bulk write under way, to be asked for; kept as it is until it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job(pub Value);

/// What is to be kept of our hooks at the platform: also where not all of them could be made, so that none is forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Hooks {
    /// What is known of them; null where there are none.
    pub known: Value,
    /// Why some are missing, where some are.
    pub trouble: Option<Trouble>,
}

/// A field of a remote object, as the account has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteField {
    /// Its place, as mappings name it.
    pub path: String,
    /// What people call it.
    pub label: String,
    /// The platform's word for its kind, where it says one.
    pub kind: Option<String>,
}
