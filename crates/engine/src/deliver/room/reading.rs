//! Reading: pages of the log for tails and lanes, notices, and what is made of each when it comes.
//!
//! Word of more that comes while a page is being read asks for another: that page may have been read before.

use super::{Event, PAGES_HELD_MAX, Room, TICK, item, queue, set_alarm};
use futures_util::FutureExt;
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Notice;
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_core::limits;
use lockstep_store::{ChangePage, StoreError};
use std::sync::Arc;

impl Room {
    pub(super) fn read_tail(&mut self, business: &BusinessId) {
        let Some(tail) = self.tails.get_mut(business) else { return };
        if tail.is_reading {
            tail.must_read_again = true;
            return;
        }
        tail.is_reading = true;
        tail.must_read_again = false;
        let (store, business, after) = (Arc::clone(&self.world.store), business.clone(), tail.position);
        self.work.push(
            async move {
                let page = store.changes(&business, after, limits::PAGE_CHANGES_MAX).await;
                Event::TailPage(business, page)
            }
            .boxed(),
        );
    }

    pub(super) async fn tail_page(
        &mut self,
        business: &BusinessId,
        page: Result<ChangePage, StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(tail) = self.tails.get_mut(business) {
            tail.is_reading = false;
        }
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(business.id = %business, error = %error, "the log could not be read; it is tried again");
                self.nudge(business.clone());
                return Ok(());
            }
        };
        if page.settings_version > self.settings.version {
            self.refresh().await?;
        }
        let now = self.world.clock.now();
        // A tail made anew meanwhile may stand before what this page begins with.
        let position = self.tails.get(business).map_or(0, |tail| tail.position);
        if page.changes.first().is_none_or(|first| first.seq <= position + 1) {
            for change in &page.changes {
                self.hand_out(business, change, now);
            }
        }
        // What walks have read may wait for the tail to come by.
        let walking: Vec<_> = self.tails.get(business).into_iter().flat_map(|tail| &tail.walking).copied().collect();
        walking.into_iter().for_each(|id| self.touch(id));
        let is_behind = self.tails.get(business).is_some_and(|tail| tail.position < page.head || tail.must_read_again);
        if is_behind {
            self.read_tail(business);
        }
        Ok(())
    }

    /// Gives a change to every caught-up lane that wants it.
    fn hand_out(&mut self, business: &BusinessId, change: &Arc<Change>, now: Timestamp) {
        let Some(tail) = self.tails.get_mut(business).filter(|tail| tail.position < change.seq) else { return };
        for id in &tail.walking {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.note_change(change.record);
            }
        }
        if change.state.is_erased {
            for id in &tail.lanes {
                if let Some(lane) = self.lanes.get_mut(id) {
                    lane.forget(change.record);
                }
            }
        }
        let candidates: Vec<_> = tail.index.candidates(change).collect();
        for id in candidates {
            let Some(lane) = self.lanes.get_mut(&id).filter(|lane| !lane.is_behind && lane.scanned < change.seq) else {
                continue;
            };
            let wants = lane.to.as_ref().is_some_and(|to| to.view(change).is_some());
            if !wants {
                continue;
            }
            if self.held >= limits::ALL_LANES_ITEMS_MAX || lane.is_full() {
                lane.leave(change.seq - 1);
            } else {
                let before = lane.held();
                lane.push(item(change, now), now);
                self.held = (self.held + lane.held()).saturating_sub(before);
            }
            tail.owing.insert(id);
            queue(&mut self.round, id, lane);
            set_alarm(&mut self.alarms, id, lane, now);
        }
        tail.position = change.seq;
        tail.is_dirty = true;
    }

    pub(super) fn read_lane(&mut self, id: SubscriptionId) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.wants_page()) else { return };
        if self.catch_ups >= limits::CATCH_UPS_MAX {
            if !lane.is_hungry {
                lane.is_hungry = true;
                self.hungry.push_back(id);
            }
            return;
        }
        lane.is_reading = true;
        self.catch_ups += 1;
        let (store, business, after) = (Arc::clone(&self.world.store), lane.business.clone(), lane.scanned);
        self.work.push(
            async move { Event::LanePage(id, store.changes(&business, after, limits::PAGE_CHANGES_MAX).await) }.boxed(),
        );
    }

    /// Gives free places to lanes that wait for one; those that want no page any more let the next one pass.
    fn feed(&mut self) {
        while self.catch_ups < limits::CATCH_UPS_MAX
            && let Some(next) = self.hungry.pop_front()
        {
            if let Some(lane) = self.lanes.get_mut(&next) {
                lane.is_hungry = false;
            }
            self.read_lane(next);
        }
    }

    pub(super) async fn lane_page(
        &mut self,
        id: SubscriptionId,
        page: Result<ChangePage, StoreError>,
    ) -> Result<(), StoreError> {
        self.catch_ups = self.catch_ups.saturating_sub(1);
        self.feed();
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        lane.is_reading = false;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(subscription.id = %id, error = %error, "a page could not be read; it is tried again");
                let business = lane.business.clone();
                self.nudge(business);
                return Ok(());
            }
        };
        if page.settings_version > self.settings.version {
            self.refresh().await?;
        }
        let now = self.world.clock.now();
        let pages_held = self.lanes.values().filter(|lane| !lane.page.is_empty()).take(PAGES_HELD_MAX).count();
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.is_behind) else { return Ok(()) };
        let Some(tail) = self.tails.get_mut(&lane.business) else { return Ok(()) };
        let Some(to) = lane.to.clone() else { return Ok(()) };
        let before = lane.held();
        let already = lane.scanned;
        for change in page.changes.iter().filter(|change| change.seq > already) {
            lane.note_change(change.record);
            if to.view(change).is_some() {
                if lane.is_full() {
                    break;
                }
                lane.push(item(change, now), now);
            }
            lane.scanned = change.seq;
        }
        self.held = (self.held + lane.held()).saturating_sub(before);
        // Behind the tail, the log may have moved on by pages; only the tail's position says who is caught up.
        if lane.scanned >= tail.position {
            lane.is_behind = false;
            lane.page.clear();
        } else if pages_held < PAGES_HELD_MAX {
            lane.page = page.changes;
        }
        tail.owing.insert(id);
        tail.is_dirty = true;
        self.touch(id);
        Ok(())
    }

    pub(super) fn read_notices(&mut self) {
        if self.is_reading_notices {
            self.must_read_notices_again = true;
            return;
        }
        self.is_reading_notices = true;
        self.must_read_notices_again = false;
        let (store, after) = (Arc::clone(&self.world.store), self.notice_row);
        self.work.push(async move { Event::Notices(store.notices(after, limits::PAGE_ROWS_MAX).await) }.boxed());
    }

    pub(super) async fn notices(&mut self, page: Result<Vec<(i64, Notice)>, StoreError>) -> Result<(), StoreError> {
        self.is_reading_notices = false;
        let rows = match page {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(error = %error, "notices could not be read; it is tried again");
                self.is_reading_notices = true;
                let again = async {
                    tokio::time::sleep(TICK).await;
                    Event::Notices(Ok(Vec::new()))
                };
                self.must_read_notices_again = true;
                self.work.push(again.boxed());
                return Ok(());
            }
        };
        // One that is here before word of its subscription was taken in.
        if rows.iter().any(|(_, notice)| !self.lanes.contains_key(&notice.subscription)) {
            self.refresh().await?;
        }
        let is_more = !rows.is_empty() || self.must_read_notices_again;
        for (row, notice) in rows {
            self.notice_row = row;
            let id = notice.subscription;
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.take_notice(notice);
                self.touch(id);
            }
        }
        if is_more {
            self.read_notices();
        }
        Ok(())
    }

    pub(super) fn nudge(&mut self, business: BusinessId) {
        self.work.push(
            async move {
                tokio::time::sleep(TICK).await;
                Event::Nudge(business)
            }
            .boxed(),
        );
    }
}
