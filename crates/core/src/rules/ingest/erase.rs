//! Erasing: a record becomes a tombstone of which nothing is left but its id.
//!
//! The tombstone is a change like another, so readers are told; the past of the record is blanked by the store, from
//! the change before it back along the chain. Its external ids are free again: one created anew is a new record. A
//! record that was merged into it is another record, and is erased by itself.

use super::{Case, Decided, Next, Stop};
use crate::change::ChangeKind;
use crate::command::{Ending, ShadowedAccount, Target};
use crate::external_id::ExternalKey;
use crate::record::{Record, State};
use crate::rules::working_set::Keys;
use crate::shadow::ShadowKey;

impl Case<'_> {
    pub(super) fn erase(&mut self, target: &Target, accounts: &[ShadowedAccount]) -> Decided {
        let record = self.find(target)?;
        if record.state.is_erased {
            return Ok((Some(record.id), Ending::Unchanged));
        }
        self.has_version_asked(&record)?;
        let own = self.key_of(record.id);
        for external in self.held(&record)? {
            let is_own =
                |account: &&ShadowedAccount| account.provider == external.provider && account.realm == external.realm;
            for account in accounts.iter().filter(is_own) {
                let (slot, id) = (external.object.clone(), external.id.clone());
                self.set.set_shadow(ShadowKey { connection: account.connection, slot, id }, None);
            }
            self.set.set_holder(external, None);
        }
        self.set.written.erasures.push((own, record.last_seq));
        // Where values came from is part of what they were.
        let blank = Record { provenance: Vec::new(), ..record };
        Ok(self.enter(self.command.fresh.change, blank, Next::as_was(ChangeKind::Deleted, State::erased())))
    }

    /// The external ids that lead to a record; those that a merge gave to another stay where they are.
    fn held(&self, record: &Record) -> Result<Vec<ExternalKey>, Stop> {
        let called = record.state.external_ids.iter().chain(&record.state.aliases);
        let keys: Vec<ExternalKey> = called.map(|external| external.key(&record.ty)).collect();
        let unknown: Vec<_> = keys.iter().filter(|key| !self.set.externals.contains_key(*key)).cloned().collect();
        if !unknown.is_empty() {
            return Err(Stop::Need(Keys { externals: unknown, ..Keys::default() }));
        }
        let own = Some(self.key_of(record.id));
        Ok(keys.into_iter().filter(|key| self.set.externals.get(key).is_some_and(|holder| *holder == own)).collect())
    }
}
