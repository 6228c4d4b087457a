//! Merging: two records of the same thing become one, and, if that was a mistake, two again.
//!
//! The survivor keeps its values, fills its blanks from the other, and takes its external ids; where both had an id
//! of one slot the survivor's stays the one to write to and the other becomes an alias. The record that goes keeps
//! its values and the list of its ids in its tombstone, so a later unmerge can give them back.

use super::{Case, Decided, Next, fail};
use crate::change::ChangeKind;
use crate::command::Target;
use crate::error::Code;
use crate::external_id::ExternalId;
use crate::limits;
use crate::record::{Record, State};
use serde_json::Value;

impl Case<'_> {
    pub(super) fn merge(&mut self, target: &Target, into: &Target) -> Decided {
        let goes = self.find_to_write(target)?;
        let stays = self.find_living(into)?;
        if goes.id == stays.id {
            let text = format!("{} cannot be merged into itself: name another record in \"into\"", goes.id);
            return fail(Some(goes.id), Code::MergeRefused, text);
        }
        let next = self.survivor(&goes, &stays)?;
        let survivor = self.key_of(stays.id);
        for external in goes.state.external_ids.iter().chain(&goes.state.aliases) {
            self.set.set_holder(external.key(&self.command.ty), Some(survivor.clone()));
        }
        let gone = State { is_deleted: true, merged_into: Some(stays.id), ..(*goes.state).clone() };
        if next.state != *stays.state {
            self.enter(self.command.fresh.second_change, stays, next);
        }
        Ok(self.enter(self.command.fresh.change, goes, Next::as_was(ChangeKind::Merged, gone)))
    }

    fn survivor(&self, goes: &Record, stays: &Record) -> Result<Next, super::Stop> {
        let mut state = (*stays.state).clone();
        let mut old = crate::Fields::new();
        for (field, value) in &goes.state.fields {
            if !state.fields.contains_key(field) {
                old.insert(field.clone(), Value::Null);
                state.fields.insert(field.clone(), value.clone());
            }
        }
        for external in &goes.state.external_ids {
            let is_second = state.external_ids.iter().any(|held| held.has_slot_of(external));
            if is_second { &mut state.aliases } else { &mut state.external_ids }.push(external.clone());
        }
        state.aliases.extend(goes.state.aliases.iter().cloned());
        let count = state.external_ids.len() + state.aliases.len();
        if count > limits::EXTERNAL_IDS_MAX {
            let text =
                format!("{} would have {count} external ids; at most {} are kept", stays.id, limits::EXTERNAL_IDS_MAX);
            return fail(Some(stays.id), Code::LimitReached, text);
        }
        self.may_stand(&[stays.id, goes.id], &stays.state.fields, &state.fields)?;
        let kind = if old.is_empty() { ChangeKind::Correlated } else { ChangeKind::Updated };
        Ok(Next { kind, state, old })
    }

    /// The record lives again as it was; ids that went elsewhere since stay there, and so do later edits.
    pub(super) fn unmerge(&mut self, target: &Target) -> Decided {
        let gone = self.find(target)?;
        self.has_version_asked(&gone)?;
        let Some(into) = gone.state.merged_into else {
            let text = format!("{} {} was not merged: there is nothing to undo", gone.ty, gone.id);
            return fail(Some(gone.id), Code::MergeRefused, text);
        };
        let survivor = self.set.record(&self.key_of(into))?.cloned();
        if let Some(next) = survivor.as_ref().and_then(|record| record.state.merged_into) {
            let text = match self.command.reach.is_unconditional() {
                true => format!("{into}, which took its place, was itself merged into {next}: unmerge {into} first"),
                // To whom only some records are open, another record's id is not told.
                false => "the record that took its place was itself merged into another: unmerge that first".to_owned(),
            };
            return fail(Some(gone.id), Code::MergeRefused, text);
        }
        let own = self.key_of(gone.id);
        let mut state = State { is_deleted: false, merged_into: None, ..(*gone.state).clone() };
        let mut taken_back: Vec<ExternalId> = Vec::new();
        for external in gone.state.external_ids.iter().chain(&gone.state.aliases) {
            let holder = self.set.holder(&external.key(&self.command.ty))?;
            if holder.is_some_and(|holder| holder.id == into) {
                taken_back.push(external.clone());
            } else {
                state = state.without(external);
            }
        }
        self.may_stand(&[gone.id], &crate::Fields::new(), &state.fields)?;
        for external in &taken_back {
            self.set.set_holder(external.key(&self.command.ty), Some(own.clone()));
        }
        if let Some(survivor) = survivor.filter(|_| !taken_back.is_empty()) {
            let less = taken_back.iter().fold((*survivor.state).clone(), |state, external| state.without(external));
            self.enter(self.command.fresh.second_change, survivor, Next::as_was(ChangeKind::Correlated, less));
        }
        Ok(self.enter(self.command.fresh.change, gone, Next::as_was(ChangeKind::Created, state)))
    }
}
