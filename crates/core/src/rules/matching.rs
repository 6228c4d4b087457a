//! Matching: recognising a record by its values.
//!
//! A type declares groups of fields; a caller names some of them, and a record matches that agrees in all fields of
//! one group. The first field of each group is looked up by its value, the rest is compared. Each match field of a
//! living record has one entry in the lookup, entered and taken out by the commit that changes the value.

use crate::Fields;
use crate::command::MatchGroup;
use crate::ids::TypeId;
use crate::limits;
use crate::record::{Record, State};
use crate::rules::working_set::WorkingSet;
use crate::schema::Shape;
use serde_json::Value;

/// Where records with one value of one field are found, within one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey {
    /// The type.
    pub ty: TypeId,
    /// The field.
    pub field: String,
    /// The value's canonical text, cut at [`limits::LOOKUP_BYTES_MAX`]: what is found is compared in full.
    pub value: Vec<u8>,
}

/// The key of a value; none for one that cannot be looked up by.
#[must_use]
pub fn key_of(ty: &TypeId, field: &str, value: &Value) -> Option<LookupKey> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let mut value = text.into_bytes();
    value.truncate(limits::LOOKUP_BYTES_MAX);
    Some(LookupKey { ty: ty.clone(), field: field.to_owned(), value })
}

/// The key of a group, where the fields given say something of each of its members.
#[must_use]
pub fn key(ty: &TypeId, fields: &Fields, group: &MatchGroup) -> Option<LookupKey> {
    let has_all = group.iter().all(|field| fields.get(field).is_some_and(|value| !value.is_null()));
    let first = group.first().filter(|_| has_all)?;
    key_of(ty, first, fields.get(first)?)
}

/// The keys of all groups.
pub fn keys<'a>(ty: &'a TypeId, fields: &'a Fields, groups: &'a [MatchGroup]) -> impl Iterator<Item = LookupKey> + 'a {
    groups.iter().filter_map(move |group| key(ty, fields, group))
}

/// Whether two records' fields agree in all of a group.
#[must_use]
pub fn agree(shape: &Shape, group: &MatchGroup, one: &Fields, other: &Fields) -> bool {
    group.iter().all(|id| match (one.get(id), other.get(id), shape.fields.get(id.as_str())) {
        (Some(one), Some(other), Some(field)) => !one.is_null() && field.kind.is_equal(one, other),
        _ => false,
    })
}

/// The lookup entries of a record in this state: none of a tombstone.
pub fn entries<'a>(shape: &'a Shape, state: &'a State) -> impl Iterator<Item = LookupKey> + 'a {
    let living = shape.match_fields.iter().filter(|_| !state.is_deleted);
    living.filter_map(|field| key_of(&shape.id, field, state.fields.get(*field)?))
}

/// Notes in the set what a change of state makes of a record's entries.
pub(super) fn note(set: &mut WorkingSet, shape: &Shape, before: &Record, after: &State) {
    let is_new = before.last_seq == 0;
    let changed = shape.match_fields.iter().filter(|field| {
        is_new
            || before.state.is_deleted != after.is_deleted
            || before.state.fields.get(**field) != after.fields.get(**field)
    });
    for field in changed {
        let entry = |state: &State| key_of(&shape.id, field, state.fields.get(*field)?);
        if let Some(key) = entry(&before.state).filter(|_| !is_new && !before.state.is_deleted) {
            set.written.lookups.insert((key, before.id), false);
        }
        if let Some(key) = entry(after).filter(|_| !after.is_deleted) {
            set.written.lookups.insert((key, before.id), true);
        }
    }
}
