//! A store with the manners of a real one: it takes its time, fails now and then, and remembers what was committed
//! when, which is the history that the checkers compare with.
//!
//! What it keeps is the in-memory store's. It outlives every hub of a world, as a disk does.

use crate::chance::Chance;
use crate::time::SimClock;
use async_trait::async_trait;
use lockstep_core::change::Change;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::delivery::{Attempt, DeadLetter, Notice};
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, RecordId, ShareId, SubscriptionId, TypeId};
use lockstep_core::operation::{Operation, OperationId};
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::scan::Scan;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::subscription::StartAt;
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use lockstep_store::heads::HeadWatch;
use lockstep_store::index::{Building, Range, Walk};
use lockstep_store::memory::MemoryStore;
use lockstep_store::prune::Prune;
use lockstep_store::settings::{Audit, Setting, SettingKey, SettingsPage};
use lockstep_store::settle::{Fence, LaneStep, Settle};
use lockstep_store::snapshot::Snapshot;
use lockstep_store::upload::LineOutcome;
use lockstep_store::{
    ChangePage, Commit, Committed, Count, OutletRows, RecordPage, Store, StoreError, StoreState, Work,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What was committed of settings, and when.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Each put, in order.
    pub puts: Vec<(Timestamp, SettingKey, Option<Setting>)>,
    /// After which seq each subscription began.
    pub starts: BTreeMap<SubscriptionId, u64>,
    /// When each dead letter was written, even if it was replayed since.
    pub buried: BTreeMap<(SubscriptionId, u64), Timestamp>,
}

/// The store.
pub struct SlowStore {
    inner: MemoryStore,
    clock: SimClock,
    chance: Chance,
    is_slow: AtomicBool,
    is_failing: AtomicBool,
    is_broken: AtomicBool,
    calls: AtomicU64,
    settles: AtomicU64,
    claims: AtomicU64,
    past: Mutex<Past>,
}

impl SlowStore {
    /// An empty store, quick and without fail until told otherwise.
    #[must_use]
    pub fn new(clock: SimClock, seed: u64) -> Self {
        Self {
            inner: MemoryStore::new(Arc::new(clock)),
            clock,
            chance: Chance::new(seed, "store"),
            is_slow: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            settles: AtomicU64::new(0),
            claims: AtomicU64::new(0),
            past: Mutex::default(),
        }
    }

    /// Whether it takes its time, and whether it fails now and then.
    pub fn behave(&self, is_slow: bool, is_failing: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    /// Whether it refuses everything.
    pub fn refuse(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::Relaxed);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Settles stored so far.
    pub fn settles(&self) -> u64 {
        self.settles.load(Ordering::Relaxed)
    }

    /// Post rooms opened so far: the number of the present life.
    pub fn life(&self) -> u64 {
        self.claims.load(Ordering::Relaxed)
    }

    /// What was committed of settings so far.
    pub fn past(&self) -> Past {
        self.lock().clone()
    }

    /// The store without its manners, for looking on.
    #[must_use]
    pub const fn plain(&self) -> &MemoryStore {
        &self.inner
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lag(&self) {
        if self.is_slow.load(Ordering::Relaxed) && self.chance.percent(40) {
            tokio::time::sleep(Duration::from_millis(self.chance.below(12))).await;
        }
    }

    fn luck(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let is_unlucky = self.is_failing.load(Ordering::Relaxed) && self.chance.one_in(200);
        match is_unlucky || self.is_broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Busy("the simulated store is busy".to_owned())),
            false => Ok(()),
        }
    }

    /// Before and after the work there may be a wait; before it, a failure.
    async fn slowly<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.lag().await;
        self.luck()?;
        let done = work.await;
        self.lag().await;
        done
    }

    /// Commits and notes what became of settings, in one step that nothing comes between.
    async fn commit_noting(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (mut puts, mut lanes) = (Vec::new(), Vec::new());
        if let Work::Control(control) = &commit.work {
            puts = control.puts.iter().map(|put| (put.key.clone(), put.value.clone())).collect();
            for (business, subscription, start) in &control.lanes {
                let head = self.inner.changes(business, 0, 0).await.map_or(0, |page| page.head);
                let after = match start {
                    StartAt::Now => head,
                    StartAt::Beginning => 0,
                    StartAt::After(seq) => head.min(*seq),
                };
                lanes.push((*subscription, after));
            }
        }
        let committed = self.inner.commit(commit).await?;
        let now = self.clock.now();
        let mut past = self.lock();
        past.puts.extend(puts.into_iter().map(|(key, value)| (now, key, value)));
        past.starts.extend(lanes);
        Ok(committed)
    }

    fn note_settle(&self, settle: &Settle) {
        self.settles.fetch_add(1, Ordering::Relaxed);
        let mut past = self.lock();
        for (subscription, step) in settle.outlets.iter().flat_map(|outlet| &outlet.steps) {
            if let LaneStep::Bury(letter) = step {
                past.buried.insert((*subscription, letter.seq), letter.at);
            }
        }
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.slowly(self.commit_noting(commit)).await
    }

    async fn claim(&self, owner: &str) -> Result<Fence, StoreError> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        self.slowly(self.inner.claim(owner)).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.slowly(async {
            let noted = settle.clone();
            self.inner.settle(settle).await?;
            self.note_settle(&noted);
            Ok(())
        })
        .await
    }

    async fn head(&self, business: &BusinessId) -> Result<Position, StoreError> {
        self.slowly(self.inner.head(business)).await
    }

    async fn changes(&self, business: &BusinessId, after: u64, limit: usize) -> Result<ChangePage, StoreError> {
        self.slowly(self.inner.changes(business, after, limit)).await
    }

    async fn change(&self, business: &BusinessId, seq: u64) -> Result<Option<Arc<Change>>, StoreError> {
        self.slowly(self.inner.change(business, seq)).await
    }

    async fn chain(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.slowly(self.inner.chain(business, record, after, limit)).await
    }

    async fn record(&self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.slowly(self.inner.record(business, key)).await
    }

    async fn counts(&self, business: &BusinessId) -> Result<BTreeMap<TypeId, Count>, StoreError> {
        self.slowly(self.inner.counts(business)).await
    }

    async fn holder(&self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError> {
        self.slowly(self.inner.holder(business, key)).await
    }

    async fn records(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        walk: Walk,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        self.slowly(self.inner.records(business, ty, walk, limit)).await
    }

    async fn records_of(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        ids: &[RecordId],
    ) -> Result<Vec<Option<Record>>, StoreError> {
        self.slowly(self.inner.records_of(business, ty, ids)).await
    }

    async fn entries(
        &self,
        business: &BusinessId,
        field: (&TypeId, &str),
        range: Range,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RecordId)>, StoreError> {
        self.slowly(self.inner.entries(business, field, range, limit)).await
    }

    async fn building(&self, business: &BusinessId) -> Result<Vec<Building>, StoreError> {
        self.slowly(self.inner.building(business)).await
    }

    async fn index_on(&self) -> Result<bool, StoreError> {
        self.inner.index_on().await
    }

    async fn lookups(
        &self,
        business: &BusinessId,
        keys: &[LookupKey],
        limit: usize,
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.slowly(self.inner.lookups(business, keys, limit)).await
    }

    async fn history(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, StoreError> {
        self.slowly(self.inner.history(business, record, before, limit)).await
    }

    async fn outcomes(
        &self,
        business: &BusinessId,
        id: OperationId,
        after: u64,
    ) -> Result<Vec<LineOutcome>, StoreError> {
        self.slowly(self.inner.outcomes(business, id, after)).await
    }

    async fn scans(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Scan)>, StoreError> {
        self.slowly(self.inner.scans(after_row, limit)).await
    }

    async fn operation(&self, business: &BusinessId, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.slowly(self.inner.operation(business, id)).await
    }

    async fn settings(&self, after: u64, limit: usize) -> Result<SettingsPage, StoreError> {
        self.slowly(self.inner.settings(after, limit)).await
    }

    async fn audit(
        &self,
        business: Option<&BusinessId>,
        before_row: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Audit)>, StoreError> {
        self.slowly(self.inner.audit(business, before_row, limit)).await
    }

    async fn outlets(&self) -> Result<Vec<OutletRows>, StoreError> {
        self.slowly(self.inner.outlets()).await
    }

    async fn lane_cursor(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
    ) -> Result<Option<u64>, StoreError> {
        self.slowly(self.inner.lane_cursor(business, subscription)).await
    }

    async fn shadows(&self, business: &BusinessId, keys: &[ShadowKey]) -> Result<Vec<Option<Shadow>>, StoreError> {
        self.slowly(self.inner.shadows(business, keys)).await
    }

    async fn work(
        &self,
        business: &BusinessId,
        kind: WorkKind,
        share: Option<ShareId>,
        after: Option<&WorkKey>,
        limit: usize,
    ) -> Result<Vec<(WorkKey, WorkRow)>, StoreError> {
        self.slowly(self.inner.work(business, kind, share, after, limit)).await
    }

    async fn work_row(&self, business: &BusinessId, key: &WorkKey) -> Result<Option<WorkRow>, StoreError> {
        self.slowly(self.inner.work_row(business, key)).await
    }

    async fn notices(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Notice)>, StoreError> {
        self.slowly(self.inner.notices(after_row, limit)).await
    }

    async fn dead_letters(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.slowly(self.inner.dead_letters(business, subscription, after, limit)).await
    }

    async fn log_attempts(&self, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        self.inner.log_attempts(attempts).await
    }

    async fn attempts(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.inner.attempts(business, subscription, limit).await
    }

    async fn floor(&self, business: &BusinessId) -> Result<u64, StoreError> {
        self.inner.floor(business).await
    }

    async fn prune(&self, prune: Prune) -> Result<u64, StoreError> {
        self.inner.prune(prune).await
    }

    async fn erase_on(&self) -> Result<bool, StoreError> {
        self.inner.erase_on().await
    }

    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.sweep(now).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.inner.snapshot().await
    }

    fn state(&self) -> StoreState {
        self.inner.state()
    }

    fn heads(&self) -> HeadWatch {
        self.inner.heads()
    }

    async fn close(&self) {}
}
