//! Runs: begun, paused, resumed, cancelled, listed.

use super::account::unready;
use super::{Only, Switchboard, share};
use lockstep_core::application::Business;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{RecordId, RunId};
use lockstep_core::limits::{PAGE_ROWS_MAX, RUNS_LOOKED_THROUGH};
use lockstep_core::run::{Run, RunKind};
use lockstep_core::share::Share;
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use lockstep_engine::control::note_in;
use lockstep_engine::control::within::managed;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::run::{RunBody, RunView};
use std::sync::Arc;

/// What can be done with a run that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It stops where it is.
    Pause,
    /// It goes on from there.
    Resume,
    /// It ends.
    Cancel,
}

fn under_way(text: String) -> Refusal {
    Refusal::new(Code::RunUnderWay, text)
}

/// Begins a run of a share.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `invalid_value`, `connection_not_ready`, `run_under_way`.
pub async fn begin(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    body: RunBody,
) -> Result<RunView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (share, _) = share::find(board, principal, &business, id)?;
    let only = body.only.map(only).transpose()?;
    if let Some(refused) = unready(&*share::connection_of(board, &share)?) {
        return Err(refused);
    }
    if share.is_paused {
        return Err(under_way(format!("{id} is paused: resume it first, and what waits is done by itself")));
    }
    let (progress, run) = share::standing(board, &share).await?;
    if let Some(run) = run.filter(Run::is_open) {
        return Err(under_way(format!("{} of this share is under way: wait for its end, or cancel it", run.id)));
    }
    let is_live = progress.is_some_and(|progress| progress.is_live);
    let kind = body.kind.unwrap_or(if is_live { RunKind::Incremental } else { RunKind::Baseline });
    if !is_live && kind != RunKind::Baseline {
        let text = format!("{id} has had no baseline: that comes first, as kind \"baseline\"");
        return Err(under_way(text));
    }
    let run = board.workers.run(&share, kind, only).await?;
    note_in(&board.world, principal, &business.id, "run.begin", run.id).await?;
    Ok(RunView::of(&run))
}

/// The one record or object that a run is about.
fn only(text: String) -> Result<Only, Rejection> {
    match text.parse::<RecordId>() {
        Ok(record) => Ok(Only::Record(record)),
        Err(refused) if text.starts_with(RecordId::PREFIX) => Err(refused.at_field("only")),
        Err(_) if text.is_empty() => {
            let text = "only is empty: give a record's id, or the id of an object at the platform";
            Err(Rejection::new(Code::InvalidValue, text).at_field("only"))
        }
        Err(_) => Ok(Only::Object(text)),
    }
}

/// Changes how a run stands.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `run_under_way` where it is over.
pub async fn step(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    step: Step,
) -> Result<RunView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (_, run) = find(board, principal, &business, id).await?;
    stepped(board, principal, &business, run, step).await
}

/// The same of the run that a share has.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `run_under_way` where the share has none.
pub async fn cancel_of(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
) -> Result<RunView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (share, _) = share::find(board, principal, &business, id)?;
    match share::standing(board, &share).await?.1 {
        Some(run) => stepped(board, principal, &business, run, Step::Cancel).await,
        None => Err(under_way(format!("{id} has no run under way"))),
    }
}

async fn stepped(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    run: Run,
    step: Step,
) -> Result<RunView, Refusal> {
    if !run.is_open() {
        return Err(under_way(format!("{} is over: begin another with POST …/shares/{}/run", run.id, run.share)));
    }
    let (next, action) = match step {
        Step::Pause => (board.workers.pause_run(&run).await?, "run.pause"),
        Step::Resume => (board.workers.resume_run(&run).await?, "run.resume"),
        Step::Cancel => (board.workers.cancel_run(&run).await?, "run.cancel"),
    };
    note_in(&board.world, principal, &business.id, action, run.id).await?;
    Ok(RunView::of(&next))
}

async fn find(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<(Arc<Share>, Run), Refusal> {
    let id: RunId = id.parse()?;
    for share in share::kept(board, principal, business) {
        let row = board.world.store.work_row(&business.id, &WorkKey::run(share.id, id)).await?;
        if let Some(WorkRow::Run(run)) = row {
            return Ok((share, run));
        }
    }
    Err(Refusal::new(Code::NotFound, format!("there is no run {id} in {}", business.id)))
}

/// One run.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn get(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<RunView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    Ok(RunView::of(&find(board, principal, &business, id).await?.1))
}

/// Runs of a share, or of all of a business, before one, newest first, at most so many.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn list(
    board: &Switchboard,
    principal: &Principal,
    (business, share): (&str, Option<&str>),
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<RunView>, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let shares = match share {
        Some(id) => vec![share::find(board, principal, &business, id)?.0],
        None => share::kept(board, principal, &business),
    };
    let mut runs = Vec::new();
    for share in shares {
        runs.extend(runs_of(board, &business, &share).await?);
        runs.retain(|run: &Run| before.is_none_or(|before| run.id < before));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs.truncate(limit);
    }
    Ok(runs.iter().map(RunView::of).collect())
}

/// The runs of a share that are kept: few, since old ones go.
async fn runs_of(board: &Switchboard, business: &Business, share: &Share) -> Result<Vec<Run>, Refusal> {
    let (mut runs, mut after): (Vec<Run>, Option<WorkKey>) = (Vec::new(), None);
    while runs.len() < RUNS_LOOKED_THROUGH {
        let store = &board.world.store;
        let page = store.work(&business.id, WorkKind::Run, Some(share.id), after.as_ref(), PAGE_ROWS_MAX).await?;
        let is_last = page.len() < PAGE_ROWS_MAX;
        after = page.last().map(|(key, _)| key.clone());
        runs.extend(page.into_iter().filter_map(|(_, row)| if let WorkRow::Run(run) = row { Some(run) } else { None }));
        if is_last {
            break;
        }
    }
    Ok(runs)
}
