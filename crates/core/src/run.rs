//! Runs: one bulk execution of a share, with counts that add up.

use crate::clock::Timestamp;
use crate::ids::{BusinessId, RunId, ShareId};
use crate::operation::OperationId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One bulk execution of a share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The business.
    pub business: BusinessId,
    /// The share.
    pub share: ShareId,
    /// The version of the share that it follows.
    pub share_version: u64,
    /// What it does.
    pub kind: RunKind,
    /// How it stands.
    pub state: RunState,
    /// Where it is.
    pub stage: Stage,
    /// What became of what it looked at.
    pub counts: Counts,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it came to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it stopped, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Run {
    /// The operation that its changes belong to.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        OperationId::fresh(self.id.0)
    }

    /// Whether there is more to do for it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::Paused)
    }
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// The first of a share: the remote is listed and matched, then what the hub has is written.
    Baseline,
    /// All of it once more.
    Full,
    /// What has changed since the last.
    Incremental,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It goes on.
    Running,
    /// Somebody paused it.
    Paused,
    /// It came to its end.
    Completed,
    /// It came to its end, and something could not be read: the next one reads that again.
    Incomplete,
    /// Somebody ended it.
    Cancelled,
    /// It ended for a cause that concerns all it would have done.
    Stopped,
}

/// Where a run is: what a restart goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "at")]
pub enum Stage {
    /// The remote is listed. All before this state of the connector's has been taken in.
    Listing {
        /// The state, as the connector gave it; null at the beginning.
        state: Value,
    },
    /// Records are compared with what the remote holds, in the order of their ids. All up to this one are done.
    Writing {
        /// The last record that is done, by its number, as text.
        done: String,
        /// Rows handed over to a bulk import that is still to be asked about, with the import as the connector keeps it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<Value>,
    },
    /// Nothing is left to do.
    Over,
}

/// What became of what a run looked at. Each object or record that was looked at is counted once, under the end it
/// came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Looked at.
    pub seen: u64,
    /// Made where there was none.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// Recognised as the same, and linked without a change.
    pub matched: u64,
    /// Found to be as they should.
    pub unchanged: u64,
    /// Left out: outside the condition, or historical.
    pub skipped: u64,
    /// Put off: tried again by itself.
    pub waiting: u64,
    /// Failed: each is a problem.
    pub failed: u64,
}

impl Counts {
    /// All that was looked at, by what became of it.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.created + self.updated + self.matched + self.unchanged + self.skipped + self.waiting + self.failed
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            created: self.created + other.created,
            updated: self.updated + other.updated,
            matched: self.matched + other.matched,
            unchanged: self.unchanged + other.unchanged,
            skipped: self.skipped + other.skipped,
            waiting: self.waiting + other.waiting,
            failed: self.failed + other.failed,
        }
    }
}
