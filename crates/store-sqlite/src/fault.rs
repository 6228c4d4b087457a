//! What SQLite's errors mean to the port.

use lockstep_store::StoreError;
use rusqlite::{Error, ErrorCode};

/// Says an engine's error in the port's words.
pub(crate) fn fault(error: &Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::Unusable(text),
        Some(ErrorCode::SystemIoFailure) => StoreError::Broken(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::InUse(format!("{text}: another program has the store's file open"))
        }
        _ => StoreError::Failed(text),
    }
}

/// `?` on an engine's result, in the port's words.
pub(crate) trait OrFault<T> {
    /// The value, or the error as the port says it.
    fn or_fault(self) -> Result<T, StoreError>;
}

impl<T> OrFault<T> for rusqlite::Result<T> {
    fn or_fault(self) -> Result<T, StoreError> {
        self.map_err(|error| fault(&error))
    }
}
