//! A tail: the one reader of a business's log that all its caught-up lanes share.

use super::index::Index;
use lockstep_core::ids::SubscriptionId;
use std::collections::BTreeSet;

/// Reads one business's log for all who are caught up.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Up to where it has read.
    pub(super) position: u64,
    /// The position last settled.
    pub(super) stored: Option<u64>,
    /// Who could want what.
    pub(super) index: Index,
    /// Lanes of the business.
    pub(super) lanes: BTreeSet<SubscriptionId>,
    /// Lanes that owe something, or have a row: the ones a settle looks at.
    pub(super) owing: BTreeSet<SubscriptionId>,
    /// Lanes with scans under way: they hear of every change.
    pub(super) walking: BTreeSet<SubscriptionId>,
    /// Whether a page is being read.
    pub(super) is_reading: bool,
    /// Whether word came of more while it was: that page may have been read before.
    pub(super) must_read_again: bool,
    /// Whether there is something to settle.
    pub(super) is_dirty: bool,
}
