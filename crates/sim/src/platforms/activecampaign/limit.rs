//! A limit on calls: so many in any stretch of so long. It must not know what is counted.

use lockstep_core::clock::Timestamp;
use std::collections::VecDeque;

pub(super) struct Window {
    most: usize,
    for_ms: i64,
    taken: VecDeque<Timestamp>,
}

impl Window {
    pub(super) fn new(most: usize, for_ms: i64) -> Self {
        Self { most, for_ms, taken: VecDeque::new() }
    }

    /// Takes one, if there is one left.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let for_ms = self.for_ms;
        while self.taken.front().is_some_and(|first| first.plus_ms(for_ms) <= now) {
            self.taken.pop_front();
        }
        let is_free = self.taken.len() < self.most;
        if is_free {
            self.taken.push_back(now);
        }
        is_free
    }

    /// How many are left.
    pub(super) fn left(&self, now: Timestamp) -> usize {
        let current = self.taken.iter().filter(|at| at.plus_ms(self.for_ms) > now).count();
        self.most.saturating_sub(current)
    }

    /// How long until the next one, in milliseconds.
    pub(super) fn wait_ms(&self, now: Timestamp) -> u64 {
        self.taken.front().map_or(0, |first| first.plus_ms(self.for_ms).ms_since(now))
    }
}
