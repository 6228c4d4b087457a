//! Rollback: an operation is undone by compensating changes, the newest of its changes first. A field gets its old
//! value back only while it still holds the value that the operation set; what was changed again since stays, and is
//! listed.

use crate::World;
use crate::ingest;
use crate::principal::Principal;
use crate::read;
use crate::refusal::Refusal;
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::command::Ending;
use lockstep_core::error::Rejection;
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::{RecordKey, State};
use lockstep_core::rules::scope::Reach;
use lockstep_wire::operation::OutcomesBody;
use lockstep_wire::rest::{Kept, RolledBack};
use serde_json::Value;
use std::sync::Arc;

/// Undoes an operation of the caller's own; any for the administrator. One of many lines is undone in batches while
/// the caller waits; broken off, it can be asked again: what is undone already is undone no further.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`, `not_found`; `history_pruned` where its one change is kept no more.
pub async fn operation(world: &World, principal: &Principal, business: &str, id: &str) -> Result<RolledBack, Refusal> {
    principal.must(Ability::Write)?;
    let view = read::operation(world, principal, business, id, &OutcomesBody::default()).await?;
    let business = principal.business(world, business)?;
    let operation = view.operation_id;
    let mut done = RolledBack { operation_id: operation, restored: 0, unchanged: 0, kept: Vec::new() };
    match operation.position_in(&business.id) {
        Some(position) => undo(world, principal, &business, vec![position.seq], &mut done).await?,
        None => {
            let mut last = view.upload.map_or(0, |upload| upload.lines);
            while last > 0 {
                let first = last.saturating_sub(limits::ROLLBACK_BATCH);
                let seqs = changed(world, &business, operation, (first, last)).await?;
                undo(world, principal, &business, seqs, &mut done).await?;
                last = first;
            }
        }
    }
    Ok(done)
}

/// Seqs of what an upload's lines after one up to another changed, newest first.
async fn changed(
    world: &World,
    business: &Business,
    operation: OperationId,
    (first, last): (u64, u64),
) -> Result<Vec<u64>, Refusal> {
    let (mut seqs, mut after) = (Vec::new(), first);
    while after < last {
        let page = world.store.outcomes(&business.id, operation, after).await?;
        let Some(newest) = page.last() else { break };
        after = newest.line;
        seqs.extend(page.iter().filter(|outcome| outcome.line <= last).filter_map(|outcome| match outcome.ending {
            Ending::Changed { seq, .. } => Some(seq),
            _ => None,
        }));
    }
    seqs.sort_unstable_by(|one, other| other.cmp(one));
    Ok(seqs)
}

async fn undo(
    world: &World,
    principal: &Principal,
    business: &Business,
    seqs: Vec<u64>,
    done: &mut RolledBack,
) -> Result<(), Refusal> {
    let is_alone = seqs.len() == 1;
    let mut changes = Vec::with_capacity(seqs.len());
    for seq in seqs {
        match world.store.change(&business.id, seq).await? {
            Some(change) => changes.push(change),
            None if is_alone => crate::control::position::check_kept(world, &business.id, seq).await?,
            None => done.unchanged += 1,
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let outcomes = ingest::rollback_all(world, principal, &business.id, &changes).await?;
    for (change, outcome) in changes.iter().zip(outcomes) {
        let error = match outcome.ending {
            Ending::Changed { .. } => {
                done.restored += 1;
                None
            }
            Ending::Failed(rejection) | Ending::Refused(rejection) if is_alone => return Err(rejection.into()),
            Ending::Failed(rejection) | Ending::Refused(rejection) => Some(rejection),
            _ => {
                done.unchanged += 1;
                None
            }
        };
        if done.kept.len() < limits::KEPT_SHOWN_MAX {
            let reach = principal.reach(business, &change.ty, TypeAccess::Write)?;
            done.kept.extend(kept(world, business, change, &reach, error).await?);
        }
    }
    Ok(())
}

/// What a change set and its compensation left as it is, where that is anything.
async fn kept(
    world: &World,
    business: &Business,
    change: &Arc<Change>,
    reach: &Reach,
    error: Option<Rejection>,
) -> Result<Option<Kept>, Refusal> {
    let key = RecordKey { ty: change.ty.clone(), id: change.record };
    let record = world.store.record(&business.id, &key).await?;
    let state = record.map(|record| record.state).unwrap_or_default();
    let mut fields = standing(change, &state);
    // Of a record that has left the caller's sight it is not told what became of its fields.
    fields.retain(|field| reach.holds(&state.fields) && !reach.hides(field));
    let is_something = error.is_some() || !fields.is_empty();
    Ok(is_something.then_some(Kept { record_id: change.record, fields, error }))
}

/// Fields that a change set and that do not hold now what they held before it.
fn standing(change: &Change, now: &State) -> Vec<String> {
    if now.is_deleted {
        return Vec::new();
    }
    let nothing = Fields::new();
    let (set, before) = match change.kind {
        ChangeKind::Created => (&change.state.fields, &nothing),
        _ => (&change.old, &change.old),
    };
    let value = |fields: &Fields, name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    set.keys().filter(|name| value(&now.fields, name) != value(before, name)).cloned().collect()
}
