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
use lockstep_core::record::RecordKey;
use lockstep_core::rules::scope::Reach;
use lockstep_wire::operation::OutcomesBody;
use lockstep_wire::rest::{Kept, RolledBack};
use serde_json::Value;
use std::collections::BTreeMap;
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
        Some(position) => {
            let seqs = of_one(world, &business, position.seq).await?;
            undo(world, principal, &business, seqs, &mut done).await?;
        }
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

/// The changes of an operation that is one change, or a merge: that is two, the first the survivor's. The record that
/// went comes back first, with its ids; then what the survivor took over from it is taken back.
async fn of_one(world: &World, business: &Business, seq: u64) -> Result<Vec<u64>, Refusal> {
    let merged = world.store.change(&business.id, seq).await?.filter(|change| change.kind == ChangeKind::Merged);
    let Some(merged) = merged else { return Ok(vec![seq]) };
    let first = world.store.change(&business.id, seq.saturating_sub(1)).await?;
    let is_survivors = |first: &Arc<Change>| {
        Some(first.record) == merged.state.merged_into && first.origin == merged.origin && first.at == merged.at
    };
    Ok(std::iter::once(seq).chain(first.filter(is_survivors).map(|first| first.seq)).collect())
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
    let mut wanted = Wanted::new();
    for (change, outcome) in changes.iter().zip(outcomes) {
        // The oldest change of a field says what it is to be in the end.
        let key = RecordKey { ty: change.ty.clone(), id: change.record };
        let of_record = wanted.entry(key).or_default();
        of_record.fields.extend(before(change));
        of_record.error = match outcome.ending {
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
    }
    for (key, of_record) in wanted {
        if done.kept.len() < limits::KEPT_SHOWN_MAX {
            let reach = principal.reach(business, &key.ty, TypeAccess::Write)?;
            done.kept.extend(kept(world, business, key, &reach, of_record).await?);
        }
    }
    Ok(())
}

/// What records are to be after a rollback.
type Wanted = BTreeMap<RecordKey, OfRecord>;

#[derive(Default)]
struct OfRecord {
    /// Values by field; null for none.
    fields: Fields,
    /// Why something could not be undone.
    error: Option<Rejection>,
}

/// The values that the fields which a change set had before it.
fn before(change: &Change) -> Fields {
    match change.kind {
        ChangeKind::Created => change.state.fields.keys().map(|name| (name.clone(), Value::Null)).collect(),
        _ => change.old.clone(),
    }
}

/// What of a record was left as it is, where that is anything. Of one that is gone there is nothing.
async fn kept(
    world: &World,
    business: &Business,
    key: RecordKey,
    reach: &Reach,
    of_record: OfRecord,
) -> Result<Option<Kept>, Refusal> {
    let record = world.store.record(&business.id, &key).await?;
    // Of a record that has left the caller's sight it is not told what became of its fields.
    let now = record.map(|record| record.state).filter(|state| !state.is_deleted && reach.holds(&state.fields));
    let stands = |(name, value): (String, Value)| {
        let now = now.as_ref()?.fields.get(&name).unwrap_or(&Value::Null);
        (*now != value && !reach.hides(&name)).then_some(name)
    };
    let OfRecord { fields, error } = of_record;
    let fields: Vec<String> = fields.into_iter().filter_map(stands).collect();
    let is_something = error.is_some() || !fields.is_empty();
    Ok(is_something.then_some(Kept { record_id: key.id, fields, error }))
}
