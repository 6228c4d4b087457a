//! Operations: what became of an accepted call.
//!
//! An operation that made one change needs no row of its own: its id carries the place of that change in the log and
//! a check of its business, and what there is to say of it is read from the log. Failed, unchanged and sync operations
//! have rows, kept for thirty days.

use crate::clock::Timestamp;
use crate::command::Ending;
use crate::error::{Code, Rejection, shown};
use crate::ids::{ApplicationId, BusinessId, RecordId, TokenId, TypeId};
use crate::position::{Position, check_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The id of an operation: `op_` and 26 characters.
///
/// The upper 64 bits of one that is a change are a check of its business with the top bit set; the lower are its
/// epoch and seq. Others are ULIDs, whose top bit stays clear until the year 6429.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u128);

const IS_CHANGE: u128 = 1 << 127;

impl OperationId {
    /// The id of the operation that made one change.
    #[must_use]
    pub fn of_change(business: &BusinessId, at: Position) -> Self {
        Self(IS_CHANGE | (u128::from(check_of(business)) << 64) | u128::from(at.packed()))
    }

    /// The id of an operation with a row, from a fresh ordered number.
    #[must_use]
    pub const fn fresh(number: u128) -> Self {
        Self(number & !IS_CHANGE)
    }

    /// The place in the log that the id carries, if it is that of a change in this business.
    #[must_use]
    pub fn position_in(self, business: &BusinessId) -> Option<Position> {
        let position = Position::unpacked(u64::try_from(self.0 & u128::from(u64::MAX)).ok()?);
        (self == Self::of_change(business, position)).then_some(position)
    }

    /// The id as a number, for stores.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }

    /// The id of a stored number.
    #[must_use]
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ulid::ULID_LEN];
        let digits = ulid::Ulid(self.0).array_to_str(&mut text);
        digits.make_ascii_lowercase();
        write!(f, "op_{digits}")
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperationId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        text.strip_prefix("op_")
            .and_then(|digits| ulid::Ulid::from_string(digits).ok())
            .map(|ulid| Self(ulid.0))
            .ok_or_else(|| {
                Rejection::new(
                    Code::InvalidId,
                    format!("{} is no operation id: it is \"op_\" followed by 26 letters and digits", shown(text)),
                )
            })
    }
}

impl Serialize for OperationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for OperationId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OperationId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^op_[0-7][0-9a-z]{25}$"})
    }
}

impl<'de> Deserialize<'de> for OperationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum OperationState {
    /// It changed a record.
    Completed {
        /// The record's version after it.
        version: u64,
    },
    /// It asked for what already stood.
    Unchanged,
    /// It could not be carried out.
    Failed {
        /// Why.
        rejection: Rejection,
    },
    /// A sync, or a replay of many: what it found, and what has been sent of it.
    Sync {
        /// Notifications found to be due.
        matched: u64,
        /// Notifications settled with success.
        sent: u64,
        /// Notifications and scans still to settle.
        waiting: u64,
    },
    /// An upload of many.
    Upload(Upload),
}

/// How far an upload has come. Counts are of durable lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Lines durable.
    pub lines: u64,
    /// Of these, those that changed a record.
    pub changed: u64,
    /// Those that asked for what already stood.
    pub unchanged: u64,
    /// Those that failed.
    pub failed: u64,
    /// Digest over the durable lines, so that an upload is only resumed with what it began with.
    pub digest: [u8; 16],
    /// Whether the last line has been taken.
    pub is_complete: bool,
}

impl Upload {
    /// Counts one more durable line.
    pub const fn count(&mut self, ending: &Ending) {
        self.lines += 1;
        match ending {
            Ending::Changed { .. } => self.changed += 1,
            Ending::Unchanged | Ending::Taken { .. } | Ending::Syncing { .. } | Ending::Uploading => {
                self.unchanged += 1
            }
            Ending::Failed(_) | Ending::Refused(_) => self.failed += 1,
        }
    }
}

/// What is kept of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The call's last word: `create`, `update`, `sync-by-id` …
    pub verb: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Whose it is; none for the administrator's.
    pub application: Option<ApplicationId>,
    /// The token it was asked for with, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The type it was about, if it was about one.
    pub ty: Option<TypeId>,
    /// The record it was about, where one is known.
    pub record: Option<RecordId>,
    /// How it stands.
    pub state: OperationState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_carries_the_place_of_its_change_and_only_in_its_business() {
        let (here, there) = (BusinessId::parse("here").unwrap(), BusinessId::parse("there").unwrap());
        for position in [Position::first(1_042), Position { epoch: 3, seq: 1_042 }] {
            let id = OperationId::of_change(&here, position);
            let read: OperationId = id.to_string().parse().unwrap();
            assert_eq!(read.position_in(&here), Some(position));
            assert_eq!(read.position_in(&there), None);
        }
        assert_eq!(OperationId::fresh(u128::MAX).position_in(&here), None);
    }
}
