//! Writing what a commit decided: working sets, settings, settles.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, count};
use crate::load::{Loader, fence};
use crate::{erase, index, lookup, prune};
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Notice;
use lockstep_core::ids::{BusinessId, RecordId, SubscriptionId};
use lockstep_core::operation::{Operation, OperationId};
use lockstep_core::record::Record;
use lockstep_core::rules::working_set::WorkingSet;
use lockstep_core::subscription::StartAt;
use lockstep_store::batch::{Load, Progress, advance_sync};
use lockstep_store::heads::Moves;
use lockstep_store::settings::{Control, Dropped, Expect, Put, Setting};
use lockstep_store::settle::{LaneStep, NoticeSettle, NoticeStep, OutletSettle, Settle};
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name of the one lease this store knows.
pub(crate) const DELIVERY: &str = "delivery";

/// What a transaction will have brought once it is committed.
#[derive(Default)]
pub(crate) struct Brought {
    pub(crate) moves: Moves,
    pub(crate) changes: Vec<(BusinessId, Vec<Arc<Change>>)>,
    /// Records erased: what is held of their past is stale.
    pub(crate) erased: Vec<(BusinessId, RecordId)>,
    /// Where floors stand that were raised.
    pub(crate) floors: Vec<(BusinessId, u64)>,
    /// Whether anything of the past was blanked.
    pub(crate) has_blanked: bool,
}

/// Writes inside one transaction.
pub(crate) struct Writing<'a> {
    pub(crate) loader: Loader<'a>,
    pub(crate) brought: &'a mut Brought,
}

impl Writing<'_> {
    pub(crate) fn connection(&self) -> &Connection {
        self.loader.connection
    }

    pub(crate) fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.connection().prepare_cached(sql).or_fault()?.execute(values).or_fault()
    }

    /// Writes a working set.
    pub(crate) fn set(&mut self, set: WorkingSet) -> Result<(), StoreError> {
        let business = self.loader.number(&set.business)?;
        let WorkingSet { records, externals, idempotency, shadows, written, head, last_at, business: id, .. } = set;
        let mut states: BTreeMap<u64, Box<RawValue>> = BTreeMap::new();
        for change in &written.changes {
            let state = codec::change::state_json(&change.state)?;
            let body = codec::change::encode(change, &state)?;
            self.execute(
                "INSERT INTO change (key, body) VALUES (?1, ?2)",
                params![business.change_key(change.seq), body],
            )?;
            states.insert(change.seq, state);
        }
        for key in &written.records {
            if let Some(Some(record)) = records.get(key) {
                self.record(business, record, states.get(&record.last_seq).map(AsRef::as_ref))?;
            }
        }
        for key in &written.externals {
            let holder = externals.get(key).and_then(Option::as_ref);
            let parts = (business.0, key.provider.as_str(), &key.realm, &key.object, &key.id);
            match holder {
                Some(holder) => self.execute(
                    "INSERT INTO external_id (business, provider, realm, object, id, type, record) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                     ON CONFLICT DO UPDATE SET type = excluded.type, record = excluded.record",
                    params![parts.0, parts.1, parts.2, parts.3, parts.4, holder.ty.as_str(), blob(holder.id.0)],
                )?,
                None => self.execute(
                    "DELETE FROM external_id \
                     WHERE business = ?1 AND provider = ?2 AND realm = ?3 AND object = ?4 AND id = ?5",
                    parts,
                )?,
            };
        }
        for key in &written.idempotency {
            if let Some(Some(remembered)) = idempotency.get(key) {
                // A key used anew takes a row at the new end, so that rows stay in the order of their expiry.
                self.execute(
                    "INSERT OR REPLACE INTO idempotency (business, key, expires_at, body) VALUES (?1, ?2, ?3, ?4)",
                    params![business.0, key, remembered.expires_at.0, codec::encode(remembered)?],
                )?;
            }
        }
        for key in &written.shadows {
            self.put_shadow(business, key, shadows.get(key).and_then(Option::as_ref))?;
        }
        for (entry, is_so) in &written.lookups {
            lookup::write(self.connection(), business, entry, *is_so)?;
        }
        for operation in &written.operations {
            self.operation(business, operation)?;
        }
        self.notices(&written.notices)?;
        self.scans(&written.scans)?;
        for (key, seq) in &written.erasures {
            erase::begin(self.connection(), business, key, *seq)?;
            self.brought.erased.push((id.clone(), key.id));
        }
        if !written.changes.is_empty() {
            self.counts(business, &written.changes)?;
            self.execute(
                "UPDATE business SET head = ?2, last_at = ?3 WHERE number = ?1",
                params![business.0, column(head), last_at.0],
            )?;
            self.brought.moves.businesses.insert(id.clone());
            self.brought.changes.push((id, written.changes));
        }
        Ok(())
    }

    fn record(&self, business: BusinessNumber, record: &Record, state: Option<&RawValue>) -> Result<(), StoreError> {
        let own;
        let state = match state {
            Some(state) => state,
            None => {
                own = codec::change::state_json(&record.state)?;
                &own
            }
        };
        let body = codec::record::encode(record, state)?;
        let key = params![business.0, record.ty.as_str(), blob(record.id.0), body];
        if record.version == 1 {
            self.execute("INSERT INTO record (business, type, id, body) VALUES (?1, ?2, ?3, ?4)", key)?;
            return Ok(());
        }
        let sql = "UPDATE record SET body = ?4 WHERE business = ?1 AND type = ?2 AND id = ?3";
        if self.execute(sql, key)? == 0 {
            // Made and changed in one commit.
            self.execute("INSERT INTO record (business, type, id, body) VALUES (?1, ?2, ?3, ?4)", key)?;
        }
        Ok(())
    }

    fn counts(&self, business: BusinessNumber, changes: &[Arc<Change>]) -> Result<(), StoreError> {
        let mut deltas: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for change in changes {
            let (living, deleted) = deltas.entry(change.ty.as_str()).or_default();
            match change.kind {
                ChangeKind::Created => {
                    *living += 1;
                    *deleted -= i64::from(change.was_deleted);
                }
                // A tombstone may still be erased.
                ChangeKind::Deleted | ChangeKind::Merged => {
                    *living -= i64::from(!change.was_deleted);
                    *deleted += i64::from(!change.was_deleted);
                }
                ChangeKind::Updated | ChangeKind::Correlated => {}
            }
        }
        for (ty, (living, deleted)) in deltas.into_iter().filter(|(_, delta)| *delta != (0, 0)) {
            self.execute(
                "INSERT INTO record_count (business, type, living, deleted) VALUES (?1, ?2, ?3, ?4) ON CONFLICT \
                 DO UPDATE SET living = living + excluded.living, deleted = deleted + excluded.deleted",
                params![business.0, ty, living, deleted],
            )?;
        }
        Ok(())
    }

    pub(crate) fn operation(&self, business: BusinessNumber, operation: &Operation) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO operation (business, id, body) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET body = excluded.body",
            params![business.0, blob(operation.id.number()), codec::encode(operation)?],
        )?;
        Ok(())
    }

    pub(crate) fn notices(&mut self, notices: &[Notice]) -> Result<(), StoreError> {
        for notice in notices {
            self.execute(
                "INSERT INTO notice (id, subscription, body) VALUES (?1, ?2, ?3)",
                params![blob(notice.id.0), blob(notice.subscription.0), codec::encode(notice)?],
            )?;
            self.brought.moves.has_notices = true;
        }
        Ok(())
    }

    /// Writes a change of settings; gives the version at which they then stand.
    pub(crate) fn control(&mut self, control: &Control) -> Result<u64, StoreError> {
        let mut version = crate::load::settings_version(self.connection())?;
        for put in &control.puts {
            self.believe(put)?;
        }
        let types: BTreeSet<_> = control.puts.iter().filter_map(|put| put.key.as_type()).collect();
        for (business, _) in &types {
            // What stands before the puts, should it not be known yet.
            self.loader.schema(business)?;
        }
        for put in &control.puts {
            if let Some(Setting::Business(business)) = &put.value {
                self.execute("INSERT INTO business (id) VALUES (?1) ON CONFLICT DO NOTHING", [business.id.as_str()])?;
            }
            version += 1;
            let body = put.value.as_ref().map(codec::encode).transpose()?;
            self.execute(
                "INSERT INTO setting (kind, id, version, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, id) \
                 DO UPDATE SET version = excluded.version, body = excluded.body",
                params![put.key.kind.as_str(), put.key.id, column(version), body],
            )?;
            self.brought.moves.has_settings = true;
        }
        let mut reread = BTreeMap::new();
        for (business, ty) in types {
            if !reread.contains_key(&business) {
                reread.insert(business.clone(), self.loader.reread(&business)?);
            }
            let number = self.loader.number(&business)?;
            if let Some((before, after)) = reread.get(&business) {
                index::begin(self.connection(), number, &ty, (before, after))?;
            }
        }
        for (business, subscription, start) in &control.lanes {
            let head = self.loader.head(business)?.0.seq;
            let business = self.loader.number(business)?;
            let floor = prune::floor_of(self.connection(), business)?;
            let cursor = match start {
                StartAt::Now => head,
                StartAt::Beginning => floor,
                StartAt::After(seq) => head.min(*seq).max(floor),
            };
            self.lane_step(business, *subscription, &LaneStep::Cursor(cursor))?;
        }
        for dropped in &control.dropped {
            self.drop_subscription(dropped, control.audit.at)?;
        }
        for lapsed in &control.lapsed {
            self.lapse(lapsed, control.audit.at)?;
        }
        for (business, share) in &control.ended_shares {
            self.end_share(business, *share)?;
        }
        for (business, connection) in &control.ended_connections {
            self.end_connection(business, *connection)?;
        }
        for (operation, scan) in &control.scans {
            let business = self.loader.number(&scan.business)?;
            self.operation(business, operation)?;
            self.scans(std::slice::from_ref(scan))?;
        }
        self.notices(&control.notices)?;
        let audit = &control.audit;
        let business = audit.business.as_ref().map(BusinessId::as_str);
        self.execute(
            "INSERT INTO audit (at, body, business) VALUES (?1, ?2, ?3)",
            params![audit.at.0, codec::encode(audit)?, business],
        )?;
        Ok(version)
    }

    fn drop_subscription(&mut self, dropped: &Dropped, at: Timestamp) -> Result<(), StoreError> {
        let business = self.loader.number(&dropped.business)?;
        self.drop_waited(dropped, at)?;
        let own = params![business.0, blob(dropped.subscription.0)];
        self.execute("DELETE FROM lane WHERE business = ?1 AND subscription = ?2", own)?;
        self.execute("DELETE FROM parked WHERE business = ?1 AND subscription = ?2", own)?;
        self.execute("DELETE FROM dead_letter WHERE business = ?1 AND subscription = ?2", own)?;
        self.execute("DELETE FROM gate WHERE business = ?1 AND subscription = ?2", own)?;
        Ok(())
    }

    /// Moves an operation on; one that has no row any more is let go.
    pub(crate) fn advance(
        &mut self,
        business: &BusinessId,
        id: OperationId,
        progress: Progress,
        (tell, at): (&[SubscriptionId], Timestamp),
    ) -> Result<(), StoreError> {
        let number = self.loader.number(business)?;
        let Some(operation) = operation(self.connection(), number, id.number())? else { return Ok(()) };
        let head = (self.loader.head(business)?.0.seq, at);
        let (operation, notices) = advance_sync(operation, progress, tell, business, head);
        self.operation(number, &operation)?;
        self.notices(&notices)
    }

    fn believe(&self, put: &Put) -> Result<(), StoreError> {
        let mut select = self
            .connection()
            .prepare_cached("SELECT version, body IS NULL FROM setting WHERE kind = ?1 AND id = ?2")
            .or_fault()?;
        let standing: Option<(i64, bool)> = select
            .query_row(params![put.key.kind.as_str(), put.key.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .or_fault()?;
        let holds = match put.expect {
            Expect::Anything => true,
            Expect::Absent => standing.is_none_or(|(_, is_removed)| is_removed),
            Expect::Version(version) => standing.is_some_and(|(standing, _)| count(standing) == version),
        };
        if holds { Ok(()) } else { Err(StoreError::Conflict(put.key.clone())) }
    }

    /// Writes a settle.
    pub(crate) fn settle(&mut self, settle: &Settle) -> Result<(), StoreError> {
        if settle.fence.0 < fence(self.connection(), DELIVERY)? {
            return Err(StoreError::Fenced);
        }
        for outlet in &settle.outlets {
            self.outlet(outlet)?;
        }
        for scan in &settle.scans {
            self.settle_scan(scan, settle.at)?;
        }
        for notice in &settle.notices {
            self.notice(notice, settle.at)?;
        }
        Ok(())
    }

    fn outlet(&mut self, outlet: &OutletSettle) -> Result<(), StoreError> {
        let business = self.loader.number(&outlet.business)?;
        if let Some(position) = outlet.position {
            self.execute("UPDATE business SET position = ?2 WHERE number = ?1", params![business.0, column(position)])?;
        }
        outlet.steps.iter().try_for_each(|(subscription, step)| self.lane_step(business, *subscription, step))
    }

    pub(crate) fn lane_step(
        &self,
        business: BusinessNumber,
        owner: SubscriptionId,
        step: &LaneStep,
    ) -> Result<(), StoreError> {
        let owner = blob(owner.0);
        match step {
            LaneStep::Cursor(cursor) => self.execute(
                "INSERT INTO lane (business, subscription, cursor) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET cursor = excluded.cursor",
                params![business.0, owner, column(*cursor)],
            ),
            LaneStep::Rejoined => {
                self.execute("DELETE FROM lane WHERE business = ?1 AND subscription = ?2", params![business.0, owner])
            }
            LaneStep::Park(parked) => self.execute(
                "INSERT INTO parked (business, subscription, record, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
                params![business.0, owner, blob(parked.place().0), codec::encode(parked)?],
            ),
            LaneStep::Unpark(record) => self.execute(
                "DELETE FROM parked WHERE business = ?1 AND subscription = ?2 AND record = ?3",
                params![business.0, owner, blob(record.0)],
            ),
            LaneStep::Bury(letter) => self.execute(
                "INSERT INTO dead_letter (business, subscription, seq, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
                params![business.0, owner, column(letter.seq), codec::encode(letter)?],
            ),
            LaneStep::Unbury(seq) => self.execute(
                "DELETE FROM dead_letter WHERE business = ?1 AND subscription = ?2 AND seq = ?3",
                params![business.0, owner, column(*seq)],
            ),
            LaneStep::Shut(down) => self.execute(
                "INSERT INTO gate (business, subscription, body) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
                params![business.0, owner, codec::encode(down)?],
            ),
            LaneStep::Opened => {
                self.execute("DELETE FROM gate WHERE business = ?1 AND subscription = ?2", params![business.0, owner])
            }
        }?;
        Ok(())
    }

    fn notice(&mut self, settle: &NoticeSettle, at: Timestamp) -> Result<(), StoreError> {
        let found: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached("SELECT row, body FROM notice WHERE id = ?1")
            .or_fault()?
            .query_row([blob(settle.id.0)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .or_fault()?;
        let Some((row, body)) = found else { return Ok(()) };
        match &settle.step {
            NoticeStep::Later { attempt, next_at } => {
                let notice = Notice { attempt: *attempt, next_at: *next_at, ..codec::decode(&body)? };
                self.execute("UPDATE notice SET body = ?2 WHERE row = ?1", params![row, codec::encode(&notice)?])?;
            }
            NoticeStep::Done { is_sent, sync, tell } => {
                // A replay asked for twice has two rows of one id, and went out once.
                self.execute("DELETE FROM notice WHERE id = ?1", [blob(settle.id.0)])?;
                let Some(id) = sync else { return Ok(()) };
                let progress = Progress { sent: u64::from(*is_sent), over: 1, ..Progress::default() };
                self.advance(&settle.business, *id, progress, (tell, at))?;
            }
        }
        Ok(())
    }
}

/// An operation, from its row.
pub(crate) fn operation(
    connection: &Connection,
    business: BusinessNumber,
    id: u128,
) -> Result<Option<Operation>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT body FROM operation WHERE business = ?1 AND id = ?2").or_fault()?;
    let body: Option<Vec<u8>> =
        select.query_row(params![business.0, blob(id)], |row| row.get(0)).optional().or_fault()?;
    body.map(|body| codec::decode(&body)).transpose()
}
