//! Reading single things: operations, and a record's past, as far as the caller may see them.

use crate::World;
use crate::control::position;
use crate::principal::Principal;
use crate::record;
use crate::refusal::Refusal;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::error::{Code, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::limits;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching;
use lockstep_core::rules::scope::{Reach, Reason, recall};
use lockstep_core::schema::Shape;
use lockstep_store::StoreError;
use lockstep_wire::operation::{LineView, OperationView, OutcomesBody, OutcomesWanted};
use lockstep_wire::record::{ChangeView, HistoryView, Similar, SimilarView};
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
    let is_own = |operation: &Operation| principal.owns(operation.application, operation.token);
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
        token: change.origin.token(),
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

/// A record of which something is asked, with what the caller may see of its type.
struct Asked {
    business: Arc<Business>,
    shape: Arc<Shape>,
    reach: Arc<Reach>,
    record: Record,
    /// As the caller calls it.
    called: String,
}

impl Asked {
    fn key(&self) -> RecordKey {
        RecordKey { ty: self.record.ty.clone(), id: self.record.id }
    }

    fn missing(&self) -> Refusal {
        missing(&self.business, &self.shape.id, &self.called)
    }
}

/// A record out of reach is missing in the same words as one that is not there: those it was asked for by.
fn missing(business: &Business, ty: &TypeId, called: &str) -> Refusal {
    Refusal::new(Code::RecordNotFound, format!("there is no {ty} {} in {}", shown(called), business.id))
}

/// A record, wherever it stands; whether it, or what it was, is within reach is for the use case to ask.
async fn asked(world: &World, principal: &Principal, (business, ty, id): (&str, &str, &str)) -> Result<Asked, Refusal> {
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    principal.must(Ability::Read)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Read)?;
    let missing = || missing(&business, &shape.id, id);
    let key = record::key(world, principal, &business, &shape, id).await?.ok_or_else(missing)?;
    let record = world.store.record(&business.id, &key).await?.ok_or_else(missing)?;
    let called = id.to_owned();
    Ok(Asked { business, shape, reach, record, called })
}

/// The same for what is asked of the record as it is.
async fn within_reach(world: &World, principal: &Principal, address: (&str, &str, &str)) -> Result<Asked, Refusal> {
    let asked = asked(world, principal, address).await?;
    if asked.reach.recalls(&asked.record.state) { Ok(asked) } else { Err(asked.missing()) }
}

/// A change of a record's past, as its reader is told of it.
#[derive(Debug)]
pub struct Told {
    /// The change, less what the reader may not see.
    pub change: Arc<Change>,
    /// Why it is told as another kind than it was.
    pub reason: Option<Reason>,
}

/// A page of a record's past.
#[derive(Debug)]
pub struct Past {
    /// The business.
    pub business: Arc<Business>,
    /// Its changes, newest first.
    pub changes: Vec<Told>,
    /// The seq before which there may be more. A page may be short, or empty, and still not be the last.
    pub next: Option<u64>,
    /// The seq below which changes of the record were pruned, where the page has come to them.
    pub pruned_below: Option<u64>,
}

impl Past {
    /// The changes as they are shown.
    #[must_use]
    pub fn view(&self) -> HistoryView<'_> {
        let told = self.changes.iter();
        HistoryView {
            changes: told.map(|told| ChangeView::of(&told.change, told.reason, &self.business.id)).collect(),
            next: self.next,
            pruned_below: self.pruned_below,
        }
    }
}

/// A record's changes before a seq, newest first, as the caller may see them: a record that came within reach is told
/// as created then, one that left as deleted with its id alone. A bounded number of changes is looked through.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`, `invalid_id`; `record_not_found` where the record is not within
/// reach and none of the changes looked through was.
pub async fn history(
    world: &World,
    principal: &Principal,
    address: (&str, &str, &str),
    before: Option<u64>,
    limit: Option<usize>,
) -> Result<Past, Refusal> {
    const USUAL: usize = 100;
    let asked = asked(world, principal, address).await?;
    let limit = limit.unwrap_or(USUAL).clamp(1, limits::PAGE_ROWS_MAX);
    let before = before.unwrap_or(u64::MAX);
    let (mut changes, mut looked, mut from) = (Vec::new(), 0, before);
    let mut oldest: Option<(u64, u64)> = None;
    while changes.len() < limit && looked < limits::HISTORY_LOOKED_THROUGH {
        let wanted = limit - changes.len();
        let page = world.store.history(&asked.business.id, &asked.key(), from, wanted).await?;
        looked += page.len();
        for change in &page {
            let told = recall(change, &asked.reach).map(|(change, reason)| Told { change, reason });
            changes.extend(told);
        }
        oldest = page.last().map(|change| (change.seq, change.prev_seq)).or(oldest);
        match page.last() {
            Some(last) if page.len() == wanted && last.prev_seq > 0 => from = last.seq,
            _ => break,
        }
    }
    if changes.is_empty() && !asked.reach.recalls(&asked.record.state) {
        return Err(asked.missing());
    }
    let floor = world.store.floor(&asked.business.id).await?;
    let next = oldest.filter(|(_, earlier)| *earlier > floor).map(|(seq, _)| seq);
    // An empty page is one whose changes, if there were any before, are gone.
    let earlier = oldest.map_or(asked.record.last_seq.min(before.saturating_sub(1)), |(_, earlier)| earlier);
    let pruned_below = (earlier > 0 && earlier <= floor).then_some(floor + 1);
    Ok(Past { business: asked.business, changes, next, pruned_below })
}

/// The change that brought a record to where it was at a seq, less what the caller may not see. A state is seen that
/// was within reach then, wherever the record is now.
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
    let asked = asked(world, principal, address).await?;
    let (business, record, reach) = (&asked.business, &asked.record, &asked.reach);
    let newest = world.store.history(&business.id, &asked.key(), seq.saturating_add(1), 1).await?;
    if let Some(newest) = newest.into_iter().next() {
        return match reach.recalls(&newest.state) {
            true if reach.is_everything() => Ok(newest),
            true => Ok(Arc::new(Change { state: Arc::new(reach.cut(&newest.state)), ..(*newest).clone() })),
            false => Err(asked.missing()),
        };
    }
    if !reach.recalls(&record.state) {
        return Err(asked.missing());
    }
    let floor = world.store.floor(&business.id).await?;
    let chain = world.store.chain(&business.id, &asked.key(), 0, 1).await?;
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

/// A record, less what the caller may not see, with where its values came from.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`, `invalid_id`, `record_not_found`.
pub async fn why(world: &World, principal: &Principal, address: (&str, &str, &str)) -> Result<Record, Refusal> {
    let Asked { reach, record, .. } = within_reach(world, principal, address).await?;
    let state = if reach.is_everything() { Arc::clone(&record.state) } else { Arc::new(reach.cut(&record.state)) };
    Ok(Record { state, ..record })
}

/// Living records within reach that agree with one in a match group, by fields that the caller may see.
///
/// # Errors
/// Those of [`why`]; `unknown_match_group` where the type declares none.
pub async fn similar(
    world: &World,
    principal: &Principal,
    address: (&str, &str, &str),
) -> Result<SimilarView, Refusal> {
    let Asked { business, shape, reach, record, .. } = within_reach(world, principal, address).await?;
    let is_seen = |group: &&Vec<String>| !group.iter().any(|field| reach.hides(field));
    let seen: Vec<_> = shape.match_groups.iter().filter(is_seen).collect();
    if seen.is_empty() {
        let text = format!("{} declares no match groups, so nothing is known to be similar", shown(shape.id.as_str()));
        return Err(Refusal::new(Code::UnknownMatchGroup, text));
    }
    let mut agreeing: BTreeMap<RecordId, Vec<String>> = BTreeMap::new();
    for group in seen {
        let Some(key) = matching::key(&shape, &record.state.fields, group) else { continue };
        for id in world.store.lookup(&business.id, &key, limits::PAGE_ROWS_MAX).await? {
            let other = RecordKey { ty: shape.id.clone(), id };
            let other = world.store.record(&business.id, &other).await?;
            let Some(other) = other.filter(|other| other.id != record.id && reach.sees(&other.state)) else { continue };
            if matching::agree(&shape, group, &record.state.fields, &other.state.fields) {
                agreeing.entry(id).or_default().push(group.join(","));
            }
        }
    }
    let similar = agreeing.into_iter().map(|(record_id, agrees_in)| Similar { record_id, agrees_in });
    Ok(SimilarView { similar: similar.collect() })
}
