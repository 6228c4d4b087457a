//! Work rows of shares: what is still to be done, and how far it has come.
//!
//! They are no part of the log and say nothing that a platform or a record does not say too; they are what a hub that
//! was killed goes on from. A row is named by its kind, the share it is of, and what it is about.

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::ids::{ProblemId, RecordId, RunId, ShareId};
use crate::position::Position;
use crate::problem::Problem;
use crate::run::Run;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kinds of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// How far a share has come; one a share.
    Progress,
    /// A run; by its id.
    Run,
    /// A problem; by its id.
    Problem,
    /// A remote object that is said to have changed; by its id there.
    Hint,
    /// A record whose push waits; by its id.
    Waiting,
}

impl WorkKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Progress, Self::Run, Self::Problem, Self::Hint, Self::Waiting];

    /// The kind as stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Progress => 1,
            Self::Run => 2,
            Self::Problem => 3,
            Self::Hint => 4,
            Self::Waiting => 5,
        }
    }
}

/// Names a row within one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkKey {
    /// The kind.
    pub kind: WorkKind,
    /// The share.
    pub share: ShareId,
    /// What it is about.
    pub about: String,
}

impl WorkKey {
    /// The row that says how far a share has come.
    #[must_use]
    pub const fn progress(share: ShareId) -> Self {
        Self { kind: WorkKind::Progress, share, about: String::new() }
    }

    /// The row of a run.
    #[must_use]
    pub fn run(share: ShareId, run: RunId) -> Self {
        Self { kind: WorkKind::Run, share, about: run.to_string() }
    }

    /// The row of a problem.
    #[must_use]
    pub fn problem(share: ShareId, problem: ProblemId) -> Self {
        Self { kind: WorkKind::Problem, share, about: problem.to_string() }
    }

    /// The row of a hint.
    #[must_use]
    pub fn hint(share: ShareId, remote: &str) -> Self {
        Self { kind: WorkKind::Hint, share, about: remote.to_owned() }
    }

    /// The row of a push that waits.
    #[must_use]
    pub fn waiting(share: ShareId, record: RecordId) -> Self {
        Self { kind: WorkKind::Waiting, share, about: record.to_string() }
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkRow {
    /// See [`WorkKind::Progress`].
    Progress(Progress),
    /// See [`WorkKind::Run`].
    Run(Run),
    /// See [`WorkKind::Problem`].
    Problem(Problem),
    /// See [`WorkKind::Hint`].
    Hint(Hint),
    /// See [`WorkKind::Waiting`].
    Waiting(Waiting),
}

impl WorkRow {
    /// The seq up to which the log has been followed, where the row says one.
    #[must_use]
    pub const fn follows(&self) -> Option<u64> {
        match self {
            Self::Progress(Progress { follow: Some(position), .. }) => Some(position.seq),
            _ => None,
        }
    }
}

/// How far a share has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Up to where the log has been followed, where the share sends out: nothing before it is still needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<Position>,
    /// Whether its baseline has listed the remote, so that pushes know what they meet.
    pub is_matched: bool,
    /// Whether its baseline is over.
    pub is_live: bool,
    /// From where the next incremental run reads, as the connector gave it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub pulled: Value,
    /// The run that is under way or paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When it last began to pull by schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Since when and how it fails, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// A share that is in recovery: what it does fails for a cause that concerns all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// How often in a row.
    pub streak: u32,
    /// When it is tried again.
    pub next_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether its owner was told.
    pub is_told: bool,
}

/// A remote object that is said to have changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// Raised by each word of it: it is settled only by who has seen the newest.
    pub count: u64,
    /// When the first word of it came that is not settled.
    pub since: Timestamp,
    /// Tries so far.
    #[serde(default)]
    pub attempt: u32,
    /// When it may next be tried.
    pub next_at: Timestamp,
    /// The object as the newest word showed it, where that says how new it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Value>,
}

/// A record whose push waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// For what.
    pub why: Why,
    /// Since when.
    pub since: Timestamp,
    /// Tries so far.
    pub attempt: u32,
    /// When it is tried again.
    pub next_at: Timestamp,
    /// What came of the last try.
    pub reason: Rejection,
}

/// What a push waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Why {
    /// Its next try.
    Retry,
    /// A creation that may or may not have taken effect: it is looked up before another one.
    InDoubt,
    /// A record that it refers to has no object there yet.
    Reference {
        /// That record.
        record: RecordId,
    },
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkPut {
    /// It says this from now on.
    Row(WorkRow),
    /// It goes.
    Gone,
    /// A hint is given once more: its count goes up, and what it shows is replaced.
    Raise {
        /// When it came.
        at: Timestamp,
        /// The object, where the word of it says how new it is.
        shown: Option<Value>,
    },
    /// A hint is done with, unless it was given again since the count was this.
    Settle {
        /// The count that was seen.
        count: u64,
    },
}

impl WorkPut {
    /// What the row says after this, given what it says now.
    #[must_use]
    pub fn applied(self, standing: Option<WorkRow>) -> Option<WorkRow> {
        match (self, standing) {
            (Self::Row(WorkRow::Problem(problem)), Some(WorkRow::Problem(earlier))) => {
                Some(WorkRow::Problem(problem.again(&earlier)))
            }
            (Self::Row(row), _) => Some(row),
            (Self::Gone, _) => None,
            (Self::Raise { at, shown }, Some(WorkRow::Hint(hint))) => {
                Some(WorkRow::Hint(Hint { count: hint.count + 1, attempt: 0, next_at: at, shown, ..hint }))
            }
            (Self::Raise { at, shown }, _) => {
                Some(WorkRow::Hint(Hint { count: 1, since: at, attempt: 0, next_at: at, shown }))
            }
            (Self::Settle { count }, standing) => {
                standing.filter(|row| matches!(row, WorkRow::Hint(hint) if hint.count != count))
            }
        }
    }

    /// Whether what the row says now must be known.
    #[must_use]
    pub const fn reads(&self) -> bool {
        matches!(self, Self::Raise { .. } | Self::Settle { .. } | Self::Row(WorkRow::Problem(_)))
    }
}
