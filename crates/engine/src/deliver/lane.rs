//! A lane: what one subscription is owed, in which order it may leave, and what each landing makes of that.
//!
//! Pure state: it neither reads nor sends. The room asks [`Lane::next`] what to send and tells [`Lane::landed`] how
//! it went.

use super::addressee::Addressee;
use super::post::{Fate, Landing};
use super::walk::{Held, Step, Walk};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{DeadLetter, Down, Notice, NoticeBody, Parked};
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, TypeId};
use lockstep_core::limits;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::retry;
use lockstep_core::scan::Scan;
use lockstep_store::erase::ERASED;
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
    /// The change itself, for as long as someone holds it; after that it is read again when it is sent.
    pub(super) held: Weak<Change>,
}

/// Something to send.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A change in its turn.
    Change(Item),
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

#[derive(Debug)]
struct ParkedRecord {
    row: Parked,
    /// The newest change of the record that went by while it was parked; none where that is not known.
    newest: Option<u64>,
    is_busy: bool,
    /// When the schedule has it tried, while a newer change brings it forward: a try out of turn uses up no attempt.
    scheduled_at: Option<Timestamp>,
    tried_at: Timestamp,
}

impl ParkedRecord {
    const fn new(row: Parked, newest: Option<u64>) -> Self {
        Self { row, newest, is_busy: false, scheduled_at: None, tried_at: Timestamp(0) }
    }
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
        self.unsettled.len() >= limits::LANE_ITEMS_MAX
    }

    /// Whether it should read a page of its own now.
    pub(super) fn wants_page(&self) -> bool {
        let has_room = match self.gate {
            Gate::Open => self.unsettled.len() <= limits::LANE_ITEMS_MAX / 2,
            Gate::Closed(_) => self.unsettled.is_empty(),
        };
        self.to.is_some() && self.is_behind && !self.is_reading && has_room
    }

    /// Parked records.
    pub(super) fn parked(&self) -> impl Iterator<Item = &Parked> {
        self.parked.values().map(|parked| &parked.row)
    }

    /// How many records are parked.
    pub(super) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Takes a parked row, as stored.
    pub(super) fn restore(&mut self, row: Parked) {
        self.parked_due.insert((row.next_at, row.record));
        self.parked.insert(row.record, ParkedRecord::new(row, None));
    }

    /// Forgets why an erased record was refused: the endpoint may have said its values back.
    pub(super) fn forget(&mut self, record: RecordId) {
        if let Some(parked) = self.parked.get_mut(&record) {
            ERASED.clone_into(&mut parked.row.reason);
        }
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

    /// Takes a wanted change, the next in order of seq.
    pub(super) fn push(&mut self, item: Item, now: Timestamp) {
        if let Some(parked) = self.parked.get_mut(&item.record) {
            parked.newest = Some(item.seq);
            // Something new may be what the endpoint was waiting for; but a busy record is no reason to hurry it.
            let may_hurry = now.ms_since(parked.tried_at) >= limits::PARKED_HURRY_MS;
            if !parked.is_busy && parked.row.next_at > now && may_hurry {
                self.parked_due.remove(&(parked.row.next_at, item.record));
                parked.scheduled_at = Some(parked.row.next_at);
                parked.row.next_at = now;
                self.parked_due.insert((now, item.record));
            }
            return;
        }
        self.unsettled.insert(item.seq, item.at);
        self.ready.push_back(item);
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
        let Gate::Closed(closed) = &self.gate else { return [parked, notice, walk].into_iter().flatten().min() };
        let has_walks = self.walks.iter().any(Walk::has_more);
        let has_something =
            has_walks || !self.unsettled.is_empty() || !self.parked.is_empty() || !self.notices.is_empty();
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
        let is_walks_turn = self.given.is_multiple_of(WALK_EVERY);
        let what = match is_probe {
            true => self.next_change().or_else(|| self.next_parked(None)).or_else(|| self.next_notice(now)),
            false => {
                let first = self.next_parked(Some(now)).or_else(|| self.next_notice(now));
                let first = first.or_else(|| is_walks_turn.then(|| self.next_step(now, reached)).flatten());
                first.or_else(|| self.next_change())
            }
        };
        let what = what.or_else(|| self.next_step(now, reached))?;
        self.given += 1;
        if let (true, Gate::Closed(closed)) = (is_probe, &mut self.gate) {
            closed.is_probing = true;
        }
        self.in_flight += 1;
        self.busy.extend(what.record());
        Some(what)
    }

    fn next_change(&mut self) -> Option<What> {
        while let Some(item) = self.ready.pop_front() {
            if !self.busy.contains(&item.record) {
                return Some(What::Change(item));
            }
            self.waiting.entry(item.record).or_default().push_back(item);
        }
        None
    }

    fn next_parked(&mut self, now: Option<Timestamp>) -> Option<What> {
        let is_due = |(at, _): &&(Timestamp, RecordId)| now.is_none_or(|now| *at <= now);
        let due = self.parked_due.iter().take_while(is_due).find(|(_, record)| !self.busy.contains(record)).copied()?;
        self.parked_due.remove(&due);
        let parked = self.parked.get_mut(&due.1)?;
        parked.is_busy = true;
        Some(What::Parked(RecordKey { ty: parked.row.ty.clone(), id: due.1 }, parked.row.first_seq))
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

    fn bring_forward(&mut self, record: RecordId, at: Timestamp) {
        let Some(parked) = self.parked.get_mut(&record).filter(|parked| !parked.is_busy && parked.row.next_at > at)
        else {
            return;
        };
        self.parked_due.remove(&(parked.row.next_at, record));
        parked.row.next_at = at;
        self.parked_due.insert((at, record));
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
            Fate::Gone | Fate::NotYet | Fate::Unread => self.put_back(item, false),
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
            Fate::Throttled(Some(asked)) => asked,
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
        self.release(record);
        self.ready.push_front(item);
        if is_to_the_end {
            let (own, others): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.ready).into_iter().partition(|item| item.record == record);
            self.ready = others;
            self.ready.extend(own);
        }
    }

    /// Parks a record at its first undelivered change; what is held of its later ones is found along the chain.
    fn park(&mut self, item: Item, landing: &Landing, fraction: f64) {
        let record = item.record;
        self.release(record);
        let (later, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.ready).into_iter().partition(|held| held.record == record);
        self.ready = others;
        self.unsettled.remove(&item.seq);
        for held in &later {
            self.unsettled.remove(&held.seq);
        }
        let row = Parked {
            ty: item.ty,
            record,
            first_seq: item.seq,
            attempt: 1,
            next_at: after(landing.at, retry::wait_after(1, fraction)),
            reason: landing.failure.clone().unwrap_or_default(),
        };
        self.parked_due.insert((row.next_at, record));
        self.steps.push(LaneStep::Park(row.clone()));
        let newest = Some(later.back().map_or(item.seq, |held| held.seq));
        self.parked.insert(record, ParkedRecord::new(row, newest));
    }

    fn parked_landed(&mut self, key: RecordKey, seq: u64, landing: &Landing, fraction: f64) -> Effect {
        let mut is_held_against = false;
        let mut is_over = matches!(landing.fate, Fate::Delivered | Fate::Unwanted);
        if matches!(landing.fate, Fate::Refused | Fate::Unreached | Fate::Throttled(_)) {
            is_held_against = !self.failed(key.id, landing, fraction);
        }
        let Some(parked) = self.parked.get_mut(&key.id) else { return Effect::Nothing };
        parked.tried_at = landing.at;
        if let Some(scheduled_at) = parked.scheduled_at.take_if(|at| is_held_against && *at > landing.at) {
            parked.row.next_at = scheduled_at;
            is_held_against = false;
        }
        if is_held_against {
            parked.row.attempt += 1;
            parked.row.reason = landing.failure.clone().unwrap_or_default();
            match retry::wait_after(parked.row.attempt, fraction) {
                Some(wait) => parked.row.next_at = after(landing.at, Some(wait)),
                None => {
                    is_over = true;
                    self.steps.push(LaneStep::Bury(DeadLetter {
                        seq,
                        ty: key.ty.clone(),
                        record: key.id,
                        at: landing.at,
                        attempts: parked.row.attempt,
                        reason: parked.row.reason.clone(),
                    }));
                }
            }
        }
        if is_over {
            // Until what follows is known the record stays busy and parked.
            if parked.newest.is_some_and(|newest| newest <= seq) {
                self.unpark(key.id);
                return Effect::Nothing;
            }
            return Effect::Follow(key, seq);
        }
        parked.is_busy = false;
        self.parked_due.insert((parked.row.next_at, key.id));
        if is_held_against {
            self.steps.push(LaneStep::Park(parked.row.clone()));
        }
        Effect::Nothing
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
        self.leave(tail);
        // Its endpoint is no better for that: it is addressed again as after a restart.
        self.is_restored = true;
    }

    /// Takes in what follows along a parked record's chain, as read when the lane had come to `tail`.
    pub(super) fn followed(
        &mut self,
        key: RecordKey,
        after_seq: u64,
        seqs: &[u64],
        tail: u64,
        now: Timestamp,
    ) -> Effect {
        let reached = self.reached(tail);
        let Some(parked) = self.parked.get_mut(&key.id) else { return Effect::Nothing };
        match seqs.iter().find(|seq| **seq <= reached) {
            Some(next) => {
                parked.row.first_seq = *next;
                parked.row.attempt = 0;
                parked.row.next_at = now;
                // The schedule was that of the change before.
                parked.scheduled_at = None;
                parked.is_busy = false;
                self.parked_due.insert((now, key.id));
                self.steps.push(LaneStep::Park(parked.row.clone()));
                Effect::Nothing
            }
            // A change went by between the reading and now.
            None if parked.newest.is_some_and(|newest| newest > after_seq && !seqs.contains(&newest)) => {
                Effect::Follow(key, after_seq)
            }
            None => {
                self.unpark(key.id);
                Effect::Nothing
            }
        }
    }

    /// A chain that could not be read is asked for again by trying the record again: it was delivered under the
    /// same id before.
    pub(super) fn unfollowed(&mut self, record: RecordId, now: Timestamp) {
        if let Some(parked) = self.parked.get_mut(&record) {
            parked.is_busy = false;
            parked.row.next_at = now.plus_ms(1_000);
            self.parked_due.insert((parked.row.next_at, record));
        }
    }

    fn unpark(&mut self, record: RecordId) {
        self.parked.remove(&record);
        self.steps.push(LaneStep::Unpark(record));
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
            Fate::NotYet | Fate::Unread | Fate::Gone => {
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
