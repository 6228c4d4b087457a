//! Matching: recognising a record by its values, and the lookup in which they are found.
//!
//! A type declares groups of fields; a caller names some of them, and a record matches that agrees in all fields of
//! one group. The first field of each group is looked up by its value, the rest is compared. Unique and indexed fields
//! are looked up too; an indexed one has an entry for each living record, an empty one where it lacks a value. Entries
//! are written and taken out by the commit that changes the value.

use crate::Fields;
use crate::command::MatchGroup;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::limits;
use crate::record::{Record, State};
use crate::rules::sorting;
use crate::rules::working_set::WorkingSet;
use crate::schema::{Field, Shape};
use serde_json::Value;

/// Where records with one value of one field are found, within one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey {
    /// The type.
    pub ty: TypeId,
    /// The field.
    pub field: String,
    /// The value as bytes that sort as it does, cut at [`limits::LOOKUP_BYTES_MAX`]: what is found is compared in
    /// full. Empty for a record without a value.
    pub value: Vec<u8>,
}

/// The bytes under which a value stands in the lookup; none for one that cannot be looked up by.
#[must_use]
pub fn bytes_of(kind: &Kind, value: &Value) -> Option<Vec<u8>> {
    let mut bytes = sorting::bytes(kind, value)?;
    bytes.truncate(limits::LOOKUP_BYTES_MAX);
    Some(bytes)
}

/// The key of a value; none for one that cannot be looked up by.
#[must_use]
pub fn key_of(ty: &TypeId, field: &str, kind: &Kind, value: &Value) -> Option<LookupKey> {
    Some(LookupKey { ty: ty.clone(), field: field.to_owned(), value: bytes_of(kind, value)? })
}

/// The key of a group, where the fields given say something of each of its members.
#[must_use]
pub fn key(shape: &Shape, fields: &Fields, group: &MatchGroup) -> Option<LookupKey> {
    let has_all = group.iter().all(|field| fields.get(field).is_some_and(|value| !value.is_null()));
    let first = shape.fields.get(group.first().filter(|_| has_all)?)?;
    key_of(&shape.id, &first.id, &first.kind, fields.get(&first.id)?)
}

/// The keys of all groups.
pub fn keys<'a>(
    shape: &'a Shape,
    fields: &'a Fields,
    groups: &'a [MatchGroup],
) -> impl Iterator<Item = LookupKey> + 'a {
    groups.iter().filter_map(move |group| key(shape, fields, group))
}

/// The keys of values that no other record may have, with their fields.
pub fn unique_keys<'a>(shape: &'a Shape, fields: &'a Fields) -> impl Iterator<Item = (&'a Field, LookupKey)> + 'a {
    let unique = shape.looked_up().filter(|field| field.is_unique);
    unique.filter_map(|field| Some((field, key_of(&shape.id, &field.id, &field.kind, fields.get(&field.id)?)?)))
}

/// Whether two records' fields agree in all of a group.
#[must_use]
pub fn agree(shape: &Shape, group: &MatchGroup, one: &Fields, other: &Fields) -> bool {
    group.iter().all(|id| match (one.get(id), other.get(id), shape.fields.get(id.as_str())) {
        (Some(one), Some(other), Some(field)) => !one.is_null() && field.kind.is_equal(one, other),
        _ => false,
    })
}

/// The entry of a record in this state under a field: none of a tombstone.
#[must_use]
pub fn entry(ty: &TypeId, field: &Field, state: &State) -> Option<LookupKey> {
    if state.is_deleted {
        return None;
    }
    let of_value = state.fields.get(&field.id).and_then(|value| key_of(ty, &field.id, &field.kind, value));
    let blank = || LookupKey { ty: ty.clone(), field: field.id.clone(), value: Vec::new() };
    of_value.or_else(|| field.has_whole_index().then(blank))
}

/// The lookup entries of a record in this state.
pub fn entries<'a>(shape: &'a Shape, state: &'a State) -> impl Iterator<Item = LookupKey> + 'a {
    shape.looked_up().filter_map(|field| entry(&shape.id, field, state))
}

/// Notes in the set what a change of state makes of a record's entries.
pub(super) fn note(set: &mut WorkingSet, shape: &Shape, before: &Record, after: &State) {
    let is_new = before.last_seq == 0;
    let changed = shape.looked_up().filter(|field| {
        is_new
            || before.state.is_deleted != after.is_deleted
            || before.state.fields.get(&field.id) != after.fields.get(&field.id)
    });
    for field in changed {
        if let Some(key) = entry(&shape.id, field, &before.state).filter(|_| !is_new) {
            set.written.lookups.insert((key, before.id), false);
        }
        if let Some(key) = entry(&shape.id, field, after) {
            set.written.lookups.insert((key, before.id), true);
        }
    }
}
