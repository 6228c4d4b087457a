//! Uploads: many lines of one call, made durable in batches as they arrive.
//!
//! A batch is committed with what became of its lines and with how far its upload has come, so a broken upload is
//! resumed exactly where its last durable line stands.

use crate::StoreError;
use crate::batch::ended;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Command, Ending, Outcome};
use lockstep_core::delivery::Notice;
use lockstep_core::error::Rejection;
use lockstep_core::ids::{BusinessId, RecordId, SubscriptionId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use serde::{Deserialize, Serialize};

/// Lines of an upload, in order.
#[derive(Debug)]
pub struct Batch {
    /// The business.
    pub business: BusinessId,
    /// The upload.
    pub operation: OperationId,
    /// Lines that are durable before these.
    pub after: u64,
    /// The lines.
    pub lines: Vec<Line>,
    /// Digest over all lines up to and with these.
    pub digest: [u8; 16],
    /// Whether the upload ends with them.
    pub is_last: bool,
    /// Whom to tell of its end.
    pub tell: Vec<SubscriptionId>,
}

impl Batch {
    /// What its lines ask, in order.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.lines.iter().filter_map(|line| match line {
            Line::Asks(command) => Some(&**command),
            Line::Refused(_) => None,
        })
    }
}

/// One line.
#[derive(Debug)]
pub enum Line {
    /// What it asks.
    Asks(Box<Command>),
    /// Why it asks nothing.
    Refused(Rejection),
}

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineOutcome {
    /// Which, from 1.
    #[serde(rename = "l")]
    pub line: u64,
    /// The record it was about, where one is known.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// How it ended.
    #[serde(rename = "e")]
    pub ending: Ending,
}

/// What a batch makes of its upload.
#[derive(Debug)]
pub struct Advanced {
    /// The operation after it.
    pub operation: Operation,
    /// What became of its lines.
    pub outcomes: Vec<LineOutcome>,
    /// Word of the upload's end, if this was it.
    pub notices: Vec<Notice>,
}

/// Enters a batch into its upload, given what its commands came to, in order.
///
/// # Errors
/// [`StoreError::Fenced`] where the upload does not stand where the batch believes: another goes on with it.
pub fn advance(
    mut operation: Operation,
    batch: &Batch,
    outcomes: Vec<Outcome>,
    (head, at): (u64, Timestamp),
) -> Result<Advanced, StoreError> {
    let OperationState::Upload(upload) = &mut operation.state else { return Err(StoreError::Fenced) };
    if upload.lines != batch.after || upload.is_complete {
        return Err(StoreError::Fenced);
    }
    let mut outcomes = outcomes.into_iter();
    let mut came = Vec::with_capacity(batch.lines.len());
    for (line, number) in batch.lines.iter().zip(batch.after + 1..) {
        let (record, ending) = match line {
            Line::Refused(rejection) => (None, Ending::Failed(rejection.clone())),
            Line::Asks(_) => {
                let missing = || StoreError::Failed("a line without an outcome".to_owned());
                let outcome = outcomes.next().ok_or_else(missing)?;
                (outcome.record, outcome.ending)
            }
        };
        upload.count(&ending);
        came.push(LineOutcome { line: number, record, ending });
    }
    upload.digest = batch.digest;
    upload.is_complete = batch.is_last;
    let tell = if batch.is_last { &batch.tell[..] } else { &[] };
    let notices = ended(&operation, tell, &batch.business, (head, at));
    Ok(Advanced { operation, outcomes: came, notices })
}
