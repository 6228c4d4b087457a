//! Control: businesses and their types, applications, subscriptions. Each call is one commit of settings with its audit entry.

pub mod application;
pub mod audit;
pub mod business;
mod credential;
pub mod hold;
pub mod mirror;
pub(crate) mod position;
pub mod replay;
pub mod subscription;
pub mod token;
pub mod types;
pub mod who;
pub mod within;

use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::BusinessId;
use lockstep_core::limits;
use lockstep_store::settings::{Audit, Control, Put};
use lockstep_store::{Commit, StoreError, Work};
use std::fmt::Display;

/// A control commit with nothing in it but who did what.
fn blank(world: &World, principal: &Principal, action: &str, subject: impl Display) -> Control {
    Control::of(Audit::of(world.clock.now(), principal.name(), action, subject))
}

/// The same for what concerns a business.
pub fn blank_in(
    world: &World,
    principal: &Principal,
    business: &BusinessId,
    action: &str,
    subject: impl Display,
) -> Control {
    Control::of(Audit::of(world.clock.now(), principal.name(), action, subject).within(business))
}

/// Commits and takes in what was committed, so that the next request of this server sees it.
///
/// # Errors
/// What the store says; `Conflict` where a setting has changed since it was read.
pub async fn commit(world: &World, control: Control) -> Result<(), StoreError> {
    world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await?;
    world.settings.refresh(world.store.as_ref()).await
}

/// Enters in the audit log what changes no setting.
pub(crate) async fn note(world: &World, principal: &Principal, action: &str, subject: &str) -> Result<(), StoreError> {
    commit(world, blank(world, principal, action, subject)).await
}

/// The same of what concerns a business.
///
/// # Errors
/// What the store says.
pub async fn note_in(
    world: &World,
    principal: &Principal,
    business: &BusinessId,
    action: &str,
    subject: impl Display,
) -> Result<(), StoreError> {
    commit(world, blank_in(world, principal, business, action, subject)).await
}

/// The same for puts that claim a name: a conflict is said in the caller's words.
async fn claim(world: &World, control: Control, taken: impl FnOnce(&Put) -> Option<Refusal>) -> Result<(), Refusal> {
    let puts = control.puts.clone();
    match commit(world, control).await {
        Err(StoreError::Conflict(key)) => {
            let refused = puts.iter().find(|put| put.key == key).and_then(taken);
            Err(refused.unwrap_or_else(|| StoreError::Conflict(key).into()))
        }
        other => Ok(other?),
    }
}

/// A label without the blanks around it.
///
/// # Errors
/// `invalid_value`.
pub fn check_label(field: &str, text: &str) -> Result<String, Rejection> {
    let text = text.trim();
    if text.is_empty() || text.len() > limits::LABEL_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("{field} is {}: give 1 to {} bytes of printable text", shown(text), limits::LABEL_BYTES_MAX),
        )
        .at_field(field));
    }
    Ok(text.to_owned())
}
