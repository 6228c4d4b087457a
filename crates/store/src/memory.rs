//! The store in memory: the port at its plainest, for tests and for worlds on simulated time.
//!
//! It commits inline under one lock, so a single-threaded world stays deterministic. Nothing outlives it; a
//! simulated crash drops everything but the store, which is exactly what a durable store keeps.

mod erase;
mod index;
mod prune;
mod work;

use crate::batch::{Load, Progress, Sets, advance_sync, decide_all, progress_of};
use crate::heads::{HeadWatch, Heads, Moves};
use crate::index::{Building, Range, Walk};
use crate::prune::Prune;
use crate::settings::{Audit, Control, Dropped, Expect, Put, Setting, SettingKey, SettingRow, SettingsPage};
use crate::settle::{Fence, LaneStep, NoticeSettle, NoticeStep, OutletSettle, ScanSettle, Settle};
use crate::snapshot::Snapshot;
use crate::upload::{self, Batch, LineOutcome};
use crate::{ChangePage, Commit, Committed, Count, OutletRows, RecordPage, Store, StoreError, StoreState, Work};
use async_trait::async_trait;
use lockstep_core::change::Change;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::command::Command;
use lockstep_core::delivery::{Attempt, DeadLetter, Down, Notice, Parked};
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, CommitId, RecordId, ShareId, SubscriptionId, TypeId};
use lockstep_core::limits;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::rules::working_set::{Remembered, WorkingSet};
use lockstep_core::scan::Scan;
use lockstep_core::schema::Schema;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::subscription::StartAt;
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Log {
    epoch: u32,
    floor: u64,
    changes: Vec<Arc<Change>>,
    records: BTreeMap<RecordKey, Record>,
    externals: BTreeMap<ExternalKey, RecordKey>,
    idempotency: BTreeMap<[u8; 16], Remembered>,
    operations: BTreeMap<OperationId, Operation>,
    lookups: BTreeSet<(LookupKey, RecordId)>,
    outcomes: BTreeMap<(OperationId, u64), Vec<LineOutcome>>,
    position: Option<u64>,
    lanes: BTreeMap<SubscriptionId, u64>,
    parked: BTreeMap<(SubscriptionId, RecordId), Parked>,
    dead: BTreeMap<(SubscriptionId, u64), DeadLetter>,
    down: BTreeMap<SubscriptionId, Down>,
    shadows: BTreeMap<ShadowKey, Shadow>,
    work: BTreeMap<WorkKey, WorkRow>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            epoch: Position::FIRST_EPOCH,
            floor: 0,
            changes: Vec::new(),
            records: BTreeMap::new(),
            externals: BTreeMap::new(),
            idempotency: BTreeMap::new(),
            operations: BTreeMap::new(),
            lookups: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            position: None,
            lanes: BTreeMap::new(),
            parked: BTreeMap::new(),
            dead: BTreeMap::new(),
            down: BTreeMap::new(),
            shadows: BTreeMap::new(),
            work: BTreeMap::new(),
        }
    }
}

impl Log {
    fn place(&self) -> Position {
        Position { epoch: self.epoch, seq: self.head().0 }
    }

    fn head(&self) -> (u64, Timestamp) {
        self.changes.last().map_or((0, Timestamp(0)), |change| (change.seq, change.at))
    }

    fn lookup(&self, key: &LookupKey, limit: usize) -> Vec<RecordId> {
        let from = self.lookups.range((key.clone(), RecordId(0))..);
        from.take_while(|(other, _)| other == key).take(limit).map(|(_, id)| *id).collect()
    }
}

#[derive(Default)]
struct Inner {
    logs: BTreeMap<BusinessId, Log>,
    settings: BTreeMap<SettingKey, SettingRow>,
    version: u64,
    notices: BTreeMap<i64, Notice>,
    next_notice: i64,
    scans: BTreeMap<i64, Scan>,
    next_scan: i64,
    erasures: VecDeque<erase::Erasure>,
    schemas: BTreeMap<BusinessId, Arc<Schema>>,
    builds: BTreeMap<(BusinessId, TypeId, String), index::Build>,
    commits: BTreeMap<CommitId, (Timestamp, Committed)>,
    fence: Fence,
    attempts: Vec<Attempt>,
    audit: BTreeMap<i64, Audit>,
    state: StoreState,
}

/// The store in memory.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    heads: Heads,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Mutex::default(), heads: Heads::default(), clock }
    }

    /// Gives every log its next epoch, as a restore does.
    pub fn begin_epoch(&self) {
        let now = self.clock.now();
        for log in self.lock().logs.values_mut() {
            log.epoch = Position::next_epoch(log.epoch, now).unwrap_or(log.epoch);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log<T>(&self, business: &BusinessId, read: impl FnOnce(&Log) -> T) -> Result<T, StoreError> {
        self.lock().logs.get(business).map(read).ok_or_else(|| StoreError::UnknownBusiness(business.clone()))
    }
}

impl Load for Inner {
    fn head(&mut self, business: &BusinessId) -> Result<(Position, Timestamp), StoreError> {
        let head = |log: &Log| (log.place(), log.head().1);
        self.logs.get(business).map(head).ok_or_else(|| StoreError::UnknownBusiness(business.clone()))
    }

    fn schema(&mut self, business: &BusinessId) -> Result<Arc<Schema>, StoreError> {
        Ok(self.schema_of(business))
    }

    fn record(&mut self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.logs.get(business).and_then(|log| log.records.get(key)).cloned())
    }

    fn holder(&mut self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError> {
        Ok(self.logs.get(business).and_then(|log| log.externals.get(key)).cloned())
    }

    fn remembered(&mut self, business: &BusinessId, key: [u8; 16]) -> Result<Option<Remembered>, StoreError> {
        Ok(self.logs.get(business).and_then(|log| log.idempotency.get(&key)).cloned())
    }

    fn shadow(&mut self, business: &BusinessId, key: &ShadowKey) -> Result<Option<Shadow>, StoreError> {
        Ok(self.logs.get(business).and_then(|log| log.shadows.get(key)).cloned())
    }

    fn lookup(&mut self, business: &BusinessId, key: &LookupKey) -> Result<Vec<RecordId>, StoreError> {
        Ok(self.logs.get(business).map(|log| log.lookup(key, limits::MATCHES_MAX)).unwrap_or_default())
    }
}

impl Inner {
    fn commands(&mut self, commands: &[Command], moves: &mut Moves) -> Result<Committed, StoreError> {
        let mut sets = Sets::new();
        let outcomes = decide_all(self, &mut sets, commands)?;
        self.write_all(sets, moves);
        self.state.commands += commands.len() as u64;
        Ok(Committed::Outcomes(outcomes))
    }

    fn upload(&mut self, batch: &Batch, moves: &mut Moves) -> Result<Committed, StoreError> {
        let mut sets = Sets::new();
        let outcomes = decide_all(self, &mut sets, batch.commands())?;
        let log = self.logs.get(&batch.business);
        let log = log.ok_or_else(|| StoreError::UnknownBusiness(batch.business.clone()))?;
        let operation = log.operations.get(&batch.operation).cloned().ok_or(StoreError::Fenced)?;
        let (head, at) = sets.get(&batch.business).map_or_else(|| log.head(), |set| (set.head, set.last_at));
        let advanced = upload::advance(operation, batch, outcomes, (head, at))?;
        self.write_all(sets, moves);
        let state = advanced.operation.state.clone();
        if let Some(log) = self.logs.get_mut(&batch.business) {
            log.operations.insert(batch.operation, advanced.operation);
            log.outcomes.insert((batch.operation, batch.after), advanced.outcomes);
        }
        self.push_notices(advanced.notices, moves);
        self.state.commands += batch.lines.len() as u64;
        match state {
            OperationState::Upload(upload) => Ok(Committed::Upload(upload)),
            _ => Err(StoreError::Fenced),
        }
    }

    fn write_all(&mut self, sets: Sets, moves: &mut Moves) {
        for (business, set) in sets {
            if !set.written.changes.is_empty() {
                moves.businesses.insert(business.clone());
            }
            self.write(&business, set, moves);
        }
    }

    fn write(&mut self, business: &BusinessId, set: WorkingSet, moves: &mut Moves) {
        let WorkingSet { mut records, mut externals, mut idempotency, mut shadows, written, .. } = set;
        self.push_notices(written.notices, moves);
        self.push_scans(written.scans, moves);
        let erasure = |(key, seq)| erase::Erasure { business: business.clone(), key, seq };
        self.erasures.extend(written.erasures.into_iter().map(erasure));
        let Some(log) = self.logs.get_mut(business) else { return };
        log.changes.extend(written.changes);
        for key in written.records {
            if let Some(record) = records.remove(&key).flatten() {
                log.records.insert(key, record);
            }
        }
        for key in written.externals {
            match externals.remove(&key).flatten() {
                Some(holder) => log.externals.insert(key, holder),
                None => log.externals.remove(&key),
            };
        }
        for key in written.idempotency {
            if let Some(remembered) = idempotency.remove(&key).flatten() {
                log.idempotency.insert(key, remembered);
            }
        }
        for key in written.shadows {
            match shadows.remove(&key).flatten() {
                Some(shadow) => log.shadows.insert(key, shadow),
                None => log.shadows.remove(&key),
            };
        }
        for (entry, is_so) in written.lookups {
            if is_so {
                log.lookups.insert(entry)
            } else {
                log.lookups.remove(&entry)
            };
        }
        log.operations.extend(written.operations.into_iter().map(|operation| (operation.id, operation)));
    }

    fn push_notices(&mut self, notices: Vec<Notice>, moves: &mut Moves) {
        for notice in notices {
            moves.has_notices = true;
            self.next_notice += 1;
            self.notices.insert(self.next_notice, notice);
        }
    }

    fn push_scans(&mut self, scans: Vec<Scan>, moves: &mut Moves) {
        for scan in scans {
            moves.has_scans = true;
            self.next_scan += 1;
            self.scans.insert(self.next_scan, scan);
        }
    }

    fn control(&mut self, control: Control, moves: &mut Moves) -> Result<Committed, StoreError> {
        if let Some(put) = control.puts.iter().find(|put| !self.is_as_believed(put)) {
            return Err(StoreError::Conflict(put.key.clone()));
        }
        if let Some(unknown) = self.unknown_business(&control) {
            return Err(StoreError::UnknownBusiness(unknown.clone()));
        }
        for put in control.puts {
            if let Some(Setting::Business(business)) = &put.value {
                self.logs.entry(business.id.clone()).or_default();
            }
            self.version += 1;
            let ty = put.key.as_type();
            let row = SettingRow { key: put.key.clone(), version: self.version, value: put.value };
            self.settings.insert(put.key, row);
            if let Some((business, ty)) = ty {
                self.reshape(&business, &ty);
            }
            moves.has_settings = true;
        }
        for (business, subscription, start) in control.lanes {
            let log = self.logs.get_mut(&business).ok_or_else(|| StoreError::UnknownBusiness(business.clone()))?;
            let head = log.head().0;
            let cursor = match start {
                StartAt::Now => head,
                StartAt::Beginning => log.floor,
                StartAt::After(seq) => seq.min(head).max(log.floor),
            };
            log.lanes.insert(subscription, cursor);
        }
        for dropped in control.dropped {
            self.drop_subscription(&dropped, control.audit.at, moves);
        }
        for lapsed in control.lapsed {
            self.lapse(&lapsed, control.audit.at, moves);
        }
        for (business, share) in &control.ended_shares {
            self.end_share(business, *share);
        }
        for (business, connection) in &control.ended_connections {
            self.end_connection(business, *connection);
        }
        for (operation, scan) in control.scans {
            let log = self.logs.get_mut(&scan.business);
            let log = log.ok_or_else(|| StoreError::UnknownBusiness(scan.business.clone()))?;
            log.operations.insert(operation.id, operation);
            self.push_scans(vec![scan], moves);
        }
        self.push_notices(control.notices, moves);
        let row = self.audit.last_key_value().map_or(1, |(row, _)| row + 1);
        self.audit.insert(row, control.audit);
        Ok(Committed::Settings(self.version))
    }

    fn drop_subscription(&mut self, dropped: &Dropped, at: Timestamp, moves: &mut Moves) {
        let id = dropped.subscription;
        let notices = self.notices.values().filter(|notice| notice.subscription == id);
        let scans = self.scans.values().filter(|scan| scan.subscription == id);
        let waited: Vec<OperationId> =
            notices.filter_map(|notice| notice.body.sync()).chain(scans.map(|scan| scan.operation)).collect();
        self.notices.retain(|_, notice| notice.subscription != id);
        self.scans.retain(|_, scan| scan.subscription != id);
        for operation in waited {
            let progress = Progress { over: 1, ..Progress::default() };
            self.advance(&dropped.business, operation, progress, (&dropped.tell, at), moves);
        }
        if let Some(log) = self.logs.get_mut(&dropped.business) {
            log.lanes.remove(&id);
            log.parked.retain(|(owner, _), _| *owner != id);
            log.dead.retain(|(owner, _), _| *owner != id);
            log.down.remove(&id);
        }
    }

    fn advance(
        &mut self,
        business: &BusinessId,
        id: OperationId,
        progress: Progress,
        (tell, at): (&[SubscriptionId], Timestamp),
        moves: &mut Moves,
    ) {
        let Some(log) = self.logs.get_mut(business) else { return };
        let Some(operation) = log.operations.get(&id).cloned() else { return };
        let head = (log.head().0, at);
        let (operation, notices) = advance_sync(operation, progress, tell, business, head);
        log.operations.insert(operation.id, operation);
        self.push_notices(notices, moves);
    }

    fn settle_scan(&mut self, settle: ScanSettle, at: Timestamp, moves: &mut Moves) {
        let is_own = |scan: &Scan| scan.operation == settle.operation && scan.subscription == settle.subscription;
        let Some(row) = self.scans.iter().find(|(_, scan)| is_own(scan)).map(|(row, _)| *row) else { return };
        if settle.is_over {
            self.scans.remove(&row);
        } else if let Some(scan) = self.scans.get_mut(&row) {
            scan.done = settle.done;
        }
        let progress = progress_of(&settle);
        self.push_notices(settle.put_off, moves);
        self.advance(&settle.business, settle.operation, progress, (&settle.tell, at), moves);
    }

    /// A business that the control names, and that neither is there nor is made by it.
    fn unknown_business<'a>(&self, control: &'a Control) -> Option<&'a BusinessId> {
        let is_made_by =
            |put: &Put, id: &BusinessId| matches!(&put.value, Some(Setting::Business(made)) if made.id == *id);
        let is_known =
            |id: &BusinessId| self.logs.contains_key(id) || control.puts.iter().any(|put| is_made_by(put, id));
        let lanes = control.lanes.iter().map(|(business, ..)| business);
        let dropped = control.dropped.iter().chain(&control.lapsed).map(|dropped| &dropped.business);
        lanes.chain(dropped).find(|id| !is_known(id))
    }

    fn is_as_believed(&self, put: &Put) -> bool {
        let standing = self.settings.get(&put.key);
        match put.expect {
            Expect::Anything => true,
            Expect::Absent => standing.is_none_or(|row| row.value.is_none()),
            Expect::Version(version) => standing.is_some_and(|row| row.version == version),
        }
    }

    fn settle_outlet(&mut self, outlet: OutletSettle) {
        let Some(log) = self.logs.get_mut(&outlet.business) else { return };
        log.position = outlet.position.or(log.position);
        for (subscription, step) in outlet.steps {
            match step {
                LaneStep::Cursor(cursor) => {
                    log.lanes.insert(subscription, cursor);
                }
                LaneStep::Rejoined => {
                    log.lanes.remove(&subscription);
                }
                LaneStep::Park(parked) => {
                    log.parked.insert((subscription, parked.place()), parked);
                }
                LaneStep::Unpark(record) => {
                    log.parked.remove(&(subscription, record));
                }
                LaneStep::Bury(letter) => {
                    log.dead.insert((subscription, letter.seq), letter);
                }
                LaneStep::Unbury(seq) => {
                    log.dead.remove(&(subscription, seq));
                }
                LaneStep::Shut(down) => {
                    log.down.insert(subscription, down);
                }
                LaneStep::Opened => {
                    log.down.remove(&subscription);
                }
            }
        }
    }

    fn settle_notice(&mut self, settle: NoticeSettle, at: Timestamp, moves: &mut Moves) {
        let row = self.notices.iter().find(|(_, notice)| notice.id == settle.id).map(|(row, _)| *row);
        let Some(row) = row else { return };
        match settle.step {
            NoticeStep::Later { attempt, next_at } => {
                if let Some(notice) = self.notices.get_mut(&row) {
                    notice.attempt = attempt;
                    notice.next_at = next_at;
                }
            }
            NoticeStep::Done { is_sent, sync, tell } => {
                // A replay asked for twice has two rows of one id, and went out once.
                self.notices.retain(|_, notice| notice.id != settle.id);
                let Some(operation) = sync else { return };
                let progress = Progress { sent: u64::from(is_sent), over: 1, ..Progress::default() };
                self.advance(&settle.business, operation, progress, (&tell, at), moves);
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let mut moves = Moves::default();
        let mut inner = self.lock();
        if let Some((_, earlier)) = commit.id.and_then(|id| inner.commits.get(&id)) {
            return Ok(earlier.clone());
        }
        let committed = match commit.work {
            Work::Commands(commands) => inner.commands(&commands, &mut moves),
            Work::Control(control) => inner.control(*control, &mut moves),
            Work::Upload(batch) => inner.upload(&batch, &mut moves),
            Work::Turn(turn) => inner.turn(&turn, &mut moves),
        }?;
        inner.state.commits += 1;
        if let Some(id) = commit.id {
            inner.commits.insert(id, (self.clock.now(), committed.clone()));
        }
        drop(inner);
        self.heads.publish(&moves);
        Ok(committed)
    }

    async fn claim(&self, _owner: &str) -> Result<Fence, StoreError> {
        let mut inner = self.lock();
        inner.fence.0 += 1;
        Ok(inner.fence)
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        let mut moves = Moves::default();
        let mut inner = self.lock();
        if settle.fence < inner.fence {
            return Err(StoreError::Fenced);
        }
        if let Some(unknown) = settle.outlets.iter().find(|outlet| !inner.logs.contains_key(&outlet.business)) {
            return Err(StoreError::UnknownBusiness(unknown.business.clone()));
        }
        for outlet in settle.outlets {
            inner.settle_outlet(outlet);
        }
        for scan in settle.scans {
            inner.settle_scan(scan, settle.at, &mut moves);
        }
        for notice in settle.notices {
            inner.settle_notice(notice, settle.at, &mut moves);
        }
        drop(inner);
        self.heads.publish(&moves);
        Ok(())
    }

    async fn head(&self, business: &BusinessId) -> Result<Position, StoreError> {
        self.log(business, Log::place)
    }

    async fn changes(&self, business: &BusinessId, after: u64, limit: usize) -> Result<ChangePage, StoreError> {
        let inner = self.lock();
        let log = inner.logs.get(business).ok_or_else(|| StoreError::UnknownBusiness(business.clone()))?;
        let start = usize::try_from(after.saturating_sub(log.floor)).unwrap_or(usize::MAX);
        let changes = log.changes.iter().skip(start).take(limit).cloned().collect();
        Ok(ChangePage { changes, head: log.head().0, settings_version: inner.version })
    }

    async fn change(&self, business: &BusinessId, seq: u64) -> Result<Option<Arc<Change>>, StoreError> {
        self.log(business, |log| {
            let index = seq.checked_sub(log.floor + 1).and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| log.changes.get(index)).cloned()
        })
    }

    async fn chain(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.log(business, |log| {
            let is_own = |change: &&Arc<Change>| change.record == record.id && change.ty == record.ty;
            let of_record = log.changes.iter().filter(is_own).filter(|change| change.seq > after);
            of_record.map(|change| change.seq).take(limit).collect()
        })
    }

    async fn record(&self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.log(business, |log| log.records.get(key).cloned())
    }

    async fn holder(&self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError> {
        self.log(business, |log| log.externals.get(key).cloned())
    }

    async fn records(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        walk: Walk,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        self.log(business, |log| log.walk(ty, walk, limit))
    }

    async fn records_of(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        ids: &[RecordId],
    ) -> Result<Vec<Option<Record>>, StoreError> {
        self.log(business, |log| {
            let key = |id: &RecordId| RecordKey { ty: ty.clone(), id: *id };
            ids.iter().map(|id| log.records.get(&key(id)).cloned()).collect()
        })
    }

    async fn entries(
        &self,
        business: &BusinessId,
        (ty, field): (&TypeId, &str),
        range: Range,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RecordId)>, StoreError> {
        self.log(business, |log| log.entries(ty, field, &range, limit))
    }

    async fn building(&self, business: &BusinessId) -> Result<Vec<Building>, StoreError> {
        Ok(self.lock().building(business))
    }

    async fn index_on(&self) -> Result<bool, StoreError> {
        Ok(self.lock().index_on())
    }

    async fn lookups(
        &self,
        business: &BusinessId,
        keys: &[LookupKey],
        limit: usize,
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.log(business, |log| keys.iter().map(|key| log.lookup(key, limit)).collect())
    }

    async fn history(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, StoreError> {
        self.log(business, |log| {
            let is_own = |change: &&Arc<Change>| change.record == record.id && change.ty == record.ty;
            let earlier = log.changes.iter().rev().filter(|change| change.seq < before);
            earlier.filter(is_own).take(limit).cloned().collect()
        })
    }

    async fn counts(&self, business: &BusinessId) -> Result<BTreeMap<TypeId, Count>, StoreError> {
        self.log(business, |log| {
            let mut counts: BTreeMap<TypeId, Count> = BTreeMap::new();
            for record in log.records.values() {
                let count = counts.entry(record.ty.clone()).or_default();
                count.living += u64::from(!record.state.is_deleted);
                count.deleted += u64::from(record.state.is_deleted);
            }
            counts
        })
    }

    async fn operation(&self, business: &BusinessId, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.log(business, |log| log.operations.get(&id).cloned())
    }

    async fn outcomes(
        &self,
        business: &BusinessId,
        id: OperationId,
        after: u64,
    ) -> Result<Vec<LineOutcome>, StoreError> {
        self.log(business, |log| {
            let own = log.outcomes.range((id, 0)..=(id, u64::MAX)).flat_map(|(_, lines)| lines);
            own.filter(|outcome| outcome.line > after).take(limits::PAGE_ROWS_MAX).cloned().collect()
        })
    }

    async fn settings(&self, after: u64, limit: usize) -> Result<SettingsPage, StoreError> {
        let inner = self.lock();
        let mut rows: Vec<_> = inner.settings.values().filter(|row| row.version > after).cloned().collect();
        rows.sort_by_key(|row| row.version);
        rows.truncate(limit);
        Ok(SettingsPage { rows, version: inner.version })
    }

    async fn audit(
        &self,
        business: Option<&BusinessId>,
        before_row: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Audit)>, StoreError> {
        let inner = self.lock();
        let rows = inner.audit.range(..before_row).rev();
        let is_asked = |audit: &Audit| business.is_none_or(|asked| audit.business.as_ref() == Some(asked));
        let newest = rows.filter(|(_, audit)| is_asked(audit)).take(limit);
        Ok(newest.map(|(row, audit)| (*row, audit.clone())).collect())
    }

    async fn outlets(&self) -> Result<Vec<OutletRows>, StoreError> {
        let rows = |(business, log): (&BusinessId, &Log)| OutletRows {
            business: Some(business.clone()),
            position: log.position,
            lanes: log.lanes.iter().map(|(id, cursor)| (*id, *cursor)).collect(),
            parked: log.parked.iter().map(|((id, _), parked)| (*id, parked.clone())).collect(),
            down: log.down.iter().map(|(id, down)| (*id, *down)).collect(),
        };
        Ok(self.lock().logs.iter().map(rows).collect())
    }

    async fn lane_cursor(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
    ) -> Result<Option<u64>, StoreError> {
        self.log(business, |log| log.lanes.get(&subscription).copied())
    }

    async fn notices(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Notice)>, StoreError> {
        let inner = self.lock();
        Ok(inner
            .notices
            .range((Excluded(after_row), Unbounded))
            .take(limit)
            .map(|(row, notice)| (*row, notice.clone()))
            .collect())
    }

    async fn scans(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Scan)>, StoreError> {
        let inner = self.lock();
        let later = inner.scans.range((Excluded(after_row), Unbounded)).take(limit);
        Ok(later.map(|(row, scan)| (*row, scan.clone())).collect())
    }

    async fn dead_letters(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.log(business, |log| {
            let own = log.dead.range((subscription, 0)..=(subscription, u64::MAX));
            let later = own.filter(|((_, seq), _)| *seq > after);
            later.map(|(_, letter)| letter.clone()).take(limit).collect()
        })
    }

    async fn shadows(&self, business: &BusinessId, keys: &[ShadowKey]) -> Result<Vec<Option<Shadow>>, StoreError> {
        self.log(business, |log| keys.iter().map(|key| log.shadows.get(key).cloned()).collect())
    }

    async fn work(
        &self,
        business: &BusinessId,
        kind: WorkKind,
        share: Option<ShareId>,
        after: Option<&WorkKey>,
        limit: usize,
    ) -> Result<Vec<(WorkKey, WorkRow)>, StoreError> {
        self.log(business, |log| log.work_page(kind, share, after, limit))
    }

    async fn work_row(&self, business: &BusinessId, key: &WorkKey) -> Result<Option<WorkRow>, StoreError> {
        self.log(business, |log| log.work.get(key).cloned())
    }

    async fn log_attempts(&self, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        self.lock().attempts.extend(attempts);
        Ok(())
    }

    async fn attempts(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        let inner = self.lock();
        let own = inner.attempts.iter().rev();
        let own = own.filter(|attempt| attempt.business == *business && attempt.subscription == subscription);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        own.truncate(limit);
        Ok(own)
    }

    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.commits.retain(|_, (at, _)| at.plus_ms(limits::COMMIT_ID_KEPT_MS) > now);
        inner.attempts.retain(|attempt| attempt.at.plus_ms(limits::ATTEMPT_KEPT_MS) > now);
        for log in inner.logs.values_mut() {
            log.idempotency.retain(|_, remembered| remembered.expires_at > now);
            log.operations.retain(|_, operation| operation.at.plus_ms(limits::OPERATION_KEPT_MS) > now);
            let operations = &log.operations;
            log.outcomes.retain(|(id, _), _| operations.contains_key(id));
        }
        Ok(())
    }

    async fn floor(&self, business: &BusinessId) -> Result<u64, StoreError> {
        self.log(business, |log| log.floor)
    }

    async fn prune(&self, prune: Prune) -> Result<u64, StoreError> {
        self.lock().prune(&prune)
    }

    async fn erase_on(&self) -> Result<bool, StoreError> {
        Ok(self.lock().erase_on())
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Err(StoreError::Failed("a store in memory has no files to copy".to_owned()))
    }

    fn state(&self) -> StoreState {
        self.lock().state.clone()
    }

    fn heads(&self) -> HeadWatch {
        self.heads.watch()
    }

    async fn close(&self) {}
}
