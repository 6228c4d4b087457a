//! What a command does to a record: the heart of Lockstep.
//!
//! [`decide`] takes one command and the working set of its commit and either asks for more to be loaded, or
//! enters the changes, operation and notices that the command brings and says how it ended. It is pure: the same
//! command over the same set decides the same, whichever store asks.
//!
//! A write that changes nothing makes no change. An external id seen again never makes a second record: it
//! updates the one that holds it, and revives a tombstone. What depends on state fails the operation; only a
//! reused idempotency key refuses the request itself.

mod erase;
mod merge;
mod naming;
mod rollback;
mod standing;
mod sync;
mod take;
mod write;

use crate::Fields;
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::command::{Action, Command, Ending, Outcome, Target};
use crate::delivery::{Notice, NoticeBody};
use crate::error::{Code, Rejection, shown};
use crate::ids::{ChangeId, DeliveryId, RecordId, SubscriptionId};
use crate::limits;
use crate::operation::{Operation, OperationId, OperationState, Upload};
use crate::position::Position;
use crate::record::{Provenance, Record, RecordKey, State};
use crate::rules::working_set::{Keys, Remembered, WorkingSet};
use crate::rules::{check, matching};
use crate::schema::Shape;
use serde_json::Value;
use std::sync::Arc;

/// What deciding came to.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// The command is decided and its effect entered.
    Done(Outcome),
    /// Load these and ask again.
    Need(Keys),
}

/// What a command is known to need before it is looked at.
#[must_use]
pub fn keys(command: &Command, shape: &Shape) -> Keys {
    let mut keys = Keys::default();
    let mut target = |target: &Target| match target {
        Target::Id(id) => keys.records.push(RecordKey { ty: command.ty.clone(), id: *id }),
        Target::External(external) => keys.externals.push(external.key(&command.ty)),
    };
    match &command.action {
        Action::Update { target: one, .. }
        | Action::Replace { target: one, .. }
        | Action::Delete { target: one }
        | Action::Erase { target: one, .. }
        | Action::Unmerge { target: one }
        | Action::SyncById { target: one, .. }
        | Action::Correlate { target: one, .. }
        | Action::Uncorrelate { target: one, .. } => target(one),
        Action::Merge { target: one, into } => [one, into].into_iter().for_each(target),
        Action::Rollback { of } => target(&Target::Id(of.record)),
        Action::Pushed(pushed) => target(&Target::Id(pushed.record)),
        Action::Create { .. } | Action::SyncAll { .. } | Action::CreateMany | Action::Take(_) => {}
    }
    match &command.action {
        Action::Create { fields, external_id, matching } => {
            keys.externals.extend(external_id.as_ref().map(|external| external.key(&command.ty)));
            keys.lookups.extend(matching::keys(shape, fields, matching));
        }
        Action::Correlate { external_id, .. } | Action::Uncorrelate { external_id, .. } => {
            keys.externals.push(external_id.key(&command.ty));
        }
        Action::Take(take) => {
            keys.externals.push(take.external_id.key(&command.ty));
            keys.shadows.push(take.object.clone());
        }
        Action::Pushed(pushed) => {
            keys.externals.push(pushed.external_id.key(&command.ty));
            keys.shadows.push(pushed.object.clone());
        }
        _ => {}
    }
    let unique = command.action.fields().into_iter().flat_map(|fields| matching::unique_keys(shape, fields));
    keys.lookups.extend(unique.map(|(_, key)| key));
    keys.idempotency.extend(command.idempotency.map(|idempotency| idempotency.key));
    keys
}

/// Why deciding stopped short of an effect.
enum Stop {
    Need(Keys),
    Fail(Option<RecordId>, Rejection),
}

impl From<Keys> for Stop {
    fn from(keys: Keys) -> Self {
        Self::Need(keys)
    }
}

type Decided = Result<(Option<RecordId>, Ending), Stop>;

/// One command, the set it is decided over, and the shape of its type.
struct Case<'a> {
    set: &'a mut WorkingSet,
    command: &'a Command,
    shape: &'a Shape,
}

/// Decides one command over the set, given the shape of its type.
pub fn decide(set: &mut WorkingSet, command: &Command, shape: &Shape) -> Step {
    if let Some(idempotency) = command.idempotency {
        match set.remembered(idempotency.key) {
            Err(keys) => return Step::Need(keys),
            Ok(Some(earlier)) if earlier.request == idempotency.request => return Step::Done(earlier.outcome.clone()),
            Ok(Some(_)) => return Step::Done(refused(command, reused_key())),
            Ok(None) => {}
        }
    }
    let mut case = Case { set, command, shape };
    let fits = |fields| check::still_fit(shape, fields, &command.reach, &command.origin);
    let decided = match &command.action {
        action if let Some(Err(rejection)) = action.fields().map(fits) => Err(Stop::Fail(None, rejection)),
        Action::Create { fields, external_id, matching } => case.create(fields, external_id.as_ref(), matching),
        Action::Update { target, patch } => case.update(target, patch),
        Action::Replace { target, fields } => case.replace(target, fields),
        Action::Rollback { of } => case.rollback(of),
        Action::Delete { target } => case.delete(target),
        Action::Erase { target, accounts } => case.erase(target, accounts),
        Action::Correlate { target, external_id, force } => case.correlate(target, external_id, *force),
        Action::Uncorrelate { target, external_id } => case.uncorrelate(target, external_id),
        Action::Merge { target, into } => case.merge(target, into),
        Action::Unmerge { target } => case.unmerge(target),
        Action::SyncById { target, subscriptions } => case.sync_by_id(target, subscriptions),
        Action::SyncAll { since, subscriptions } => Ok(case.sync_all(*since, subscriptions)),
        Action::CreateMany => Ok((None, Ending::Uploading)),
        Action::Take(take) => case.take(take),
        Action::Pushed(pushed) => case.pushed(pushed),
    };
    let (record, ending) = match decided {
        Ok(decided) => decided,
        Err(Stop::Need(keys)) => return Step::Need(keys),
        Err(Stop::Fail(record, rejection)) => (record, Ending::Failed(rejection)),
    };
    Step::Done(close(set, command, record, ending))
}

fn reused_key() -> Rejection {
    Rejection::new(
        Code::IdempotencyConflict,
        "this idempotency key was used in the last 24 hours with another request: send the same request, or another key",
    )
}

fn refused(command: &Command, rejection: Rejection) -> Outcome {
    Outcome { operation: command.fresh.operation, record: None, ending: Ending::Refused(rejection) }
}

/// Enters what is kept of the operation: its row where it needs one, its notices, its idempotency key.
fn close(set: &mut WorkingSet, command: &Command, record: Option<RecordId>, ending: Ending) -> Outcome {
    let operation = match (command.upload, &ending) {
        (Some(upload), _) => upload,
        (None, Ending::Changed { seq, .. } | Ending::Taken { seq: Some(seq), .. }) => set.operation_of(*seq),
        _ => command.fresh.operation,
    };
    // What a share does has no row: its run counts it, and what fails is a problem.
    let is_shares = matches!(command.action, Action::Take(_) | Action::Pushed(_));
    if command.upload.is_none() && !is_shares {
        keep_operation(set, command, operation, record, &ending);
    }
    let outcome = Outcome { operation, record, ending };
    if let Some(idempotency) = command.idempotency {
        let expires_at = command.at.plus_ms(limits::IDEMPOTENCY_KEPT_MS);
        let remembered = Remembered { request: idempotency.request, outcome: outcome.clone(), expires_at };
        set.idempotency.insert(idempotency.key, Some(remembered));
        set.written.idempotency.insert(idempotency.key);
    }
    outcome
}

fn keep_operation(set: &mut WorkingSet, command: &Command, id: OperationId, record: Option<RecordId>, ending: &Ending) {
    let state = match ending {
        Ending::Changed { version, .. } => OperationState::Completed { version: *version },
        Ending::Unchanged | Ending::Taken { .. } => OperationState::Unchanged,
        Ending::Syncing { matched } => OperationState::Sync { matched: *matched, sent: 0, waiting: waiting(set, id) },
        Ending::Uploading => OperationState::Upload(Upload::default()),
        Ending::Failed(rejection) | Ending::Refused(rejection) => {
            OperationState::Failed { rejection: rejection.clone() }
        }
    };
    let row = Operation {
        id,
        verb: command.action.verb().to_owned(),
        at: command.at,
        application: command.origin.application(),
        token: command.origin.token(),
        ty: Some(command.ty.clone()),
        record,
        state,
    };
    let told = match &row.state {
        OperationState::Failed { .. } => &command.tell.failed,
        OperationState::Sync { waiting: 1.., .. } | OperationState::Upload(_) => &[][..],
        _ => &command.tell.completed,
    };
    for subscription in told {
        let delivery = DeliveryId::of_operation(id, "ended", *subscription);
        push_notice(set, command.at, delivery, *subscription, NoticeBody::Operation(row.clone()));
    }
    if !matches!(row.state, OperationState::Completed { .. }) {
        set.written.operations.push(row);
    }
}

fn waiting(set: &WorkingSet, operation: OperationId) -> u64 {
    let is_of = |notice: &&Notice| matches!(notice.body, NoticeBody::Current { operation: of, .. } if of == operation);
    let scans = set.written.scans.iter().filter(|scan| scan.operation == operation).count();
    (set.written.notices.iter().filter(is_of).count() + scans) as u64
}

fn push_notice(set: &mut WorkingSet, at: Timestamp, id: DeliveryId, subscription: SubscriptionId, body: NoticeBody) {
    set.written.notices.push(Notice {
        id,
        business: set.business.clone(),
        subscription,
        after_seq: set.head,
        at,
        body,
        attempt: 0,
        next_at: at,
    });
}

fn fail<T>(record: Option<RecordId>, code: Code, text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(record, Rejection::new(code, text)))
}

/// What a change makes of a record.
struct Next {
    kind: ChangeKind,
    state: State,
    old: Fields,
}

impl Next {
    /// A change that leaves the fields as they are.
    fn as_was(kind: ChangeKind, state: State) -> Self {
        Self { kind, state, old: Fields::new() }
    }
}

impl Case<'_> {
    fn key_of(&self, record: RecordId) -> RecordKey {
        RecordKey { ty: self.command.ty.clone(), id: record }
    }

    /// Finds the record that the caller means; one it may not see is not there.
    fn find(&self, target: &Target) -> Result<Record, Stop> {
        let command = self.command;
        let (key, called) = match target {
            Target::Id(id) => (Some(self.key_of(*id)), id.to_string()),
            Target::External(external) => {
                (self.set.holder(&external.key(&command.ty))?.cloned(), format!("ext:{}", external.id))
            }
        };
        let found = match &key {
            Some(key) => self.set.record(key)?.filter(|record| command.reach.holds(&record.state.fields)),
            None => None,
        };
        match found {
            Some(record) => Ok(record.clone()),
            None => {
                let text = format!("there is no {} {} that this credential may see", command.ty, shown(&called));
                fail(None, Code::RecordNotFound, text)
            }
        }
    }

    /// The same, and the record must live.
    fn find_living(&self, target: &Target) -> Result<Record, Stop> {
        let record = self.find(target)?;
        if !record.state.is_deleted {
            return Ok(record);
        }
        let way_out = match record.state.merged_into {
            Some(into) if self.command.reach.is_unconditional() => {
                format!("was merged into {into}: write to that one, or unmerge it first")
            }
            // To whom only some records are open, another record's id is not told.
            Some(_) => "was merged into another: write to that one, or unmerge it first".to_owned(),
            None => "is deleted: create it again with its external id to revive it".to_owned(),
        };
        fail(Some(record.id), Code::RecordDeleted, format!("{} {} {way_out}", record.ty, record.id))
    }

    /// The same, and the record must have the version asked for.
    fn find_to_write(&self, target: &Target) -> Result<Record, Stop> {
        let record = self.find_living(target)?;
        self.has_version_asked(&record)?;
        Ok(record)
    }

    fn has_version_asked(&self, record: &Record) -> Result<(), Stop> {
        match self.command.if_match {
            Some(wanted) if wanted != record.version => {
                let text = format!(
                    "{} {} is at version {}, If-Match asks for {wanted}: take in the newer version and try again",
                    record.ty, record.id, record.version
                );
                fail(Some(record.id), Code::VersionConflict, text)
            }
            _ => Ok(()),
        }
    }

    /// Enters the change that takes a record from what it was to what comes next.
    fn enter(&mut self, id: ChangeId, before: Record, next: Next) -> (Option<RecordId>, Ending) {
        let (set, command) = (&mut *self.set, self.command);
        let seq = set.head + 1;
        let at = set.last_at.max(command.at);
        let has_same_ids =
            before.state.external_ids == next.state.external_ids && before.state.aliases == next.state.aliases;
        let must_tell_ids = !has_same_ids && !next.state.is_erased;
        let old_external_ids = must_tell_ids.then(|| before.state.external_ids.clone());
        matching::note(set, self.shape, &before, &next.state);
        let state = Arc::new(next.state);
        let change = Change {
            seq,
            id,
            at,
            kind: next.kind,
            ty: before.ty.clone(),
            record: before.id,
            version: before.version + 1,
            prev_seq: before.last_seq,
            created_at: before.created_at,
            origin: command.origin.clone(),
            // In the first epoch it follows from the seq.
            operation: command.upload.or_else(|| (set.epoch != Position::FIRST_EPOCH).then(|| set.operation_of(seq))),
            state: Arc::clone(&state),
            was_deleted: before.state.is_deleted,
            old: next.old,
            old_external_ids,
        };
        let touched = match (next.kind, change.prev_seq) {
            (ChangeKind::Created, 0) => state.fields.keys().cloned().collect(),
            _ => change.old.keys().cloned().collect(),
        };
        let mut record = before;
        let origin = command.origin.clone();
        record.note_provenance(Provenance { seq, observed_at: command.at, origin, fields: touched });
        record.version += 1;
        record.updated_at = at;
        record.last_seq = seq;
        record.state = state;
        let ending = Ending::Changed { seq, version: record.version };
        let id = record.id;
        set.enter(record, change);
        (Some(id), ending)
    }
}

/// About how many bytes a value takes as JSON.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + items.len(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + 4 + weight(value)).sum(),
        _ => 8,
    }
}
