//! Subscriptions: made, changed, dropped, listed, tested, replayed, their secrets replaced.

use super::{blank_in, check_label, commit, credential, mirror, position};
use crate::World;
use crate::deliver::PostRoom;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::seal::subscription_place;
use crate::settings::{LiveSubscription, Owner};
use lockstep_core::application::Business;
use lockstep_core::change::ChangeKind;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Attempt;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::{Ability, TypeAccess, compile_condition};
use lockstep_core::ids::{SubscriptionId, TypeId};
use lockstep_core::kind::Kind;
use lockstep_core::limits;
use lockstep_core::position::Position;
use lockstep_core::rules::scope::Reach;
use lockstep_core::rules::signature::{shown_public_key, shown_secret};
use lockstep_core::schema::Shape;
use lockstep_core::subscription::{
    Batching, Format, Ordering, Pause, Payload, PayloadShape, SealedSecret, Signing, StartAt, Subscription,
};
use lockstep_store::settings::{Dropped, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::rate::RateLimitBody;
use lockstep_wire::subscription::{
    AttemptsWanted, BatchBody, DeliveriesBody, DeliveriesView, EventName, SubscriptionBody, SubscriptionCreated,
    SubscriptionView, TestView, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const EVENTS: [&str; 11] = [
    "current",
    "operation.failed",
    "operation.completed",
    "subscription.failing",
    "subscription.paused",
    "subscription.ended",
    "subscription.lapsed",
    "connection.needs-login",
    "share.failing",
    "share.recovered",
    "run.stopped",
];

fn put(subscription: Subscription, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Subscription, subscription.id);
    Put { key, value: Some(Setting::Subscription(subscription)), expect }
}

pub(super) fn refuse(field: &str, code: Code, text: String) -> Refusal {
    Rejection::new(code, text).at_field(field).into()
}

pub(super) fn listed<T: Ord>(field: &str, wanted: Wanted<T>) -> Result<Option<BTreeSet<T>>, Refusal> {
    match wanted {
        Wanted::All => Ok(None),
        Wanted::These(list) if list.is_empty() => Err(refuse(
            field,
            Code::InvalidValue,
            format!("{field} is an empty list: give \"*\" for all, or leave it out"),
        )),
        Wanted::These(list) if list.len() > limits::SCOPE_ITEMS_MAX => {
            let text = format!("{field} has {} members: at most {} are taken", list.len(), limits::SCOPE_ITEMS_MAX);
            Err(refuse(field, Code::LimitReached, text))
        }
        Wanted::These(list) => Ok(Some(list.into_iter().collect())),
    }
}

/// Puts a body's members into a subscription and checks what comes of it.
fn changed(
    world: &World,
    principal: &Principal,
    business: &Business,
    mut subscription: Subscription,
    body: SubscriptionBody,
) -> Result<Subscription, Refusal> {
    if let Some(url) = body.url {
        let url =
            world.policy.check_url(&url).map_err(|refused| refuse("url", Code::UrlRefused, refused.to_string()))?;
        subscription.url = url.to_string();
    }
    if let Some(label) = body.label {
        subscription.label = if label.trim().is_empty() { String::new() } else { check_label("label", &label)? };
    }
    if let Some(businesses) = body.businesses {
        subscription.covers = mirror::covers(world, principal, businesses)?;
    }
    if let Some(types) = body.types {
        subscription.types = listed("types", types)?;
    }
    if body.kinds.is_some() && body.events.is_some() {
        let text = "events and kinds say the same: give one of them".to_owned();
        return Err(refuse("events", Code::InvalidValue, text));
    }
    let events = |events: Vec<EventName>| Wanted::These(events.into_iter().map(EventName::kind).collect());
    if let Some(kinds) = body.kinds.or(body.events.map(events)) {
        subscription.kinds = listed("kinds", kinds)?;
    }
    if let Some(fields) = body.fields {
        subscription.fields = listed("fields", fields)?;
    }
    if let Some(record_ids) = body.record_ids {
        subscription.record_ids = listed("recordIds", record_ids)?;
    }
    if let Some(under) = body.under {
        subscription.under = listed("under", under)?;
    }
    if let Some(condition) = body.condition {
        subscription.condition = Some(condition).filter(|text| !text.trim().is_empty());
    }
    subscription.format = body.format.unwrap_or(subscription.format);
    subscription.payload = body.payload.unwrap_or(subscription.payload);
    subscription.payload_shape = body.payload_shape.unwrap_or(subscription.payload_shape);
    if let Some(template) = body.template {
        credential::check_template(&template)?;
        subscription.template = Some(Box::new(template));
    }
    if let Some(headers) = body.headers {
        subscription.headers = credential::sealed_headers(world, &subscription, headers)?;
    }
    if let Some(auth) = body.auth {
        subscription.auth = credential::sealed_auth(world, &subscription, auth)?.map(Box::new);
    }
    subscription.signing = body.signing.unwrap_or(subscription.signing);
    subscription.ordering = body.ordering.unwrap_or(subscription.ordering);
    if let Some(batch) = body.batch {
        subscription.batch = batched(batch)?;
    }
    if let Some(limit) = body.rate_limit {
        subscription.per_second = limit.map(paced).transpose()?;
    }
    subscription.exclude_own = body.exclude_own.unwrap_or(subscription.exclude_own);
    if let Some(is_paused) = body.paused {
        subscription.paused = is_paused.then_some(Pause::Asked);
    }
    check_format(&subscription)?;
    credential::check_together(&subscription)?;
    check_scope(world, principal, business, &subscription)?;
    Ok(subscription)
}

/// How changes go together; none where each goes alone.
fn batched(batch: BatchBody) -> Result<Option<Batching>, Refusal> {
    let BatchBody { max_records, max_wait_ms } = batch;
    let max_wait_ms = max_wait_ms.unwrap_or(limits::BATCH_WAIT_MS);
    if !(1..=limits::BATCH_RECORDS_MAX).contains(&max_records) {
        let text = format!("maxRecords is {max_records}: give 1 to {}", limits::BATCH_RECORDS_MAX);
        return Err(Rejection::new(Code::InvalidValue, text).at("/batch/maxRecords").into());
    }
    if max_wait_ms > limits::BATCH_WAIT_MS_MAX {
        let text = format!("maxWaitMs is {max_wait_ms}: at most {} are waited", limits::BATCH_WAIT_MS_MAX);
        return Err(Rejection::new(Code::InvalidValue, text).at("/batch/maxWaitMs").into());
    }
    Ok((max_records > 1).then_some(Batching { max_records, max_wait_ms }))
}

/// How many requests a second.
fn paced(RateLimitBody(limit): RateLimitBody) -> Result<u32, Refusal> {
    if limit.burst.is_some() {
        let text = "burst is for credentials: an endpoint is sent its requests evenly, so give perSecond alone";
        return Err(Rejection::new(Code::InvalidValue, text).at("/rateLimit/burst").into());
    }
    Ok(limit.check()?.per_second)
}

/// That the format can do what is asked of it.
fn check_format(subscription: &Subscription) -> Result<(), Refusal> {
    let format = subscription.format;
    if !format.has_levels() && !subscription.payload.is_default() {
        let able = Format::ALL.iter().filter(|(_, format)| format.has_levels()).map(|(name, _)| *name);
        let text = format!(
            "format {} tells always the same: leave payload at \"full\", or take format {}",
            format.as_str(),
            able.collect::<Vec<_>>().join(", ")
        );
        return Err(refuse("payload", Code::InvalidValue, text));
    }
    if subscription.batch.is_some() && !format.holds_many() {
        let able = Format::ALL.iter().filter(|(_, format)| format.holds_many()).map(|(name, _)| *name);
        let text = format!(
            "format {} tells one change a request: give batch {{\"maxRecords\": 1}}, or take format {}",
            format.as_str(),
            able.collect::<Vec<_>>().join(", ")
        );
        return Err(refuse("batch", Code::InvalidValue, text));
    }
    if format == Format::Template && subscription.template.is_none() {
        let text = "format template wants a template: give {\"template\": {\"body\": \"…\"}}".to_owned();
        return Err(refuse("template", Code::InvalidTemplate, text));
    }
    if format != Format::Envelope && !subscription.payload_shape.is_default() {
        let text = format!(
            "format {} has no payload to put in a list: leave payloadShape at \"object\", or take format envelope",
            format.as_str()
        );
        return Err(refuse("payloadShape", Code::InvalidValue, text));
    }
    Ok(())
}

/// That each field by which others stand under a record is a reference of a type wanted.
fn check_under(subscription: &Subscription, shapes: &[(&Arc<Shape>, Arc<Reach>)]) -> Result<(), Refusal> {
    let is_reference = |name: &str| {
        let seen = shapes.iter().filter(|(_, reach)| !reach.hides(name));
        seen.filter_map(|(shape, _)| shape.fields.get(name)).any(|field| matches!(field.kind, Kind::Reference(_)))
    };
    let Some(strange) = subscription.under.iter().flatten().find(|under| !is_reference(&under.field)) else {
        return Ok(());
    };
    let seen = shapes.iter().flat_map(|(shape, reach)| shape.visible_fields(reach));
    let known: BTreeSet<&str> =
        seen.filter(|field| matches!(field.kind, Kind::Reference(_))).map(|field| field.id.as_str()).collect();
    let text = format!(
        "none of the types wanted has a reference {}; their references are {}",
        shown(&strange.field),
        known.into_iter().collect::<Vec<_>>().join(", ")
    );
    Err(refuse("under", Code::UnknownField, text))
}

/// That the subscription asks for nothing that does not exist or that its owner may not see.
fn check_scope(
    world: &World,
    principal: &Principal,
    business: &Business,
    subscription: &Subscription,
) -> Result<(), Refusal> {
    let schema = world.schema(&business.id);
    let types: Vec<&TypeId> = match &subscription.types {
        Some(types) => types.iter().collect(),
        None => schema.shapes().map(|shape| &shape.id).collect(),
    };
    let mut shapes = Vec::new();
    for ty in types {
        let shape = schema.shape(ty.as_str()).map_err(|refused| refused.at_field("types"))?;
        match principal.reach(business, ty, TypeAccess::Read) {
            Ok(reach) => shapes.push((shape, reach)),
            Err(refused) if subscription.types.is_some() => return Err(refused),
            Err(_) => {}
        }
    }
    let is_field =
        |name: &str| shapes.iter().any(|(shape, reach)| shape.fields.contains_key(name) && !reach.hides(name));
    let is_kind = |kind: &str| {
        ChangeKind::ALL.iter().any(|known| known.as_str() == kind)
            || EVENTS.contains(&kind)
            || kind.strip_suffix(".updated").is_some_and(is_field)
            || shapes.iter().any(|(shape, reach)| shape.has_update_kind(kind, reach))
    };
    if let Some(kind) = subscription.kinds.iter().flatten().find(|kind| !is_kind(kind)) {
        let text = format!(
            "{} is no kind: kinds are created, updated, deleted, merged, correlated, FIELD.updated, what fields have as their \
             updateKind, {}",
            shown(kind),
            EVENTS.join(", ")
        );
        return Err(refuse("kinds", Code::InvalidValue, text));
    }
    if let Some(field) = subscription.fields.iter().flatten().find(|field| !is_field(field)) {
        let text = format!("none of the types wanted has a field {}", shown(field));
        return Err(refuse("fields", Code::UnknownField, text));
    }
    check_under(subscription, &shapes)?;
    if let Some(condition) = &subscription.condition {
        let compiled = compile_condition(condition).map_err(|refused| refused.at_field("condition"))?;
        let is_hidden = shapes.iter().any(|(_, reach)| reach.forbidden_name(&compiled) == Some("fields"));
        let strange = compiled.names().iter().find(|name| *name != "fields" && !is_field(name));
        if strange.is_some() || is_hidden {
            let name = strange.map_or("fields", String::as_str);
            let text = format!("the condition names {}, which none of the types wanted has", shown(name));
            return Err(refuse("condition", Code::InvalidCondition, text));
        }
    }
    Ok(())
}

fn fresh_secret(world: &World, business: &Business, id: SubscriptionId) -> Result<([u8; 32], SealedSecret), Refusal> {
    let secret = world.ids.secret();
    let sealed = world.sealer.seal(&secret, &subscription_place(&business.id, id))?;
    Ok((secret, SealedSecret { sealed, created_at: world.clock.now(), expires_at: None }))
}

fn created(subscription: &Subscription, secret: &[u8; 32]) -> SubscriptionCreated {
    let public_key = (subscription.signing != Signing::Hmac).then(|| shown_public_key(secret)).flatten();
    SubscriptionCreated { id: subscription.id, secret: shown_secret(secret), public_key }
}

/// Makes a subscription; its secret is shown this once.
///
/// # Errors
/// `business_not_found`, `forbidden`, `url_refused`, `invalid_value`, `invalid_condition`, `limit_reached`,
/// `log_restored`.
pub async fn create(
    world: &World,
    principal: &Principal,
    business: &str,
    body: SubscriptionBody,
) -> Result<SubscriptionCreated, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    if body.url.is_none() {
        return Err(refuse(
            "url",
            Code::InvalidValue,
            "url is missing: give the address notifications go to".to_owned(),
        ));
    }
    if world.settings.read(|settings| settings.count_in(&business.id)) >= limits::SUBSCRIPTIONS_MAX {
        let text = format!("the business has {} subscriptions, the most it may: drop some", limits::SUBSCRIPTIONS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let start = position::start_at(world, &business.id, body.start_at.clone()).await?;
    let id = SubscriptionId(world.ids.ordered());
    let (secret, sealed) = fresh_secret(world, &business, id)?;
    let blank_subscription = Subscription {
        id,
        business: business.id.clone(),
        covers: None,
        mirrors: None,
        application: principal.application(),
        token: principal.token(),
        label: String::new(),
        url: String::new(),
        types: None,
        kinds: None,
        fields: None,
        record_ids: None,
        under: None,
        condition: None,
        format: Format::Standard,
        payload: Payload::Full,
        payload_shape: PayloadShape::Object,
        template: None,
        headers: BTreeMap::new(),
        auth: None,
        signing: Signing::Hmac,
        ordering: Ordering::Record,
        batch: None,
        per_second: None,
        exclude_own: false,
        secrets: vec![sealed],
        paused: None,
        is_ended: false,
        created_at: world.clock.now(),
    };
    let subscription = changed(world, principal, &business, blank_subscription, body)?;
    let answer = created(&subscription, &secret);
    let covers_more = subscription.covers.is_some();
    if covers_more && matches!(start, StartAt::After(_)) {
        let text = "a position belongs to one business: with businesses, start \"now\" or at the \"beginning\"";
        return Err(refuse("startAt", Code::InvalidValue, text.to_owned()));
    }
    let mut control = blank_in(world, principal, &business.id, "subscription.create", id);
    control.lanes.push((business.id.clone(), id, start));
    control.puts.push(put(subscription, Expect::Absent));
    commit(world, control).await?;
    if covers_more {
        mirror::align(world, id, start, true).await?;
    }
    Ok(answer)
}

/// One of the caller's own subscriptions; the administrator's are all.
pub(super) fn find(
    world: &World,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<LiveSubscription, Refusal> {
    let id: SubscriptionId = id.parse()?;
    let found = world.settings.read(|settings| settings.subscriptions.get(&id).cloned());
    let is_own = |live: &LiveSubscription| {
        let subscription = &live.subscription;
        subscription.business == business.id && principal.owns(subscription.application, subscription.token)
    };
    found.filter(is_own).ok_or_else(|| {
        Refusal::new(Code::NotFound, format!("there is no subscription {id} of this credential in {}", business.id))
    })
}

pub(super) fn must_not_have_ended(live: &LiveSubscription) -> Result<(), Refusal> {
    if live.subscription.is_ended {
        let text = format!("{} has ended: its endpoint answered 410. Make a new one", live.subscription.id);
        return Err(Refusal::new(Code::SubscriptionEnded, text));
    }
    Ok(())
}

/// Changes a subscription; what is left out stays.
///
/// # Errors
/// `not_found`, `subscription_ended`, and those of [`create`].
pub async fn update(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
    body: SubscriptionBody,
) -> Result<SubscriptionView, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = find(world, principal, &business, id)?;
    mirror::must_lead(&live)?;
    must_not_have_ended(&live)?;
    if body.start_at.is_some() {
        let text = "startAt is said at the making alone: make a new subscription".to_owned();
        return Err(refuse("startAt", Code::InvalidValue, text));
    }
    let subscription = changed(world, principal, &business, (*live.subscription).clone(), body)?;
    let view = SubscriptionView::of(&subscription);
    let mut control = blank_in(world, principal, &business.id, "subscription.update", subscription.id);
    let (id, covers_more) = (subscription.id, subscription.covers.is_some() || live.subscription.covers.is_some());
    control.puts.push(put(subscription, Expect::Version(live.version)));
    commit(world, control).await?;
    if covers_more {
        mirror::align(world, id, StartAt::Now, true).await?;
    }
    Ok(view)
}

/// Drops a subscription with all that waits for it.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn delete(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<SubscriptionView, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = find(world, principal, &business, id)?;
    mirror::must_lead(&live)?;
    let mut control = blank_in(world, principal, &business.id, "subscription.delete", live.subscription.id);
    let key = SettingKey::new(SettingKind::Subscription, live.subscription.id);
    control.puts.push(Put { key, value: None, expect: Expect::Version(live.version) });
    let owner = Owner::of(&live.subscription);
    let tell = world.settings.read(|settings| settings.tell(&owner).completed.clone());
    let tell = tell.into_iter().filter(|other| *other != live.subscription.id).collect();
    control.dropped.push(Dropped { business: business.id.clone(), subscription: live.subscription.id, tell });
    commit(world, control).await?;
    if live.subscription.covers.is_some() {
        mirror::align(world, live.subscription.id, StartAt::Now, true).await?;
    }
    Ok(SubscriptionView::of(&live.subscription))
}

/// One subscription of the caller's own; any for the administrator.
///
/// # Errors
/// `business_not_found`, `forbidden`, `invalid_id`, `not_found`.
pub fn get(world: &World, principal: &Principal, business: &str, id: &str) -> Result<SubscriptionView, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    Ok(SubscriptionView::of(&find(world, principal, &business, id)?.subscription))
}

/// The caller's own subscriptions in a business; all of them for the administrator.
///
/// # Errors
/// `business_not_found`, `forbidden`.
pub fn list(world: &World, principal: &Principal, business: &str) -> Result<Vec<SubscriptionView>, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let view = |live: &LiveSubscription| SubscriptionView::of(&live.subscription);
    Ok(world.settings.read(|settings| match principal {
        Principal::Admin => {
            let all = settings.subscriptions.values();
            all.filter(|live| live.subscription.business == business.id).map(view).collect()
        }
        Principal::Application(_) => settings.owned_by(&principal.owner(&business.id)).map(view).collect(),
    }))
}

/// Gives a subscription a new secret; the old one signs beside it for a day.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `subscription_ended`.
pub async fn rotate_secret(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<SubscriptionCreated, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = find(world, principal, &business, id)?;
    mirror::must_lead(&live)?;
    must_not_have_ended(&live)?;
    let now = world.clock.now();
    let (secret, sealed) = fresh_secret(world, &business, live.subscription.id)?;
    let mut subscription = (*live.subscription).clone();
    let overlap = now.plus_ms(limits::SECRET_OVERLAP_MS);
    for old in &mut subscription.secrets {
        old.expires_at = Some(old.expires_at.map_or(overlap, |at| at.min(overlap)));
    }
    subscription.secrets.retain(|old| old.expires_at.is_none_or(|at| at > now));
    subscription.secrets.insert(0, sealed);
    subscription.secrets.truncate(limits::SECRETS_MAX);
    let answer = created(&subscription, &secret);
    let mut control = blank_in(world, principal, &business.id, "subscription.rotate-secret", subscription.id);
    let id = subscription.id;
    control.puts.push(put(subscription, Expect::Version(live.version)));
    commit(world, control).await?;
    if live.subscription.covers.is_some() {
        mirror::align(world, id, StartAt::Now, true).await?;
    }
    Ok(answer)
}

/// Sends a sample by the path that deliveries take, now, and tells how it went.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `subscription_ended`, `busy`.
pub async fn test(
    world: &World,
    post_room: &PostRoom,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<TestView, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = find(world, principal, &business, id)?;
    must_not_have_ended(&live)?;
    post_room.test(live.subscription.id).await
}

/// How a subscription's deliveries stand: the newest attempts that are asked for, what is parked, what was given up.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `invalid_value`, `busy`.
pub async fn deliveries(
    world: &World,
    post_room: &PostRoom,
    principal: &Principal,
    business: &str,
    id: &str,
    body: &DeliveriesBody,
) -> Result<DeliveriesView, Refusal> {
    const USUAL: usize = 100;
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = find(world, principal, &business, id)?;
    let since = body.since.as_deref().map(Timestamp::parse).transpose();
    let since = since.map_err(|refused| Refusal::from(refused.at_field("since")))?;
    let limit = body.limit.unwrap_or(USUAL).clamp(1, limits::PAGE_ROWS_MAX);
    let id = live.subscription.id;
    let mut view = post_room.standing(id).await?;
    let is_asked = |attempt: &Attempt| {
        let ended_so = body.only.is_none_or(|only| (only == AttemptsWanted::Failed) == attempt.failure.is_some());
        let is_of = body.seq.is_none_or(|seq| seq == attempt.seq);
        ended_so && is_of && since.is_none_or(|since| attempt.at >= since)
    };
    // The attempt log has no index by these: the newest are looked through.
    let attempts = world.store.attempts(&business.id, id, limits::ATTEMPTS_LOOKED_THROUGH).await?;
    let attempts: Vec<_> = attempts.into_iter().filter(is_asked).take(limit).collect();
    let dead = world.store.dead_letters(&business.id, id, body.dead_letters_after, limit).await?;
    let epoch = world.store.head(&business.id).await?.epoch;
    view.position = view.cursor.map(|seq| Position { epoch, seq }.cursor(&business.id));
    view.attempts = attempts.into_iter().map(Into::into).collect();
    view.dead_letters = dead.into_iter().map(Into::into).collect();
    Ok(view)
}
