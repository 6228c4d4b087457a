//! Forgetting what is over, a bounded amount at a time, from the old end of each table.

use crate::fault::OrFault;
use crate::key::blob;
use lockstep_core::clock::Timestamp;
use lockstep_core::limits;
use lockstep_store::StoreError;
use rusqlite::{Connection, params};

/// Rows forgotten of one table in one turn.
const ROWS_MAX: i64 = 2_000;

/// Sweeps the main file.
pub(crate) fn main(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE row IN (SELECT row FROM idempotency ORDER BY row LIMIT ?2) \
             AND expires_at <= ?1",
        )
        .or_fault()?
        .execute(params![now.0, ROWS_MAX])
        .or_fault()?;
    // Ids of operations with rows begin with their time.
    let oldest = u128::try_from(now.plus_ms(-limits::OPERATION_KEPT_MS).0).unwrap_or(0) << 80;
    connection
        .prepare_cached(
            "DELETE FROM operation WHERE (business, id) IN (SELECT o.business, o.id FROM business b \
             JOIN operation o ON o.business = b.number AND o.id < ?1 LIMIT ?2)",
        )
        .or_fault()?
        .execute(params![blob(oldest), ROWS_MAX])
        .or_fault()?;
    connection
        .prepare_cached(
            "DELETE FROM outcome WHERE row IN (SELECT o.row FROM business b \
             JOIN outcome o ON o.business = b.number AND o.operation < ?1 LIMIT ?2)",
        )
        .or_fault()?
        .execute(params![blob(oldest), ROWS_MAX])
        .or_fault()?;
    connection
        .prepare_cached("DELETE FROM named_commit WHERE at < ?1")
        .or_fault()?
        .execute([now.plus_ms(-limits::COMMIT_ID_KEPT_MS).0])
        .or_fault()?;
    Ok(())
}

/// Sweeps the attempt log.
pub(crate) fn attempts(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let oldest = now.plus_ms(-limits::ATTEMPT_KEPT_MS).0;
    for table in ["success", "failure"] {
        let sql = format!(
            "DELETE FROM {table} WHERE row IN (SELECT row FROM {table} ORDER BY row LIMIT {ROWS_MAX}) AND at < ?1"
        );
        connection.prepare_cached(&sql).or_fault()?.execute([oldest]).or_fault()?;
    }
    Ok(())
}
