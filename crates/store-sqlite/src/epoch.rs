//! Epochs: where a business's log stands, and the new life that a restore gives every log.

use crate::fault::OrFault;
use crate::key::{count, unknown};
use crate::open;
use lockstep_core::clock::Timestamp;
use lockstep_core::ids::BusinessId;
use lockstep_core::position::Position;
use lockstep_store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;

/// The place of the newest change, from columns `epoch` and `head`.
pub(crate) fn position(row: &Row<'_>, epoch: &str, head: &str) -> rusqlite::Result<Position> {
    Ok(Position { epoch: row.get(epoch)?, seq: count(row.get(head)?) })
}

/// The place of a business's newest change.
pub(crate) fn head(connection: &Connection, business: &BusinessId) -> Result<Position, StoreError> {
    let mut select = connection.prepare_cached("SELECT epoch, head FROM business WHERE id = ?1").or_fault()?;
    let found = select.query_row([business.as_str()], |row| position(row, "epoch", "head")).optional().or_fault()?;
    found.ok_or_else(|| unknown(business))
}

/// The place of each business's newest change.
pub(crate) fn heads(connection: &Connection) -> Result<Vec<(BusinessId, Position)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, epoch, head FROM business ORDER BY id").or_fault()?;
    let rows =
        select.query_map([], |row| Ok((row.get::<_, String>(0)?, position(row, "epoch", "head")?))).or_fault()?;
    rows.map(|row| {
        let (id, position) = row.or_fault()?;
        let id = BusinessId::parse(&id).map_err(|refused| StoreError::Corrupt(refused.message))?;
        Ok((id, position))
    })
    .collect()
}

/// Gives every log its next epoch.
pub(crate) fn raise(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    for (business, position) in heads(connection)? {
        let next = Position::next_epoch(position.epoch, now).ok_or_else(|| {
            StoreError::Failed(format!("{business} has had {} epochs, the most a log may have", position.epoch))
        })?;
        let mut update = connection.prepare_cached("UPDATE business SET epoch = ?2 WHERE id = ?1").or_fault()?;
        update.execute(params![business.as_str(), next]).or_fault()?;
    }
    Ok(())
}

/// Gives every log of a folder's store, which nobody serves, its next epoch. For whoever puts back a copy of the
/// files by other means than `lockstep restore`, and for tests.
///
/// # Errors
/// [`StoreError::InUse`] while a process serves the folder, or why the store cannot be opened.
pub fn begin_epoch(folder: &Path, now: Timestamp) -> Result<(), StoreError> {
    let _lock = open::take(folder)?;
    let mut connection = open::main(&open::Files::of(folder))?;
    let transaction = connection.transaction().or_fault()?;
    raise(&transaction, now)?;
    transaction.commit().or_fault()
}
