//! External ids: given, moved, taken off.

use super::{Case, Decided, Next, Stop, fail};
use crate::change::ChangeKind;
use crate::command::{Ending, Target};
use crate::error::{Code, Rejection, shown};
use crate::external_id::ExternalId;
use crate::ids::{ChangeId, RecordId};
use crate::limits;
use crate::record::{Record, State};

pub(super) fn taken(external: &ExternalId, holder: Option<RecordId>) -> Stop {
    let by = holder.map(|id| format!(" {id}")).unwrap_or_default();
    let text = format!(
        "{} of {} belongs to another record{by}: uncorrelate it there first, or move it with ?force=true",
        shown(&external.id),
        external.provider
    );
    Stop::Fail(None, Rejection::new(Code::ExternalIdTaken, text))
}

impl Case<'_> {
    pub(super) fn correlate(&mut self, target: &Target, external: &ExternalId, force: bool) -> Decided {
        let record = self.find_to_write(target)?;
        if record.state.external_ids.contains(external) {
            return Ok((Some(record.id), Ending::Unchanged));
        }
        if !record.state.aliases.contains(external) {
            let key = external.key(&self.command.ty);
            if let Some(holder) = self.set.holder(&key)?.cloned() {
                let standing = self.set.record(&holder)?.cloned();
                match standing.filter(|other| self.command.reach.holds(&other.state.fields)) {
                    Some(other) if force => self.detach(self.command.fresh.second_change, other, external),
                    other => return Err(taken(external, other.map(|other| other.id))),
                };
            }
        }
        let state = self.called(&record, external)?;
        Ok(self.enter(self.command.fresh.change, record, Next::as_was(ChangeKind::Correlated, state)))
    }

    /// What a record holds once it is called so; an id that stood in the same slot is free again.
    pub(super) fn called(&mut self, record: &Record, external: &ExternalId) -> Result<State, Stop> {
        let mut state = record.state.without(external);
        let (replaced, kept): (Vec<_>, Vec<_>) =
            state.external_ids.into_iter().partition(|held| held.has_slot_of(external));
        state.external_ids = kept;
        let count = state.external_ids.len() + state.aliases.len();
        if count >= limits::EXTERNAL_IDS_MAX {
            let text = format!("{} {} has {count} external ids, the most it may", record.ty, record.id);
            return fail(Some(record.id), Code::LimitReached, text);
        }
        for old in replaced {
            self.set.set_holder(old.key(&self.command.ty), None);
        }
        state.external_ids.push(external.clone());
        let own = self.key_of(record.id);
        self.set.set_holder(external.key(&self.command.ty), Some(own));
        Ok(state)
    }

    pub(super) fn uncorrelate(&mut self, target: &Target, external: &ExternalId) -> Decided {
        let record = self.find_to_write(target)?;
        if !record.state.is_called(external) {
            let text =
                format!("{} {} is not called {} by {}", record.ty, record.id, shown(&external.id), external.provider);
            return fail(Some(record.id), Code::ExternalIdUnknown, text);
        }
        self.set.set_holder(external.key(&self.command.ty), None);
        Ok(self.detach(self.command.fresh.change, record, external))
    }

    /// Takes an external id off a record; the caller says who holds it next.
    fn detach(&mut self, change: ChangeId, record: Record, external: &ExternalId) -> (Option<RecordId>, Ending) {
        let state = record.state.without(external);
        self.enter(change, record, Next::as_was(ChangeKind::Correlated, state))
    }
}
