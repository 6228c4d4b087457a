//! Replays: one change, a range, or everything that was given up, once more.

use super::subscription::refuse;
use super::{blank_in, commit, position};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::settings::LiveSubscription;
use lockstep_core::application::Business;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::error::Code;
use lockstep_core::grant::Ability;
use lockstep_core::ids::{BusinessId, DeliveryId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::scan::{Over, Picked, Scan, ScanKey};
use lockstep_store::{Store, StoreError};
use lockstep_wire::subscription::{ReplayBody, Replayed, Wanted};
use std::collections::BTreeSet;

/// Sends changes once more, beside live deliveries, under the ids they always had.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `subscription_ended`, `invalid_value`, `log_restored`.
pub async fn replay(
    world: &World,
    principal: &Principal,
    business: &str,
    id: &str,
    body: ReplayBody,
) -> Result<Replayed, Refusal> {
    let business = principal.business(world, business)?;
    principal.must(Ability::Subscribe)?;
    let live = super::subscription::find(world, principal, &business, id)?;
    super::subscription::must_not_have_ended(&live)?;
    match body.seq {
        Some(_) if names_many(&body) => Err(refuse(
            "seq",
            Code::InvalidValue,
            "seq names one change: leave it out to replay a range, or leave out the rest".to_owned(),
        )),
        Some(seq) => one(world, principal, &business, &live, seq).await,
        None if !names_many(&body) => Err(refuse(
            "seq",
            Code::InvalidValue,
            "say what to replay: {\"seq\": 7} for one change, {\"from\": 7, \"to\": 90} or {\"since\": \
             \"2026-01-31\"} for a range, {\"deadLetters\": true} for all that was given up"
                .to_owned(),
        )),
        None => many(world, principal, &business, &live, body).await,
    }
}

const fn names_many(body: &ReplayBody) -> bool {
    body.from.is_some()
        || body.to.is_some()
        || body.since.is_some()
        || body.until.is_some()
        || body.dead_letters
        || body.types.is_some()
        || body.kinds.is_some()
        || body.record_ids.is_some()
}

async fn one(
    world: &World,
    principal: &Principal,
    business: &Business,
    live: &LiveSubscription,
    seq: u64,
) -> Result<Replayed, Refusal> {
    let subscription = &live.subscription;
    position::check_seq(world, &business.id, seq).await?;
    position::check_kept(world, &business.id, seq).await?;
    let change = world.store.change(&business.id, seq).await?;
    // Whether the caller may see the change is asked when it is sent, as for every delivery.
    let change = change.filter(|change| subscription.types.as_ref().is_none_or(|types| types.contains(&change.ty)));
    let change = change.ok_or_else(|| {
        let text = format!("there is no change {seq} of a type that {} wants", subscription.id);
        refuse("seq", Code::NotFound, text)
    })?;
    let now = world.clock.now();
    let delivery = DeliveryId::of_change(change.id, subscription.id);
    let mut control = blank_in(world, principal, &business.id, "subscription.replay", subscription.id);
    control.notices.push(Notice {
        id: delivery,
        business: business.id.clone(),
        subscription: subscription.id,
        after_seq: change.seq,
        at: now,
        body: NoticeBody::Replay { seq, ty: change.ty.clone(), record: change.record, operation: None },
        attempt: 0,
        next_at: now,
    });
    commit(world, control).await?;
    Ok(Replayed { delivery_id: Some(delivery), operation_id: None })
}

async fn many(
    world: &World,
    principal: &Principal,
    business: &Business,
    live: &LiveSubscription,
    body: ReplayBody,
) -> Result<Replayed, Refusal> {
    let subscription = &live.subscription;
    let (from, to) = range(world, &business.id, &body).await?;
    let only = Picked {
        types: listed("types", body.types)?,
        kinds: listed("kinds", body.kinds)?,
        records: listed("recordIds", body.record_ids)?,
    };
    let over = match body.dead_letters {
        true => Over::Dead { until: to, only },
        false => Over::Changes { until: to, only },
    };
    let id = OperationId::fresh(world.ids.ordered());
    let operation = Operation {
        id,
        verb: "replay".to_owned(),
        at: world.clock.now(),
        application: principal.application(),
        token: principal.token(),
        ty: None,
        record: None,
        state: OperationState::Sync { matched: 0, sent: 0, waiting: 1 },
    };
    let scan = Scan {
        operation: id,
        business: business.id.clone(),
        subscription: subscription.id,
        over,
        done: ScanKey::of_seq(from.saturating_sub(1)),
    };
    let mut control = blank_in(world, principal, &business.id, "subscription.replay", subscription.id);
    control.scans.push((operation, scan));
    commit(world, control).await?;
    Ok(Replayed { delivery_id: None, operation_id: Some(id) })
}

fn listed<T: Ord>(field: &str, wanted: Option<Wanted<T>>) -> Result<Option<BTreeSet<T>>, Refusal> {
    wanted.map_or(Ok(None), |wanted| super::subscription::listed(field, wanted))
}

/// The first and last seq asked for: by seq, by time, or both, whichever is narrower.
async fn range(world: &World, business: &BusinessId, body: &ReplayBody) -> Result<(u64, u64), Refusal> {
    let store = world.store.as_ref();
    let head = store.head(business).await?.seq;
    let time = |field: &str, text: &Option<String>| -> Result<Option<Timestamp>, Refusal> {
        let parsed = text.as_deref().map(Timestamp::parse).transpose();
        parsed.map_err(|refused| refused.at_field(field).into())
    };
    let mut from = body.from.unwrap_or(1).max(1);
    let mut to = body.to.unwrap_or(head);
    position::check_seq(world, business, to.max(body.from.unwrap_or(0))).await?;
    // Letters whose changes are gone are gone with them.
    if let (Some(from), false) = (body.from, body.dead_letters) {
        position::check_kept(world, business, from).await?;
    }
    if let Some(since) = time("since", &body.since)? {
        from = from.max(first_at(store, business, head, since).await?);
    }
    if let Some(until) = time("until", &body.until)? {
        to = to.min(first_at(store, business, head, until).await?.saturating_sub(1));
    }
    Ok((from, to))
}

/// The seq of the first change made at or after an instant, by halving: a change's time never goes back, and what is
/// kept no more is older than what is.
pub(crate) async fn first_at(
    store: &dyn Store,
    business: &BusinessId,
    head: u64,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let (mut low, mut high) = (1, head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match store.change(business, middle).await? {
            Some(change) if change.at >= at => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}
