//! Positions that callers give back: read, and held against the log as it is.

use crate::World;
use crate::refusal::Refusal;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::BusinessId;
use lockstep_core::position::Position;
use lockstep_core::subscription::StartAt;
use lockstep_wire::subscription::StartAtBody;

/// Where a new subscription begins.
///
/// # Errors
/// `invalid_id` for what is no cursor of this business, `log_restored` for a place that the log does not have,
/// `history_pruned` for one below which changes are missing.
pub(super) async fn start_at(
    world: &World,
    business: &BusinessId,
    body: Option<StartAtBody>,
) -> Result<StartAt, Refusal> {
    Ok(match body {
        None | Some(StartAtBody::Now) => StartAt::Now,
        Some(StartAtBody::Beginning) => StartAt::Beginning,
        Some(StartAtBody::Seq(seq)) => {
            let place = |refused| at(refused, "/startAt/seq");
            check_seq(world, business, seq).await.map_err(place)?;
            check_kept(world, business, seq.saturating_add(1)).await.map_err(place)?;
            StartAt::After(seq)
        }
        Some(StartAtBody::Cursor(text)) => {
            let position =
                Position::parse(&text, business).map_err(|refused| Refusal::from(refused.at("/startAt/cursor")))?;
            let head = world.store.head(business).await?;
            if position.epoch != head.epoch || position.seq > head.seq {
                let refused = restored(business, &format!("{} is of a log that is no more", shown(&text)));
                return Err(at(refused, "/startAt/cursor"));
            }
            let next = position.seq.saturating_add(1);
            check_kept(world, business, next).await.map_err(|refused| at(refused, "/startAt/cursor"))?;
            StartAt::After(position.seq)
        }
    })
}

/// That a change is kept still.
///
/// # Errors
/// `history_pruned`.
pub(crate) async fn check_kept(world: &World, business: &BusinessId, seq: u64) -> Result<(), Refusal> {
    let floor = world.store.floor(business).await?;
    if seq == 0 || seq > floor {
        return Ok(());
    }
    let text = format!(
        "the changes of {business} up to {floor} are kept no more, and {seq} is one of them: sync again, and go on \
         from \"beginning\", which is the oldest change kept"
    );
    Err(Rejection::new(Code::HistoryPruned, text).into())
}

/// That a bare seq, which means the current epoch, is one that the log has reached.
///
/// # Errors
/// `log_restored`.
pub(super) async fn check_seq(world: &World, business: &BusinessId, seq: u64) -> Result<(), Refusal> {
    let head = world.store.head(business).await?;
    if seq <= head.seq {
        return Ok(());
    }
    Err(restored(business, &format!("seq {seq} is beyond the newest change, {}", head.seq)))
}

fn restored(business: &BusinessId, what: &str) -> Refusal {
    let text = format!(
        "{what}: the log of {business} may have been restored from a backup since; sync again, and go on from the \
         position that `subscription/deliveries` shows then"
    );
    Rejection::new(Code::LogRestored, text).into()
}

fn at(refused: Refusal, pointer: &str) -> Refusal {
    Refusal { rejection: refused.rejection.at(pointer), ..refused }
}
