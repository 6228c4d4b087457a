//! Undoing one change by another: what it set is taken back where it still stands, and what came later stays.

use super::write::{Mode, patched};
use super::{Case, Decided, Next, Stop};
use crate::Fields;
use crate::change::{Change, ChangeKind, Origin};
use crate::command::{Ending, Target};
use crate::external_id::ExternalId;
use crate::limits;
use crate::record::{Record, State};
use serde_json::Value;

impl Case<'_> {
    pub(super) fn rollback(&mut self, of: &Change) -> Decided {
        let record = self.find(&Target::Id(of.record))?;
        self.has_version_asked(&record)?;
        let state = &record.state;
        let is_newest = record.last_seq == of.seq;
        // Also where later changes have come and been undone.
        let is_as_left = **state == *of.state;
        match of.kind {
            _ if state.is_erased || of.state.is_erased => Ok((Some(record.id), Ending::Unchanged)),
            ChangeKind::Merged if state.merged_into.is_some() && state.merged_into == of.state.merged_into => {
                self.unmerge(&Target::Id(record.id))
            }
            ChangeKind::Deleted if is_newest && !of.was_deleted => self.restore(record),
            ChangeKind::Created if is_newest || is_as_left => self.delete(&Target::Id(record.id)),
            ChangeKind::Created | ChangeKind::Updated | ChangeKind::Correlated if !state.is_deleted => {
                self.take_back(record, of)
            }
            _ => Ok((Some(record.id), Ending::Unchanged)),
        }
    }

    /// A tombstone lives again as it was.
    fn restore(&mut self, record: Record) -> Decided {
        self.may_stand(&[record.id], &Fields::new(), &record.state.fields)?;
        let state = State { is_deleted: false, ..(*record.state).clone() };
        Ok(self.enter(self.command.fresh.change, record, Next::as_was(ChangeKind::Created, state)))
    }

    fn take_back(&mut self, record: Record, of: &Change) -> Decided {
        let wanted = self.old_values(&record, of);
        let (fields, old) = patched(self.shape, &record.state.fields, &wanted, Mode::Whole);
        let ids_before = of.old_external_ids.as_ref().filter(|_| of.kind != ChangeKind::Created);
        let (given, returned) = match ids_before {
            Some(ids_before) => self.moved_ids(&record, of, ids_before)?,
            None => (Vec::new(), Vec::new()),
        };
        if old.is_empty() && given.is_empty() && returned.is_empty() {
            return Ok((Some(record.id), Ending::Unchanged));
        }
        self.may_stand(&[record.id], &record.state.fields, &fields)?;
        let mut state = State { fields, ..(*record.state).clone() };
        for external in &given {
            self.set.set_holder(external.key(&self.command.ty), None);
            state = state.without(external);
        }
        for external in returned {
            let own = self.key_of(record.id);
            self.set.set_holder(external.key(&self.command.ty), Some(own));
            state.external_ids.push(external);
        }
        let kind = if old.is_empty() { ChangeKind::Correlated } else { ChangeKind::Updated };
        Ok(self.enter(self.command.fresh.change, record, Next { kind, state, old }))
    }

    /// The values before a change of the fields that still hold what it set, among those that the caller may write.
    fn old_values(&self, record: &Record, of: &Change) -> Fields {
        let set: Fields = match of.kind {
            ChangeKind::Created => of.state.fields.keys().map(|id| (id.clone(), Value::Null)).collect(),
            _ => of.old.clone(),
        };
        let stands = |(id, old): &(String, Value)| {
            let Some(field) = self.shape.fields.get(id) else { return false };
            let is_open = field.is_editable || self.command.origin == Origin::Admin;
            let [now, then] = [&record.state, &of.state].map(|state| state.fields.get(id).unwrap_or(&Value::Null));
            is_open && !self.command.reach.hides(id) && field.kind.is_equal(now, then) && field.kind.fits(old)
        };
        set.into_iter().filter(stands).collect()
    }

    /// The external ids that a change gave and the record still has, and those it took and nobody has since.
    fn moved_ids(
        &self,
        record: &Record,
        of: &Change,
        before: &[ExternalId],
    ) -> Result<(Vec<ExternalId>, Vec<ExternalId>), Stop> {
        let held = &record.state.external_ids;
        let is_given = |external: &&ExternalId| !before.contains(external) && held.contains(external);
        let given: Vec<ExternalId> = of.state.external_ids.iter().filter(is_given).cloned().collect();
        let mut returned = Vec::new();
        for external in before.iter().filter(|external| !of.state.is_called(external)) {
            let is_free = self.set.holder(&external.key(&self.command.ty))?.is_none();
            let kept = held.iter().filter(|held| !given.contains(held));
            let has_slot = !kept.clone().any(|held| held.has_slot_of(external));
            if is_free && has_slot && kept.count() + returned.len() < limits::EXTERNAL_IDS_MAX {
                returned.push(external.clone());
            }
        }
        Ok((given, returned))
    }
}
