//! Who is calling, as the caller is told, and the businesses it may enter.

use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::application::Business;
use lockstep_core::grant::Ability;
use lockstep_core::ids::BusinessId;
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_wire::who::{BusinessEntry, Me};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The caller.
#[must_use]
pub fn me(principal: &Principal) -> Me {
    match principal {
        Principal::Admin => Me {
            kind: "admin",
            token_id: None,
            expires_at: None,
            application_id: None,
            label: None,
            provider: None,
            organisation_name: None,
            abilities: Ability::ALL.into(),
            business_access_rule: None,
            types: None,
            conditions: BTreeMap::new(),
        },
        Principal::Application(live) => {
            let application = &live.application;
            let grant = live.powers.grant.clone();
            Me {
                kind: if live.token.is_some() { "token" } else { "application" },
                token_id: live.token_id(),
                expires_at: live.token.as_ref().and_then(|token| token.expires_at).map(|at| at.to_string()),
                application_id: Some(application.id),
                label: Some(live.token.as_ref().map_or(&application.label, |token| &token.label).clone()),
                provider: Some(application.provider.clone()),
                organisation_name: Some(application.organisation.clone()),
                abilities: grant.abilities,
                business_access_rule: Some(grant.business_access_rule),
                types: grant.types,
                conditions: grant.conditions,
            }
        }
    }
}

/// A page of the businesses that the caller may enter, and after which to ask for more.
///
/// # Errors
/// `invalid_id` for what cannot be a business's id.
pub fn businesses(
    world: &World,
    principal: &Principal,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<BusinessEntry>, Option<String>), Refusal> {
    let after = after.map(BusinessId::parse).transpose()?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let mut page: Vec<Arc<Business>> = world.settings.read(|settings| {
        let all = settings.businesses.range((from, Bound::Unbounded)).map(|(_, (business, _))| business);
        all.filter(|business| principal.may_enter(business)).take(limit + 1).cloned().collect()
    });
    let has_more = page.len() > limit;
    page.truncate(limit);
    let cursor = page.last().filter(|_| has_more).map(|last| last.id.to_string());
    let entry = |business: Arc<Business>| BusinessEntry {
        id: business.id.clone(),
        name: business.name.clone(),
        organisation_name: business.organisation.clone(),
        created_at: business.created_at.to_string(),
    };
    Ok((page.into_iter().map(entry).collect(), cursor))
}
