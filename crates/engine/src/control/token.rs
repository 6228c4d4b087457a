//! Tokens: credentials narrowed from an application's, or from another token.
//!
//! What a token may do is asked at each use, of the application's grant of then. Here it is made, and what it asks for
//! beyond its maker is refused by name: nothing is cut in silence.

use super::application::{Known, granted, secret, usual};
use super::{blank_in, check_label, commit, mirror, within};
use crate::World;
use crate::principal::{Principal, digest_of};
use crate::refusal::Refusal;
use crate::settings::LiveApplication;
use lockstep_core::application::{Business, Token};
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::Narrowing;
use lockstep_core::ids::{BusinessId, TokenId};
use lockstep_core::limits::{self, PAGE_ROWS_MAX};
use lockstep_core::rate::RateLimit;
use lockstep_core::subscription::StartAt;
use lockstep_store::settings::{Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::management::GrantBody;
use lockstep_wire::rate::RateLimitBody;
use lockstep_wire::subscription::Wanted;
use lockstep_wire::token::{CreateToken, TokenChanged, TokenCreated, TokenView, TokensView, UpdateToken};
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

fn put(id: TokenId, value: Option<Token>, expect: Expect) -> Put {
    Put { key: SettingKey::new(SettingKind::Token, id), value: value.map(Setting::Token), expect }
}

fn beyond(place: &str, text: String) -> Refusal {
    Rejection::new(Code::OutsideGrant, text).at_field(place).into()
}

/// The businesses that a new token may enter, none where that is all of its maker's.
fn businesses(
    world: &World,
    principal: &Principal,
    here: &Business,
    wanted: Option<Wanted<BusinessId>>,
) -> Result<Option<BTreeSet<BusinessId>>, Refusal> {
    let list = match wanted {
        None => return Ok(Some([here.id.clone()].into())),
        Some(Wanted::All) => return Ok(None),
        Some(Wanted::These(list)) => list,
    };
    if list.is_empty() || list.len() > limits::SCOPE_ITEMS_MAX {
        let text = format!("businesses has {} members: give 1 to {}", list.len(), limits::SCOPE_ITEMS_MAX);
        return Err(Rejection::new(Code::InvalidValue, text).at_field("businesses").into());
    }
    // One of another organisation is as unknown as one that is not there.
    match list.iter().find(|id| principal.business(world, id.as_str()).is_err()) {
        None => Ok(Some(list.into_iter().collect())),
        Some(id) => {
            let text = format!("businesses names {}, which this credential may not enter", shown(id.as_str()));
            Err(beyond("businesses", text))
        }
    }
}

/// What is left of its maker's powers to a new token, checked to be no more than they are.
fn narrowing(
    world: &World,
    principal: &Principal,
    own: &LiveApplication,
    here: &Business,
    body: &mut CreateToken,
) -> Result<Narrowing, Refusal> {
    let businesses = businesses(world, principal, here, body.businesses.take())?;
    let powers = &own.powers;
    let lacks = |abilities: &BTreeSet<_>| abilities.difference(&powers.grant.abilities).next().copied();
    if let Some(ability) = body.abilities.as_ref().and_then(lacks) {
        let text = format!("abilities asks for {:?}, which this credential lacks", ability.as_str());
        return Err(beyond("abilities", text));
    }
    // What is asked is checked as a grant's members are, and completed.
    let asked = GrantBody {
        types: body.types.take(),
        conditions: Some(std::mem::take(&mut body.conditions)),
        hidden_fields: Some(std::mem::take(&mut body.hidden_fields)),
        ..GrantBody::default()
    };
    let asked = granted(world, principal, &own.application.organisation, usual(), asked)?;
    for (ty, access) in asked.types.iter().flatten() {
        if let Some(access) = access.iter().find(|access| !powers.grant.allows_type(ty, **access)) {
            let text = format!("types asks to {} {ty} records, which this credential may not", access.as_str());
            return Err(beyond("types", text));
        }
    }
    for (ty, condition) in &asked.conditions {
        within::check_names(own, ty, condition)?;
    }
    let known = Known::of(world, &own.application.organisation);
    for (ty, fields) in &asked.hidden_fields {
        let reach = own.reach(ty);
        for field in fields {
            known.check_field(ty, field, &reach).map_err(|refused| refused.at(format!("/hiddenFields/{ty}")))?;
        }
    }
    Ok(Narrowing {
        businesses,
        abilities: body.abilities.take(),
        types: asked.types,
        conditions: asked.conditions.into_iter().map(|(ty, condition)| (ty, [condition].into())).collect(),
        hidden_fields: asked.hidden_fields,
    })
}

/// When a new token ends by itself: when it asks to, and not after the one it is made from.
fn expiry(world: &World, own: &LiveApplication, wanted: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    let last = own.token.as_ref().and_then(|token| token.expires_at);
    let Some(text) = wanted else { return Ok(last) };
    let at = Timestamp::parse(text).map_err(|refused| refused.at_field("expiresAt"))?;
    if at <= world.clock.now() {
        let text = format!("expiresAt is {at}, which is past: give a later instant, or none");
        return Err(Rejection::new(Code::InvalidValue, text).at_field("expiresAt").into());
    }
    match last.filter(|last| at > *last) {
        Some(last) => Err(beyond("expiresAt", format!("expiresAt is {at}, but this token itself ends at {last}"))),
        None => Ok(Some(at)),
    }
}

/// How often a new token may call: no oftener than its maker, where that is said.
fn rate(own: &LiveApplication, wanted: Option<RateLimitBody>) -> Result<Option<RateLimit>, Refusal> {
    let Some(RateLimitBody(wanted)) = wanted else { return Ok(None) };
    let wanted = wanted.check()?;
    let most = own.token.as_ref().and_then(|token| token.rate_limit).or(own.application.rate_limit);
    match most.filter(|most| !wanted.is_within(*most)) {
        Some(most) => {
            let text = format!("rateLimit is over this credential's own, {} a second", most.per_second);
            Err(beyond("rateLimit", text))
        }
        None => Ok(Some(wanted)),
    }
}

/// Makes a token from the caller's own credential; its key is shown this once.
///
/// # Errors
/// `business_not_found`; `forbidden` for the administrator's key, which is narrowed by making an application;
/// `outside_grant` where it asks for more than its maker has; `invalid_value`, `invalid_condition`, `unknown_type`,
/// `unknown_field`, `limit_reached`.
pub async fn create(
    world: &World,
    principal: &Principal,
    business: &str,
    mut body: CreateToken,
) -> Result<TokenCreated, Refusal> {
    let here = principal.business(world, business)?;
    let Principal::Application(own) = principal else {
        let text = "a token is narrowed from an application's credential: call with one; for the administrator, make \
                    an application";
        return Err(Refusal::new(Code::Forbidden, text));
    };
    let label = check_label("label", &body.label)?;
    let mut parents = own.token.as_ref().map(|token| token.parents.clone()).unwrap_or_default();
    parents.extend(own.token_id());
    if parents.len() > limits::TOKEN_PARENTS_MAX {
        let text = format!("a token is made from at most {} others, each from the next", limits::TOKEN_PARENTS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let id = TokenId(world.ids.ordered());
    let mut control = blank_in(world, principal, &here.id, "token.create", id);
    control.audit.organisation = Some(here.organisation.clone());
    control.puts = room(world, own)?;
    let further = narrowing(world, principal, own, &here, &mut body)?;
    let expires_at = expiry(world, own, body.expires_at.as_deref())?;
    let rate_limit = rate(own, body.rate_limit)?;
    let standing = own.token.as_ref().map(|token| token.narrowing.clone()).unwrap_or_default();
    let api_key = secret(world, "lst_");
    let token = Token {
        id,
        application: own.application.id,
        parents,
        label,
        key_digest: digest_of(&api_key),
        narrowing: standing.and(further),
        rate_limit,
        expires_at,
        created_at: world.clock.now(),
        revoked_at: None,
        made_by: principal.name(),
    };
    control.puts.push(put(id, Some(token), Expect::Absent));
    commit(world, control).await?;
    Ok(TokenCreated { id, api_key, expires_at: expires_at.map(|at| at.to_string()) })
}

/// Removes an application's tokens that ended long ago, so that there is room for another.
fn room(world: &World, own: &LiveApplication) -> Result<Vec<Put>, Refusal> {
    let now = world.clock.now();
    let is_past = |at: Timestamp| at.plus_ms(limits::TOKEN_LISTED_MS) <= now;
    let is_old = |live: &LiveApplication| {
        let Some(token) = &live.token else { return false };
        token.ended_at(now).is_some_and(is_past) || (live.is_revoked && is_past(token.created_at))
    };
    let (count, old) = world.settings.read(|settings| {
        let all: Vec<_> = settings.tokens_of(own.application.id).collect();
        let old = all.iter().filter(|live| is_old(live)).take(PAGE_ROWS_MAX);
        let old: Vec<_> =
            old.filter_map(|live| Some(put(live.token_id()?, None, Expect::Version(live.version)))).collect();
        (all.len(), old)
    });
    if count - old.len() >= limits::TOKENS_MAX {
        let text = format!(
            "the application has {} tokens, the most it may: revoke some; they are listed for a week after their end",
            limits::TOKENS_MAX
        );
        return Err(Refusal::new(Code::LimitReached, text));
    }
    Ok(old)
}

/// Whether a token is one that the caller looks after: an application its own tokens, a token those made from it, and
/// whoever administers a business those of the applications they look after there.
fn is_kept(world: &World, principal: &Principal, business: &Business, token: &Token) -> bool {
    let is_own = match principal {
        Principal::Admin => false,
        Principal::Application(own) => {
            let is_child = own.token_id().is_none_or(|id| token.parents.contains(&id));
            own.application.id == token.application && is_child
        }
    };
    let id = token.application.to_string();
    is_own
        || (principal.must_manage(business).is_ok()
            && principal.token().is_none()
            && within::kept(world, principal, business, &id).is_ok())
}

fn find(
    world: &World,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<(Arc<LiveApplication>, Token), Refusal> {
    let id: TokenId = id.parse()?;
    let found = world.settings.read(|settings| settings.tokens.get(&id).cloned());
    let found = found.and_then(|live| live.token.clone().map(|token| (live, token)));
    found
        .filter(|(_, token)| is_kept(world, principal, business, token))
        .ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no token {id} of this credential")))
}

/// A page of the tokens that the caller looks after, oldest first, with those that ended within a week.
///
/// # Errors
/// `business_not_found`, `invalid_id`.
pub fn list(
    world: &World,
    principal: &Principal,
    business: &str,
    after: Option<&str>,
    limit: Option<usize>,
) -> Result<TokensView, Refusal> {
    let business = principal.business(world, business)?;
    let after: TokenId = after.map_or(Ok(TokenId(0)), str::parse)?;
    let limit = limit.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX);
    let now = world.clock.now();
    let later: Vec<Arc<LiveApplication>> = world.settings.read(|settings| {
        settings.tokens.range((Excluded(after), Unbounded)).map(|(_, live)| Arc::clone(live)).collect()
    });
    let known = later.iter().filter_map(|live| live.token.as_ref().map(|token| (live, token)));
    let kept = known.filter(|(_, token)| is_kept(world, principal, &business, token)).take(limit + 1);
    let mut tokens: Vec<_> = kept.map(|(live, token)| TokenView::of(token, live.is_revoked, now)).collect();
    let has_more = tokens.len() > limit;
    tokens.truncate(limit);
    let next = tokens.last().map(|last| last.id).filter(|_| has_more);
    Ok(TokensView { tokens, next })
}

/// One of the tokens that the caller looks after.
///
/// # Errors
/// `business_not_found`, `invalid_id`, `not_found`.
pub fn get(world: &World, principal: &Principal, business: &str, id: &str) -> Result<TokenView, Refusal> {
    let business = principal.business(world, business)?;
    let (live, token) = find(world, principal, &business, id)?;
    Ok(TokenView::of(&token, live.is_revoked, world.clock.now()))
}

/// Gives a token another name or rate limit. What it may do is fixed at its making.
///
/// # Errors
/// Those of [`get`]; `invalid_value`, `outside_grant`.
pub async fn update(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
    body: UpdateToken,
) -> Result<TokenView, Refusal> {
    let business = principal.business(world, business)?;
    let (live, mut token) = find(world, principal, &business, id)?;
    if let Some(label) = body.label {
        token.label = check_label("label", &label)?;
    }
    if let Some(limit) = body.rate_limit {
        token.rate_limit = match principal {
            Principal::Admin => limit.map(|RateLimitBody(limit)| limit.check()).transpose()?,
            Principal::Application(own) => rate(own, limit)?,
        };
    }
    let view = TokenView::of(&token, live.is_revoked, world.clock.now());
    let mut control = blank_in(world, principal, &business.id, "token.update", token.id);
    control.puts.push(put(token.id, Some(token), Expect::Version(live.version)));
    commit(world, control).await?;
    Ok(view)
}

/// Revokes a token with every token made from it; their subscriptions are sent nothing more. One that has been revoked
/// stays so.
///
/// # Errors
/// Those of [`get`].
pub async fn revoke(world: &World, principal: &Principal, business: &str, id: &str) -> Result<TokenChanged, Refusal> {
    let business = principal.business(world, business)?;
    let (_, token) = find(world, principal, &business, id)?;
    let id = token.id;
    let now = world.clock.now();
    let family: Vec<_> = world.settings.read(|settings| {
        let all = settings.tokens_of(token.application).filter_map(|live| Some((live.version, live.token.clone()?)));
        let is_of = |one: &Token| one.revoked_at.is_none() && (one.id == id || one.parents.contains(&id));
        all.filter(|(_, one)| is_of(one)).collect()
    });
    if family.is_empty() {
        return Ok(TokenChanged { id });
    }
    let mut control = blank_in(world, principal, &business.id, "token.revoke", id);
    control.audit.organisation = Some(business.organisation.clone());
    for (version, one) in family {
        control.puts.push(put(one.id, Some(Token { revoked_at: Some(now), ..one }), Expect::Version(version)));
    }
    commit(world, control).await?;
    mirror::align_all(world, StartAt::Now).await?;
    Ok(TokenChanged { id })
}
