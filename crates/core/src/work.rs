//! Work rows of shares: what is still to be done, and how far it has come.
//!
//! They are no part of the log and say nothing that a platform or a record does not say too; they are what a hub that
//! was killed goes on from. A row is named by its kind, the share it is of, and what it is about.

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::ids::{ProblemId, RecordId, RunId, ShareId};
use crate::limits;
use crate::position::Position;
use crate::problem::Problem;
use crate::run::Run;
use crate::shadow::is_newer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// A remote object that refers to others which nobody knows yet; by its id there.
    Reference,
}

impl WorkKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Progress, Self::Run, Self::Problem, Self::Hint, Self::Waiting, Self::Reference];

    /// The kind as stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Progress => 1,
            Self::Run => 2,
            Self::Problem => 3,
            Self::Hint => 4,
            Self::Waiting => 5,
            Self::Reference => 6,
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
    /// The first of all in their order, and the name of none.
    pub const LEAST: Self = Self { kind: WorkKind::Progress, share: ShareId(0), about: String::new() };

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

    /// The row of an object that refers to unknown ones.
    #[must_use]
    pub fn reference(share: ShareId, remote: &str) -> Self {
        Self { kind: WorkKind::Reference, share, about: remote.to_owned() }
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
    /// See [`WorkKind::Reference`].
    Reference(Unresolved),
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
    /// The object as the newest word of it showed it. None where that is not known, so that it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Value>,
    /// How new that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// An object as a word of it shows it, and how new that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The object.
    pub object: Value,
    /// Its version there.
    pub version: String,
}

impl Hint {
    /// The hint with one more word of the object. Words come in any order: the newer one counts, and where it is not
    /// known which one that is, neither does.
    fn again(self, at: Timestamp, word: Option<Word>) -> Self {
        let standing = self.shown.zip(self.version).map(|(object, version)| Word { object, version });
        let newest = match (standing, word) {
            (Some(one), Some(other)) if is_newer(&one.version, &other.version) => Some(one),
            (Some(_), Some(other)) => Some(other),
            _ => None,
        };
        let (shown, version) = newest.map(|word| (word.object, word.version)).unzip();
        Self { count: self.count + 1, attempt: 0, next_at: at, shown, version, since: self.since }
    }
}

/// An object's references that could not be resolved when it was taken in, since nobody knew what they are to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unresolved {
    /// By field of the record: the remote object's name, and its id.
    pub fields: BTreeMap<String, (String, String)>,
    /// Since when.
    pub since: Timestamp,
    /// When the object was seen to say so: whatever became of it later speaks against it.
    pub seen_at: Timestamp,
    /// When it is looked at again, if what it refers to is not taken in before.
    pub next_at: Timestamp,
}

impl Unresolved {
    /// References that are missing now. They are looked at again when what they are to is taken in; beside that,
    /// however it may have become known, after as long as they have waited already, from half a minute to a day.
    #[must_use]
    pub fn at(fields: BTreeMap<String, (String, String)>, since: Timestamp, now: Timestamp) -> Self {
        let waited = now.ms_since(since).clamp(limits::UNRESOLVED_FIRST_MS, limits::UNRESOLVED_LAST_MS);
        Self { fields, since, seen_at: now, next_at: now.plus_ms(i64::try_from(waited).unwrap_or(i64::MAX)) }
    }
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

impl Waiting {
    /// The time of what nothing but a person, or a new edit, brings on.
    pub const NEVER: Timestamp = Timestamp(i64::MAX);

    /// The row once its record has been edited: it is tried now, and its tries are counted anew. None where that would
    /// not help, as it waits for the platform to settle.
    #[must_use]
    pub fn brought_forward(self, now: Timestamp) -> Option<Self> {
        let waits_for_platform = self.why == Why::InDoubt && self.next_at != Self::NEVER;
        (!waits_for_platform).then_some(Self { attempt: 0, next_at: now, ..self })
    }
}

/// What a push waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Why {
    /// Its next try.
    Retry,
    /// A creation that may or may not have taken effect: it is looked up before another one.
    InDoubt,
    /// Somebody, who may have looked there, asks for it: it is looked up where that can be, and else made.
    Asked,
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
        /// The object, where the word of it shows that and how new it is.
        shown: Option<Word>,
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
            (Self::Raise { at, shown }, Some(WorkRow::Hint(hint))) => Some(WorkRow::Hint(hint.again(at, shown))),
            (Self::Raise { at, shown }, _) => {
                let (shown, version) = shown.map(|word| (word.object, word.version)).unzip();
                Some(WorkRow::Hint(Hint { count: 1, since: at, attempt: 0, next_at: at, shown, version }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raised(standing: Option<WorkRow>, version: Option<&str>) -> Option<WorkRow> {
        let word = |version: &str| Word { object: json!({ "v": version }), version: version.to_owned() };
        WorkPut::Raise { at: Timestamp(5), shown: version.map(word) }.applied(standing)
    }

    fn version(row: Option<&WorkRow>) -> Option<&str> {
        match row {
            Some(WorkRow::Hint(hint)) => hint.version.as_deref(),
            _ => panic!("no hint: {row:?}"),
        }
    }

    #[test]
    fn words_of_an_object_that_come_out_of_order_do_not_bring_back_the_older() {
        let newer = raised(None, Some("20"));
        assert_eq!(version(raised(newer.clone(), Some("3")).as_ref()), Some("20"));
        assert_eq!(version(raised(newer.clone(), Some("21")).as_ref()), Some("21"));
        assert_eq!(version(raised(newer, None).as_ref()), None, "it is asked for");
        let thin = raised(None, None);
        assert_eq!(version(raised(thin, Some("3")).as_ref()), None, "what the thin one told of may be newer");
    }

    #[test]
    fn a_reference_is_looked_at_less_and_less_often() {
        let wait = |now: i64| Unresolved::at(BTreeMap::new(), Timestamp(0), Timestamp(now)).next_at.0 - now;
        assert_eq!([wait(0), wait(60_000), wait(3_600_000)], [30_000, 60_000, 3_600_000]);
        assert_eq!(wait(9 * 86_400_000), 86_400_000);
    }
}
