//! Bundles: changes of a lane that go in one request, formed once and tried again with the same members.
//!
//! One that is refused goes on as single changes, so that one bad record holds back no other. One that does not
//! arrive closes the gate, for it is many records at once, and is the next probe; failing as that it goes on singly.

use super::{Effect, Gate, Item, Lane, What};
use crate::deliver::post::{Fate, Landing};
use lockstep_core::clock::Timestamp;
use lockstep_core::limits;
use lockstep_core::subscription::{Batching, Format, Ordering};
use std::collections::BTreeSet;

/// Changes that go together, in order of seq.
#[derive(Clone, Debug)]
pub(in crate::deliver) struct Bundle {
    pub(in crate::deliver) items: Vec<Item>,
    /// Tries that did not arrive.
    pub(in crate::deliver) tries: u32,
}

impl Lane {
    /// Changes that the lane may hold: enough for a batch and another to come.
    pub(super) fn items_max(&self) -> usize {
        self.batch.map_or(0, |batch| batch.max_records.saturating_mul(2)).max(limits::LANE_ITEMS_MAX)
    }

    /// A batch that was tried before.
    pub(super) fn next_bundle(&mut self) -> Option<What> {
        self.bundles.pop_front().map(What::Batch)
    }

    /// The next of what it owes: a batch that was tried before, a change by itself, or a batch that is due.
    pub(super) fn next_owed(&mut self, now: Timestamp) -> Option<What> {
        if !self.bundles.is_empty() {
            return self.next_bundle();
        }
        let Some(batch) = self.batch else { return self.next_change() };
        let single = self.ready.iter().position(|item| item.is_single && self.is_free(item));
        if let Some(item) = single.and_then(|place| self.ready.remove(place)) {
            return Some(What::Change(item));
        }
        self.form(batch, now)
    }

    fn is_free(&self, item: &Item) -> bool {
        self.ordering == Ordering::None || !self.busy.contains(&item.record)
    }

    /// Forms a batch where it is full, or its first change has waited for long enough.
    fn form(&mut self, batch: Batching, now: Timestamp) -> Option<What> {
        let is_of_one_type = self.to.as_ref()?.subscription.format == Format::Collection;
        let (mut picked, mut records) = (Vec::new(), BTreeSet::new());
        let mut first: Option<&Item> = None;
        let mut came_at = now;
        for (place, item) in self.ready.iter().enumerate() {
            let is_strange = is_of_one_type && first.is_some_and(|first| first.ty != item.ty);
            let is_new = || self.ordering == Ordering::None || !records.contains(&item.record);
            if item.is_single || is_strange || !self.is_free(item) || !is_new() {
                continue;
            }
            records.insert(item.record);
            first = first.or(Some(item));
            came_at = came_at.min(item.came_at);
            picked.push(place);
            if picked.len() >= batch.max_records {
                break;
            }
        }
        let is_due = now.ms_since(came_at) >= batch.max_wait_ms;
        if picked.is_empty() || !(is_due || picked.len() >= batch.max_records) {
            return None;
        }
        let mut items: Vec<Item> = picked.into_iter().rev().filter_map(|place| self.ready.remove(place)).collect();
        items.sort_by_key(|item| item.seq);
        if self.ordering != Ordering::None {
            self.busy.extend(records);
        }
        match items.len() {
            1 => items.pop().map(What::Change),
            _ => Some(What::Batch(Bundle { items, tries: 0 })),
        }
    }

    /// When, after now, the first change that may go has waited for long enough.
    pub(super) fn batch_due_after(&self, now: Timestamp) -> Option<Timestamp> {
        let wait_ms = i64::try_from(self.batch?.max_wait_ms).unwrap_or(i64::MAX);
        let waiting = self.ready.iter().filter(|item| !item.is_single && self.is_free(item));
        waiting.map(|item| item.came_at.plus_ms(wait_ms)).filter(|due| *due > now).min()
    }

    /// Takes in how a batch's try went.
    pub(super) fn batch_landed(&mut self, mut bundle: Bundle, landing: &Landing, fraction: f64) -> Effect {
        match landing.fate {
            Fate::Delivered | Fate::Unwanted => {
                for item in bundle.items {
                    self.unsettled.remove(&item.seq);
                    self.busy.remove(&item.record);
                    self.release(item.record);
                }
            }
            // Its records stay busy: what comes later of them waits.
            Fate::NotYet | Fate::Unread => self.bundles.push_front(bundle),
            Fate::TooMuch => self.halve(bundle),
            Fate::Unreached | Fate::Throttled(_) if bundle.tries == 0 => {
                bundle.tries = 1;
                self.close(landing, matches!(landing.fate, Fate::Throttled(_)), fraction);
                self.bundles.push_front(bundle);
            }
            Fate::Refused | Fate::Unreached | Fate::Throttled(_) | Fate::Gone => {
                let is_closed = matches!(self.gate, Gate::Closed(_));
                if is_closed || landing.fate != Fate::Refused {
                    self.close(landing, matches!(landing.fate, Fate::Throttled(_)), fraction);
                }
                self.part(bundle);
            }
        }
        Effect::Nothing
    }

    /// Two batches of one that is too long to send; what is alone then goes singly.
    fn halve(&mut self, mut bundle: Bundle) {
        let later = bundle.items.split_off(bundle.items.len() / 2);
        for items in [later, bundle.items] {
            let half = Bundle { items, tries: 0 };
            if half.items.len() > 1 {
                self.bundles.push_front(half);
            } else {
                self.part(half);
            }
        }
    }

    /// Lets the members of a batch go on as single changes.
    fn part(&mut self, bundle: Bundle) {
        for item in bundle.items.into_iter().rev() {
            self.busy.remove(&item.record);
            self.put_back(Item { is_single: true, ..item }, false);
        }
    }
}
