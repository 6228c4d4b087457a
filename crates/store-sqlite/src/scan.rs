//! Scans: their rows, and how they move.

use crate::fault::OrFault;
use crate::key::{blob, column, number};
use crate::write::Writing;
use lockstep_core::clock::Timestamp;
use lockstep_core::ids::SubscriptionId;
use lockstep_core::operation::OperationId;
use lockstep_core::scan::Scan;
use lockstep_store::batch::{Progress, progress_of};
use lockstep_store::settings::Dropped;
use lockstep_store::settle::ScanSettle;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};

/// Scans with rows after this one.
pub(crate) fn page(connection: &Connection, after: i64, limit: usize) -> Result<Vec<(i64, Scan)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT row, body FROM scan WHERE row > ?1 ORDER BY row LIMIT ?2").or_fault()?;
    let rows = select
        .query_map(params![after, column(limit as u64)], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
        .or_fault()?;
    rows.map(|row| row.or_fault().and_then(|(row, body)| Ok((row, codec::decode(&body)?)))).collect()
}

impl Writing<'_> {
    /// Begins scans.
    pub(crate) fn scans(&mut self, scans: &[Scan]) -> Result<(), StoreError> {
        for scan in scans {
            self.execute(
                "INSERT INTO scan (operation, subscription, body) VALUES (?1, ?2, ?3)",
                params![blob(scan.operation.number()), blob(scan.subscription.0), codec::encode(scan)?],
            )?;
            self.brought.moves.has_scans = true;
        }
        Ok(())
    }

    /// Moves a scan; one that is gone stays so.
    pub(crate) fn settle_scan(&mut self, settle: &ScanSettle, at: Timestamp) -> Result<(), StoreError> {
        let own = params![blob(settle.operation.number()), blob(settle.subscription.0)];
        let found: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached("SELECT row, body FROM scan WHERE operation = ?1 AND subscription = ?2")
            .or_fault()?
            .query_row(own, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .or_fault()?;
        let Some((row, body)) = found else { return Ok(()) };
        if settle.is_over {
            self.execute("DELETE FROM scan WHERE row = ?1", [row])?;
        } else {
            let scan = Scan { done: settle.done, ..codec::decode(&body)? };
            self.execute("UPDATE scan SET body = ?2 WHERE row = ?1", params![row, codec::encode(&scan)?])?;
        }
        self.notices(&settle.put_off)?;
        self.advance(&settle.business, settle.operation, progress_of(settle), (&settle.tell, at))
    }

    /// What a dropped subscription had waiting is waited for no more.
    pub(crate) fn drop_waited(&mut self, dropped: &Dropped, at: Timestamp) -> Result<(), StoreError> {
        for operation in self.waited(dropped.subscription)? {
            let progress = Progress { over: 1, ..Progress::default() };
            self.advance(&dropped.business, operation, progress, (&dropped.tell, at))?;
        }
        let own = [blob(dropped.subscription.0)];
        self.execute("DELETE FROM scan WHERE subscription = ?1", own)?;
        self.execute("DELETE FROM notice WHERE subscription = ?1", own)?;
        Ok(())
    }

    fn waited(&self, subscription: SubscriptionId) -> Result<Vec<OperationId>, StoreError> {
        let own = [blob(subscription.0)];
        let mut waited = Vec::new();
        let mut select =
            self.connection().prepare_cached("SELECT operation FROM scan WHERE subscription = ?1").or_fault()?;
        for row in select.query_map(own, |row| row.get::<_, [u8; 16]>(0)).or_fault()? {
            waited.push(OperationId::from_number(number(&row.or_fault()?)?));
        }
        let mut select =
            self.connection().prepare_cached("SELECT body FROM notice WHERE subscription = ?1").or_fault()?;
        for body in select.query_map(own, |row| row.get::<_, Vec<u8>>(0)).or_fault()? {
            let notice: lockstep_core::delivery::Notice = codec::decode(&body.or_fault()?)?;
            waited.extend(notice.body.sync());
        }
        Ok(waited)
    }
}
