//! Pruning: how a log loses its old end.
//!
//! The newest change that is kept no more is the log's *floor*; above it there are no holes. Who decides how far to
//! prune looks at rows that may have moved since, so a store asks again, inside the transaction, which changes an
//! outlet still needs, and prunes none of those.

use lockstep_core::ids::BusinessId;
use lockstep_core::limits::PRUNED_CHANGES_A_TURN;
use lockstep_core::scan::{Over, Scan};

/// What may be pruned.
#[derive(Clone, Debug)]
pub struct Prune {
    /// Of which log.
    pub business: BusinessId,
    /// Up to and with this seq.
    pub until: u64,
    /// Whether there are subscriptions, so that the position of those without rows counts.
    pub has_outlets: bool,
}

/// The first change that a scan still needs of the log.
#[must_use]
pub fn needed_by(scan: &Scan) -> Option<u64> {
    match scan.over {
        Over::Records { .. } => None,
        Over::Changes { .. } | Over::Dead { .. } => Some(scan.done.seq().saturating_add(1)),
    }
}

/// Where the floor stands after one turn: what is asked, less what is needed, less the newest change, and no more than
/// a turn takes.
#[must_use]
pub fn next_floor(prune: &Prune, floor: u64, head: u64, needed: Option<u64>) -> u64 {
    let until = prune.until.min(head.saturating_sub(1));
    let until = needed.map_or(until, |first| until.min(first.saturating_sub(1)));
    until.min(floor.saturating_add(PRUNED_CHANGES_A_TURN as u64)).max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_to_the_least_of_its_bounds_and_never_falls() {
        let prune = Prune { business: BusinessId::parse("a1").unwrap(), until: 100, has_outlets: false };
        assert_eq!(next_floor(&prune, 0, 1_000, None), 100);
        assert_eq!(next_floor(&prune, 0, 50, None), 49, "the newest change stays");
        assert_eq!(next_floor(&prune, 0, 1_000, Some(30)), 29);
        assert_eq!(next_floor(&prune, 60, 1_000, Some(30)), 60);
        let much = Prune { until: u64::MAX, ..prune };
        assert_eq!(next_floor(&much, 7, u64::MAX, None), 7 + PRUNED_CHANGES_A_TURN as u64);
    }
}
