//! What is due and when: the rows of hints and of pushes that wait, by their time. It is read from the store when a
//! worker begins and kept beside it from then on, so that a look at what is due costs nothing.

use lockstep_core::clock::Timestamp;
use lockstep_core::work::{WorkKey, WorkKind};
use std::collections::{BTreeMap, BTreeSet};

/// Rows by their time.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Timestamp, WorkKey)>,
    times: BTreeMap<WorkKey, Timestamp>,
}

impl Agenda {
    /// A row is due then, and at no other time.
    pub(crate) fn set(&mut self, key: WorkKey, at: Timestamp) {
        self.drop(&key);
        self.by_time.insert((at, key.clone()));
        self.times.insert(key, at);
    }

    /// A row is gone.
    pub(crate) fn drop(&mut self, key: &WorkKey) {
        if let Some(at) = self.times.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// When a row is due, if there is one.
    pub(crate) fn at(&self, key: &WorkKey) -> Option<Timestamp> {
        self.times.get(key).copied()
    }

    /// The rows of one kind that are due, the longest due first.
    pub(crate) fn due(&self, kind: WorkKind, now: Timestamp) -> impl Iterator<Item = &WorkKey> {
        let past = self.by_time.iter().take_while(move |(at, _)| *at <= now);
        past.map(|(_, key)| key).filter(move |key| key.kind == kind)
    }

    /// When the next row comes due after now.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let last_past = (now.plus_ms(1), WorkKey::LEAST);
        self.by_time.range(last_past..).next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::ids::{RecordId, ShareId};

    #[test]
    fn a_row_is_due_once_and_in_turn() {
        let mut agenda = Agenda::default();
        let (one, two) = (WorkKey::hint(ShareId(1), "a"), WorkKey::waiting(ShareId(1), RecordId(2)));
        agenda.set(one.clone(), Timestamp(5));
        agenda.set(two.clone(), Timestamp(3));
        agenda.set(one.clone(), Timestamp(2));
        assert_eq!(agenda.due(WorkKind::Hint, Timestamp(4)).collect::<Vec<_>>(), [&one]);
        assert_eq!(agenda.next_after(Timestamp(1)), Some(Timestamp(2)));
        assert_eq!(agenda.next_after(Timestamp(2)), Some(Timestamp(3)), "what is overdue sets no clock");
        agenda.drop(&one);
        assert_eq!((agenda.at(&one), agenda.at(&two)), (None, Some(Timestamp(3))));
        assert_eq!(agenda.due(WorkKind::Waiting, Timestamp(2)).count(), 0);
    }
}
