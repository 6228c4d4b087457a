//! Retention: how long the log is kept, and how long it is held for those who have fallen behind.
//!
//! A change is dropped when it is older than history is kept, and every outlet is past it. An outlet that still needs
//! changes which have been due to go for as long as cursors are held *lapses*: what it owes is let go, its owner is
//! told, and it resumes with a sync of all it may see.

use crate::World;
use crate::control::replay::first_at;
use crate::deliver::PostRoom;
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_core::limits;
use lockstep_core::scan::Scan;
use lockstep_store::prune::{Prune, needed_by};
use lockstep_store::{OutletRows, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Changes; for ever where nothing is said.
    pub history_for: Option<Duration>,
    /// Changes that an outlet still needs, beyond that.
    pub cursors_for: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { history_for: None, cursors_for: Duration::from_secs(limits::CURSOR_HELD_S) }
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// One sweep over all businesses.
pub(crate) async fn prune(world: &World, post_room: &PostRoom, keep: Keep) -> Result<(), StoreError> {
    let Some(history_for) = keep.history_for else { return Ok(()) };
    let due_at = world.clock.now().plus_ms(-ms(history_for));
    let lost_at = due_at.plus_ms(-ms(keep.cursors_for));
    let scans = scans(world).await?;
    for outlet in world.store.outlets().await? {
        let Some(business) = outlet.business.clone() else { continue };
        let store = world.store.as_ref();
        let head = store.head(&business).await?.seq;
        let until = first_at(store, &business, head, due_at).await?.saturating_sub(1);
        if until <= store.floor(&business).await? {
            continue;
        }
        let lost = first_at(store, &business, head, lost_at).await?.saturating_sub(1);
        for id in behind(&outlet, &scans, lost) {
            post_room.lapse(id);
        }
        let has_subscription = |settings: &crate::settings::Settings| {
            settings.subscriptions.values().any(|live| live.subscription.business == business)
        };
        let has_outlets = world.settings.read(has_subscription);
        raise(world, Prune { business, until, has_outlets }).await?;
    }
    Ok(())
}

/// Raises a floor as far as it may, for some turns.
async fn raise(world: &World, prune: Prune) -> Result<(), StoreError> {
    let mut floor = world.store.floor(&prune.business).await?;
    for _ in 0..limits::SWEEP_TURNS_MAX {
        let next = world.store.prune(prune.clone()).await?;
        if next == floor || next >= prune.until {
            break;
        }
        floor = next;
    }
    Ok(())
}

/// Subscriptions that still need a change at or below a seq.
fn behind(outlet: &OutletRows, scans: &[Scan], lost: u64) -> BTreeSet<SubscriptionId> {
    let is_own = |business: &BusinessId| outlet.business.as_ref() == Some(business);
    let lanes = outlet.lanes.iter().filter(|(_, cursor)| *cursor < lost).map(|(id, _)| *id);
    let parked = outlet.parked.iter().filter(|(_, parked)| parked.first_seq <= lost).map(|(id, _)| *id);
    let own = scans.iter().filter(|scan| is_own(&scan.business));
    let scanning = own.filter(|scan| needed_by(scan).is_some_and(|first| first <= lost)).map(|scan| scan.subscription);
    lanes.chain(parked).chain(scanning).collect()
}

async fn scans(world: &World) -> Result<Vec<Scan>, StoreError> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = world.store.scans(after, limits::PAGE_ROWS_MAX).await?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after = *last;
        all.extend(page.into_iter().map(|(_, scan)| scan));
    }
}
