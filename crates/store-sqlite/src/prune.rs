//! Pruning the old end of a log, a bounded range at a time, and letting go of what a subscription owes that has fallen
//! too far behind.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, count};
use crate::load::business_number;
use crate::work;
use crate::write::Writing;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Parked;
use lockstep_core::ids::BusinessId;
use lockstep_core::operation::OperationId;
use lockstep_core::scan::Scan;
use lockstep_store::batch::{Load, Progress};
use lockstep_store::prune::{Prune, needed_by, next_floor};
use lockstep_store::settings::Dropped;
use lockstep_store::settle::LaneStep;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, params};

/// The floor of a business's log.
pub(crate) fn floor(connection: &Connection, business: &BusinessId) -> Result<u64, StoreError> {
    floor_of(connection, business_number(connection, business)?)
}

/// The same, by its number.
pub(crate) fn floor_of(connection: &Connection, business: BusinessNumber) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT floor FROM business WHERE number = ?1").or_fault()?;
    select.query_row([business.0], |row| row.get(0)).map(count).or_fault()
}

/// One turn; gives the floor as it then stands.
pub(crate) fn turn(connection: &Connection, prune: &Prune) -> Result<u64, StoreError> {
    let business = business_number(connection, &prune.business)?;
    let (head, floor, position): (i64, i64, Option<i64>) = connection
        .prepare_cached("SELECT head, floor, position FROM business WHERE number = ?1")
        .or_fault()?
        .query_row([business.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .or_fault()?;
    if prune.until <= count(floor) {
        return Ok(count(floor));
    }
    let position = prune.has_outlets.then(|| position.map_or(0, count) + 1);
    let followed = work::followed(connection, business)?;
    let needed = [position, followed, needed(connection, business)?, scanned(connection, &prune.business)?];
    let next = next_floor(prune, count(floor), count(head), needed.into_iter().flatten().min());
    if next > count(floor) {
        let range = params![business.change_key(0), business.change_key(next)];
        execute(connection, "DELETE FROM change WHERE key > ?1 AND key <= ?2", range)?;
        let below = params![business.0, column(next)];
        execute(connection, "DELETE FROM dead_letter WHERE business = ?1 AND seq <= ?2", below)?;
        execute(connection, "UPDATE business SET floor = ?2 WHERE number = ?1", below)?;
    }
    Ok(next)
}

fn execute(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
    connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()
}

/// The first change that lanes and parked records still need.
fn needed(connection: &Connection, business: BusinessNumber) -> Result<Option<u64>, StoreError> {
    let lowest: Option<i64> = connection
        .prepare_cached("SELECT min(cursor) FROM lane WHERE business = ?1")
        .or_fault()?
        .query_row([business.0], |row| row.get(0))
        .or_fault()?;
    let mut first = lowest.map(|cursor| count(cursor) + 1);
    let mut select = connection.prepare_cached("SELECT body FROM parked WHERE business = ?1").or_fault()?;
    for body in select.query_map([business.0], |row| row.get::<_, Vec<u8>>(0)).or_fault()? {
        let parked: Parked = codec::decode(&body.or_fault()?)?;
        first = Some(first.map_or(parked.first_seq, |first| first.min(parked.first_seq)));
    }
    Ok(first)
}

/// The first change that scans still need.
fn scanned(connection: &Connection, business: &BusinessId) -> Result<Option<u64>, StoreError> {
    let mut select = connection.prepare_cached("SELECT body FROM scan").or_fault()?;
    let mut first = None;
    for body in select.query_map([], |row| row.get::<_, Vec<u8>>(0)).or_fault()? {
        let scan: Scan = codec::decode(&body.or_fault()?)?;
        if scan.business == *business {
            first = [first, needed_by(&scan)].into_iter().flatten().min();
        }
    }
    Ok(first)
}

impl Writing<'_> {
    /// Lets go of what a subscription owes; it goes on at the head.
    pub(crate) fn lapse(&mut self, lapsed: &Dropped, at: Timestamp) -> Result<(), StoreError> {
        let own = [blob(lapsed.subscription.0)];
        let mut waited = Vec::new();
        let mut select =
            self.connection().prepare_cached("SELECT operation FROM scan WHERE subscription = ?1").or_fault()?;
        for row in select.query_map(own, |row| row.get::<_, [u8; 16]>(0)).or_fault()? {
            waited.push(OperationId::from_number(u128::from_be_bytes(row.or_fault()?)));
        }
        drop(select);
        self.execute("DELETE FROM scan WHERE subscription = ?1", own)?;
        for operation in waited {
            let progress = Progress { over: 1, ..Progress::default() };
            self.advance(&lapsed.business, operation, progress, (&lapsed.tell, at))?;
        }
        let head = self.loader.head(&lapsed.business)?.0.seq;
        let business = self.loader.number(&lapsed.business)?;
        let owned = params![business.0, blob(lapsed.subscription.0)];
        self.execute("DELETE FROM parked WHERE business = ?1 AND subscription = ?2", owned)?;
        self.lane_step(business, lapsed.subscription, &LaneStep::Cursor(head))
    }
}
