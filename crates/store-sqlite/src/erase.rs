//! Blanking the past of erased records, a bounded amount in a transaction: a row says how far it has come.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, count};
use lockstep_core::delivery::{DeadLetter, Notice, Parked};
use lockstep_core::ids::{BusinessId, RecordId};
use lockstep_core::limits::{ERASED_CHANGES_A_TURN, ERASED_ROWS_A_TURN};
use lockstep_core::operation::Operation;
use lockstep_core::record::RecordKey;
use lockstep_store::erase::{blank_letter, blank_notice, blank_operation, blank_parked};
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// An erased record, and how far its past has been blanked.
struct Job {
    row: i64,
    business: BusinessNumber,
    record: RecordId,
    seq: u64,
    notice: i64,
    operation: Vec<u8>,
}

/// Enters that a record's past is to be blanked, from a seq back along its chain.
pub(crate) fn begin(
    connection: &Connection,
    business: BusinessNumber,
    key: &RecordKey,
    seq: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO erasure (business, type, record, seq) VALUES (?1, ?2, ?3, ?4)";
    let values = params![business.0, key.ty.as_str(), blob(key.id.0), column(seq)];
    connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
    Ok(())
}

fn first(connection: &Connection) -> Result<Option<Job>, StoreError> {
    let sql = "SELECT row, business, record, seq, notice, operation FROM erasure ORDER BY row LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| {
        let record: [u8; 16] = row.get(2)?;
        let job = Job {
            row: row.get(0)?,
            business: BusinessNumber(row.get(1)?),
            record: RecordId(u128::from_be_bytes(record)),
            seq: count(row.get(3)?),
            notice: row.get(4)?,
            operation: row.get(5)?,
        };
        Ok(job)
    };
    connection.prepare_cached(sql).or_fault()?.query_row([], read).optional().or_fault()
}

fn body(connection: &Connection, key: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = connection.prepare_cached("SELECT body FROM change WHERE key = ?1").or_fault()?;
    select.query_row([key], |row| row.get(0)).optional().or_fault()
}

/// The changes that the next turn blanks, and their business; none where nothing is left to do.
pub(crate) fn next(connection: &Connection) -> Result<Option<(BusinessId, BTreeSet<u64>)>, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let Some(job) = first(&snapshot)? else { return Ok(None) };
    let id: String = snapshot
        .query_row("SELECT id FROM business WHERE number = ?1", [job.business.0], |row| row.get(0))
        .or_fault()?;
    let id = BusinessId::parse(&id).map_err(|refused| StoreError::Corrupt(refused.message))?;
    let (mut seqs, mut seq) = (BTreeSet::new(), job.seq);
    while seq > 0 && seqs.len() < ERASED_CHANGES_A_TURN {
        let Some(body) = body(&snapshot, job.business.change_key(seq))? else { break };
        seqs.insert(seq);
        seq = codec::change::prev_seq(seq, &body)?;
    }
    Ok(Some((id, seqs)))
}

/// One turn of the oldest erasure; says whether more is left.
pub(crate) fn turn(connection: &Connection) -> Result<bool, StoreError> {
    let Some(mut job) = first(connection)? else { return Ok(false) };
    job.changes(connection)?;
    job.parked(connection)?;
    let is_last = job.notices(connection)? & job.operations(connection)? & (job.seq == 0);
    if is_last {
        connection.prepare_cached("DELETE FROM erasure WHERE row = ?1").or_fault()?.execute([job.row]).or_fault()?;
    } else {
        connection
            .prepare_cached("UPDATE erasure SET seq = ?2, notice = ?3, operation = ?4 WHERE row = ?1")
            .or_fault()?
            .execute(params![job.row, column(job.seq), job.notice, job.operation])
            .or_fault()?;
    }
    Ok(first(connection)?.is_some())
}

impl Job {
    fn changes(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut update = connection.prepare_cached("UPDATE change SET body = ?2 WHERE key = ?1").or_fault()?;
        for _ in 0..ERASED_CHANGES_A_TURN {
            if self.seq == 0 {
                break;
            }
            let key = self.business.change_key(self.seq);
            // What was pruned is gone already, and all before it.
            let Some(body) = body(connection, key)? else {
                self.seq = 0;
                break;
            };
            let change = codec::change::decode(self.seq, &body)?.blanked();
            let state = codec::change::state_json(&change.state)?;
            update.execute(params![key, codec::change::encode(&change, &state)?]).or_fault()?;
            self.letters(connection)?;
            self.seq = change.prev_seq;
        }
        Ok(())
    }

    fn letters(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut select = connection
            .prepare_cached("SELECT subscription, body FROM dead_letter WHERE business = ?1 AND seq = ?2")
            .or_fault()?;
        let own = params![self.business.0, column(self.seq)];
        let rows =
            select.query_map(own, |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?))).or_fault()?;
        for row in rows.collect::<Result<Vec<_>, _>>().or_fault()? {
            let mut letter: DeadLetter = codec::decode(&row.1)?;
            blank_letter(&mut letter);
            let sql = "UPDATE dead_letter SET body = ?4 WHERE business = ?1 AND subscription = ?2 AND seq = ?3";
            let values = params![self.business.0, row.0, column(self.seq), codec::encode(&letter)?];
            connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
        }
        Ok(())
    }

    /// Those of the record stand under its id, and those of single changes of it under their own.
    fn parked(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut select =
            connection.prepare_cached("SELECT subscription, body FROM parked WHERE business = ?1").or_fault()?;
        let rows = select
            .query_map([self.business.0], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .or_fault()?;
        for row in rows.collect::<Result<Vec<_>, _>>().or_fault()? {
            let mut parked: Parked = codec::decode(&row.1)?;
            if parked.record != self.record {
                continue;
            }
            blank_parked(&mut parked);
            let sql = "UPDATE parked SET body = ?4 WHERE business = ?1 AND subscription = ?2 AND record = ?3";
            let values = params![self.business.0, row.0, blob(parked.place().0), codec::encode(&parked)?];
            connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
        }
        Ok(())
    }

    /// Looks through some notices; says whether they were the last.
    fn notices(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        let mut select = connection
            .prepare_cached("SELECT row, body FROM notice WHERE row > ?1 ORDER BY row LIMIT ?2")
            .or_fault()?;
        let after = params![self.notice, column(ERASED_ROWS_A_TURN as u64)];
        let rows = select.query_map(after, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).or_fault()?;
        let rows = rows.collect::<Result<Vec<_>, _>>().or_fault()?;
        let is_last = rows.len() < ERASED_ROWS_A_TURN;
        for (row, body) in rows {
            self.notice = row;
            let mut notice: Notice = codec::decode(&body)?;
            if blank_notice(&mut notice, self.record) {
                let mut update = connection.prepare_cached("UPDATE notice SET body = ?2 WHERE row = ?1").or_fault()?;
                update.execute(params![row, codec::encode(&notice)?]).or_fault()?;
            }
        }
        Ok(is_last)
    }

    /// Looks through some operations; says whether they were the last.
    fn operations(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        let mut select = connection
            .prepare_cached("SELECT id, body FROM operation WHERE business = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
            .or_fault()?;
        let after = params![self.business.0, self.operation, column(ERASED_ROWS_A_TURN as u64)];
        let rows =
            select.query_map(after, |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))).or_fault()?;
        let rows = rows.collect::<Result<Vec<_>, _>>().or_fault()?;
        let is_last = rows.len() < ERASED_ROWS_A_TURN;
        for (id, body) in rows {
            let mut operation: Operation = codec::decode(&body)?;
            if blank_operation(&mut operation, self.record) {
                let sql = "UPDATE operation SET body = ?3 WHERE business = ?1 AND id = ?2";
                let values = params![self.business.0, id, codec::encode(&operation)?];
                connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
            }
            self.operation = id;
        }
        Ok(is_last)
    }
}
