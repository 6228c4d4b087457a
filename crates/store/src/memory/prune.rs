//! Pruning the old end of a log, and letting go of what a subscription owes that has fallen too far behind.

use super::Inner;
use crate::StoreError;
use crate::batch::Progress;
use crate::heads::Moves;
use crate::prune::{Prune, needed_by, next_floor};
use crate::settings::Dropped;
use lockstep_core::clock::Timestamp;
use lockstep_core::operation::OperationId;

impl Inner {
    pub(super) fn prune(&mut self, prune: &Prune) -> Result<u64, StoreError> {
        let scans = self.scans.values().filter(|scan| scan.business == prune.business);
        let scanned = scans.filter_map(needed_by).min();
        let unknown = || StoreError::UnknownBusiness(prune.business.clone());
        let log = self.logs.get_mut(&prune.business).ok_or_else(unknown)?;
        let position = prune.has_outlets.then(|| log.position.unwrap_or(0) + 1);
        let lanes = log.lanes.values().map(|cursor| cursor + 1).min();
        let parked = log.parked.values().map(|parked| parked.first_seq).min();
        let needed = [scanned, position, lanes, parked, log.followed()].into_iter().flatten().min();
        let floor = next_floor(prune, log.floor, log.head().0, needed);
        log.changes.retain(|change| change.seq > floor);
        log.dead.retain(|(_, seq), _| *seq > floor);
        log.floor = floor;
        Ok(floor)
    }

    pub(super) fn lapse(&mut self, lapsed: &Dropped, at: Timestamp, moves: &mut Moves) {
        let id = lapsed.subscription;
        let own = self.scans.values().filter(|scan| scan.subscription == id);
        let waited: Vec<OperationId> = own.map(|scan| scan.operation).collect();
        self.scans.retain(|_, scan| scan.subscription != id);
        for operation in waited {
            let progress = Progress { over: 1, ..Progress::default() };
            self.advance(&lapsed.business, operation, progress, (&lapsed.tell, at), moves);
        }
        if let Some(log) = self.logs.get_mut(&lapsed.business) {
            let head = log.head().0;
            log.lanes.insert(id, head);
            log.parked.retain(|(owner, _), _| *owner != id);
        }
    }
}
