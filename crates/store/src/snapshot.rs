//! A copy of a whole store as it stood at one moment, taken while commits go on.

use lockstep_core::ids::BusinessId;
use lockstep_core::position::Position;
use std::fs::File;

/// The copy. It has no name in any folder, so nothing of it is left when it is dropped.
pub struct Snapshot {
    /// What is in it, from its first byte; to be read alone.
    pub file: File,
    /// How long it is.
    pub bytes: u64,
    /// The name that the file has in a data folder.
    pub name: &'static str,
    /// The format of the file, as the store counts them.
    pub format: i64,
    /// The place of each business's newest change in it.
    pub heads: Vec<(BusinessId, Position)>,
    /// Held for as long as the copy is used: no other is taken meanwhile.
    pub place: Box<dyn Send>,
}
