//! What a command does to a record: the heart of Lockstep.
//!
//! [`decide`] takes one command and the working set of its commit and either asks for more to be loaded, or
//! enters the changes, operation and notices that the command brings and says how it ended. It is pure: the same
//! command over the same set decides the same, whichever store asks.
//!
//! A write that changes nothing makes no change. An external id seen again never makes a second record: it
//! updates the one that holds it, and revives a tombstone. What depends on state fails the operation; only a
//! reused idempotency key refuses the request itself.

use crate::Fields;
use crate::change::{Change, ChangeKind, Origin};
use crate::clock::Timestamp;
use crate::command::{Action, Command, Ending, Outcome, Target};
use crate::delivery::{Notice, NoticeBody};
use crate::error::{Code, Rejection, shown};
use crate::external_id::ExternalId;
use crate::ids::{ChangeId, DeliveryId, RecordId, SubscriptionId};
use crate::limits;
use crate::operation::{Operation, OperationId, OperationState};
use crate::position::Position;
use crate::record::{Provenance, Record, RecordKey, State};
use crate::rules::check::merge_patch;
use crate::rules::working_set::{Keys, Remembered, WorkingSet};
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
pub fn keys(command: &Command) -> Keys {
    let mut keys = Keys::default();
    let (target, external) = match &command.action {
        Action::Create { external_id, .. } => (None, external_id.as_ref()),
        Action::Update { target, .. } | Action::Delete { target } | Action::SyncById { target, .. } => {
            (Some(target), None)
        }
        Action::Correlate { target, external_id, .. } | Action::Uncorrelate { target, external_id } => {
            (Some(target), Some(external_id))
        }
    };
    match target {
        Some(Target::Id(id)) => keys.records.push(RecordKey { ty: command.ty.clone(), id: *id }),
        Some(Target::External(external)) => keys.externals.push(external.key(&command.ty)),
        None => {}
    }
    keys.externals.extend(external.map(|external| external.key(&command.ty)));
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
    let decided = match &command.action {
        Action::Create { fields, external_id } => create(set, command, shape, fields, external_id.as_ref()),
        Action::Update { target, patch } => update(set, command, shape, target, patch),
        Action::Delete { target } => delete(set, command, target),
        Action::Correlate { target, external_id, force } => correlate(set, command, target, external_id, *force),
        Action::Uncorrelate { target, external_id } => uncorrelate(set, command, target, external_id),
        Action::SyncById { target, subscriptions } => sync_by_id(set, command, target, subscriptions),
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
    let operation = match ending {
        Ending::Changed { seq, .. } => set.operation_of(seq),
        _ => command.fresh.operation,
    };
    let state = match &ending {
        Ending::Changed { version, .. } => OperationState::Completed { version: *version },
        Ending::Unchanged => OperationState::Unchanged,
        Ending::Syncing { matched } => {
            OperationState::Sync { matched: *matched, sent: 0, waiting: waiting(set, operation) }
        }
        Ending::Failed(rejection) | Ending::Refused(rejection) => {
            OperationState::Failed { rejection: rejection.clone() }
        }
    };
    let row = Operation {
        id: operation,
        verb: command.action.verb().to_owned(),
        at: command.at,
        application: command.origin.application(),
        ty: command.ty.clone(),
        record,
        state,
    };
    let told = match &row.state {
        OperationState::Failed { .. } => &command.tell.failed,
        OperationState::Sync { waiting: 1.., .. } => &[][..],
        _ => &command.tell.completed,
    };
    for subscription in told {
        let id = DeliveryId::of_operation(operation, "ended", *subscription);
        push_notice(set, command.at, id, *subscription, NoticeBody::Operation(row.clone()));
    }
    if !matches!(row.state, OperationState::Completed { .. }) {
        set.written.operations.push(row);
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

fn waiting(set: &WorkingSet, operation: OperationId) -> u64 {
    let is_of = |notice: &&Notice| matches!(notice.body, NoticeBody::Current { operation: of, .. } if of == operation);
    set.written.notices.iter().filter(is_of).count() as u64
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

/// Finds the record that the caller means; one it may not see is not there.
fn find(set: &WorkingSet, command: &Command, target: &Target) -> Result<Record, Stop> {
    let (key, called) = match target {
        Target::Id(id) => (Some(RecordKey { ty: command.ty.clone(), id: *id }), id.to_string()),
        Target::External(external) => {
            (set.holder(&external.key(&command.ty))?.cloned(), format!("ext:{}", external.id))
        }
    };
    let found = match &key {
        Some(key) => set.record(key)?.filter(|record| command.reach.holds(&record.state.fields)),
        None => None,
    };
    found.cloned().ok_or_else(|| {
        let text = format!("there is no {} {} that this credential may see", command.ty, shown(&called));
        Stop::Fail(None, Rejection::new(Code::RecordNotFound, text))
    })
}

/// The same, and the record must live and have the version asked for.
fn find_living(set: &WorkingSet, command: &Command, target: &Target) -> Result<Record, Stop> {
    let record = find(set, command, target)?;
    let fail = |code, text| Err(Stop::Fail(Some(record.id), Rejection::new(code, text)));
    if record.state.is_deleted {
        let text = format!("{} {} is deleted: create it again with its external id to revive it", record.ty, record.id);
        return fail(Code::RecordDeleted, text);
    }
    has_version_asked(command, &record)?;
    Ok(record)
}

fn has_version_asked(command: &Command, record: &Record) -> Result<(), Stop> {
    match command.if_match {
        Some(wanted) if wanted != record.version => {
            let text = format!(
                "{} {} is at version {}, If-Match asks for {wanted}: take in the newer version and try again",
                record.ty, record.id, record.version
            );
            Err(Stop::Fail(Some(record.id), Rejection::new(Code::VersionConflict, text)))
        }
        _ => Ok(()),
    }
}

fn create(
    set: &mut WorkingSet,
    command: &Command,
    shape: &Shape,
    fields: &Fields,
    external: Option<&ExternalId>,
) -> Decided {
    if let Some(external) = external
        && let Some(key) = set.holder(&external.key(&command.ty))?.cloned()
    {
        let standing = set.record(&key)?.filter(|record| command.reach.holds(&record.state.fields));
        let record = standing.cloned().ok_or_else(|| taken(external, None))?;
        has_version_asked(command, &record)?;
        return match record.state.is_deleted {
            true => revive(set, command, shape, record, fields),
            false => patch(set, command, shape, record, fields),
        };
    }
    if let Some(wanted) = command.if_match {
        let text = format!("If-Match asks for version {wanted}, and there is no such {} yet: leave it out", command.ty);
        return Err(Stop::Fail(None, Rejection::new(Code::VersionConflict, text)));
    }
    let id = command.fresh.record;
    let mut state = State { fields: patched(shape, &Fields::new(), fields).0, ..State::default() };
    within_reach(command, id, &state.fields)?;
    if let Some(external) = external {
        state.external_ids.push(external.clone());
        set.set_holder(external.key(&command.ty), Some(RecordKey { ty: command.ty.clone(), id }));
    }
    let blank = Record {
        id,
        ty: command.ty.clone(),
        version: 0,
        created_at: set.last_at.max(command.at),
        updated_at: command.at,
        last_seq: 0,
        state: Arc::default(),
        provenance: Vec::new(),
    };
    Ok(enter(set, command, command.fresh.change, blank, Next { kind: ChangeKind::Created, state, old: Fields::new() }))
}

/// A tombstone whose external id is created again lives again, with the values now given and no others.
fn revive(set: &mut WorkingSet, command: &Command, shape: &Shape, record: Record, fields: &Fields) -> Decided {
    let fresh = patched(shape, &Fields::new(), fields).0;
    within_reach(command, record.id, &fresh)?;
    let mut old = record.state.fields.clone();
    for field in fresh.keys() {
        old.entry(field.clone()).or_insert(Value::Null);
    }
    old.retain(|field, value| fresh.get(field).unwrap_or(&Value::Null) != value);
    let state = State { fields: fresh, external_ids: record.state.external_ids.clone(), is_deleted: false };
    Ok(enter(set, command, command.fresh.change, record, Next { kind: ChangeKind::Created, state, old }))
}

fn update(set: &mut WorkingSet, command: &Command, shape: &Shape, target: &Target, wanted: &Fields) -> Decided {
    let record = find_living(set, command, target)?;
    patch(set, command, shape, record, wanted)
}

fn patch(set: &mut WorkingSet, command: &Command, shape: &Shape, record: Record, wanted: &Fields) -> Decided {
    let (fields, old) = patched(shape, &record.state.fields, wanted);
    if old.is_empty() {
        return Ok((Some(record.id), Ending::Unchanged));
    }
    within_reach(command, record.id, &fields)?;
    let state = State { fields, ..(*record.state).clone() };
    Ok(enter(set, command, command.fresh.change, record, Next { kind: ChangeKind::Updated, state, old }))
}

/// The fields after a patch, and the old values of those that changed.
fn patched(shape: &Shape, standing: &Fields, patch: &Fields) -> (Fields, Fields) {
    let (mut fields, mut old) = (standing.clone(), Fields::new());
    for (id, wanted) in patch {
        let before = standing.get(id).unwrap_or(&Value::Null);
        let merged = if wanted.is_object() { merge_patch(Some(before), wanted) } else { wanted.clone() };
        let after = if merged.as_object().is_some_and(Fields::is_empty) { Value::Null } else { merged };
        let is_equal =
            shape.fields.get(id.as_str()).map_or(before == &after, |field| field.kind.is_equal(before, &after));
        if is_equal {
            continue;
        }
        old.insert(id.clone(), before.clone());
        if after.is_null() {
            fields.remove(id);
        } else {
            fields.insert(id.clone(), after);
        }
    }
    (fields, old)
}

fn within_reach(command: &Command, id: RecordId, fields: &Fields) -> Result<(), Stop> {
    let fail = |code, text: String| Err(Stop::Fail(Some(id), Rejection::new(code, text)));
    if !command.reach.holds(fields) {
        let text = format!("this credential may only write a {} that its row condition holds for", command.ty);
        return fail(Code::OutsideGrant, text);
    }
    // Each body was bounded when it came in; many patches together must stay bounded too.
    let bytes: usize = fields.iter().map(|(field, value)| field.len() + weight(value)).sum();
    if bytes > 2 * limits::RECORD_BYTES_MAX {
        let text = format!(
            "the {} would grow to {bytes} bytes; at most {} are kept",
            command.ty,
            2 * limits::RECORD_BYTES_MAX
        );
        return fail(Code::RecordTooLarge, text);
    }
    Ok(())
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

fn delete(set: &mut WorkingSet, command: &Command, target: &Target) -> Decided {
    let record = find(set, command, target)?;
    if record.state.is_deleted {
        return Ok((Some(record.id), Ending::Unchanged));
    }
    let record = find_living(set, command, target)?;
    let state = State { is_deleted: true, ..(*record.state).clone() };
    Ok(enter(set, command, command.fresh.change, record, Next { kind: ChangeKind::Deleted, state, old: Fields::new() }))
}

fn taken(external: &ExternalId, holder: Option<RecordId>) -> Stop {
    let by = holder.map(|id| format!(" {id}")).unwrap_or_default();
    let text = format!(
        "{} of {} belongs to another record{by}: uncorrelate it there first, or move it with ?force=true",
        shown(&external.id),
        external.provider
    );
    Stop::Fail(None, Rejection::new(Code::ExternalIdTaken, text))
}

fn correlate(set: &mut WorkingSet, command: &Command, target: &Target, external: &ExternalId, force: bool) -> Decided {
    let record = find_living(set, command, target)?;
    if record.state.external_ids.contains(external) {
        return Ok((Some(record.id), Ending::Unchanged));
    }
    let is_same_slot = |held: &ExternalId| {
        held.provider == external.provider && held.realm == external.realm && held.object == external.object
    };
    let (replaced, mut external_ids): (Vec<_>, Vec<_>) =
        record.state.external_ids.iter().cloned().partition(is_same_slot);
    if external_ids.len() >= limits::EXTERNAL_IDS_MAX {
        let text = format!("{} {} has {} external ids, the most it may", record.ty, record.id, external_ids.len());
        return Err(Stop::Fail(Some(record.id), Rejection::new(Code::LimitReached, text)));
    }
    let key = external.key(&command.ty);
    if let Some(holder) = set.holder(&key)?.cloned() {
        let standing = set.record(&holder)?.cloned();
        match standing.filter(|other| command.reach.holds(&other.state.fields)) {
            Some(other) if force => detach(set, command, command.fresh.second_change, other, external),
            other => return Err(taken(external, other.map(|other| other.id))),
        };
    }
    for old in replaced {
        set.set_holder(old.key(&command.ty), None);
    }
    external_ids.push(external.clone());
    set.set_holder(key, Some(RecordKey { ty: record.ty.clone(), id: record.id }));
    let state = State { external_ids, ..(*record.state).clone() };
    Ok(enter(
        set,
        command,
        command.fresh.change,
        record,
        Next { kind: ChangeKind::Correlated, state, old: Fields::new() },
    ))
}

fn uncorrelate(set: &mut WorkingSet, command: &Command, target: &Target, external: &ExternalId) -> Decided {
    let record = find_living(set, command, target)?;
    if !record.state.external_ids.contains(external) {
        let text =
            format!("{} {} is not called {} by {}", record.ty, record.id, shown(&external.id), external.provider);
        return Err(Stop::Fail(Some(record.id), Rejection::new(Code::ExternalIdUnknown, text)));
    }
    set.set_holder(external.key(&command.ty), None);
    Ok(detach(set, command, command.fresh.change, record, external))
}

/// Takes an external id off a record; the caller says who holds it next.
fn detach(
    set: &mut WorkingSet,
    command: &Command,
    change: ChangeId,
    record: Record,
    external: &ExternalId,
) -> (Option<RecordId>, Ending) {
    let external_ids = record.state.external_ids.iter().filter(|held| *held != external).cloned().collect();
    let state = State { external_ids, ..(*record.state).clone() };
    enter(set, command, change, record, Next { kind: ChangeKind::Correlated, state, old: Fields::new() })
}

fn sync_by_id(set: &mut WorkingSet, command: &Command, target: &Target, subscriptions: &[SubscriptionId]) -> Decided {
    let record = match find(set, command, target) {
        Ok(record) if !record.state.is_deleted => record,
        Err(Stop::Need(keys)) => return Err(Stop::Need(keys)),
        _ => return Ok((None, Ending::Syncing { matched: 0 })),
    };
    for subscription in subscriptions {
        let operation = command.fresh.operation;
        let id = DeliveryId::of_sync(operation, record.id, *subscription);
        let body = NoticeBody::Current { operation, ty: record.ty.clone(), record: record.id };
        push_notice(set, command.at, id, *subscription, body);
    }
    Ok((Some(record.id), Ending::Syncing { matched: 1 }))
}

/// What a change makes of a record.
struct Next {
    kind: ChangeKind,
    state: State,
    old: Fields,
}

/// Enters the change that takes a record from what it was to what comes next.
fn enter(
    set: &mut WorkingSet,
    command: &Command,
    id: ChangeId,
    before: Record,
    next: Next,
) -> (Option<RecordId>, Ending) {
    let seq = set.head + 1;
    let at = set.last_at.max(command.at);
    let old_external_ids =
        (before.state.external_ids != next.state.external_ids).then(|| before.state.external_ids.clone());
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
        operation: (set.epoch != Position::FIRST_EPOCH).then(|| set.operation_of(seq)),
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
    record.note_provenance(provenance(seq, command, touched));
    record.version += 1;
    record.updated_at = at;
    record.last_seq = seq;
    record.state = state;
    let ending = Ending::Changed { seq, version: record.version };
    let id = record.id;
    set.enter(record, change);
    (Some(id), ending)
}

fn provenance(seq: u64, command: &Command, fields: Vec<String>) -> Provenance {
    let origin: Origin = command.origin.clone();
    Provenance { seq, observed_at: command.at, origin, fields }
}
