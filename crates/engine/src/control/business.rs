//! Businesses: made, named anew, closed, listed.

use super::{blank_in, check_label, claim, commit};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::application::Business;
use lockstep_core::error::{Code, shown};
use lockstep_core::ids::BusinessId;
use lockstep_core::subscription::StartAt;
use lockstep_store::settings::{Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::management::{BusinessChanged, BusinessView, CreateBusiness, UpdateBusiness};
use std::sync::Arc;

fn put(business: Business, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Business, &business.id);
    Put { key, value: Some(Setting::Business(business)), expect }
}

/// Makes a business.
///
/// # Errors
/// `forbidden`, `invalid_value`, `id_taken`.
pub async fn create(world: &World, principal: &Principal, body: CreateBusiness) -> Result<BusinessChanged, Refusal> {
    principal.must_administer()?;
    let id = match body.id {
        Some(id) => id,
        None => BusinessId::parse(&format!("biz_{:032x}", world.ids.ordered()))?,
    };
    let business = Business {
        id: id.clone(),
        organisation: body.organisation_name,
        name: check_label("name", &body.name)?,
        created_at: world.clock.now(),
        is_closed: false,
    };
    let mut control = blank_in(world, principal, &id, "business.create", &id);
    control.puts.push(put(business, Expect::Absent));
    let taken = |_: &Put| {
        Some(Refusal::new(
            Code::IdTaken,
            format!("there is a business {id} already: give another id, or none to have one drawn"),
        ))
    };
    claim(world, control, taken).await?;
    // Its log is read from the beginning, so nothing written before its mirrors stand is missed.
    super::mirror::align_all(world, StartAt::Beginning).await?;
    Ok(BusinessChanged { id })
}

fn find(world: &World, id: &str) -> Result<(Arc<Business>, u64), Refusal> {
    let id = BusinessId::parse(id)?;
    let found = world.settings.read(|settings| settings.businesses.get(&id).cloned());
    found
        .filter(|(business, _)| !business.is_closed)
        .ok_or_else(|| Refusal::new(Code::BusinessNotFound, format!("there is no business {}", shown(id.as_str()))))
}

/// Gives a business another name.
///
/// # Errors
/// `forbidden`, `business_not_found`, `invalid_value`.
pub async fn update(
    world: &World,
    principal: &Principal,
    id: &str,
    body: UpdateBusiness,
) -> Result<BusinessChanged, Refusal> {
    principal.must_administer()?;
    let (business, version) = find(world, id)?;
    let name = check_label("name", &body.name)?;
    let mut control = blank_in(world, principal, &business.id, "business.update", &business.id);
    control.puts.push(put(Business { name, ..(*business).clone() }, Expect::Version(version)));
    commit(world, control).await?;
    Ok(BusinessChanged { id: business.id.clone() })
}

/// Closes a business: nobody reaches it, its data stays.
///
/// # Errors
/// `forbidden`, `business_not_found`.
pub async fn delete(world: &World, principal: &Principal, id: &str) -> Result<BusinessChanged, Refusal> {
    principal.must_administer()?;
    let (business, version) = find(world, id)?;
    let mut control = blank_in(world, principal, &business.id, "business.delete", &business.id);
    control.puts.push(put(Business { is_closed: true, ..(*business).clone() }, Expect::Version(version)));
    commit(world, control).await?;
    Ok(BusinessChanged { id: business.id.clone() })
}

/// Every business, with how many records it has.
///
/// # Errors
/// `forbidden`.
pub async fn list(world: &World, principal: &Principal) -> Result<Vec<BusinessView>, Refusal> {
    principal.must_administer()?;
    let open: Vec<_> = world.settings.read(|settings| {
        let all = settings.businesses.values().map(|(business, _)| business);
        all.filter(|business| !business.is_closed).cloned().collect()
    });
    let mut views = Vec::with_capacity(open.len());
    for business in open {
        let counts = world.store.counts(&business.id).await?;
        views.push(BusinessView {
            id: business.id.clone(),
            organisation_name: business.organisation.clone(),
            name: business.name.clone(),
            records: counts.into_iter().map(|(ty, count)| (ty, count.living)).collect(),
            created_at: business.created_at.to_string(),
        });
    }
    Ok(views)
}
