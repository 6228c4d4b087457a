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

/// Longest source of one template, in bytes: a page of markup with room to spare.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1_024;

/// Engine instructions one rendering may use. Templates have loops: this is a hundred
/// lines of an order, told in full. Each instruction is bounded by what a record holds.
pub const TEMPLATE_FUEL: u64 = 5_000;

/// Filters, calls, brackets, commas and joins in one tag of a template: what a tag makes
/// is at most so many times as large as what it was given.
pub const TAG_OPERATIONS_MAX: usize = 32;

/// Deepest nesting of `if` and `for` in a template.
pub const TEMPLATE_BLOCKS_MAX: usize = 16;

/// Largest text that `batch` and `slice` may repeat to fill up, in bytes.
pub const FILL_BYTES_MAX: usize = 64;

/// Longest source of a manifest's template, in bytes. The longest among the published ones has under 2 KiB.
pub const MANIFEST_TEMPLATE_BYTES_MAX: usize = 16 * 1_024;

/// Engine instructions one rendering of a manifest's template may use: a loop over a thousand items of a record. It also
/// bounds how deep a loop can nest a list in itself, which takes stack to let go of.
pub const MANIFEST_FUEL: u64 = 20_000;

/// Largest text that rendering a manifest's template may make on the way or in the end, in bytes. It becomes a field of a
/// record, a parameter of a request or its body.
pub const RENDERED_BYTES_MAX: usize = 1_024 * 1_024;

/// Most items of a list that a manifest's template puts together itself.
pub const SHELF_ITEMS_MAX: usize = 10_000;

/// Widest place that a text is padded to, in letters.
pub const WIDTH_MAX: usize = 1_024;

/// Most regular expressions that are kept compiled. A manifest has one or two.
pub const REGEXES_MAX: usize = 128;
