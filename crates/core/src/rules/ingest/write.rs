//! Values: records made, changed, revived, deleted.

use super::naming::taken;
use super::{Case, Decided, Next, Stop, fail};
use crate::Fields;
use crate::change::{ChangeKind, Origin};
use crate::command::{Ending, MatchGroup, Target};
use crate::error::{Code, shown};
use crate::external_id::ExternalId;
use crate::record::{Record, State};
use crate::rules::check::merge_patch;
use crate::rules::matching;
use crate::schema::Shape;
use serde_json::Value;
use std::sync::Arc;

impl Case<'_> {
    pub(super) fn create(&mut self, fields: &Fields, external: Option<&ExternalId>, groups: &[MatchGroup]) -> Decided {
        if let Some(external) = external
            && let Some(record) = self.known(external)?
        {
            return match record.state.is_deleted {
                true => self.revive(record, fields),
                false => self.patch(record, fields),
            };
        }
        if let Some(record) = self.matched(fields, groups)? {
            self.has_version_asked(&record)?;
            return self.patch_and_call(record, fields, external);
        }
        self.make(fields, external)
    }

    /// The record that a caller calls so, at the version asked for.
    fn known(&self, external: &ExternalId) -> Result<Option<Record>, Stop> {
        let Some(key) = self.set.holder(&external.key(&self.command.ty))? else { return Ok(None) };
        let standing = self.set.record(key)?.filter(|record| self.command.reach.holds(&record.state.fields));
        let record = standing.cloned().ok_or_else(|| taken(external, None))?;
        self.has_version_asked(&record)?;
        Ok(Some(record))
    }

    pub(super) fn make(&mut self, fields: &Fields, external: Option<&ExternalId>) -> Decided {
        let command = self.command;
        if let Some(wanted) = command.if_match {
            let text =
                format!("If-Match asks for version {wanted}, and there is no such {} yet: leave it out", command.ty);
            return fail(None, Code::VersionConflict, text);
        }
        let id = command.fresh.record;
        let mut state =
            State { fields: patched(self.shape, &Fields::new(), fields, Mode::Merge).0, ..State::default() };
        self.may_stand(&[id], &Fields::new(), &state.fields)?;
        if let Some(external) = external {
            state.external_ids.push(external.clone());
            let own = self.key_of(id);
            self.set.set_holder(external.key(&command.ty), Some(own));
        }
        let blank = Record {
            id,
            ty: command.ty.clone(),
            version: 0,
            created_at: self.set.last_at.max(command.at),
            updated_at: command.at,
            last_seq: 0,
            state: Arc::default(),
            provenance: Vec::new(),
        };
        Ok(self.enter(command.fresh.change, blank, Next::as_was(ChangeKind::Created, state)))
    }

    /// The one record that a group of match fields finds among those the caller may see.
    pub(super) fn matched(&self, fields: &Fields, groups: &[MatchGroup]) -> Result<Option<Record>, Stop> {
        let mut found: Vec<Record> = Vec::new();
        for group in groups {
            let Some(key) = matching::key(self.shape, fields, group) else { continue };
            for record in self.set.records(&self.command.ty, self.set.matches(&key)?)? {
                let state = &record.state;
                let is_new = found.iter().all(|other| other.id != record.id);
                if is_new
                    && !state.is_deleted
                    && self.command.reach.holds(&state.fields)
                    && matching::agree(self.shape, group, &state.fields, fields)
                {
                    found.push(record.clone());
                }
            }
        }
        if found.len() > 1 {
            let ids: Vec<String> = found.iter().map(|record| record.id.to_string()).collect();
            let text = format!(
                "{} {} records match: {}; update one by its id, or merge them",
                found.len(),
                self.command.ty,
                ids.join(", ")
            );
            return fail(None, Code::AmbiguousMatch, text);
        }
        Ok(found.pop())
    }

    /// A tombstone whose external id is created again lives again, with the values now given and no others.
    fn revive(&mut self, record: Record, fields: &Fields) -> Decided {
        let fresh = patched(self.shape, &Fields::new(), fields, Mode::Merge).0;
        self.may_stand(&[record.id], &Fields::new(), &fresh)?;
        let mut old = record.state.fields.clone();
        for field in fresh.keys() {
            old.entry(field.clone()).or_insert(Value::Null);
        }
        old.retain(|field, value| fresh.get(field).unwrap_or(&Value::Null) != value);
        let state = State { fields: fresh, is_deleted: false, merged_into: None, ..(*record.state).clone() };
        Ok(self.enter(self.command.fresh.change, record, Next { kind: ChangeKind::Created, state, old }))
    }

    pub(super) fn update(&mut self, target: &Target, wanted: &Fields) -> Decided {
        let record = self.find_to_write(target)?;
        self.patch(record, wanted)
    }

    /// What is not said is cleared, except where the caller may not see or not write it.
    pub(super) fn replace(&mut self, target: &Target, wanted: &Fields) -> Decided {
        let record = match target {
            Target::Id(_) => self.find_to_write(target)?,
            Target::External(external) => match self.known(external)? {
                None => return self.make(wanted, Some(external)),
                Some(record) if record.state.is_deleted => return self.revive(record, wanted),
                Some(record) => record,
            },
        };
        let is_open = |id: &&String| {
            let field = self.shape.fields.get(*id);
            let may_write = self.command.origin == Origin::Admin || field.is_none_or(|field| field.is_editable);
            may_write && !self.command.reach.hides(id)
        };
        let mut whole: Fields =
            record.state.fields.keys().filter(is_open).map(|id| (id.clone(), Value::Null)).collect();
        whole.extend(wanted.clone());
        let patched = patched(self.shape, &record.state.fields, &whole, Mode::Whole);
        self.write(record, patched, None)
    }

    fn patch(&mut self, record: Record, wanted: &Fields) -> Decided {
        self.patch_and_call(record, wanted, None)
    }

    fn patch_and_call(&mut self, record: Record, wanted: &Fields, external: Option<&ExternalId>) -> Decided {
        let patched = patched(self.shape, &record.state.fields, wanted, Mode::Merge);
        self.write(record, patched, external)
    }

    /// Enters the fields after a write, given with the old values of those that changed.
    fn write(&mut self, record: Record, (fields, old): (Fields, Fields), external: Option<&ExternalId>) -> Decided {
        if old.is_empty() && external.is_none() {
            return Ok((Some(record.id), Ending::Unchanged));
        }
        self.may_stand(&[record.id], &record.state.fields, &fields)?;
        let mut state = State { fields, ..(*record.state).clone() };
        if let Some(external) = external {
            if let Some(other) = state.external_ids.iter().find(|held| held.has_slot_of(external)) {
                let text = format!(
                    "{} {} matches, but {} calls that one {} and not {}: update or correlate it by its id",
                    record.ty,
                    record.id,
                    external.provider,
                    shown(&other.id),
                    shown(&external.id)
                );
                return fail(Some(record.id), Code::AmbiguousMatch, text);
            }
            state.external_ids = self.called(&record, external)?.external_ids;
        }
        let kind = if old.is_empty() { ChangeKind::Correlated } else { ChangeKind::Updated };
        Ok(self.enter(self.command.fresh.change, record, Next { kind, state, old }))
    }

    pub(super) fn delete(&mut self, target: &Target) -> Decided {
        let record = self.find(target)?;
        if record.state.is_deleted {
            return Ok((Some(record.id), Ending::Unchanged));
        }
        self.has_version_asked(&record)?;
        let state = State { is_deleted: true, ..(*record.state).clone() };
        Ok(self.enter(self.command.fresh.change, record, Next::as_was(ChangeKind::Deleted, state)))
    }
}

/// What an object in a patch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A patch of the object that stands.
    Merge,
    /// The object in its place.
    Whole,
}

/// The fields after a patch, and the old values of those that changed.
pub(super) fn patched(shape: &Shape, standing: &Fields, patch: &Fields, mode: Mode) -> (Fields, Fields) {
    let (mut fields, mut old) = (standing.clone(), Fields::new());
    for (id, wanted) in patch {
        let before = standing.get(id).unwrap_or(&Value::Null);
        let merged =
            if wanted.is_object() && mode == Mode::Merge { merge_patch(Some(before), wanted) } else { wanted.clone() };
        let after = if merged.as_object().is_some_and(Fields::is_empty) { Value::Null } else { merged };
        let is_equal =
            shape.fields.get(id.as_str()).map_or(before == &after, |field| field.kind.is_equal(before, &after));
        if is_equal {
            continue;
        }
        old.insert(id.clone(), before.clone());
        if after.is_null() {
            fields.remove(id);
        } else {
            fields.insert(id.clone(), after);
        }
    }
    (fields, old)
}
