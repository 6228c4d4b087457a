//! Reading single things for the RPC face.

use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::error::Code;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_wire::operation::OperationView;

/// What became of an operation. Only whoever asked for it may read it, and the administrator.
///
/// # Errors
/// `invalid_id`, `business_not_found`, or `not_found` where there is none of the caller's.
pub async fn operation(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<OperationView, Refusal> {
    let business = principal.business(world, business)?;
    let id: OperationId = id.parse()?;
    // A change of a restored log may stand at the seq of a lost one: it is another operation's.
    let found = match id.position_in(&business.id) {
        Some(position) => world
            .store
            .change(&business.id, position.seq)
            .await?
            .filter(|change| change.operation(&business.id) == id)
            .map(|change| Operation {
                id,
                verb: match change.kind {
                    lockstep_core::change::ChangeKind::Created => "create",
                    lockstep_core::change::ChangeKind::Updated => "update",
                    lockstep_core::change::ChangeKind::Deleted => "delete",
                    lockstep_core::change::ChangeKind::Correlated => "correlate",
                }
                .to_owned(),
                at: change.at,
                application: change.origin.application(),
                ty: change.ty.clone(),
                record: Some(change.record),
                state: OperationState::Completed { version: change.version },
            }),
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
    Ok(OperationView::of(&found))
}
