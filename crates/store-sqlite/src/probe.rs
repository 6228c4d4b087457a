//! What a reader could do at most: the bench's measure beside which a reader of the log is shown. No part of a hub.

use crate::fault::OrFault;
use lockstep_store::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probed {
    /// Rows of the log.
    pub rows: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Reads every row of the log of a store once, in order, and does nothing with it.
///
/// # Errors
/// [`StoreError`].
pub fn read_log(folder: &Path) -> Result<Probed, StoreError> {
    let path = folder.join("lockstep.db");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).or_fault()?;
    let mut select = connection.prepare("SELECT key, body FROM change ORDER BY key").or_fault()?;
    let mut rows = select.query([]).or_fault()?;
    let mut probed = Probed::default();
    while let Some(row) = rows.next().or_fault()? {
        let body = row.get_ref(1).or_fault()?.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        probed.rows += 1;
        probed.bytes += body.len() as u64;
    }
    Ok(probed)
}
