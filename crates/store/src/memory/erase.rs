//! Blanking the past of erased records, a bounded amount at a time.

use super::{Inner, Log};
use crate::erase::{ERASED, blank_letter, blank_notice, blank_operation, blank_parked};
use lockstep_core::ids::BusinessId;
use lockstep_core::limits::ERASED_CHANGES_A_TURN;
use lockstep_core::record::RecordKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A record whose changes are still to be blanked, from a seq back along the chain.
pub(super) struct Erasure {
    pub(super) business: BusinessId,
    pub(super) key: RecordKey,
    pub(super) seq: u64,
}

impl Inner {
    /// One turn; says whether more is left.
    pub(super) fn erase_on(&mut self) -> bool {
        let Some(Erasure { business, key, seq }) = self.erasures.pop_front() else { return false };
        let Some(log) = self.logs.get_mut(&business) else { return !self.erasures.is_empty() };
        let (seqs, next) = log.blank(&key, seq);
        for attempt in &mut self.attempts {
            if attempt.business == business && seqs.contains(&attempt.seq) && attempt.failure.is_some() {
                attempt.failure = Some(ERASED.to_owned());
            }
        }
        for notice in self.notices.values_mut().filter(|notice| notice.business == business) {
            blank_notice(notice, key.id);
        }
        if next > 0 {
            self.erasures.push_front(Erasure { business, key, seq: next });
        }
        !self.erasures.is_empty()
    }
}

impl Log {
    /// Blanks a record's changes up to and with a seq; gives those blanked, and the seq to go on from, 0 at the end.
    fn blank(&mut self, key: &RecordKey, from: u64) -> (BTreeSet<u64>, u64) {
        let is_own = |change: &&mut Arc<lockstep_core::change::Change>| {
            change.record == key.id && change.ty == key.ty && change.seq <= from
        };
        let mut own = self.changes.iter_mut().rev().filter(is_own);
        let mut seqs = BTreeSet::new();
        for change in own.by_ref().take(ERASED_CHANGES_A_TURN) {
            *change = Arc::new(change.blanked());
            seqs.insert(change.seq);
        }
        let next = own.next().map_or(0, |change| change.seq);
        for parked in self.parked.values_mut().filter(|parked| parked.record == key.id) {
            blank_parked(parked);
        }
        for ((_, seq), letter) in &mut self.dead {
            if seqs.contains(seq) {
                blank_letter(letter);
            }
        }
        for operation in self.operations.values_mut() {
            blank_operation(operation, key.id);
        }
        (seqs, next)
    }
}
