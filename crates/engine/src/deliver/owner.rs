//! Word to owners: what the room does to a subscription by itself, and whom it tells.

use crate::World;
use crate::settings::{Owner, Settings};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{About, Notice, NoticeBody};
use lockstep_core::ids::{DeliveryId, SubscriptionId, TypeId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::scan::{Over, Scan, ScanKey};
use lockstep_core::subscription::{Pause, Subscription};
use lockstep_store::settings::{Audit, Control, Dropped, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::{Commit, StoreError, Work};
use std::sync::Arc;

/// What has come over a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its endpoint has been down for a day.
    Failing,
    /// Its endpoint has been down for five days.
    Paused,
    /// Its endpoint said 410.
    Ended,
    /// What it owes is older than history is kept for it.
    Lapsed,
}

impl Turn {
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Failing => "subscription.failing",
            Self::Paused => "subscription.paused",
            Self::Ended => "subscription.ended",
            Self::Lapsed => "subscription.lapsed",
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Failing => {
                "its endpoint has not taken a delivery for a day: mend it, or it is paused after five days; nothing is lost"
            }
            Self::Paused => {
                "its endpoint has not taken a delivery for five days: mend it and update the subscription with \"paused\": false; deliveries go on where they stopped"
            }
            Self::Lapsed => {
                "it has fallen behind for longer than history is held for it: what it was owed is dropped, and every record it may see is sent as it is instead; what was deleted in the meantime is not told"
            }
            Self::Ended => "its endpoint answered 410: nothing more is sent; make a new subscription to be told again",
        }
    }
}

/// The commit that carries a turn out and tells the owner's other subscriptions that ask for it.
pub(super) fn control(world: &World, settings: &Settings, id: SubscriptionId, turn: Turn) -> Option<Control> {
    let live = settings.subscriptions.get(&id)?;
    let mut subscription = (*live.subscription).clone();
    // Deliveries that were under way land after the turn: it is taken, and told, once.
    let may_be_paused = matches!(turn, Turn::Ended | Turn::Lapsed);
    if subscription.is_ended || (subscription.paused.is_some() && !may_be_paused) {
        return None;
    }
    let scans = if turn == Turn::Lapsed { resume(world, &subscription) } else { Vec::new() };
    match turn {
        Turn::Failing | Turn::Lapsed => {}
        Turn::Paused => subscription.paused = Some(Pause::EndpointDown),
        Turn::Ended => subscription.is_ended = true,
    }
    let now = world.clock.now();
    let owner = Owner::of(&subscription);
    let told = settings.told_of(&owner).map(|live| &live.subscription);
    let told = told.filter(|other| other.id != id && other.is_active() && other.lists_kind(turn.event()));
    let notices = told.map(|other| notice(world, other, id, turn, now)).collect();
    let key = SettingKey::new(SettingKind::Subscription, id);
    let changed = Put { key, value: Some(Setting::Subscription(subscription)), expect: Expect::Version(live.version) };
    let puts = if matches!(turn, Turn::Failing | Turn::Lapsed) { Vec::new() } else { vec![changed] };
    // Nothing will be sent to it again: what waits for it is waited for no more.
    let tell = settings.tell(&owner).completed.iter().copied().filter(|other| *other != id).collect();
    let business = owner.business;
    let gone = Dropped { business: business.clone(), subscription: id, tell };
    let (dropped, lapsed) = match turn {
        Turn::Ended => (vec![gone], Vec::new()),
        Turn::Lapsed => (Vec::new(), vec![gone]),
        Turn::Failing | Turn::Paused => (Vec::new(), Vec::new()),
    };
    let audit = Audit::of(now, "system", turn.event(), id).within(&business);
    Some(Control { puts, dropped, lapsed, scans, notices, ..Control::of(audit) })
}

/// The scans with which a lapsed subscription resumes: every record of each type it wants, as it is when it is sent.
fn resume(world: &World, subscription: &Subscription) -> Vec<(Operation, Scan)> {
    let wants = |ty: &TypeId| subscription.types.as_ref().is_none_or(|types| types.contains(ty));
    let schema = world.schema(&subscription.business);
    let types = schema.shapes().map(|shape| shape.id.clone()).filter(wants);
    let scans = types.map(|ty| {
        let id = OperationId::fresh(world.ids.ordered());
        let operation = Operation {
            id,
            verb: "resume".to_owned(),
            at: world.clock.now(),
            application: subscription.application,
            token: subscription.token,
            ty: Some(ty.clone()),
            record: None,
            state: OperationState::Sync { matched: 0, sent: 0, waiting: 1 },
        };
        let scan = Scan {
            operation: id,
            business: subscription.business.clone(),
            subscription: subscription.id,
            over: Over::Records { ty, since: None },
            done: ScanKey::default(),
        };
        (operation, scan)
    });
    scans.collect()
}

fn notice(world: &World, to: &Subscription, about: SubscriptionId, turn: Turn, at: Timestamp) -> Notice {
    let (event, message) = (turn.event().to_owned(), turn.message().to_owned());
    let body = NoticeBody::Warning { event, about: About::Subscription(about), message };
    Notice::of(DeliveryId(world.ids.ordered()), to, body, at)
}

/// Carries it out and says whether it was. One that lost a race is let go: the next probe brings it up again.
pub(super) async fn carry_out(world: Arc<World>, control: Control) -> Result<bool, StoreError> {
    match world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await {
        Ok(_) => world.settings.refresh(world.store.as_ref()).await.map(|()| true),
        Err(StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
