//! References of objects that were taken in before what they refer to: they are filled in once that is known, which asks
//! the platform for nothing.

use super::Worker;
use crate::Halt;
use crate::intake::Missing;
use lockstep_core::clock::Timestamp;
use lockstep_core::ids::{RecordId, ShareId};
use lockstep_core::work::{Unresolved, Waiting, Why, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::turn::Turn;

/// Objects looked at in one turn.
const OBJECTS: usize = 200;

impl Worker {
    /// What becomes of the rows of objects that were taken in: those wait that refer to what nobody knows.
    pub(super) fn unresolved(&self, share: ShareId, taken: Vec<(String, Missing)>) -> Vec<(WorkKey, WorkPut)> {
        let now = self.world.clock.now();
        let put = |(id, missing): (String, Missing)| {
            let key = WorkKey::reference(share, &id);
            let put = match missing.is_empty() {
                true if !self.waits.knows(&key) => return None,
                true => WorkPut::Gone,
                false => WorkPut::Row(WorkRow::Reference(Unresolved::at(missing, now, now))),
            };
            Some((key, put))
        };
        taken.into_iter().filter_map(put).collect()
    }

    /// Fills in references, of one share, that are due: what they are to has been taken in, or may have been.
    pub(super) async fn refer(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        let Some((share, keys)) = self.due(WorkKind::Reference, OBJECTS) else { return Ok(false) };
        let Some(lane) = self.lanes.get(&share) else { return Ok(false) };
        let (mut lines, mut puts) = (Vec::new(), Vec::new());
        for key in keys {
            let row = self.world.store.work_row(&self.connection.business, &key).await?;
            let Some(WorkRow::Reference(unresolved)) = row else {
                self.agenda.drop(&key);
                continue;
            };
            let since = unresolved.since;
            let Some((line, missing)) = self.desk(lane, None).referring(&key.about, unresolved).await? else {
                if self.link.can_fetch(&lane.share.object) {
                    puts.push((WorkKey::hint(share, &key.about), WorkPut::Raise { at: now, shown: None }));
                }
                puts.push((key, WorkPut::Gone));
                continue;
            };
            lines.extend(line);
            let put = match missing.is_empty() {
                true => WorkPut::Gone,
                false => WorkPut::Row(WorkRow::Reference(Unresolved::at(missing, since, self.world.clock.now()))),
            };
            puts.push((key, put));
        }
        self.commit(Turn { lines, puts, ..self.blank(share) }).await?;
        Ok(true)
    }

    /// Those go on that waited for objects which have become known, or for a record that has been made there.
    pub(super) fn release(&mut self, (objects, records): (Vec<String>, Vec<RecordId>), share: ShareId, at: Timestamp) {
        let object = self.lanes.get(&share).map(|lane| lane.share.object.clone()).unwrap_or_default();
        for id in objects {
            for key in self.waits.for_object(&object, &id) {
                self.agenda.set(key.clone(), at);
            }
        }
        for record in records {
            for key in self.waits.written(record) {
                if self.agenda.at(&key).is_some() {
                    self.agenda.set(key, at);
                }
            }
        }
    }

    /// Who waits for whom, as a row says it from now on.
    pub(super) fn note_waits(&mut self, key: &WorkKey, put: &WorkPut) {
        match put {
            WorkPut::Row(WorkRow::Waiting(Waiting { why: Why::Reference { record }, .. })) => {
                self.waits.for_record(*record, key.clone());
            }
            WorkPut::Row(WorkRow::Reference(unresolved)) => self.waits.for_objects(key, unresolved),
            _ if key.kind == WorkKind::Reference => self.waits.settled(key),
            _ => {}
        }
    }
}
