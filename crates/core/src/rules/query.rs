//! Queries: what a filter means of a record, how records are ordered, and which index leads to them.
//!
//! Order is by the bytes that a value has in the lookup, and among equals by record id, whichever way the records are
//! found: so a page is the same by an index as without one.

pub mod filter;
pub mod plan;

use crate::ids::RecordId;
use crate::record::Record;
use crate::rules::matching::bytes_of;
use crate::schema::Field;
use filter::Test;
use serde_json::Value;

/// What a record is filtered and ordered by.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// When it was made.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// One of its fields.
    Field(Box<Field>),
}

impl Subject {
    /// The name by which callers know it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CreatedAt => "createdAt",
            Self::UpdatedAt => "updatedAt",
            Self::Field(field) => &field.id,
        }
    }

    /// The place of a record in the order of this: empty where it has no value. The order in which records were made is
    /// that of their ids.
    #[must_use]
    pub fn place_of(&self, record: &Record) -> Vec<u8> {
        match self {
            Self::CreatedAt => Vec::new(),
            Self::UpdatedAt => (record.updated_at.0.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec(),
            Self::Field(field) => {
                let value = record.state.fields.get(&field.id).unwrap_or(&Value::Null);
                bytes_of(&field.kind, value).unwrap_or_default()
            }
        }
    }
}

/// In which order records are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// By what.
    pub by: Subject,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// A place in an order: that of a value, and among its equals that of a record.
pub type Place = (Vec<u8>, RecordId);

impl Order {
    /// The place of a record.
    #[must_use]
    pub fn place_of(&self, record: &Record) -> Place {
        (self.by.place_of(record), record.id)
    }

    /// Whether one place comes after another.
    #[must_use]
    pub fn is_after(&self, one: &Place, other: &Place) -> bool {
        if self.is_descending { one < other } else { one > other }
    }

    /// Puts places in order.
    pub fn sort<T>(&self, placed: &mut [(Place, T)]) {
        placed.sort_by(|(one, _), (other, _)| if self.is_descending { other.cmp(one) } else { one.cmp(other) });
    }
}

/// Whether a record meets all tests.
#[must_use]
pub fn meets(tests: &[Test], record: &Record) -> bool {
    !record.state.is_deleted && tests.iter().all(|test| test.is_met_by(record))
}
