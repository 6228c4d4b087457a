//! Walking: scans taken from the store, pages read for them, steps made of what the pages hold.

use super::{Event, Room, TICK};
use crate::deliver::addressee::Addressee;
use crate::deliver::walk::{Held, Step, Walk};
use futures_util::FutureExt;
use lockstep_core::change::Change;
use lockstep_core::ids::{BusinessId, RecordId, SubscriptionId};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::scan::{Over, Scan, ScanKey};
use lockstep_store::{Store, StoreError, index};
use std::sync::Arc;

/// A page that a scan has read.
pub(super) enum Page {
    /// Of records, and whether it is the last.
    Records(Vec<Record>, bool),
    /// Of changes, up to which seq it went, and whether it is the last.
    Changes(Vec<Arc<Change>>, u64, bool),
}

impl Room {
    pub(super) fn read_scans(&mut self) {
        if self.is_reading_scans {
            self.must_read_scans_again = true;
            return;
        }
        self.is_reading_scans = true;
        self.must_read_scans_again = false;
        let (store, after) = (Arc::clone(&self.world.store), self.scan_row);
        self.work.push(async move { Event::Scans(store.scans(after, limits::PAGE_ROWS_MAX).await) }.boxed());
    }

    pub(super) async fn scans(&mut self, page: Result<Vec<(i64, Scan)>, StoreError>) -> Result<(), StoreError> {
        self.is_reading_scans = false;
        let rows = match page {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(error = %error, "scans could not be read; it is tried again");
                self.is_reading_scans = true;
                self.must_read_scans_again = true;
                let again = async {
                    tokio::time::sleep(TICK).await;
                    Event::Scans(Ok(Vec::new()))
                };
                self.work.push(again.boxed());
                return Ok(());
            }
        };
        if rows.iter().any(|(_, scan)| !self.lanes.contains_key(&scan.subscription)) {
            self.refresh().await?;
        }
        let is_more = !rows.is_empty() || self.must_read_scans_again;
        for (row, scan) in rows {
            self.scan_row = row;
            let id = scan.subscription;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.take_scan(scan);
            if let Some(tail) = self.tails.get_mut(&lane.business) {
                tail.walking.insert(id);
                tail.owing.insert(id);
                tail.is_dirty = true;
            }
            self.touch(id);
        }
        if is_more {
            self.read_scans();
        }
        Ok(())
    }

    /// Reads pages for a lane's walks that want one.
    pub(super) fn read_walks(&mut self, id: SubscriptionId) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.to.is_some()) else { return };
        if lane.walks.is_empty() {
            if let Some(tail) = self.tails.get_mut(&lane.business) {
                tail.walking.remove(&id);
            }
            return;
        }
        for walk in lane.walks.iter_mut().filter(|walk| walk.wants_page()) {
            walk.begin_reading();
            let (store, scan, after) = (Arc::clone(&self.world.store), walk.scan.clone(), walk.read);
            self.work.push(
                async move {
                    let page = read(store.as_ref(), &scan, after).await;
                    Event::WalkPage(id, scan.operation, page)
                }
                .boxed(),
            );
        }
    }

    pub(super) fn walk_page(&mut self, id: SubscriptionId, operation: OperationId, page: Result<Page, StoreError>) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let to = lane.to.clone();
        let business = lane.business.clone();
        let Some(walk) = lane.walks.iter_mut().find(|walk| walk.scan.operation == operation) else { return };
        match (page, to) {
            (Ok(page), Some(to)) => take(walk, page, &to),
            // Nothing may be sent: the page is read again when something may.
            (Ok(_), None) => walk.is_reading = false,
            (Err(error), _) => {
                tracing::warn!(subscription.id = %id, error = %error, "a page of a scan could not be read; it is tried again");
                walk.is_reading = false;
                self.nudge(business);
                return;
            }
        }
        if let Some(tail) = self.tails.get_mut(&business) {
            tail.owing.insert(id);
            tail.is_dirty = true;
        }
        self.touch(id);
    }
}

/// Reads one page of what a scan walks over.
async fn read(store: &dyn Store, scan: &Scan, after: ScanKey) -> Result<Page, StoreError> {
    let business = &scan.business;
    match &scan.over {
        Over::Records { ty, .. } => {
            let page =
                store.records(business, ty, index::Walk::Up(RecordId(after.0)), limits::PAGE_CHANGES_MAX).await?;
            Ok(Page::Records(page.records, page.is_last))
        }
        Over::Changes { until, .. } => {
            let page = store.changes(business, after.seq(), limits::PAGE_CHANGES_MAX).await?;
            let last = page.changes.last().map_or(*until, |change| change.seq);
            Ok(Page::Changes(page.changes, last, last >= *until))
        }
        Over::Dead { until, .. } => dead(store, business, scan.subscription, (after, *until)).await,
    }
}

/// Changes that were given up, found by their letters.
async fn dead(
    store: &dyn Store,
    business: &BusinessId,
    subscription: SubscriptionId,
    (after, until): (ScanKey, u64),
) -> Result<Page, StoreError> {
    let letters = store.dead_letters(business, subscription, after.seq(), limits::PAGE_CHANGES_MAX).await?;
    let last = letters.last().map_or(until, |letter| letter.seq);
    let mut changes = Vec::with_capacity(letters.len());
    for letter in letters {
        changes.extend(store.change(business, letter.seq).await?);
    }
    Ok(Page::Changes(changes, last, last >= until))
}

/// Gives a walk the steps of a page that its addressee wants.
fn take(walk: &mut Walk, page: Page, to: &Addressee) {
    let operation = walk.scan.operation;
    match page {
        Page::Records(records, is_last) => {
            let read = records.last().map_or(walk.read, |record| ScanKey::of_record(record.id));
            let Over::Records { since, .. } = &walk.scan.over else { return };
            let is_wanted =
                |record: &Record| since.is_none_or(|since| since.takes(record)) && to.current(record).is_some();
            let wanted = records.into_iter().filter(is_wanted);
            let steps = wanted.map(|record| {
                let step = Step {
                    operation,
                    key: ScanKey::of_record(record.id),
                    record: RecordKey { ty: record.ty.clone(), id: record.id },
                    seq: record.last_seq,
                    held: Held::Record(None),
                };
                (step, Some(Arc::new(record)))
            });
            let steps = steps.collect();
            walk.take(steps, read, is_last);
        }
        Page::Changes(changes, last, is_last) => {
            let is_wanted = |change: &Arc<Change>| walk.replays(change) && to.view(change).is_some();
            let wanted: Vec<_> = changes.into_iter().filter(is_wanted).collect();
            let steps = wanted.into_iter().map(|change| {
                let step = Step {
                    operation,
                    key: ScanKey::of_seq(change.seq),
                    record: RecordKey { ty: change.ty.clone(), id: change.record },
                    seq: change.seq,
                    held: Held::Change(change),
                };
                (step, None)
            });
            let steps = steps.collect();
            walk.take(steps, ScanKey::of_seq(last), is_last);
        }
    }
}
