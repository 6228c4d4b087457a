//! A lane: what one subscription is owed, in which order it may leave, and what each landing makes of that.
//!
//! Pure state: it neither reads nor sends. The room asks [`Lane::next`] what to send and tells [`Lane::landed`] how
//! it went.

mod bundle;
mod pace;
mod parking;

pub(super) use self::bundle::Bundle;
use self::pace::Pace;
use self::parking::ParkedRecord;
use super::addressee::Addressee;
use super::post::{Fate, Landing};
use super::walk::{Held, Step, Walk};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{Down, Notice, NoticeBody};
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, TypeId};
use lockstep_core::limits;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::retry;
use lockstep_core::scan::Scan;
use lockstep_core::subscription::{Batching, Ordering};
use lockstep_store::settle::{LaneStep, NoticeSettle, NoticeStep, ScanSettle};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// One change that the lane owes.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) seq: u64,
    pub(super) ty: TypeId,
    pub(super) record: RecordId,
    pub(super) at: Timestamp,
    /// When the lane took it.
    pub(super) came_at: Timestamp,
    /// Whether it goes by itself, because a batch with it was refused.
    pub(super) is_single: bool,
    /// The change itself, for as long as someone holds it; after that it is read again when it is sent.
    pub(super) held: Weak<Change>,
}

/// Something to send.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A change in its turn.
    Change(Item),
    /// Changes that go together.
    Batch(Bundle),
    /// A parked record's next try.
    Parked(RecordKey, u64),
    /// A notice.
    Notice(Box<Notice>),
    /// A step of a walk.
    Step(Box<Step>),
}

impl What {
    fn record(&self) -> Option<RecordId> {
        match self {
            Self::Change(item) => Some(item.record),
            Self::Batch(_) => None,
            Self::Parked(key, _) => Some(key.id),
            Self::Notice(notice) => notice.body.record().map(|key| key.id),
            Self::Step(step) => Some(step.record.id),
        }
    }
}

/// What a landing asks of the room.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Nothing more.
    Nothing,
    /// Find what follows a seq along a record's chain.
    Follow(RecordKey, u64),
    /// End the subscription: the endpoint said 410.
    End,
}

/// Whether deliveries go out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Gate {
    /// They do.
    Open,
    /// Single probes do.
    Closed(Closed),
}

/// A closed gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closed {
    pub(super) since: Timestamp,
    pub(super) next_at: Timestamp,
    pub(super) wait: Duration,
    pub(super) is_probing: bool,
    pub(super) reason: String,
    pub(super) is_warned: bool,
}

/// One subscription's lane in one business.
#[derive(Debug)]
pub(super) struct Lane {
    /// None while nothing may be sent.
    pub(super) to: Option<Arc<Addressee>>,
    /// Up to where it has read by itself; while it is in the tail's company, the tail's position counts too.
    pub(super) scanned: u64,
    /// The business it belongs to.
    pub(super) business: BusinessId,
    /// The page that its items hold on to, while it reads pages of its own.
    pub(super) page: Vec<Arc<Change>>,
    /// Whether it reads pages of its own.
    pub(super) is_behind: bool,
    pub(super) is_reading: bool,
    /// Whether it waits in the room's queue for a page.
    pub(super) is_hungry: bool,
    /// The cursor in its row, if it has one.
    pub(super) row: Option<u64>,
    /// Whether it waits in the room's round.
    pub(super) is_queued: bool,
    pub(super) alarm: Option<Timestamp>,
    /// Moves not yet settled.
    pub(super) steps: Vec<LaneStep>,
    pub(super) notice_steps: Vec<(Notice, NoticeStep)>,
    /// Moves of notices that a failed settle gave back.
    pub(super) unsettled_notices: Vec<NoticeSettle>,
    /// Moves of scans that a failed settle gave back.
    pub(super) unsettled_scans: Vec<ScanSettle>,
    /// Scans on their way.
    pub(super) walks: Vec<Walk>,
    pub(super) gate: Gate,
    /// How its endpoint is, as stored.
    pub(super) down: Option<Down>,
    /// Whether its gate is as it was stored, and nobody has addressed it since.
    pub(super) is_restored: bool,
    /// What holds among the changes of one record.
    pub(super) ordering: Ordering,
    /// Whether changes go together.
    pub(super) batch: Option<Batching>,
    /// How many requests a second.
    pub(super) pace: Pace,
    /// Batches that wait for another try.
    bundles: VecDeque<Bundle>,
    /// Things given out, so that a walk has its share beside a flood of changes.
    given: u64,
    unsettled: BTreeMap<u64, Timestamp>,
    ready: VecDeque<Item>,
    waiting: BTreeMap<RecordId, VecDeque<Item>>,
    busy: BTreeSet<RecordId>,
    in_flight: usize,
    notices_in_flight: BTreeSet<DeliveryId>,
    width: usize,
    failing: BTreeSet<RecordId>,
    throttled_by: Option<RecordId>,
    has_passed_since: bool,
    parked: BTreeMap<RecordId, ParkedRecord>,
    parked_due: BTreeSet<(Timestamp, RecordId)>,
    notices: BTreeMap<(Timestamp, DeliveryId), Notice>,
    /// Seqs of the past that wait as notices, by record: they go in order.
    replays: BTreeMap<RecordId, BTreeSet<u64>>,
}

const NOTICES_IN_FLIGHT_MAX: usize = 4;
/// Wait before what tells of something that has not come by yet is tried again.
pub(super) const NOT_YET_MS: i64 = 20;
/// Of so many things given out, a walk's step goes before waiting changes once.
const WALK_EVERY: u64 = 8;

impl Lane {
    /// A lane that has read up to a seq.
    pub(super) fn new(business: BusinessId, scanned: u64, row: Option<u64>) -> Self {
        Self {
            to: None,
            scanned,
            business,
            page: Vec::new(),
            is_behind: true,
            is_reading: false,
            is_hungry: false,
            row,
            is_queued: false,
            alarm: None,
            steps: Vec::new(),
            notice_steps: Vec::new(),
            unsettled_notices: Vec::new(),
            unsettled_scans: Vec::new(),
            walks: Vec::new(),
            gate: Gate::Open,
            down: None,
            is_restored: false,
            ordering: Ordering::Record,
            batch: None,
            pace: Pace::default(),
            bundles: VecDeque::new(),
            given: 0,
            unsettled: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            busy: BTreeSet::new(),
            in_flight: 0,
            notices_in_flight: BTreeSet::new(),
            width: limits::ENDPOINT_DELIVERIES_MAX,
            failing: BTreeSet::new(),
            throttled_by: None,
            has_passed_since: false,
            parked: BTreeMap::new(),
            parked_due: BTreeSet::new(),
            notices: BTreeMap::new(),
            replays: BTreeMap::new(),
        }
    }

    /// How far it has read, given where the tail stands.
    pub(super) fn reached(&self, tail: u64) -> u64 {
        if self.is_behind { self.scanned } else { self.scanned.max(tail) }
    }

    /// The highest seq below which all is settled, unwanted or parked.
    pub(super) fn cursor(&self, tail: u64) -> u64 {
        match self.unsettled.first_key_value() {
            Some((seq, _)) => seq - 1,
            None => self.reached(tail),
        }
    }

    /// When the oldest change it owes was made.
    pub(super) fn oldest_at(&self) -> Option<Timestamp> {
        self.unsettled.first_key_value().map(|(_, at)| *at)
    }

    /// Changes it holds.
    pub(super) fn held(&self) -> usize {
        self.unsettled.len()
    }

    /// Whether it holds as many as it may.
    pub(super) fn is_full(&self) -> bool {
        self.unsettled.len() >= self.items_max()
    }

    /// Whether it should read a page of its own now.
    pub(super) fn wants_page(&self) -> bool {
        let has_room = match self.gate {
            Gate::Open => self.unsettled.len() <= self.items_max() / 2,
            Gate::Closed(_) => self.unsettled.is_empty(),
        };
        self.to.is_some() && self.is_behind && !self.is_reading && has_room
    }

    /// Takes a notice, unless it is here already.
    pub(super) fn take_notice(&mut self, notice: Notice) {
        let is_here =
            self.notices_in_flight.contains(&notice.id) || self.notices.values().any(|held| held.id == notice.id);
        if let (Some(_), Some(key)) = (notice.body.sync(), notice.body.record()) {
            self.walks.iter_mut().for_each(|walk| walk.is_back(key.id));
        }
        if is_here {
            return;
        }
        if self.notices.len() >= limits::NOTICES_MAX {
            let sync = notice.body.sync();
            self.notice_steps.push((notice, NoticeStep::Done { is_sent: false, sync, tell: Vec::new() }));
            return;
        }
        if let NoticeBody::Replay { seq, record, .. } = &notice.body {
            self.replays.entry(*record).or_default().insert(*seq);
        }
        self.notices.insert((notice.next_at, notice.id), notice);
    }

    /// When, after now, the clock brings something to do. What is due already and may not go waits for a landing,
    /// never for the clock.
    pub(super) fn due_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.to.as_ref()?;
        let later = (Excluded((now, RecordId(u128::MAX))), Unbounded);
        let parked = self.parked_due.range(later).next().map(|(at, _)| *at);
        let later = (Excluded((now, DeliveryId(u128::MAX))), Unbounded);
        let notice = self.notices.range(later).next().map(|((at, _), _)| *at);
        let walk = self.walks.iter().filter_map(|walk| walk.due_after(now)).min();
        let has_walks = self.walks.iter().any(Walk::has_more);
        let has_something =
            has_walks || !self.unsettled.is_empty() || !self.parked.is_empty() || !self.notices.is_empty();
        let Gate::Closed(closed) = &self.gate else {
            let pace = self.pace.later(now).filter(|_| has_something);
            return [parked, notice, walk, self.batch_due_after(now), pace].into_iter().flatten().min();
        };
        if closed.next_at > now { has_something.then_some(closed.next_at) } else { notice }
    }

    /// What to send now, if anything may go, given how far it has come.
    pub(super) fn next(&mut self, now: Timestamp, reached: u64) -> Option<What> {
        self.to.as_ref()?;
        let is_probe = match &self.gate {
            Gate::Open if self.in_flight < self.width => false,
            Gate::Closed(closed) if !closed.is_probing && closed.next_at <= now && self.in_flight == 0 => true,
            _ => return None,
        };
        if self.pace.later(now).is_some() {
            return None;
        }
        let is_walks_turn = self.given.is_multiple_of(WALK_EVERY);
        let what = match is_probe {
            true => self
                .next_bundle()
                .or_else(|| self.next_change())
                .or_else(|| self.next_parked(None))
                .or_else(|| self.next_notice(now)),
            false => {
                let first = self.next_parked(Some(now)).or_else(|| self.next_notice(now));
                let first = first.or_else(|| is_walks_turn.then(|| self.next_step(now, reached)).flatten());
                first.or_else(|| self.next_owed(now))
            }
        };
        let what = what.or_else(|| self.next_step(now, reached))?;
        self.given += 1;
        if let (true, Gate::Closed(closed)) = (is_probe, &mut self.gate) {
            closed.is_probing = true;
        }
        self.in_flight += 1;
        self.pace.take(now);
        let is_free = self.ordering == Ordering::None && matches!(what, What::Change(_) | What::Parked(..));
        self.busy.extend(what.record().filter(|_| !is_free));
        Some(what)
    }

    fn next_change(&mut self) -> Option<What> {
        while let Some(item) = self.ready.pop_front() {
            if self.ordering == Ordering::None || !self.busy.contains(&item.record) {
                return Some(What::Change(item));
            }
            self.wait_for_turn(item);
        }
        None
    }

    /// Lets a change wait until its record is back; where only the latest counts, in the place of one that waits.
    fn wait_for_turn(&mut self, item: Item) {
        let waiting = self.waiting.entry(item.record).or_default();
        if self.ordering == Ordering::Latest {
            for older in waiting.drain(..) {
                self.unsettled.remove(&older.seq);
            }
        }
        waiting.push_back(item);
    }

    /// Takes a wanted change, the next in order of seq.
    pub(super) fn push(&mut self, item: Item, now: Timestamp) {
        if self.parked.contains_key(&item.record) {
            self.push_parked(&item, now);
            return;
        }
        self.unsettled.insert(item.seq, item.at);
        if self.ordering == Ordering::Latest {
            let place = self.ready.iter_mut().rfind(|held| held.record == item.record);
            let place = place.or_else(|| self.waiting.get_mut(&item.record)?.back_mut());
            if let Some(place) = place {
                let item = Item { came_at: place.came_at, ..item };
                let older = std::mem::replace(place, item);
                self.unsettled.remove(&older.seq);
                return;
            }
        }
        self.ready.push_back(item);
    }

    fn next_notice(&mut self, now: Timestamp) -> Option<What> {
        if self.notices_in_flight.len() >= NOTICES_IN_FLIGHT_MAX {
            return None;
        }
        let due = self.notices.iter().take_while(|((at, _), _)| *at <= now);
        let key = due.into_iter().find(|(_, notice)| self.may_go(notice)).map(|(key, _)| *key)?;
        let notice = self.notices.remove(&key)?;
        self.notices_in_flight.insert(notice.id);
        Some(What::Notice(Box::new(notice)))
    }

    fn next_step(&mut self, now: Timestamp, reached: u64) -> Option<What> {
        // Those that were put off are bounded by what may be parked.
        if self.notices.len() >= limits::PARKED_MAX {
            return None;
        }
        let mut walks = std::mem::take(&mut self.walks);
        let is_held = |record: RecordId| {
            self.busy.contains(&record)
                || self.parked.contains_key(&record)
                || self.ready.iter().any(|item| item.record == record)
        };
        let is_put_off = |record: RecordId| self.replays.contains_key(&record);
        let step = walks.iter_mut().find_map(|walk| walk.next(now, reached, is_held, is_put_off));
        self.walks = walks;
        step.map(|step| What::Step(Box::new(step)))
    }

    /// Notes that a record has changed, for walks that have read it.
    pub(super) fn note_change(&mut self, record: RecordId) {
        self.walks.iter_mut().for_each(|walk| walk.note_change(record));
    }

    /// Takes a scan, unless it is under way already.
    pub(super) fn take_scan(&mut self, scan: Scan) {
        if self.walks.iter().all(|walk| walk.scan.operation != scan.operation) {
            self.walks.push(Walk::new(scan));
        }
    }

    /// A record's present state is not told before the changes that led to it, nor a change of its past among them.
    fn may_go(&self, notice: &Notice) -> bool {
        let Some(key) = notice.body.record() else { return true };
        let is_owed = || self.parked.contains_key(&key.id) || self.ready.iter().any(|item| item.record == key.id);
        let is_first = || match &notice.body {
            NoticeBody::Replay { seq, .. } => {
                let first = self.replays.get(&key.id).and_then(BTreeSet::first);
                first.is_none_or(|first| first == seq)
            }
            _ => true,
        };
        !self.busy.contains(&key.id) && !is_owed() && is_first()
    }

    /// Takes in how a try went. `fraction` spreads the next one.
    pub(super) fn landed(&mut self, what: What, landing: &Landing, fraction: f64) -> Effect {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(record) = what.record() {
            self.busy.remove(&record);
        }
        let was_probe = matches!(&self.gate, Gate::Closed(closed) if closed.is_probing);
        if landing.is_unsent() {
            self.pace.give_back();
        }
        if landing.fate == Fate::Delivered {
            self.passed(what.record(), landing.at);
        } else if let Gate::Closed(closed) = &mut self.gate {
            closed.is_probing = false;
        }
        if landing.fate == Fate::Unreached {
            self.width = (self.width / 2).max(1);
        }
        let effect = match what {
            What::Change(item) => self.change_landed(item, landing, was_probe, fraction),
            What::Batch(bundle) => self.batch_landed(bundle, landing, fraction),
            What::Parked(key, seq) => self.parked_landed(key, seq, landing, fraction),
            What::Notice(notice) => self.notice_landed(*notice, landing, fraction),
            What::Step(step) => self.step_landed(*step, landing, fraction),
        };
        if landing.fate == Fate::Gone { Effect::End } else { effect }
    }

    fn passed(&mut self, record: Option<RecordId>, at: Timestamp) {
        let was_down = matches!(self.gate, Gate::Closed(_));
        self.gate = Gate::Open;
        let failing = std::mem::take(&mut self.failing);
        if was_down {
            // What parked them was the endpoint, as is known now: they need not sit out a schedule that was for them.
            failing.into_iter().for_each(|record| self.bring_forward(record, at));
        }
        self.width = (self.width + 1).min(limits::ENDPOINT_DELIVERIES_MAX);
        if self.throttled_by.is_some() && record != self.throttled_by {
            self.has_passed_since = true;
        }
    }

    fn change_landed(&mut self, item: Item, landing: &Landing, was_probe: bool, fraction: f64) -> Effect {
        match landing.fate {
            Fate::Delivered | Fate::Unwanted => {
                self.unsettled.remove(&item.seq);
                self.release(item.record);
            }
            Fate::Refused | Fate::Unreached | Fate::Throttled(_) => {
                if self.failed(item.record, landing, fraction) {
                    self.put_back(item, was_probe);
                } else {
                    self.park(item, landing, fraction);
                }
            }
            Fate::Gone | Fate::NotYet | Fate::Unread | Fate::TooMuch => self.put_back(item, false),
        }
        Effect::Nothing
    }

    fn step_landed(&mut self, step: Step, landing: &Landing, fraction: f64) -> Effect {
        let record = step.record.id;
        let is_refused = matches!(landing.fate, Fate::Refused | Fate::Unreached | Fate::Throttled(_));
        let is_held_against = is_refused && !self.failed(record, landing, fraction);
        if let (Held::Change(change), Fate::Delivered) = (&step.held, landing.fate) {
            self.steps.push(LaneStep::Unbury(change.seq));
        }
        if let Some(walk) = self.walks.iter_mut().find(|walk| walk.scan.operation == step.operation) {
            walk.landed(step, landing, is_held_against, fraction);
        }
        self.release(record);
        Effect::Nothing
    }

    /// Counts a failure; says whether the gate is closed now, so that nothing is to be held against the record.
    fn failed(&mut self, record: RecordId, landing: &Landing, fraction: f64) -> bool {
        let is_throttled = matches!(landing.fate, Fate::Throttled(_));
        let is_its_own_fault = self.throttled_by == Some(record) && self.has_passed_since;
        if is_throttled && !is_its_own_fault {
            self.throttled_by = Some(record);
            self.has_passed_since = false;
            self.close(landing, true, fraction);
            return true;
        }
        self.failing.insert(record);
        let is_down = self.failing.len() >= limits::GATE_FAILURES || self.parked.len() >= limits::PARKED_MAX;
        if is_down || matches!(self.gate, Gate::Closed(_)) {
            self.close(landing, false, fraction);
            return true;
        }
        false
    }

    /// Closes the gate, or lets it stay closed for longer.
    fn close(&mut self, landing: &Landing, is_throttled: bool, fraction: f64) {
        let reason = landing.failure.clone().unwrap_or_default();
        let (since, last, is_warned) = match &self.gate {
            Gate::Closed(closed) if closed.next_at > landing.at => return,
            Gate::Closed(closed) => (closed.since, Some(closed.wait), closed.is_warned),
            Gate::Open => (landing.at, None, false),
        };
        let wait = match landing.fate {
            // One that asks for no wait at all would be asked as fast as it can refuse.
            Fate::Throttled(Some(asked)) => asked.max(Duration::from_millis(limits::THROTTLE_FIRST_MS)),
            _ => retry::probe_after(last, is_throttled),
        };
        let spread = wait.mul_f64(1.0 + 0.1 * fraction);
        let next_at = landing.at.plus_ms(i64::try_from(spread.as_millis()).unwrap_or(i64::MAX));
        self.gate = Gate::Closed(Closed { since, next_at, wait, is_probing: false, reason, is_warned });
        // What waits behind a closed gate is read again when its turn comes.
        for item in self.ready.iter_mut().chain(self.waiting.values_mut().flatten()) {
            item.held = Weak::new();
        }
        self.page.clear();
    }

    /// What waited for a record's turn is next, before everything else.
    fn release(&mut self, record: RecordId) {
        for item in self.waiting.remove(&record).unwrap_or_default().into_iter().rev() {
            self.ready.push_front(item);
        }
    }

    /// Puts a change back where it was, or, after a probe, with all of its record's changes to the end, so that the
    /// next probe is of another record.
    fn put_back(&mut self, item: Item, is_to_the_end: bool) {
        let record = item.record;
        if self.ordering == Ordering::Latest && self.waiting.contains_key(&record) {
            // What came meanwhile takes its place.
            self.unsettled.remove(&item.seq);
            self.release(record);
        } else {
            self.release(record);
            self.ready.push_front(item);
        }
        if is_to_the_end {
            let (own, others): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.ready).into_iter().partition(|item| item.record == record);
            self.ready = others;
            self.ready.extend(own);
        }
    }

    /// Opens the gate for an endpoint that is another one, or is asked for anew.
    pub(super) fn reopen(&mut self) {
        self.gate = Gate::Open;
        self.failing.clear();
        self.throttled_by = None;
    }

    /// Leaves the tail's company: from here on it reads pages of its own.
    pub(super) fn leave(&mut self, scanned: u64) {
        self.is_behind = true;
        self.scanned = scanned;
    }

    /// Lets go of all it owes, and goes on from where the tail is. What is under way lands as it may.
    pub(super) fn lapse(&mut self, tail: u64) {
        self.steps.clear();
        self.walks.clear();
        self.unsettled_scans.clear();
        self.unsettled.clear();
        self.ready.clear();
        self.waiting.clear();
        self.parked.clear();
        self.parked_due.clear();
        self.page.clear();
        self.bundles.clear();
        self.leave(tail);
        // Its endpoint is no better for that: it is addressed again as after a restart.
        self.is_restored = true;
    }

    fn notice_landed(&mut self, mut notice: Notice, landing: &Landing, fraction: f64) -> Effect {
        self.notices_in_flight.remove(&notice.id);
        if let Some(key) = notice.body.record() {
            self.release(key.id);
        }
        let later = |notice: &mut Notice, next_at| {
            notice.next_at = next_at;
            (notice.next_at, notice.id)
        };
        match landing.fate {
            Fate::Delivered | Fate::Unwanted => self.notice_done(notice, landing.fate == Fate::Delivered),
            Fate::NotYet | Fate::Unread | Fate::TooMuch | Fate::Gone => {
                let key = later(&mut notice, landing.at.plus_ms(NOT_YET_MS));
                self.notices.insert(key, notice);
            }
            Fate::Throttled(_) => {
                self.close(landing, true, fraction);
                let key = later(&mut notice, landing.at);
                self.notices.insert(key, notice);
            }
            Fate::Refused | Fate::Unreached => {
                let is_closed = matches!(self.gate, Gate::Closed(_));
                if is_closed {
                    self.close(landing, false, fraction);
                } else {
                    notice.attempt += 1;
                }
                match retry::wait_after(notice.attempt.max(1), fraction) {
                    Some(wait) => {
                        let key = later(&mut notice, after(landing.at, Some(wait)));
                        let step = NoticeStep::Later { attempt: notice.attempt, next_at: notice.next_at };
                        self.notice_steps.push((notice.clone(), step));
                        self.notices.insert(key, notice);
                    }
                    None => self.notice_done(notice, false),
                }
            }
        }
        Effect::Nothing
    }

    fn notice_done(&mut self, notice: Notice, is_sent: bool) {
        if let NoticeBody::Replay { seq, record, .. } = &notice.body {
            if let Some(seqs) = self.replays.get_mut(record) {
                seqs.remove(seq);
                if seqs.is_empty() {
                    self.replays.remove(record);
                }
            }
            if is_sent {
                self.steps.push(LaneStep::Unbury(*seq));
            }
        }
        let sync = notice.body.sync();
        // Whom to tell is known to whoever settles.
        self.notice_steps.push((notice, NoticeStep::Done { is_sent, sync, tell: Vec::new() }));
    }

    /// Whether it has moves to settle.
    pub(super) fn has_moves(&self) -> bool {
        !self.steps.is_empty()
            || !self.notice_steps.is_empty()
            || !self.unsettled_notices.is_empty()
            || !self.unsettled_scans.is_empty()
            || !self.walks.is_empty()
            || self.gate_step().is_some()
    }

    /// How the gate stands, for people.
    pub(super) fn gate_text(&self) -> String {
        match &self.gate {
            Gate::Open => "open".to_owned(),
            Gate::Closed(closed) => {
                format!("closed since {}; next probe {}: {}", closed.since, closed.next_at, closed.reason)
            }
        }
    }
}

/// An instant and a wait after it.
pub(super) fn after(at: Timestamp, wait: Option<Duration>) -> Timestamp {
    let ms = wait.map_or(0, |wait| wait.as_millis());
    at.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
