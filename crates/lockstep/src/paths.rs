//! Files of a data folder that are not the store's own.

use std::path::{Path, PathBuf};

/// Where data stands if nobody says otherwise.
pub(crate) fn default_data() -> PathBuf {
    PathBuf::from("lockstep-data")
}

/// The sealing key of a data folder.
pub(crate) fn sealing_key(data: &Path) -> PathBuf {
    data.join("lockstep.key")
}

/// The key that a rekey is about to put in the place of the sealing key.
pub(crate) fn next_sealing_key(data: &Path) -> PathBuf {
    data.join("lockstep.key.new")
}

/// The key that it was before the last rekey.
pub(crate) fn old_sealing_key(data: &Path) -> PathBuf {
    data.join("lockstep.key.old")
}

/// The administrator's API key of a data folder.
pub(crate) fn admin_key(data: &Path) -> PathBuf {
    data.join("admin.key")
}
