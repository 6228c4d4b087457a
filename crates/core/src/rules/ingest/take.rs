//! Shares: an object taken in as a platform showed it, and what became of a write to one.
//!
//! An edit is what differs from the shadow: fields that equal it say nothing, however new the object's time. The shadow
//! takes what was shown in the very commit that takes the edit, so it says neither more nor less than the record was
//! told. What cannot be taken leaves the shadow as it was, so that it is taken up again when it is next seen.

use super::naming::taken as held_by;
use super::write::{Mode, patched};
use super::{Case, Decided, Next, fail};
use crate::Fields;
use crate::change::ChangeKind;
use crate::command::{Ending, Intake, Pushed, Take, Taken, Target};
use crate::error::{Code, shown};
use crate::external_id::ExternalId;
use crate::ids::RecordId;
use crate::record::{Record, State};
use crate::rules::check;
use crate::shadow::{Shadow, ShadowState};
use serde_json::Value;

/// Keys of a mapping that begin so stand for values of the remote's alone.
const REMOTE_ONLY: char = '@';

impl Case<'_> {
    /// Takes in an object.
    pub(super) fn take(&mut self, take: &Take) -> Decided {
        let shadow = self.set.shadow(&take.object)?.cloned();
        if take.intake == Intake::Nothing {
            return Ok((shadow.and_then(|shadow| shadow.record), Ending::Taken { what: Taken::Skipped, seq: None }));
        }
        if shadow.as_ref().is_some_and(|shadow| is_stale(take, shadow)) {
            return Ok((shadow.and_then(|shadow| shadow.record), Ending::Taken { what: Taken::Stale, seq: None }));
        }
        // What was uncorrelated since is seen for the first time once more.
        let holder = self.set.holder(&take.external_id.key(&self.command.ty))?.map(|holder| holder.id);
        let linked = shadow.as_ref().filter(|shadow| shadow.record.is_some() && shadow.record == holder);
        let edits = self.edits(take, linked);
        check::still_fit(self.shape, &edits, &self.command.reach, &self.command.origin)
            .map_err(|rejection| super::Stop::Fail(None, rejection))?;
        let (record, what, seq) = match self.record_of(take)? {
            Some(record) => self.edit(record, take, &edits)?,
            None if self.is_wanted(take, shadow.as_ref()) => {
                let (record, ending) = self.make(&edits, Some(&take.external_id))?;
                (record, Taken::Created, seq_of(&ending))
            }
            None => (None, Taken::Skipped, None),
        };
        self.keep_seen(take, shadow, record);
        Ok((record, Ending::Taken { what, seq }))
    }

    /// Whether a record is made of an object that is nobody's yet.
    fn is_wanted(&self, take: &Take, shadow: Option<&Shadow>) -> bool {
        match (take.intake, shadow) {
            (Intake::All, _) | (Intake::Changed, None) => true,
            (Intake::Changed, Some(left_out)) => take.seen.values.iter().any(|(key, value)| {
                let known = left_out.values.get(key).unwrap_or(&Value::Null);
                !key.starts_with(REMOTE_ONLY) && !self.is_equal(key, known, value)
            }),
            _ => false,
        }
    }

    /// What the object says that the shadow does not. Of one that was never seen, what is empty says nothing.
    fn edits(&self, take: &Take, linked: Option<&Shadow>) -> Fields {
        let is_edit = |(key, value): &(&String, &Value)| {
            if key.starts_with(REMOTE_ONLY) {
                return false;
            }
            match linked.and_then(|shadow| shadow.values.get(*key)) {
                Some(known) => !self.is_equal(key, known, value),
                None => !is_empty(value),
            }
        };
        let edits = take.seen.values.iter().filter(is_edit);
        edits.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn is_equal(&self, key: &str, one: &Value, other: &Value) -> bool {
        let is_kinds = |one, other| match self.shape.fields.get(key) {
            Some(field) => field.kind.is_equal(one, other),
            None => one == other,
        };
        (is_empty(one) && is_empty(other)) || is_kinds(one, other)
    }

    /// The record that the object is: the one called by it, else the one that matches.
    fn record_of(&self, take: &Take) -> Result<Option<Record>, super::Stop> {
        if let Some(key) = self.set.holder(&take.external_id.key(&self.command.ty))? {
            return Ok(self.set.record(key)?.cloned());
        }
        let Some(record) = self.matched(&take.seen.values, &take.matching)? else { return Ok(None) };
        if let Some(other) = record.state.external_ids.iter().find(|held| held.has_slot_of(&take.external_id)) {
            let text = format!(
                "{} {} matches, and is {} there already, not {}: merge the two there, or end one of them",
                record.ty,
                record.id,
                shown(&other.id),
                shown(&take.external_id.id)
            );
            return fail(Some(record.id), Code::RemoteDuplicate, text);
        }
        Ok(Some(record))
    }

    /// Enters an object's edits into its record, and that it is its record's.
    fn edit(
        &mut self,
        record: Record,
        take: &Take,
        edits: &Fields,
    ) -> Result<(Option<RecordId>, Taken, Option<u64>), super::Stop> {
        let wanted = if take.intake == Intake::Link { Fields::new() } else { edits.clone() };
        let (fields, old) = patched(self.shape, &record.state.fields, &wanted, Mode::Whole);
        if record.state.is_deleted {
            if old.is_empty() {
                return Ok((Some(record.id), Taken::Unchanged, None));
            }
            let text = format!(
                "{} {} was deleted here and has been edited there: delete it there too, or create it again with its external id",
                record.ty, record.id
            );
            return fail(Some(record.id), Code::RecordDeleted, text);
        }
        let is_new = !record.state.is_called(&take.external_id);
        if old.is_empty() && !is_new {
            return Ok((Some(record.id), Taken::Unchanged, None));
        }
        self.may_stand(&[record.id], &record.state.fields, &fields)?;
        let what = if old.is_empty() { Taken::Matched } else { Taken::Updated };
        let kind = if old.is_empty() { ChangeKind::Correlated } else { ChangeKind::Updated };
        let standing = if is_new { self.called(&record, &take.external_id)? } else { (*record.state).clone() };
        let next = Next { kind, state: State { fields, ..standing }, old };
        let (id, ending) = self.enter(self.command.fresh.change, record, next);
        Ok((id, what, seq_of(&ending)))
    }

    /// The shadow takes what was shown; what was not said of stands as it did.
    fn keep_seen(&mut self, take: &Take, shadow: Option<Shadow>, record: Option<RecordId>) {
        let mut values = shadow.as_ref().map(|shadow| shadow.values.clone()).unwrap_or_default();
        values.extend(take.seen.values.clone());
        let next = Shadow {
            record,
            values,
            version: take.seen.version.clone(),
            at: self.command.at,
            state: ShadowState::Known,
        };
        let says_more = shadow.is_none_or(|shadow| Shadow { at: next.at, ..shadow } != next);
        if says_more {
            self.set.set_shadow(take.object.clone(), Some(next));
        }
    }

    /// Keeps what a write came to: the object's id, and what it holds.
    pub(super) fn pushed(&mut self, pushed: &Pushed) -> Decided {
        let record = self.find(&Target::Id(pushed.record))?;
        let shadow = self.set.shadow(&pushed.object)?.cloned();
        let external = &pushed.external_id;
        let holder = self.set.holder(&external.key(&self.command.ty))?.cloned();
        if let Some(other) = holder.filter(|holder| holder.id != record.id) {
            // It was written all the same: what it holds now is not what its own record last wrote.
            if let Some(shadow) = shadow {
                let doubtful = Shadow { state: ShadowState::InDoubt, at: self.command.at, ..shadow };
                self.set.set_shadow(pushed.object.clone(), Some(doubtful));
            }
            return Err(held_by(external, Some(other.id)));
        }
        let seq = self.link(&record, external, pushed.state)?;
        let known = shadow.as_ref();
        let next = Shadow {
            record: (pushed.state != ShadowState::LeftScope).then_some(record.id),
            values: pushed.values.clone().or_else(|| known.map(|known| known.values.clone())).unwrap_or_default(),
            // What it is after a write was not told: what shows an older one must not pass for news.
            version: None,
            at: self.command.at,
            state: pushed.state,
        };
        self.set.set_shadow(pushed.object.clone(), Some(next));
        let what = if seq.is_some() { Taken::Matched } else { Taken::Unchanged };
        Ok((Some(record.id), Ending::Taken { what, seq }))
    }

    /// Makes a record's own, or no longer its own, what an object is called. Gives the change, where it is one.
    fn link(&mut self, record: &Record, external: &ExternalId, to: ShadowState) -> Result<Option<u64>, super::Stop> {
        let is_called = record.state.is_called(external);
        let state = match (to, is_called) {
            (ShadowState::LeftScope, true) => {
                self.set.set_holder(external.key(&self.command.ty), None);
                record.state.without(external)
            }
            (ShadowState::LeftScope, false) | (_, true) => return Ok(None),
            (_, false) => {
                if let Some(other) = record.state.external_ids.iter().find(|held| held.has_slot_of(external)) {
                    let text = format!(
                        "{} {} was written to {} there, and is {} already: merge the two there, or end one of them",
                        record.ty,
                        record.id,
                        shown(&external.id),
                        shown(&other.id)
                    );
                    return fail(Some(record.id), Code::RemoteDuplicate, text);
                }
                self.called(record, external)?
            }
        };
        let next = Next::as_was(ChangeKind::Correlated, state);
        let (_, ending) = self.enter(self.command.fresh.change, record.clone(), next);
        Ok(seq_of(&ending))
    }
}

/// Whether more is known of the object than it showed: its shadow was written after it was asked for.
fn is_stale(take: &Take, shadow: &Shadow) -> bool {
    take.seen.asked_at < shadow.at && shadow.state != ShadowState::InDoubt
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

const fn seq_of(ending: &Ending) -> Option<u64> {
    match ending {
        Ending::Changed { seq, .. } => Some(*seq),
        _ => None,
    }
}
