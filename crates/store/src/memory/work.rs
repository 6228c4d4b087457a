//! Turns of shares, shadows, and work rows in memory.

use super::{Inner, Log};
use crate::batch::{Sets, decide_all};
use crate::heads::Moves;
use crate::turn::Turn;
use crate::{Committed, StoreError};
use lockstep_core::ids::{BusinessId, ConnectionId, ShareId};
use lockstep_core::work::{WorkKey, WorkKind, WorkPut, WorkRow};
use std::ops::Bound::{Excluded, Included, Unbounded};

impl Inner {
    pub(super) fn turn(&mut self, turn: &Turn, moves: &mut Moves) -> Result<Committed, StoreError> {
        let mut sets = Sets::new();
        let outcomes = decide_all(self, &mut sets, turn.commands())?;
        if !self.logs.contains_key(&turn.business) {
            return Err(StoreError::UnknownBusiness(turn.business.clone()));
        }
        self.write_all(sets, moves);
        if let Some(log) = self.logs.get_mut(&turn.business) {
            for (key, put) in turn.closed(&outcomes) {
                log.put_work(key, put);
            }
        }
        self.state.commands += turn.lines.len() as u64;
        Ok(Committed::Outcomes(outcomes))
    }

    pub(super) fn end_share(&mut self, business: &BusinessId, share: ShareId) {
        if let Some(log) = self.logs.get_mut(business) {
            log.work.retain(|key, _| key.share != share);
        }
    }

    pub(super) fn end_connection(&mut self, business: &BusinessId, connection: ConnectionId) {
        if let Some(log) = self.logs.get_mut(business) {
            log.shadows.retain(|key, _| key.connection != connection);
        }
    }
}

impl Log {
    fn put_work(&mut self, key: WorkKey, put: WorkPut) {
        match put.applied(self.work.get(&key).cloned()) {
            Some(row) => self.work.insert(key, row),
            None => self.work.remove(&key),
        };
    }

    pub(super) fn work_page(
        &self,
        kind: WorkKind,
        share: Option<ShareId>,
        after: Option<&WorkKey>,
        limit: usize,
    ) -> Vec<(WorkKey, WorkRow)> {
        let first = WorkKey { kind, share: share.unwrap_or(ShareId(0)), about: String::new() };
        let from = after.map_or(Included(&first), Excluded);
        let own = self.work.range((from, Unbounded)).take_while(|(key, _)| key.kind == kind);
        let own = own.take_while(|(key, _)| share.is_none_or(|share| key.share == share));
        own.take(limit).map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    /// The first change that shares have yet to follow.
    pub(super) fn followed(&self) -> Option<u64> {
        let rows = self.work_page(WorkKind::Progress, None, None, usize::MAX);
        rows.iter().filter_map(|(_, row)| row.follows()).min().map(|seq| seq + 1)
    }
}
