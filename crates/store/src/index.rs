//! Pages of the lookup and of a type's records, and the building of indexes over what stands.

use lockstep_core::ids::{RecordId, TypeId};

/// A page of one field's entries, in order of value and then of record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The least value, as bytes; the empty one is that of records without a value.
    pub from: Option<Vec<u8>>,
    /// The greatest value, taken in.
    pub to: Option<Vec<u8>>,
    /// The entry after which the page begins, in the page's order.
    pub after: Option<(Vec<u8>, RecordId)>,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// Which way a type's records are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Oldest first, after a record; [`Walk::OLDEST`] begins.
    Up(RecordId),
    /// Newest first, before a record; [`Walk::NEWEST`] begins.
    Down(RecordId),
}

impl Walk {
    /// From the first record that was made.
    pub const OLDEST: Self = Self::Up(RecordId(0));
    /// From the last one.
    pub const NEWEST: Self = Self::Down(RecordId(u128::MAX));

    /// The same way, on from a record.
    #[must_use]
    pub const fn on_from(self, record: RecordId) -> Self {
        match self {
            Self::Up(_) => Self::Up(record),
            Self::Down(_) => Self::Down(record),
        }
    }
}

/// A field whose index is not whole, or whose old entries are not all gone.
pub type Building = (TypeId, String);
