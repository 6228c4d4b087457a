//! What became of writes, as lines, waiting rows and problems.

use super::{Done, Errand, Push};
use crate::Halt;
use crate::lane::Candidate;
use lockstep_connect::{Class, Object, Trouble};
use lockstep_core::Fields;
use lockstep_core::command::Taken;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::RecordId;
use lockstep_core::problem::Subject;
use lockstep_core::rules::{recovery, retry};
use lockstep_core::shadow::ShadowState;
use lockstep_core::work::{Waiting, Why, WorkKey, WorkPut, WorkRow};
use lockstep_store::turn::Line;
use std::time::Duration;

/// How often an object is looked for that the platform says is there already.
const LOOKED_FOR: u32 = 5;

/// Whether a trouble concerns the account rather than an object.
pub(super) fn is_systemic(trouble: &Trouble) -> bool {
    matches!(trouble.class, Class::Down) || (trouble.class == Class::Retry && trouble.after.is_some())
}

/// A trouble in the words of a problem.
pub(super) fn told(trouble: &Trouble) -> Rejection {
    let code = match trouble.class {
        Class::Duplicate | Class::Ambiguous => Code::RemoteDuplicate,
        Class::Unknown => Code::RemoteInDoubt,
        Class::Retry | Class::Down => Code::RemoteUnavailable,
        Class::Permanent | Class::Gone | Class::Auth => Code::RemoteRefused,
    };
    Rejection::new(code, trouble.failure.message.clone())
}

impl Push<'_> {
    /// A write that was done.
    pub(super) fn written(&self, errand: Errand, id: &str, is_new: bool, object: Option<&Object>, done: &mut Done) {
        let Errand { candidate, wanted, later, .. } = errand;
        let before = candidate.shadow.as_ref().map(|shadow| &shadow.values);
        let line = self.line_written(candidate.id(), id, is_new, (before, wanted, object));
        self.keep(candidate.id(), line, done);
        if let Some(other) = later {
            let counts = done.counts;
            self.wait_for(candidate.id(), other, done);
            // It has been counted as written.
            done.counts = counts;
        }
    }

    /// What an object holds after a write: what it held, with what was written, with what the platform says of it.
    pub(super) fn line_written(
        &self,
        record: RecordId,
        id: &str,
        is_new: bool,
        (before, wanted, object): (Option<&Fields>, Fields, Option<&Object>),
    ) -> Line {
        let mut values = before.cloned().unwrap_or_default();
        values.extend(wanted);
        if let Some(object) = object {
            values.extend(self.desk.lane.mapping.shown(&object.tree));
        }
        let line = self.desk.kept(record, id, Some(values), ShadowState::Known);
        Line { counts_as: Some(if is_new { Taken::Created } else { Taken::Updated }), ..line }
    }

    /// A write that was not done, or not for certain.
    pub(super) async fn refused(&self, errand: Errand, trouble: Trouble, done: &mut Done) -> Result<(), Halt> {
        let Errand { candidate, write, .. } = errand;
        let reason = told(&trouble);
        match (trouble.class, &candidate.object) {
            (Class::Gone, Some(object)) => {
                let line = self.desk.kept(candidate.id(), object, None, ShadowState::AbsentThere);
                self.keep(candidate.id(), line, done);
            }
            (Class::Unknown, Some(object)) => {
                let line = self.desk.kept(candidate.id(), object, None, ShadowState::InDoubt);
                done.lines.push(Line { counts_as: Some(Taken::Stale), ..line });
                self.wait(&candidate, Why::Retry, reason, trouble.after, done);
            }
            (Class::Unknown, None) => {
                let why = if self.link.is_idempotent(&self.desk.lane.share.object, &write) {
                    Why::Retry
                } else {
                    Why::InDoubt
                };
                let settled = self.link.settle_after(&self.desk.lane.share.object);
                self.wait(&candidate, why, reason, trouble.after.or(Some(settled)), done);
            }
            (Class::Duplicate, None) if self.link.can_look_up(&self.desk.lane.share.object, &write.groups) => {
                let attempt = self.earlier.get(&candidate.id()).map_or(0, |waiting| waiting.attempt);
                if attempt < LOOKED_FOR {
                    self.wait(&candidate, Why::InDoubt, reason, trouble.after.or(Some(Duration::ZERO)), done);
                } else {
                    self.refuse(&candidate, reason, done);
                }
            }
            _ => self.troubled(&candidate, trouble, done).await?,
        }
        Ok(())
    }

    /// A question or write that came to nothing, whichever it was.
    pub(super) async fn troubled(&self, candidate: &Candidate, trouble: Trouble, done: &mut Done) -> Result<(), Halt> {
        let reason = told(&trouble);
        match trouble.class {
            // The platform takes the credentials, and did not let them do this; a token that ended just then is another.
            Class::Auth if self.is_well().await => {
                if self.is_forbidden(candidate) {
                    self.refuse(candidate, reason, done);
                } else {
                    let why = self.earlier.get(&candidate.id()).map_or(Why::Retry, |waiting| waiting.why.clone());
                    self.wait(candidate, why, reason, trouble.after, done);
                }
            }
            Class::Auth => return Err(Halt::Login(trouble.failure.message)),
            Class::Down if !self.is_well().await => {
                self.unintend(candidate.id(), done);
                done.trouble = Some(trouble);
            }
            Class::Retry | Class::Down | Class::Unknown => {
                let why = self.earlier.get(&candidate.id()).map_or(Why::Retry, |waiting| waiting.why.clone());
                self.wait(candidate, why, reason, trouble.after, done);
            }
            Class::Permanent | Class::Ambiguous | Class::Duplicate | Class::Gone => {
                self.refuse(candidate, reason, done);
            }
        }
        Ok(())
    }

    /// Whether asking about a record once more would come to the same.
    pub(super) async fn is_lasting(&self, candidate: &Candidate, trouble: &Trouble) -> bool {
        match trouble.class {
            Class::Permanent | Class::Ambiguous | Class::Duplicate | Class::Gone => true,
            Class::Auth => self.is_forbidden(candidate) && self.is_well().await,
            Class::Retry | Class::Down | Class::Unknown => false,
        }
    }

    /// Whether it has been tried often enough to tell what is forbidden from a token that had just ended.
    fn is_forbidden(&self, candidate: &Candidate) -> bool {
        self.earlier.get(&candidate.id()).is_some_and(|waiting| waiting.attempt >= recovery::FORBIDDEN_TRIES)
    }

    pub(super) fn wait(
        &self,
        candidate: &Candidate,
        why: Why,
        reason: Rejection,
        after: Option<Duration>,
        done: &mut Done,
    ) {
        self.wait_record(candidate.id(), why, reason, after, done);
    }

    /// A record waits for one that it refers to.
    pub(super) fn wait_for(&self, record: RecordId, other: RecordId, done: &mut Done) {
        let text = format!("it refers to record {other}, which is not known there yet");
        let reason = Rejection::new(Code::ReferenceMissing, text);
        self.wait_record(record, Why::Reference { record: other }, reason, None, done);
    }

    /// Puts a record off; one that has been put off for too long is a problem.
    pub(super) fn wait_record(
        &self,
        record: RecordId,
        why: Why,
        reason: Rejection,
        after: Option<Duration>,
        done: &mut Done,
    ) {
        let now = self.desk.world.clock.now();
        let earlier = self.earlier.get(&record);
        let attempt = earlier.map_or(0, |waiting| waiting.attempt) + 1;
        let Some(patience) = retry::wait_after(attempt, self.desk.world.ids.fraction()) else {
            return match why {
                Why::InDoubt | Why::Asked => self.doubt_record(record, reason, done),
                Why::Retry | Why::Reference { .. } => self.refuse_record(record, reason, done),
            };
        };
        let wait = match (&why, after) {
            (Why::InDoubt, Some(after)) if attempt <= LOOKED_FOR => after,
            (_, after) => after.unwrap_or_default().max(patience),
        };
        let next_at = now.plus_ms(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let waiting = Waiting { why, since: earlier.map_or(now, |waiting| waiting.since), attempt, next_at, reason };
        let key = WorkKey::waiting(self.desk.lane.share.id, record);
        done.puts.push((key, WorkPut::Row(WorkRow::Waiting(waiting))));
        done.counts.seen += 1;
        done.counts.waiting += 1;
    }

    pub(super) fn refuse(&self, candidate: &Candidate, reason: Rejection, done: &mut Done) {
        self.refuse_record(candidate.id(), reason, done);
    }

    /// Makes a record a problem that may have been made there: until somebody looks, it is not made again.
    pub(super) fn doubt_record(&self, record: RecordId, reason: Rejection, done: &mut Done) {
        let since = self.desk.world.clock.now();
        let row = Waiting { why: Why::InDoubt, since, attempt: 0, next_at: Waiting::NEVER, reason: reason.clone() };
        self.refuse_record(record, reason, done);
        let key = WorkKey::waiting(self.desk.lane.share.id, record);
        done.puts.push((key, WorkPut::Row(WorkRow::Waiting(row))));
    }

    /// Makes a record a problem.
    pub(super) fn refuse_record(&self, record: RecordId, reason: Rejection, done: &mut Done) {
        let share = self.desk.lane.share.id;
        let problem = self.desk.failed(&Subject::Record(record), reason);
        done.puts.push((WorkKey::waiting(share, record), WorkPut::Gone));
        done.puts.push((WorkKey::problem(share, problem.id), WorkPut::Row(WorkRow::Problem(problem))));
        done.counts.seen += 1;
        done.counts.failed += 1;
    }
}
