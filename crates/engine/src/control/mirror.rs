//! Mirrors: a subscription that covers several businesses is one subscription in each of them.
//!
//! The one that was made leads; the others carry its wishes, its secrets and its endpoint, each with a lane, a cursor
//! and a gate of its own, in a log of its own. [`align`] makes the mirrors what their lead wants them to be: it may be
//! run at any time and twice, and is run after whatever could change it, and at each start.

use super::{blank, commit};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::seal::sealed_places;
use crate::settings::{LiveSubscription, Settings};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_core::limits;
use lockstep_core::subscription::{Covers, StartAt, Subscription};
use lockstep_store::StoreError;
use lockstep_store::settings::{Dropped, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::subscription::Wanted;
use std::collections::BTreeSet;

/// Where a subscription is to be, as its caller says it; all that are named must be open to the caller.
///
/// # Errors
/// `business_not_found`, `limit_reached`.
pub(super) fn covers(
    world: &World,
    principal: &Principal,
    wanted: Wanted<BusinessId>,
) -> Result<Option<Covers>, Refusal> {
    let list = match wanted {
        Wanted::All => return Ok(Some(Covers::All)),
        Wanted::These(list) => list,
    };
    if list.len() > limits::SCOPE_ITEMS_MAX {
        let text = format!("businesses has {} members: at most {} are taken", list.len(), limits::SCOPE_ITEMS_MAX);
        return Err(Rejection::new(Code::LimitReached, text).at_field("businesses").into());
    }
    for id in &list {
        principal
            .business(world, id.as_str())
            .map_err(|refused| Refusal { rejection: refused.rejection.at_field("businesses"), ..refused })?;
    }
    let these: BTreeSet<BusinessId> = list.into_iter().collect();
    Ok(Some(these).filter(|these| !these.is_empty()).map(Covers::These))
}

/// That a subscription is changed by its lead, where it has one.
///
/// # Errors
/// `invalid_value`, naming the lead.
pub(super) fn must_lead(live: &LiveSubscription) -> Result<(), Refusal> {
    match live.subscription.mirrors {
        None => Ok(()),
        Some(lead) => {
            let text = format!("{} mirrors {lead}: change or drop that one", live.subscription.id);
            Err(Refusal::new(Code::InvalidValue, text))
        }
    }
}

/// Makes every lead's mirrors what they should be. A business that has just been made is read from its beginning.
///
/// # Errors
/// What the store says.
pub async fn align_all(world: &World, start: StartAt) -> Result<(), Refusal> {
    let leads: Vec<SubscriptionId> = world.settings.read(|settings| {
        let all = settings.subscriptions.values().map(|live| &live.subscription);
        let has_lost = |mirror: &Subscription| mirror.mirrors.filter(|lead| !settings.subscriptions.contains_key(lead));
        all.filter_map(|one| one.covers.as_ref().map(|_| one.id).or_else(|| has_lost(one))).collect()
    });
    for lead in leads {
        align(world, lead, start, false).await?;
    }
    Ok(())
}

/// Makes one lead's mirrors what they should be; those that stand are written anew where the lead has changed.
///
/// # Errors
/// What the store says.
pub(super) async fn align(
    world: &World,
    lead: SubscriptionId,
    start: StartAt,
    has_changed: bool,
) -> Result<(), Refusal> {
    const TRIES: usize = 3;
    for left in (0..TRIES).rev() {
        let mut control = blank(world, &Principal::Admin, "subscription.mirror", lead);
        "system".clone_into(&mut control.audit.by);
        let (standing, found) = world.settings.read(|settings| {
            let found = settings.subscriptions.get(&lead).cloned();
            let wanted = found.as_ref().map(|live| wanted(settings, &live.subscription)).unwrap_or_default();
            let all = settings.subscriptions.values();
            let standing: Vec<_> = all.filter(|live| live.subscription.mirrors == Some(lead)).cloned().collect();
            (standing, found.map(|live| (live, wanted)))
        });
        control.audit.business = found.as_ref().map(|(live, _)| live.subscription.business.clone());
        let wanted = found.as_ref().map(|(_, wanted)| wanted.clone()).unwrap_or_default();
        for live in &standing {
            let own = &live.subscription;
            match &found {
                Some((lead, _)) if wanted.contains(&own.business) => {
                    if has_changed {
                        let mirror = mirror(world, &lead.subscription, own.business.clone(), own.id)?;
                        let mirror = Subscription { is_ended: own.is_ended, ..mirror };
                        control.puts.push(put(mirror.id, Some(mirror), Expect::Version(live.version)));
                    }
                }
                _ => {
                    control.puts.push(put(own.id, None, Expect::Version(live.version)));
                    let (business, subscription) = (own.business.clone(), own.id);
                    control.dropped.push(Dropped { business, subscription, tell: Vec::new() });
                }
            }
        }
        for business in wanted.iter().filter(|id| standing.iter().all(|live| live.subscription.business != **id)) {
            let Some((lead, _)) = &found else { break };
            let id = SubscriptionId(world.ids.ordered());
            control.puts.push(put(id, Some(mirror(world, &lead.subscription, business.clone(), id)?), Expect::Absent));
            control.lanes.push((business.clone(), id, start));
        }
        if control.puts.is_empty() {
            return Ok(());
        }
        match commit(world, control).await {
            // Somebody changed one of them meanwhile: what stands now is looked at again.
            Err(StoreError::Conflict(_)) if left > 0 => world.settings.refresh(world.store.as_ref()).await?,
            other => return Ok(other?),
        }
    }
    Ok(())
}

/// The businesses that a lead's mirrors should be in: those it covers and its owner may enter, but its own.
fn wanted(settings: &Settings, lead: &Subscription) -> BTreeSet<BusinessId> {
    let Some(covers) = &lead.covers else { return BTreeSet::new() };
    let home = settings.businesses.get(&lead.business).map(|(business, _)| business.organisation.clone());
    let owner = lead.application.and_then(|id| settings.credential(id, lead.token));
    let open = settings.businesses.values().map(|(business, _)| business).filter(|business| {
        let is_open = match (&lead.application, owner) {
            (None, _) => !business.is_closed && Some(&business.organisation) == home.as_ref(),
            (Some(_), Some(owner)) => owner.is_at_home(business),
            (Some(_), None) => false,
        };
        let is_covered = match covers {
            Covers::All => true,
            Covers::These(these) => these.contains(&business.id),
        };
        is_open && is_covered && business.id != lead.business
    });
    open.map(|business| business.id.clone()).collect()
}

fn put(id: SubscriptionId, value: Option<Subscription>, expect: Expect) -> Put {
    Put { key: SettingKey::new(SettingKind::Subscription, id), value: value.map(Setting::Subscription), expect }
}

/// The lead's likeness in another business, its secrets sealed for the place they stand in there.
fn mirror(
    world: &World,
    lead: &Subscription,
    business: BusinessId,
    id: SubscriptionId,
) -> Result<Subscription, Refusal> {
    let mut from = lead.clone();
    let mut mirror = Subscription { id, business, mirrors: Some(lead.id), covers: None, ..lead.clone() };
    for ((place, sealed), (new_place, resealed)) in sealed_places(&mut from).into_iter().zip(sealed_places(&mut mirror))
    {
        let open = world.sealer.open(sealed, &place).ok_or_else(|| {
            Refusal::new(Code::SealingKeyWrong, format!("a secret of {} does not open with this key", lead.id))
        })?;
        *resealed = world.sealer.seal(&open, &new_place)?;
    }
    Ok(mirror)
}
