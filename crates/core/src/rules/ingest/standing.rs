//! Whether a record may stand as a command would have it: within the caller's reach, within its size, with every value
//! that its type requires, and with none that must be another's alone.

use super::{Case, Stop, fail, weight};
use crate::Fields;
use crate::error::{Code, Rejection};
use crate::ids::RecordId;
use crate::limits;
use crate::rules::matching::{self, LookupKey};
use crate::rules::working_set::Keys;
use crate::schema::Field;
use std::collections::BTreeSet;

impl Case<'_> {
    /// Checks what a record would hold. What it held before, if it lived, is not asked about again; `own` are the ids
    /// whose values are its own: its id, and those of records that it takes the place of.
    pub(super) fn may_stand(&self, own: &[RecordId], before: &Fields, after: &Fields) -> Result<(), Stop> {
        let id = own.first().copied();
        self.within_reach(id, after)?;
        self.has_what_is_required(id, after)?;
        self.takes_no_value(own, before, after)
    }

    fn within_reach(&self, id: Option<RecordId>, fields: &Fields) -> Result<(), Stop> {
        let ty = &self.command.ty;
        if !self.command.reach.holds(fields) {
            let text = format!("this credential may only write a {ty} that its row condition holds for");
            return fail(id, Code::OutsideGrant, text);
        }
        // Each body was bounded when it came in; many patches together must stay bounded too.
        let bytes: usize = fields.iter().map(|(field, value)| field.len() + weight(value)).sum();
        if bytes > 2 * limits::RECORD_BYTES_MAX {
            let most = 2 * limits::RECORD_BYTES_MAX;
            let text = format!("the {ty} would grow to {bytes} bytes; at most {most} are kept");
            return fail(id, Code::RecordTooLarge, text);
        }
        Ok(())
    }

    fn has_what_is_required(&self, id: Option<RecordId>, after: &Fields) -> Result<(), Stop> {
        let is_missing = |field: &&Field| field.is_required && !after.contains_key(&field.id);
        let Some(field) = self.shape.fields.values().find(is_missing) else { return Ok(()) };
        let ty = &self.shape.id;
        if self.command.reach.hides(&field.id) {
            let text = format!("a {ty} must have a value that this credential may not see: ask the administrator");
            return fail(id, Code::FieldRequired, text);
        }
        let text = format!("a {ty} must have {}, and this one would not: give it a value", field.id);
        Err(Stop::Fail(id, Rejection::new(Code::FieldRequired, text).at_field(&field.id)))
    }

    fn takes_no_value(&self, own: &[RecordId], before: &Fields, after: &Fields) -> Result<(), Stop> {
        let is_new = |(field, _): &(&Field, LookupKey)| before.get(&field.id) != after.get(&field.id);
        let wanted: Vec<_> = matching::unique_keys(self.shape, after).filter(is_new).collect();
        let is_unknown = |key: &&LookupKey| !self.set.lookups.contains_key(*key);
        let unknown: Vec<_> = wanted.iter().map(|(_, key)| key).filter(is_unknown).cloned().collect();
        if !unknown.is_empty() {
            return Err(Stop::Need(Keys { lookups: unknown, ..Keys::default() }));
        }
        let (mut holders, mut all) = (Vec::new(), BTreeSet::new());
        for (field, key) in wanted {
            let ids: BTreeSet<RecordId> = self.set.matches(&key)?.into_iter().filter(|id| !own.contains(id)).collect();
            all.extend(ids.iter().copied());
            holders.push((field, ids));
        }
        let records = self.set.records(&self.shape.id, all)?;
        for (field, ids) in holders {
            let is_equal = |fields: &Fields| match (fields.get(&field.id), after.get(&field.id)) {
                (Some(one), Some(other)) => field.kind.is_equal(one, other),
                _ => false,
            };
            let mut others = records.iter().filter(|record| ids.contains(&record.id) && !record.state.is_deleted);
            let Some(other) = others.find(|record| is_equal(&record.state.fields)) else { continue };
            // Who may not see the other record learns no more than that there is one.
            let is_seen = self.command.reach.holds(&other.state.fields);
            let by = if is_seen { format!(" {}", other.id) } else { String::new() };
            let text = match self.command.reach.hides(&field.id) {
                true => format!("another {} has a value that this one would take", self.shape.id),
                false => format!(
                    "another {}{by} has this {}, and no two may: give another value, or write to that record",
                    self.shape.id, field.id
                ),
            };
            return Err(Stop::Fail(own.first().copied(), Rejection::new(Code::ValueTaken, text).at_field(&field.id)));
        }
        Ok(())
    }
}
