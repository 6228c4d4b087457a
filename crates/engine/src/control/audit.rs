//! Reading who did what: the administrator all of it, a managing credential what concerns its business.

use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::settings::Settings;
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_store::settings::Audit;
use lockstep_wire::audit::{AuditPage, AuditView};

/// A page of the audit log before a place in it, newest first: of one business, or, to the administrator, of all.
///
/// # Errors
/// `business_not_found`, `forbidden`.
pub async fn list(
    world: &World,
    principal: &Principal,
    business: Option<&str>,
    before: Option<i64>,
    limit: Option<usize>,
) -> Result<AuditPage, Refusal> {
    const USUAL: usize = 100;
    let business = match business {
        Some(business) => Some(super::within::managed(world, principal, business)?),
        None => {
            principal.must_administer()?;
            None
        }
    };
    let limit = limit.unwrap_or(USUAL).clamp(1, PAGE_ROWS_MAX);
    let of = business.as_ref().map(|business| &business.id);
    let rows = world.store.audit(of, before.unwrap_or(i64::MAX), limit).await?;
    let next = rows.last().map(|(row, _)| *row).filter(|_| rows.len() == limit);
    let entries = world.settings.read(|settings| rows.into_iter().map(|(_, audit)| view(settings, audit)).collect());
    Ok(AuditPage { entries, next })
}

fn view(settings: &Settings, audit: Audit) -> AuditView {
    let Audit { at, by, action, subject, business, organisation } = audit;
    let by_label = label(settings, &by);
    AuditView { at: at.to_string(), by, by_label, action, subject, business, organisation }
}

/// The name of whoever an id stands for, where they are still known.
fn label(settings: &Settings, by: &str) -> Option<String> {
    if let Ok(id) = by.parse() {
        return settings.applications.get(&id).map(|live| live.application.label.clone());
    }
    let token = by.parse().ok().and_then(|id| settings.tokens.get(&id))?;
    token.token.as_ref().map(|token| token.label.clone())
}
