//! Settling: what has landed since the last time, as one settle, and what stands after it.

use super::lane::Lane;
use super::tail::Tail;
use super::walk::Walk;
use crate::settings::{Owner, Settings};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Notice;
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_store::settle::{Fence, LaneStep, NoticeSettle, NoticeStep, OutletSettle, ScanSettle, Settle};
use std::collections::BTreeMap;

/// The settle of everything dirty; the lanes' moves are taken out of them.
pub(super) fn gather(
    fence: Fence,
    at: Timestamp,
    tails: &mut BTreeMap<BusinessId, Tail>,
    lanes: &mut BTreeMap<SubscriptionId, Lane>,
    settings: &Settings,
) -> Settle {
    let mut settle = Settle { fence, at, ..Settle::default() };
    for (business, tail) in tails.iter_mut().filter(|(_, tail)| tail.is_dirty) {
        tail.is_dirty = false;
        let mut outlet = OutletSettle { business: business.clone(), position: None, steps: Vec::new() };
        if tail.stored != Some(tail.position) {
            outlet.position = Some(tail.position);
        }
        for id in &tail.owing {
            let Some(lane) = lanes.get_mut(id) else { continue };
            outlet.steps.extend(lane.steps.drain(..).map(|step| (*id, step)));
            outlet.steps.extend(row_step(lane, tail.position).map(|step| (*id, step)));
            outlet.steps.extend(lane.gate_step().map(|step| (*id, step)));
            settle.scans.append(&mut lane.unsettled_scans);
            let moves = lane.walks.iter_mut().filter_map(Walk::moves);
            settle.scans.extend(moves.map(|moved| told_of_scan(moved, settings)));
            lane.walks.retain(|walk| !walk.is_over());
            settle.notices.append(&mut lane.unsettled_notices);
            settle.notices.extend(lane.notice_steps.drain(..).map(|moved| told(moved, settings)));
        }
        if outlet.position.is_some() || !outlet.steps.is_empty() {
            settle.outlets.push(outlet);
        }
    }
    settle
}

/// What must become of a lane's row for its cursor to be read back from it and the tail's position.
fn row_step(lane: &Lane, position: u64) -> Option<LaneStep> {
    let cursor = lane.cursor(position);
    let owes_nothing = cursor == position && !lane.is_behind;
    match (owes_nothing, lane.row) {
        (true, Some(_)) => Some(LaneStep::Rejoined),
        (true, None) => None,
        (false, Some(row)) if row == cursor => None,
        (false, _) => Some(LaneStep::Cursor(cursor)),
    }
}

fn told_of_scan(mut moved: ScanSettle, settings: &Settings) -> ScanSettle {
    if moved.is_over {
        moved.tell = whom_to_tell(moved.subscription, settings);
    }
    moved
}

/// Who asks for word of the end of what a subscription's owner asked for.
fn whom_to_tell(id: SubscriptionId, settings: &Settings) -> Vec<SubscriptionId> {
    let owner = settings.subscriptions.get(&id).map(|live| &live.subscription);
    owner.map(|owner| settings.tell(&Owner::of(owner)).completed.clone()).unwrap_or_default()
}

fn told((notice, mut step): (Notice, NoticeStep), settings: &Settings) -> NoticeSettle {
    if let NoticeStep::Done { sync: Some(_), tell, .. } = &mut step {
        *tell = whom_to_tell(notice.subscription, settings);
    }
    NoticeSettle { id: notice.id, business: notice.business, subscription: notice.subscription, step }
}

/// Takes in that a settle has been stored.
pub(super) fn stored(
    settle: &Settle,
    tails: &mut BTreeMap<BusinessId, Tail>,
    lanes: &mut BTreeMap<SubscriptionId, Lane>,
) {
    for outlet in &settle.outlets {
        let Some(tail) = tails.get_mut(&outlet.business) else { continue };
        tail.stored = outlet.position.or(tail.stored);
        for (id, step) in &outlet.steps {
            let Some(lane) = lanes.get_mut(id) else { continue };
            match step {
                LaneStep::Cursor(cursor) => lane.row = Some(*cursor),
                LaneStep::Rejoined => lane.row = None,
                LaneStep::Shut(down) => lane.down = Some(*down),
                LaneStep::Opened => lane.down = None,
                _ => {}
            }
        }
        let owes = |id: &SubscriptionId| {
            lanes.get(id).is_some_and(|lane| {
                // One that has read ahead of the tail owes what it holds, though its cursor is the tail's position: the
                // tail will move on past it without a word.
                let owes = lane.held() > 0 || lane.cursor(tail.position) != tail.position;
                lane.row.is_some() || lane.is_behind || owes || lane.has_moves()
            })
        };
        tail.owing.retain(owes);
    }
}

/// Puts back the moves of a settle that was not stored, before those made since.
pub(super) fn put_back(
    settle: Settle,
    tails: &mut BTreeMap<BusinessId, Tail>,
    lanes: &mut BTreeMap<SubscriptionId, Lane>,
) {
    for outlet in settle.outlets {
        let Some(tail) = tails.get_mut(&outlet.business) else { continue };
        tail.is_dirty = true;
        for (id, step) in outlet.steps.into_iter().rev() {
            let Some(lane) = lanes.get_mut(&id) else { continue };
            tail.owing.insert(id);
            let follows_from_the_lane =
                matches!(step, LaneStep::Cursor(_) | LaneStep::Rejoined | LaneStep::Shut(_) | LaneStep::Opened);
            if !follows_from_the_lane {
                lane.steps.insert(0, step);
            }
        }
    }
    for scan in settle.scans {
        let Some(lane) = lanes.get_mut(&scan.subscription) else { continue };
        if let Some(tail) = tails.get_mut(&lane.business) {
            tail.is_dirty = true;
            tail.owing.insert(scan.subscription);
        }
        lane.unsettled_scans.push(scan);
    }
    for notice in settle.notices {
        let Some(lane) = lanes.get_mut(&notice.subscription) else { continue };
        if let Some(tail) = tails.get_mut(&lane.business) {
            tail.is_dirty = true;
            tail.owing.insert(notice.subscription);
        }
        lane.unsettled_notices.push(notice);
    }
}
