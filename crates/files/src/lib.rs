//! Bytes to rows: what a file or an answer holds, one row at a time.
//!
//! Sources send csv and xml of every kind: in old encodings, with lines that are too long or too wide, and larger
//! than memory. So rows are read lazily from any [`std::io::Read`]; what is wrong with one row is an item of the
//! iterator and not its end, and what cannot be bounded by the source is bounded here.
//!
//! ```text
//! Read ─▶ text: characters, line ends ─▶ csv: rows of named cells
//!                                     └▶ xml: elements at a path, or the document
//! ```
//! What it must not do: open files or connections, guess types (a cell is text), or keep more than a row.

pub mod csv;
mod text;
pub mod xml;

pub use text::{Encoding, UnknownEncoding};

/// Longest row of csv, and longest element of a row of xml with all that is in it, in bytes of UTF-8. A quote that
/// is never closed makes a row of the rest of a file; this is where that is noticed.
pub const ROW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most cells of a row. Sheets end at 16,384 columns.
pub const CELLS_MAX: usize = 16_384;

/// Deepest element of an XML document. `serde_json` reads back no more than 128 levels of what is written from it.
pub const DEPTH_MAX: usize = 120;
