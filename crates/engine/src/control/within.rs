//! Applications as a managing credential keeps them: those of its own organisation that may enter one business.
//!
//! Nobody gives more than they have: whatever is made or changed stays within its maker's own powers of now, and an
//! application that goes beyond them is as unknown as one that is not there. The administrator is bound by neither.

use super::application::{self, Changed, Draft, find, granted, make, unknown, usual};
use super::blank_in;
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::settings::LiveApplication;
use lockstep_core::application::Business;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::grant::{Ability, BusinessAccessRule, Grant, compile_condition};
use lockstep_core::ids::ApplicationId;
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_core::rate::RateLimit;
use lockstep_wire::management::{
    ApplicationChanged, ApplicationCreated, ApplicationView, ApplicationsView, CreateApplicationHere, UpdateApplication,
};
use lockstep_wire::rate::RateLimitBody;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// The business, entered by someone who may administer it.
///
/// # Errors
/// `business_not_found`, `forbidden`.
pub fn managed(world: &World, principal: &Principal, business: &str) -> Result<Arc<Business>, Refusal> {
    let business = principal.business(world, business)?;
    principal.must_manage(&business)?;
    Ok(business)
}

/// Whether an application is one of a business's that the caller may look after.
fn is_kept(principal: &Principal, business: &Business, live: &LiveApplication) -> bool {
    let is_within = match principal {
        Principal::Admin => true,
        Principal::Application(own) => own.powers.exceeded_by(&live.application.grant).is_none(),
    };
    is_within && live.is_at_home(business)
}

/// One of a business's applications that the caller may look after.
pub(super) fn kept(
    world: &World,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<Arc<LiveApplication>, Refusal> {
    let live = find(world, id)?;
    if is_kept(principal, business, &live) { Ok(live) } else { Err(unknown(live.application.id)) }
}

/// One that the caller may change: a token does not touch the application that it was made from, or it could give
/// itself a longer life.
fn changeable(
    world: &World,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<Arc<LiveApplication>, Refusal> {
    let live = kept(world, principal, business, id)?;
    if principal.token().is_some() && principal.application() == Some(live.application.id) {
        let text = "a token does not change the application that it was made from: call with that one's own credential";
        return Err(Refusal::new(Code::Forbidden, text));
    }
    Ok(live)
}

/// A page of a business's applications, oldest first.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`.
pub fn list(
    world: &World,
    principal: &Principal,
    business: &str,
    after: Option<&str>,
    limit: Option<usize>,
) -> Result<ApplicationsView, Refusal> {
    let business = managed(world, principal, business)?;
    let after: ApplicationId = after.map_or(Ok(ApplicationId(0)), str::parse)?;
    let limit = limit.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX);
    let mut applications: Vec<_> = world.settings.read(|settings| {
        let later = settings.applications.range((Excluded(after), Unbounded)).map(|(_, live)| live);
        let kept = later.filter(|live| is_kept(principal, &business, live)).take(limit + 1);
        kept.map(|live| ApplicationView::of(&live.application)).collect()
    });
    let has_more = applications.len() > limit;
    applications.truncate(limit);
    let next = applications.last().map(|last| last.id).filter(|_| has_more);
    Ok(ApplicationsView { applications, next })
}

/// One of a business's applications.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`, `not_found`.
pub fn get(world: &World, principal: &Principal, business: &str, id: &str) -> Result<ApplicationView, Refusal> {
    let business = managed(world, principal, business)?;
    Ok(ApplicationView::of(&kept(world, principal, &business, id)?.application))
}

/// What a new application has of which nothing is said: what its maker has, in one business, less administering.
fn inherited(principal: &Principal, business: &Business) -> Grant {
    let only = Some([business.id.clone()].into());
    let here = BusinessAccessRule { allowed_business_ids: only, ..BusinessAccessRule::default() };
    let Principal::Application(own) = principal else { return Grant { business_access_rule: here, ..usual() } };
    let mut grant = own.powers.grant.clone();
    grant.business_access_rule = here;
    grant.abilities.remove(&Ability::Manage);
    let conditioned: Vec<_> = grant.conditions.keys().chain(own.powers.further.keys()).cloned().collect();
    grant.conditions =
        conditioned.into_iter().filter_map(|ty| own.powers.condition(&ty).map(|condition| (ty, condition))).collect();
    grant
}

/// That a grant stays within its giver's own, and that its conditions ask after nothing that is hidden from them.
fn check_within(principal: &Principal, grant: &Grant) -> Result<(), Refusal> {
    let Principal::Application(own) = principal else { return Ok(()) };
    if let Some(beyond) = own.powers.exceeded_by(grant) {
        let text = format!("the grant asks for {beyond}: nobody gives more than they have");
        return Err(Refusal::new(Code::OutsideGrant, text));
    }
    for (ty, condition) in &grant.conditions {
        let is_own = own.application.grant.conditions.get(ty) == Some(condition);
        if !is_own {
            check_names(own, ty, condition)?;
        }
    }
    Ok(())
}

/// That a condition names no field that is hidden from whoever sets it.
pub(super) fn check_names(
    own: &LiveApplication,
    ty: &lockstep_core::ids::TypeId,
    condition: &str,
) -> Result<(), Refusal> {
    let compiled = compile_condition(condition)?;
    match own.reach(ty).forbidden_name(&compiled) {
        None => Ok(()),
        Some(name) => {
            let text = format!("the condition for {ty} names {name}, which no {ty} has");
            Err(Rejection::new(Code::InvalidCondition, text).at(format!("/conditions/{ty}")).into())
        }
    }
}

/// That a rate limit is one that its giver may give: no more than their own.
fn check_rate(principal: &Principal, wanted: Option<RateLimit>) -> Result<(), Refusal> {
    let Principal::Application(own) = principal else { return Ok(()) };
    let most = own.application.rate_limit;
    match (wanted, most) {
        (Some(wanted), Some(most)) if wanted.is_within(most) => Ok(()),
        (None, None) => Ok(()),
        (_, Some(most)) => {
            let text = format!("a rate limit set by this credential is at most its own, {} a second", most.per_second);
            Err(Rejection::new(Code::OutsideGrant, text).at_field("rateLimit").into())
        }
        (Some(_), None) => {
            let text = "this credential has no rate limit of its own to share: the administrator sets them";
            Err(Rejection::new(Code::Forbidden, text).at_field("rateLimit").into())
        }
    }
}

/// Makes an application in the business's organisation; its secrets are shown this once.
///
/// # Errors
/// `business_not_found`, `forbidden`, `outside_grant`, `invalid_value`, `provider_taken`, `invalid_condition`,
/// `unknown_type`, `unknown_field`.
pub async fn create(
    world: &World,
    principal: &Principal,
    business: &str,
    body: CreateApplicationHere,
) -> Result<ApplicationCreated, Refusal> {
    let business = managed(world, principal, business)?;
    let grant = granted(world, principal, &business.organisation, inherited(principal, &business), body.grant)?;
    check_within(principal, &grant)?;
    let own = match principal {
        Principal::Admin => None,
        Principal::Application(own) => own.application.rate_limit,
    };
    let rate_limit = match body.rate_limit {
        Some(RateLimitBody(limit)) => Some(limit.check()?),
        None => own,
    };
    check_rate(principal, rate_limit)?;
    let organisation = business.organisation.clone();
    let draft = Draft { label: body.label, provider: body.provider, organisation, grant, rate_limit };
    make(world, draft, blank_in(world, principal, &business.id, "application.create", "")).await
}

/// Changes one of a business's applications; what is left out stays.
///
/// # Errors
/// Those of [`create`]; `invalid_id`, `not_found`.
pub async fn update(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
    body: UpdateApplication,
) -> Result<ApplicationChanged, Refusal> {
    let business = managed(world, principal, business)?;
    let live = changeable(world, principal, &business, id)?;
    application::check_organisation(&live, body.organisation_name.as_ref())?;
    let grant = granted(world, principal, &business.organisation, live.application.grant.clone(), body.grant)?;
    check_within(principal, &grant)?;
    if let Some(limit) = body.rate_limit {
        if principal.application() == Some(live.application.id) {
            let text = "a credential does not change its own rate limit: ask the administrator";
            return Err(Rejection::new(Code::Forbidden, text).at_field("rateLimit").into());
        }
        check_rate(principal, limit.map(|RateLimitBody(limit)| limit))?;
    }
    let changed = Changed { label: body.label, rate_limit: body.rate_limit, grant };
    let control = blank_in(world, principal, &business.id, "application.update", live.application.id);
    application::change(world, &live, changed, control).await
}

/// Revokes one of a business's applications, with every token made from it.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`, `not_found`.
pub async fn delete(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<ApplicationChanged, Refusal> {
    let business = managed(world, principal, business)?;
    let live = changeable(world, principal, &business, id)?;
    let control = blank_in(world, principal, &business.id, "application.delete", live.application.id);
    application::revoke(world, &live, control).await
}

/// Gives one of a business's applications new secrets, shown this once; the old ones stop at once. Tokens made from it
/// stay.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`, `not_found`.
pub async fn rotate(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<ApplicationCreated, Refusal> {
    let business = managed(world, principal, business)?;
    let live = changeable(world, principal, &business, id)?;
    let control = blank_in(world, principal, &business.id, "application.rotate", live.application.id);
    application::renew(world, &live, control).await
}
