//! The ready-made connectors, carried in the binary.

use crate::failure::Failure;
use crate::printer::say;
use lockstep_sync::registry::builtin::ALL;

/// The manifest of a ready-made connector.
pub(crate) fn load(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, ..)| *known == name).map(|(_, manifest, _)| *manifest)
}

/// Their names.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, ..)| *name).collect()
}

/// Prints their names.
pub(crate) fn list() -> Result<(), Failure> {
    for name in names() {
        say(name);
    }
    Ok(())
}
