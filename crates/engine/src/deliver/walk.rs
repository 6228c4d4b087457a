//! A walk: one stored scan on its way through a lane.
//!
//! Pure state, like the lane it belongs to. It holds a page of what it has read, gives out what may go, and knows
//! the key below which all is settled. A record is told as it was read only while nothing has changed it since;
//! otherwise it is read again when it is sent, so nothing older than a change already sent ever leaves.

use super::post::{Fate, Landing};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::ids::{DeliveryId, RecordId};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::retry;
use lockstep_core::scan::{Over, Scan, ScanKey};
use lockstep_store::settle::ScanSettle;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many of the waiting steps are looked through for one that may go.
const LOOKED_THROUGH: usize = 32;

/// One place of a walk.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) operation: OperationId,
    pub(super) key: ScanKey,
    pub(super) record: RecordKey,
    /// The newest change of what is to be told: the lane must have come so far.
    pub(super) seq: u64,
    pub(super) held: Held,
}

/// What a step has at hand.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// A record as it was read, while it is as it was.
    Record(Option<Arc<Record>>),
    /// A change of the past.
    Change(Arc<Change>),
}

/// A scan on its way.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) scan: Scan,
    /// Whether a page is being read.
    pub(super) is_reading: bool,
    /// Up to and with which key it has read.
    pub(super) read: ScanKey,
    is_read_out: bool,
    ready: VecDeque<Step>,
    /// Records as they were read, by id, for those in `ready` that have not changed since.
    fresh: BTreeMap<RecordId, Arc<Record>>,
    /// Records that changed while a page was being read; none where too many did.
    changed: Option<BTreeSet<RecordId>>,
    unsettled: BTreeSet<ScanKey>,
    not_before: Timestamp,
    matched: u64,
    sent: u64,
    put_off: Vec<Notice>,
    /// Records of which a notice has been put off and is not back from the store yet.
    away: BTreeSet<RecordId>,
    settled: ScanKey,
    is_over: bool,
}

impl Walk {
    pub(super) fn new(scan: Scan) -> Self {
        Self {
            is_reading: false,
            read: scan.done,
            settled: scan.done,
            scan,
            is_read_out: false,
            ready: VecDeque::new(),
            fresh: BTreeMap::new(),
            changed: Some(BTreeSet::new()),
            unsettled: BTreeSet::new(),
            not_before: Timestamp(0),
            matched: 0,
            sent: 0,
            put_off: Vec::new(),
            away: BTreeSet::new(),
            is_over: false,
        }
    }

    /// Whether it should read a page now.
    pub(super) fn wants_page(&self) -> bool {
        !self.is_reading && !self.is_read_out && self.ready.len() <= limits::PAGE_CHANGES_MAX / 2
    }

    pub(super) fn begin_reading(&mut self) {
        self.is_reading = true;
        self.changed = Some(BTreeSet::new());
    }

    /// Takes what a page held that is wanted, the key up to which it went, and whether it was the last.
    pub(super) fn take(&mut self, steps: Vec<(Step, Option<Arc<Record>>)>, read: ScanKey, is_last: bool) {
        self.is_reading = false;
        self.is_read_out = is_last;
        self.read = self.read.max(read);
        let changed = self.changed.replace(BTreeSet::new());
        for (step, record) in steps {
            self.matched += 1;
            self.unsettled.insert(step.key);
            let is_as_read = changed.as_ref().is_some_and(|changed| !changed.contains(&step.record.id));
            if let Some(record) = record.filter(|_| is_as_read) {
                self.fresh.insert(step.record.id, record);
            }
            self.ready.push_back(step);
        }
    }

    /// Notes that a record has changed: what was read of it is old.
    pub(super) fn note_change(&mut self, record: RecordId) {
        self.fresh.remove(&record);
        if !self.is_reading {
            return;
        }
        if let Some(changed) = &mut self.changed {
            changed.insert(record);
            if changed.len() > limits::PAGE_CHANGES_MAX {
                self.changed = None;
            }
        }
    }

    /// When, after now, the clock lets it go on.
    pub(super) fn due_after(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.ready.is_empty() && self.not_before > now).then_some(self.not_before)
    }

    /// Whether something is still to be sent.
    pub(super) fn has_more(&self) -> bool {
        !self.unsettled.is_empty() || !self.is_read_out
    }

    /// The first step that may go, given how far the lane has come, which records it may not send now, and of which a
    /// change of the past waits for its next try: what follows that one is put off behind it.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        reached: u64,
        is_held: impl Fn(RecordId) -> bool,
        is_put_off: impl Fn(RecordId) -> bool,
    ) -> Option<Step> {
        if self.not_before > now {
            return None;
        }
        let mut place = 0;
        while place < LOOKED_THROUGH {
            let step = self.ready.get(place)?;
            let record = step.record.id;
            let is_replay = matches!(step.held, Held::Change(_));
            if is_replay && (self.away.contains(&record) || is_put_off(record)) {
                let step = self.ready.remove(place)?;
                self.put_off(&step, 0, now, now);
            } else if is_held(record) || !(is_replay || step.seq <= reached) {
                place += 1;
            } else {
                let mut step = self.ready.remove(place)?;
                if let Held::Record(held) = &mut step.held {
                    *held = self.fresh.remove(&record);
                }
                return Some(step);
            }
        }
        None
    }

    /// Makes a notice of a step: it has a row and a schedule of its own from then on.
    fn put_off(&mut self, step: &Step, attempt: u32, at: Timestamp, next_at: Timestamp) {
        self.unsettled.remove(&step.key);
        self.away.insert(step.record.id);
        let notice = Notice { attempt, ..self.notice(step, at, next_at) };
        self.put_off.push(notice);
    }

    /// Takes in how a step's try went; `is_held_against` says whether a refusal counts against its record.
    pub(super) fn landed(&mut self, step: Step, landing: &Landing, is_held_against: bool, fraction: f64) {
        match landing.fate {
            Fate::Delivered => {
                self.sent += 1;
                self.unsettled.remove(&step.key);
            }
            Fate::Unwanted => {
                self.unsettled.remove(&step.key);
            }
            Fate::NotYet | Fate::Unread | Fate::TooMuch => {
                self.not_before = landing.at.plus_ms(super::lane::NOT_YET_MS);
                self.put_back(step);
            }
            Fate::Refused | Fate::Unreached | Fate::Throttled(_) if is_held_against => {
                let wait = retry::wait_after(1, fraction);
                self.put_off(&step, 1, landing.at, super::lane::after(landing.at, wait));
            }
            Fate::Refused | Fate::Unreached | Fate::Throttled(_) | Fate::Gone => self.put_back(step),
        }
    }

    fn put_back(&mut self, mut step: Step) {
        // Whether it is still as it was read is not known: it is read again when it is sent.
        if let Held::Record(held) = &mut step.held {
            *held = None;
        }
        self.ready.push_front(step);
    }

    fn notice(&self, step: &Step, at: Timestamp, next_at: Timestamp) -> Notice {
        let (operation, subscription) = (self.scan.operation, self.scan.subscription);
        let (ty, record) = (step.record.ty.clone(), step.record.id);
        let (id, body) = match &step.held {
            Held::Record(_) => {
                let id = DeliveryId::of_sync(operation, record, subscription);
                (id, NoticeBody::Current { operation, ty, record })
            }
            Held::Change(change) => {
                let id = DeliveryId::of_change(change.id, subscription);
                (id, NoticeBody::Replay { seq: change.seq, ty, record, operation: Some(operation) })
            }
        };
        let business = self.scan.business.clone();
        Notice { id, business, subscription, after_seq: 0, at, body, attempt: 0, next_at }
    }

    /// Notes that what was put off of a record is back from the store.
    pub(super) fn is_back(&mut self, record: RecordId) {
        self.away.remove(&record);
    }

    fn settled_to(&self) -> ScanKey {
        self.unsettled.first().map_or(self.read, |first| ScanKey(first.0.saturating_sub(1)))
    }

    /// Whether it has moves to settle.
    pub(super) fn has_moves(&self) -> bool {
        let has_counts = self.matched > 0 || self.sent > 0 || !self.put_off.is_empty();
        !self.is_over && (has_counts || self.settled_to() > self.settled || !self.has_more())
    }

    /// What has moved since the last time, for whoever settles; after its last move it is over.
    pub(super) fn moves(&mut self) -> Option<ScanSettle> {
        if !self.has_moves() {
            return None;
        }
        self.settled = self.settled_to();
        self.is_over = !self.has_more();
        Some(ScanSettle {
            operation: self.scan.operation,
            business: self.scan.business.clone(),
            subscription: self.scan.subscription,
            done: self.settled,
            matched: std::mem::take(&mut self.matched),
            sent: std::mem::take(&mut self.sent),
            put_off: std::mem::take(&mut self.put_off),
            is_over: self.is_over,
            tell: Vec::new(),
        })
    }

    /// Whether its end has been given to be settled.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a change is one that it replays.
    pub(super) fn replays(&self, change: &Change) -> bool {
        match &self.scan.over {
            Over::Changes { until, only } | Over::Dead { until, only } => change.seq <= *until && only.takes(change),
            Over::Records { .. } => false,
        }
    }
}
