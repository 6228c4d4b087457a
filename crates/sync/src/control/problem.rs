//! Problems: listed, tried again, dismissed.

use super::{Switchboard, share};
use lockstep_core::application::Business;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::{ProblemId, ShareId};
use lockstep_core::limits::{PAGE_ROWS_MAX, PROBLEMS_AT_ONCE_MAX, PROBLEMS_LOOKED_THROUGH};
use lockstep_core::problem::Problem;
use lockstep_core::share::Share;
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use lockstep_engine::control::note_in;
use lockstep_engine::control::within::managed;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::run::{ProblemView, ProblemsBody, ProblemsReplayed};
use std::sync::Arc;

/// A page of problems, and the place to go on from where there may be more.
#[derive(Clone, Debug)]
pub struct Page {
    /// The problems.
    pub problems: Vec<ProblemView>,
    /// Where to go on.
    pub next: Option<String>,
}

/// What can be done with a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// What it is of is tried once more.
    Replay,
    /// It is closed without that.
    Dismiss,
}

/// Problems by share and id, and where to go on.
type Found = (Vec<(Arc<Share>, Problem)>, Option<WorkKey>);

/// A place in the list: `SHARE.PROBLEM`.
fn place(text: &str) -> Result<WorkKey, Rejection> {
    let parsed = text.split_once('.').and_then(|(share, problem)| {
        Some(WorkKey::problem(share.parse::<ShareId>().ok()?, problem.parse::<ProblemId>().ok()?))
    });
    parsed.ok_or_else(|| {
        let text = format!("cursor: {} is none: give the one that the page before gave", shown(text));
        Rejection::new(Code::InvalidParameter, text)
    })
}

fn is_asked(body: &ProblemsBody, problem: &Problem) -> bool {
    body.share.is_none_or(|share| share == problem.share)
        && body.side.is_none_or(|side| side == problem.side)
        && body.code.as_ref().is_none_or(|code| problem.reason.code.as_str() == code)
}

fn check(board: &Switchboard, principal: &Principal, business: &Business, body: &ProblemsBody) -> Result<(), Refusal> {
    if let Some(share) = body.share {
        share::find(board, principal, business, &share.to_string())?;
    }
    match &body.code {
        Some(code) if !Code::ALL.iter().any(|known| known.as_str() == code) => {
            let text = format!("code is {}, which is no error code: docs/ERRORS has them all", shown(code));
            Err(Rejection::new(Code::InvalidParameter, text).into())
        }
        _ => Ok(()),
    }
}

/// Problems after a place that are asked for, at most so many, within what one call looks through.
async fn search(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    body: &ProblemsBody,
    (after, limit): (Option<WorkKey>, usize),
) -> Result<Found, Refusal> {
    let shares = share::kept(board, principal, business);
    let store = &board.world.store;
    let (mut found, mut after, mut seen) = (Vec::new(), after, 0);
    while seen < PROBLEMS_LOOKED_THROUGH {
        let page = store.work(&business.id, WorkKind::Problem, body.share, after.as_ref(), PAGE_ROWS_MAX).await?;
        let is_last = page.len() < PAGE_ROWS_MAX;
        for (key, row) in page {
            seen += 1;
            let WorkRow::Problem(problem) = row else { continue };
            let share = shares.iter().find(|share| share.id == problem.share);
            if let Some(share) = share.filter(|_| is_asked(body, &problem)) {
                if found.len() == limit {
                    return Ok((found, after));
                }
                found.push((Arc::clone(share), problem));
            }
            after = Some(key);
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}

/// A page of the problems that stand, by share.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `invalid_parameter`.
pub async fn list(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    body: &ProblemsBody,
    (cursor, limit): (Option<&str>, usize),
) -> Result<Page, Refusal> {
    let business = managed(&board.world, principal, business)?;
    check(board, principal, &business, body)?;
    let after = cursor.map(place).transpose()?;
    let (found, next) = search(board, principal, &business, body, (after, limit)).await?;
    Ok(Page {
        problems: found.iter().map(|(_, problem)| ProblemView::of(problem)).collect(),
        next: next.map(|key| format!("{}.{}", key.share, key.about)),
    })
}

async fn find(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<(Arc<Share>, Problem), Refusal> {
    let id: ProblemId = id.parse()?;
    for share in share::kept(board, principal, business) {
        let row = board.world.store.work_row(&business.id, &WorkKey::problem(share.id, id)).await?;
        if let Some(WorkRow::Problem(problem)) = row {
            return Ok((share, problem));
        }
    }
    let text = format!("there is no problem {id} in {}: it is solved, was dismissed, or never was", business.id);
    Err(Refusal::new(Code::NotFound, text))
}

/// One problem.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found` also where it is solved.
pub async fn get(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<ProblemView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    Ok(ProblemView::of(&find(board, principal, &business, id).await?.1))
}

/// Does something with a problem. What is tried again goes by itself when that works; what is dismissed comes up anew
/// where the same fails again.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn done(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    deed: Deed,
) -> Result<ProblemView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (share, problem) = find(board, principal, &business, id).await?;
    let problems = std::slice::from_ref(&problem);
    let action = match deed {
        Deed::Replay => {
            board.workers.replay(&share, problems).await?;
            "problem.replay"
        }
        Deed::Dismiss => {
            board.workers.dismiss(&share, problems).await?;
            "problem.dismiss"
        }
    };
    note_in(&board.world, principal, &business.id, action, problem.id).await?;
    Ok(ProblemView::of(&problem))
}

/// Tries all that are asked for once more, a bounded number at a time.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `invalid_parameter`.
pub async fn replay_all(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    body: &ProblemsBody,
) -> Result<ProblemsReplayed, Refusal> {
    let business = managed(&board.world, principal, business)?;
    check(board, principal, &business, body)?;
    let (found, next) = search(board, principal, &business, body, (None, PROBLEMS_AT_ONCE_MAX)).await?;
    // They come by share.
    for several in found.chunk_by(|(one, _), (other, _)| one.id == other.id) {
        let Some((share, _)) = several.first() else { continue };
        let problems: Vec<Problem> = several.iter().map(|(_, problem)| problem.clone()).collect();
        board.workers.replay(share, &problems).await?;
    }
    let about = body.share.map_or_else(|| "all".to_owned(), |share| share.to_string());
    note_in(&board.world, principal, &business.id, "problem.replay", about).await?;
    Ok(ProblemsReplayed { replayed: found.len(), has_more: next.is_some() })
}
