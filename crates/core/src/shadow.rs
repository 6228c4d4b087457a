//! Shadows: what a remote object is known to hold.
//!
//! An inbound edit is what differs from the shadow; a push is what differs from it the other way. So an echo of our
//! own write says nothing, and a write that would change nothing is not made. Values are in the hub's terms and
//! canonical form, by key of the share's mapping. Inbound it is written in the commit that takes the object in; after
//! a push, in the commit that keeps the new external id.

use crate::Fields;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, RecordId};
use serde::{Deserialize, Serialize};

/// Names a remote object within one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowKey {
    /// The connection.
    pub connection: ConnectionId,
    /// The remote object, as [`crate::share::Share::slot`] names it.
    pub slot: String,
    /// The object's id there.
    pub id: String,
}

/// What a remote object is known to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// The record that it is, where that is known.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// Its values by key of the mapping; a null says that it is known to be empty.
    #[serde(rename = "v")]
    pub values: Fields,
    /// Its version or time there, where the platform has one; both grow.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When this was written: evidence that was asked for before is stale.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// How sure that is.
    #[serde(rename = "s", default)]
    pub state: ShadowState,
}

/// How sure a shadow is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowState {
    /// The platform said so.
    #[default]
    Known,
    /// A write may or may not have taken effect: it is read back before the next one.
    InDoubt,
    /// The platform says that there is no such object. It is not made again.
    AbsentThere,
    /// The record left the share's condition.
    LeftScope,
}

/// An object as the platform showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its values by key of the mapping; what it did not say is absent.
    pub values: Fields,
    /// Its version there.
    pub version: Option<String>,
    /// When the request that brought this was begun.
    pub asked_at: Timestamp,
}

/// Whether a version is strictly newer than another: by size where both are numbers, else as text, which instants of one
/// form are ordered by too.
#[must_use]
pub fn is_newer(version: &str, known: &str) -> bool {
    match (version.parse::<f64>(), known.parse::<f64>()) {
        (Ok(version), Ok(known)) => version > known,
        _ => version > known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_as_numbers_or_as_text() {
        for (new, known) in [("10", "9"), ("2026-01-02", "2026-01-01"), ("1700000000001", "1700000000000")] {
            assert!(is_newer(new, known) && !is_newer(known, new) && !is_newer(new, new), "{new}");
        }
    }
}
