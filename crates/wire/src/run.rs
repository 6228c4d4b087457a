//! Runs, and the problems they leave.

use lockstep_core::error::Rejection;
use lockstep_core::ids::{ProblemId, RecordId, RunId, ShareId};
use lockstep_core::operation::OperationId;
use lockstep_core::problem::{Problem, Side};
use lockstep_core::run::{Counts, Run, RunKind, RunState, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunBody {
    /// What it does; `incremental` where left out, and `baseline` for a share that has had none.
    pub kind: Option<RunKind>,
    /// The one record or remote object that it is about: `rec_…`, or the object's id there.
    pub only: Option<String>,
}

/// A run, as shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// The share.
    pub share: ShareId,
    /// The version of the share that it follows.
    pub share_version: u64,
    /// What it does.
    pub kind: RunKind,
    /// How it stands.
    pub state: RunState,
    /// Where it is: `listing` the remote, `writing` to it, or `over`.
    pub stage: &'static str,
    /// What became of what it looked at.
    pub counts: Counts,
    /// The operation that its changes belong to.
    pub operation_id: OperationId,
    /// When it was begun, RFC 3339.
    pub started_at: String,
    /// When it came to an end, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it stopped, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RunView {
    /// The view of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        Self {
            id: run.id,
            share: run.share,
            share_version: run.share_version,
            kind: run.kind,
            state: run.state,
            stage: match run.stage {
                Stage::Listing { .. } => "listing",
                Stage::Writing { .. } => "writing",
                Stage::Over => "over",
            },
            counts: run.counts,
            operation_id: run.operation(),
            started_at: run.started_at.to_string(),
            ended_at: run.ended_at.map(|at| at.to_string()),
            reason: run.reason.clone(),
        }
    }
}

/// A problem, as shown. There is one as long as it stands: it goes when its object or record next applies.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemView {
    /// Its id, the same whenever it comes up again.
    pub id: ProblemId,
    /// The share.
    pub share: ShareId,
    /// Which way it was going.
    pub side: Side,
    /// The remote object, by its id there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// The record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// Why.
    pub reason: Rejection,
    /// When it first came up, RFC 3339.
    pub first_at: String,
    /// When it last came up, RFC 3339.
    pub last_at: String,
    /// How often it has come up.
    pub times: u32,
}

impl ProblemView {
    /// The view of a problem.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        Self {
            id: problem.id,
            share: problem.share,
            side: problem.side,
            remote_id: problem.remote.clone(),
            record_id: problem.record,
            reason: problem.reason.clone(),
            first_at: problem.first_at.to_string(),
            last_at: problem.last_at.to_string(),
            times: problem.times,
        }
    }
}

/// Which problems are to be tried again or dismissed: those that are all of what is said.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProblemsBody {
    /// Of this share.
    pub share: Option<ShareId>,
    /// Going this way.
    pub side: Option<Side>,
    /// For this reason, such as `ambiguous_match`.
    pub code: Option<String>,
}

/// How many problems are tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemsReplayed {
    /// So many.
    pub replayed: usize,
    /// Whether there are more that were asked for: ask again when these are through.
    pub has_more: bool,
}
