//! How much an expression may ask for. Every limit of this crate, with its reason.
//! It must not hold anything but numbers: who keeps them is said beside the keeping.

/// Longest source of one expression, in bytes. Far more than a person writes in a
/// form field, little enough that parsing it is never a burden.
pub const SOURCE_BYTES_MAX: usize = 4_096;

/// Deepest nesting of brackets. Reading them takes stack; people rarely pass ten.
pub const NESTING_MAX: usize = 64;

/// Engine instructions one evaluation may use. Expressions have no loops, so this
/// stops only those that are long and dense; ordinary ones use fewer than fifty.
pub const FUEL: u64 = 1_000;

/// Largest text that a filter which can make text grow (`join`, `replace`, `indent`,
/// `tojson`, `escape`) may return, in bytes. Texts of a record pass through unhindered.
pub const TEXT_BYTES_MAX: usize = 256 * 1_024;

/// Most items that `range` may make, or `batch` and `slice` may fill up.
pub const ITEMS_MAX: usize = 1_000;
