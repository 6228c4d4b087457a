//! Reading single things: operations, and a record's past.

use crate::World;
use crate::control::position;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::error::{Code, shown};
use lockstep_core::ids::RecordId;
use lockstep_core::limits;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching;
use lockstep_core::schema::Shape;
use lockstep_store::StoreError;
use lockstep_wire::operation::{LineView, OperationView, OutcomesBody, OutcomesWanted};
use lockstep_wire::record::{Similar, SimilarView};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of an operation. Only whoever asked for it may read it, and the administrator.
///
/// # Errors
/// `invalid_id`, `business_not_found`, `history_pruned`, or `not_found` where there is none of the caller's.
pub async fn operation(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
    body: &OutcomesBody,
) -> Result<OperationView, Refusal> {
    let business = principal.business(world, business)?;
    let id: OperationId = id.parse()?;
    // A change of a restored log may stand at the seq of a lost one: it is another operation's.
    let found = match id.position_in(&business.id) {
        Some(position) => {
            position::check_kept(world, &business.id, position.seq).await?;
            let change = world.store.change(&business.id, position.seq).await?;
            change.filter(|change| change.operation(&business.id) == id).map(|change| of_change(id, &change))
        }
        None => world.store.operation(&business.id, id).await?,
    };
    let is_own = |operation: &Operation| match principal {
        Principal::Admin => true,
        Principal::Application(_) => operation.application == principal.application(),
    };
    let found = found.filter(is_own).ok_or_else(|| {
        Refusal::new(
            Code::NotFound,
            format!(
                "there is no operation {id} of this credential in {}; operations without a change are kept 30 days",
                business.id
            ),
        )
    })?;
    let mut view = OperationView::of(&found);
    if let Some(upload) = &mut view.upload {
        if world.uploads.is_under_way(id) {
            view.state = "running";
        }
        if let Some(wanted) = body.outcomes {
            let (lines, next) = outcomes(world, &business, id, wanted, body).await?;
            upload.outcomes = Some(lines);
            upload.next = next;
        }
    }
    Ok(view)
}

fn of_change(id: OperationId, change: &Change) -> Operation {
    let verb = match change.kind {
        ChangeKind::Created => "create",
        ChangeKind::Updated => "update",
        ChangeKind::Deleted => "delete",
        ChangeKind::Merged => "merge",
        ChangeKind::Correlated => "correlate",
    };
    Operation {
        id,
        verb: verb.to_owned(),
        at: change.at,
        application: change.origin.application(),
        ty: Some(change.ty.clone()),
        record: Some(change.record),
        state: OperationState::Completed { version: change.version },
    }
}

/// A page of an upload's outcomes, and the line after which there may be more. It looks through a bounded number of
/// lines, so a page of failures may be short, or empty, and still not be the last.
async fn outcomes(
    world: &World,
    business: &Business,
    id: OperationId,
    wanted: OutcomesWanted,
    body: &OutcomesBody,
) -> Result<(Vec<LineView>, Option<u64>), StoreError> {
    const READS_MAX: usize = 20;
    let limit = body.limit.unwrap_or(limits::PAGE_ROWS_MAX).clamp(1, limits::PAGE_ROWS_MAX);
    let (mut lines, mut after) = (Vec::new(), body.after);
    for _ in 0..READS_MAX {
        let page = world.store.outcomes(&business.id, id, after).await?;
        if page.is_empty() {
            return Ok((lines, None));
        }
        for outcome in page {
            after = outcome.line;
            let view = LineView::of(outcome.line, outcome.record, outcome.ending);
            if wanted == OutcomesWanted::All || view.state == "failed" {
                lines.push(view);
            }
            if lines.len() >= limit {
                return Ok((lines, Some(after)));
            }
        }
    }
    Ok((lines, Some(after)))
}

/// A record and its type's shape, for an administrator.
async fn found(
    world: &World,
    principal: &Principal,
    (business, ty, id): (&str, &str, &str),
) -> Result<(Arc<Business>, Arc<Shape>, Record), Refusal> {
    principal.must_administer()?;
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    let id: RecordId = id.parse()?;
    let key = RecordKey { ty: shape.id.clone(), id };
    let record = world.store.record(&business.id, &key).await?;
    let missing = || Refusal::new(Code::RecordNotFound, format!("there is no {} {id} in {}", shape.id, business.id));
    let record = record.ok_or_else(missing)?;
    Ok((Arc::clone(&business), shape, record))
}

fn key_of(record: &Record) -> RecordKey {
    RecordKey { ty: record.ty.clone(), id: record.id }
}

/// A page of a record's past.
#[derive(Debug)]
pub struct Past {
    /// The business.
    pub business: Arc<Business>,
    /// Its changes, newest first.
    pub changes: Vec<Arc<Change>>,
    /// The seq before which there may be more.
    pub next: Option<u64>,
    /// The seq below which changes of the record were pruned, where the page has come to them.
    pub pruned_below: Option<u64>,
}

/// A record's changes before a seq, newest first.
///
/// # Errors
/// `forbidden`, `business_not_found`, `unknown_type`, `invalid_id`, `record_not_found`.
pub async fn history(
    world: &World,
    principal: &Principal,
    address: (&str, &str, &str),
    before: Option<u64>,
    limit: Option<usize>,
) -> Result<Past, Refusal> {
    const USUAL: usize = 100;
    let (business, _, record) = found(world, principal, address).await?;
    let limit = limit.unwrap_or(USUAL).clamp(1, limits::PAGE_ROWS_MAX);
    let before = before.unwrap_or(u64::MAX);
    let changes = world.store.history(&business.id, &key_of(&record), before, limit).await?;
    let floor = world.store.floor(&business.id).await?;
    let next = changes.last().filter(|change| change.prev_seq > floor).map(|change| change.seq);
    // An empty page is one whose changes, if there were any before, are gone.
    let earlier = changes.last().map_or(record.last_seq.min(before.saturating_sub(1)), |change| change.prev_seq);
    let pruned_below = (earlier > 0 && earlier <= floor).then_some(floor + 1);
    Ok(Past { business, changes, next, pruned_below })
}

/// The change that brought a record to where it was at a seq.
///
/// # Errors
/// Those of [`history`]; `record_not_found` where it was not there yet, `history_pruned` where the change that brought
/// it there is kept no more.
pub async fn at(
    world: &World,
    principal: &Principal,
    address: (&str, &str, &str),
    seq: u64,
) -> Result<Arc<Change>, Refusal> {
    let (business, _, record) = found(world, principal, address).await?;
    let newest = world.store.history(&business.id, &key_of(&record), seq.saturating_add(1), 1).await?;
    if let Some(newest) = newest.into_iter().next() {
        return Ok(newest);
    }
    let floor = world.store.floor(&business.id).await?;
    let chain = world.store.chain(&business.id, &key_of(&record), 0, 1).await?;
    let oldest = match chain.first() {
        Some(oldest) => world.store.change(&business.id, *oldest).await?,
        None => None,
    };
    // Its first change is there, and later: before that it was not.
    if oldest.is_some_and(|oldest| oldest.prev_seq == 0) {
        let text = format!("{} {} was not there yet at {seq}", record.ty, record.id);
        return Err(Refusal::new(Code::RecordNotFound, text));
    }
    let text = format!(
        "what {} {} was at {seq} is kept no more: changes up to {floor} were pruned, and the record's history shows \
         the oldest state there is",
        record.ty, record.id
    );
    Err(Refusal::new(Code::HistoryPruned, text))
}

/// A record with where its values came from.
///
/// # Errors
/// Those of [`history`].
pub async fn why(world: &World, principal: &Principal, address: (&str, &str, &str)) -> Result<Record, Refusal> {
    Ok(found(world, principal, address).await?.2)
}

/// Living records that agree with one in a match group.
///
/// # Errors
/// Those of [`history`]; `unknown_match_group` where the type declares none.
pub async fn similar(
    world: &World,
    principal: &Principal,
    address: (&str, &str, &str),
) -> Result<SimilarView, Refusal> {
    let (business, shape, record) = found(world, principal, address).await?;
    if shape.match_groups.is_empty() {
        let text = format!("{} declares no match groups, so nothing is known to be similar", shown(shape.id.as_str()));
        return Err(Refusal::new(Code::UnknownMatchGroup, text));
    }
    let mut agreeing: BTreeMap<RecordId, Vec<String>> = BTreeMap::new();
    for group in &shape.match_groups {
        let Some(key) = matching::key(&shape, &record.state.fields, group) else { continue };
        for id in world.store.lookup(&business.id, &key, limits::PAGE_ROWS_MAX).await? {
            let other = RecordKey { ty: shape.id.clone(), id };
            let Some(other) = world.store.record(&business.id, &other).await?.filter(|other| other.id != record.id)
            else {
                continue;
            };
            if matching::agree(&shape, group, &record.state.fields, &other.state.fields) {
                agreeing.entry(id).or_default().push(group.join(","));
            }
        }
    }
    let similar = agreeing.into_iter().map(|(record_id, agrees_in)| Similar { record_id, agrees_in });
    Ok(SimilarView { similar: similar.collect() })
}
