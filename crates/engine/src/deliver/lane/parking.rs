//! Parking: records, or in no order single changes, that an endpoint refused while others passed, and what becomes
//! of the changes behind them.

use super::{Effect, Item, Lane, What, after};
use crate::deliver::post::{Fate, Landing};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{DeadLetter, Parked};
use lockstep_core::ids::RecordId;
use lockstep_core::limits;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::retry;
use lockstep_core::subscription::Ordering;
use lockstep_store::erase::ERASED;
use lockstep_store::settle::LaneStep;
use std::collections::VecDeque;

/// A row of what is parked, with what is known beside it.
#[derive(Debug)]
pub(super) struct ParkedRecord {
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

impl Lane {
    /// Parked rows.
    pub(in crate::deliver) fn parked(&self) -> impl Iterator<Item = &Parked> {
        self.parked.values().map(|parked| &parked.row)
    }

    /// How many rows are parked.
    pub(in crate::deliver) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Takes a parked row, as stored.
    pub(in crate::deliver) fn restore(&mut self, row: Parked) {
        let place = row.place();
        self.parked_due.insert((row.next_at, place));
        let newest = row.is_alone.then_some(row.first_seq);
        self.parked.insert(place, ParkedRecord::new(row, newest));
    }

    /// Forgets why an erased record was refused: the endpoint may have said its values back.
    pub(in crate::deliver) fn forget(&mut self, record: RecordId) {
        for parked in self.parked.values_mut().filter(|parked| parked.row.record == record) {
            ERASED.clone_into(&mut parked.row.reason);
        }
    }

    /// Has a parked record tried now.
    pub(super) fn bring_forward(&mut self, place: RecordId, at: Timestamp) {
        let Some(parked) = self.parked.get_mut(&place).filter(|parked| !parked.is_busy && parked.row.next_at > at)
        else {
            return;
        };
        self.parked_due.remove(&(parked.row.next_at, place));
        parked.row.next_at = at;
        self.parked_due.insert((at, place));
    }

    /// Under which place a change that was tried again is parked: its own, or its record's.
    fn place_of(&self, record: RecordId, seq: u64) -> RecordId {
        let own = Parked::place_alone(record, seq);
        if self.parked.contains_key(&own) { own } else { record }
    }

    /// Takes in a new change of a record that is parked.
    pub(super) fn push_parked(&mut self, item: &Item, now: Timestamp) {
        let is_latest = self.ordering == Ordering::Latest;
        let Some(parked) = self.parked.get_mut(&item.record) else { return };
        parked.newest = Some(item.seq);
        if parked.is_busy {
            return;
        }
        // Something new may be what the endpoint was waiting for; but a busy record is no reason to hurry it.
        let may_hurry = now.ms_since(parked.tried_at) >= limits::PARKED_HURRY_MS;
        if is_latest {
            let soonest = parked.tried_at.plus_ms(i64::try_from(limits::PARKED_HURRY_MS).unwrap_or(i64::MAX));
            self.move_on(item.record, item.seq, if may_hurry { now } else { soonest });
        } else if parked.row.next_at > now && may_hurry {
            self.parked_due.remove(&(parked.row.next_at, item.record));
            parked.scheduled_at = Some(parked.row.next_at);
            parked.row.next_at = now;
            self.parked_due.insert((now, item.record));
        }
    }

    /// Lets a parked record stand for another change of it, which has a schedule of its own.
    fn move_on(&mut self, record: RecordId, seq: u64, next_at: Timestamp) {
        let Some(parked) = self.parked.get_mut(&record) else { return };
        self.parked_due.remove(&(parked.row.next_at, record));
        parked.row.first_seq = seq;
        parked.row.attempt = 0;
        parked.row.next_at = next_at;
        parked.scheduled_at = None;
        parked.is_busy = false;
        self.parked_due.insert((next_at, record));
        self.steps.push(LaneStep::Park(parked.row.clone()));
    }

    pub(super) fn next_parked(&mut self, now: Option<Timestamp>) -> Option<What> {
        let is_due = |(at, _): &&(Timestamp, RecordId)| now.is_none_or(|now| *at <= now);
        let due = self.parked_due.iter().take_while(is_due).find(|(_, place)| !self.busy.contains(place)).copied()?;
        self.parked_due.remove(&due);
        let parked = self.parked.get_mut(&due.1)?;
        parked.is_busy = true;
        let key = RecordKey { ty: parked.row.ty.clone(), id: parked.row.record };
        Some(What::Parked(key, parked.row.first_seq))
    }

    /// Parks a record at its first undelivered change; what is held of its later ones is found along the chain.
    /// Where only the latest counts it is parked at its newest, and in no order the change is parked alone.
    pub(super) fn park(&mut self, item: Item, landing: &Landing, fraction: f64) {
        let record = item.record;
        self.release(record);
        self.unsettled.remove(&item.seq);
        let is_alone = self.ordering == Ordering::None;
        let mut later = VecDeque::new();
        if !is_alone {
            let (own, others): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.ready).into_iter().partition(|held| held.record == record);
            (later, self.ready) = (own, others);
        }
        for held in &later {
            self.unsettled.remove(&held.seq);
        }
        let newest = later.back().map_or(item.seq, |held| held.seq);
        let first_seq = if self.ordering == Ordering::Latest { newest } else { item.seq };
        let row = Parked {
            ty: item.ty,
            record,
            first_seq,
            attempt: u32::from(first_seq == item.seq),
            next_at: after(landing.at, retry::wait_after(1, fraction)),
            reason: landing.failure.clone().unwrap_or_default(),
            is_alone,
        };
        self.parked_due.insert((row.next_at, row.place()));
        self.steps.push(LaneStep::Park(row.clone()));
        self.parked.insert(row.place(), ParkedRecord::new(row, Some(newest)));
    }

    pub(super) fn parked_landed(&mut self, key: RecordKey, seq: u64, landing: &Landing, fraction: f64) -> Effect {
        let place = self.place_of(key.id, seq);
        let mut is_held_against = false;
        let mut is_over = matches!(landing.fate, Fate::Delivered | Fate::Unwanted);
        if matches!(landing.fate, Fate::Refused | Fate::Unreached | Fate::Throttled(_)) {
            is_held_against = !self.failed(key.id, landing, fraction);
        }
        let Some(parked) = self.parked.get_mut(&place) else { return Effect::Nothing };
        parked.tried_at = landing.at;
        if let Some(newest) = parked.newest.filter(|newest| self.ordering == Ordering::Latest && *newest > seq) {
            let wait = if is_over { 0 } else { i64::try_from(limits::PARKED_HURRY_MS).unwrap_or(i64::MAX) };
            self.move_on(place, newest, landing.at.plus_ms(wait));
            return Effect::Nothing;
        }
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
                self.unpark(place);
                return Effect::Nothing;
            }
            return Effect::Follow(key, seq);
        }
        parked.is_busy = false;
        self.parked_due.insert((parked.row.next_at, place));
        if is_held_against {
            self.steps.push(LaneStep::Park(parked.row.clone()));
        }
        Effect::Nothing
    }

    /// Takes in what follows along a parked record's chain, as read when the lane had come to `tail`.
    pub(in crate::deliver) fn followed(
        &mut self,
        key: RecordKey,
        after_seq: u64,
        seqs: &[u64],
        tail: u64,
        now: Timestamp,
    ) -> Effect {
        let reached = self.reached(tail);
        let Some(parked) = self.parked.get_mut(&key.id) else { return Effect::Nothing };
        if let Some(newest) = parked.newest.filter(|newest| self.ordering == Ordering::Latest && *newest > after_seq) {
            self.move_on(key.id, newest, now);
            return Effect::Nothing;
        }
        match seqs.iter().find(|seq| **seq <= reached) {
            Some(next) => {
                // The schedule was that of the change before.
                self.move_on(key.id, *next, now);
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
    pub(in crate::deliver) fn unfollowed(&mut self, record: RecordId, now: Timestamp) {
        if let Some(parked) = self.parked.get_mut(&record) {
            parked.is_busy = false;
            parked.row.next_at = now.plus_ms(1_000);
            self.parked_due.insert((parked.row.next_at, record));
        }
    }

    fn unpark(&mut self, place: RecordId) {
        self.parked.remove(&place);
        self.steps.push(LaneStep::Unpark(place));
    }
}
