//! The default store: SQLite in WAL mode, `synchronous=FULL`, with one writer.
//!
//! ```text
//!  callers ──▶ queue ──▶ writer ──▶ lockstep.db-wal ──▶ checkpointer ──▶ lockstep.db
//!                          │ heads, recent                                   │
//!  readers ◀───────────────┴─────────────────────────────────────────────────┘
//! ```
//! The writer takes all that waits into one transaction, so the cost of a sync is shared by everyone who waited
//! for it; another thread copies the log back, so the writer only appends. Reads run beside it on threads of their
//! own. This crate alone knows SQL.

mod attempts;
mod checkpoint;
pub mod epoch;
mod erase;
mod fault;
mod index;
mod key;
mod load;
mod lookup;
mod open;
pub mod probe;
mod prune;
mod queue;
mod readers;
mod recent;
pub mod restore;
mod scan;
mod snapshot;
mod sweep;
mod upload;
mod work;
mod write;
mod writer;

use async_trait::async_trait;
use lockstep_core::change::Change;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::delivery::{Attempt, DeadLetter, Notice};
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, RecordId, ShareId, SubscriptionId, TypeId};
use lockstep_core::limits::WAL_BYTES_MAX;
use lockstep_core::operation::{Operation, OperationId};
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::scan::Scan;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use lockstep_store::heads::HeadWatch;
use lockstep_store::index::{Building, Range, Walk};
use lockstep_store::prune::Prune;
use lockstep_store::settings::{Audit, SettingsPage};
use lockstep_store::settle::{Fence, Settle};
use lockstep_store::snapshot::Snapshot;
use lockstep_store::upload::LineOutcome;
use lockstep_store::{ChangePage, Commit, Committed, Count, OutletRows, RecordPage, Store, StoreError, StoreState};
use queue::Rider;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

const READERS: usize = 2;

/// The store in a data folder.
pub struct SqliteStore {
    shared: Arc<writer::Shared>,
    files: open::Files,
    writer: Mutex<Option<JoinHandle<()>>>,
    checkpointer: checkpoint::Checkpointer,
    readers: readers::Readers,
    attempts: attempts::Attempts,
    lock: Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the store of a folder, making or migrating it if need be.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Unusable`], [`StoreError::Corrupt`] or [`StoreError::Newer`]; nothing
    /// was changed.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_bounded(folder, clock, WAL_BYTES_MAX)
    }

    /// The same, with a bound of its own on the write-ahead log.
    fn open_bounded(folder: &Path, clock: Arc<dyn Clock>, wal_bytes_max: u64) -> Result<Self, StoreError> {
        let lock = open::take(folder)?;
        let files = open::Files::of(folder);
        snapshot::clear(&files)?;
        let connection = open::main(&files)?;
        let shared = Arc::new(writer::Shared {
            queue: queue::Queue::default(),
            heads: lockstep_store::heads::Heads::default(),
            recent: recent::Recent::default(),
            settings_version: AtomicU64::new(load::settings_version(&connection)?),
            wal_bytes: AtomicU64::new(0),
            disk_free: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            snapshots: snapshot::Snapshots::default(),
            must_empty_log: AtomicBool::new(false),
        });
        shared.queue.refuse(writer::floor(&files, &shared.disk_free));
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        // Every file is opened before a thread is started: an opening that fails leaves nothing running.
        let (checkpointer, attempts) = (open::checkpointer(&files)?, open::attempts(&files)?);
        let connections = (0..READERS).map(|_| open::reader(&files)).collect::<Result<_, _>>()?;
        let checkpointer =
            checkpoint::Checkpointer::start(checkpointer, files.clone(), Arc::clone(&shared)).map_err(failed)?;
        let attempts = attempts::Attempts::start(attempts)?;
        let writer = writer::Writer {
            connection,
            files: files.clone(),
            clock,
            shared: Arc::clone(&shared),
            known: load::Known::default(),
            wal_bytes_max,
        };
        let thread = std::thread::Builder::new().name("store-write".to_owned());
        let writer = thread.spawn(move || writer.run()).map_err(failed)?;
        Ok(Self {
            shared,
            files,
            writer: Mutex::new(Some(writer)),
            checkpointer,
            readers: readers::Readers::start(connections)?,
            attempts,
            lock: Mutex::new(Some(lock)),
        })
    }

    async fn ride<T>(&self, rider: impl FnOnce(queue::Reply<T>) -> Rider) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.ride(rider(reply))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    fn close_now(&self) {
        self.shared.snapshots.close();
        self.shared.queue.close();
        self.checkpointer.close();
        self.readers.close();
        self.attempts.close();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
            && writer.join().is_err()
        {
            tracing::error!("the writer panicked; this is a bug");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close_now();
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(commit, reply)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn claim(&self, owner: &str) -> Result<Fence, StoreError> {
        let owner = owner.to_owned();
        self.ride(|reply| Rider::Claim(owner, reply)).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.ride(|reply| Rider::Settle(settle, reply)).await
    }

    async fn head(&self, business: &BusinessId) -> Result<Position, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| epoch::head(connection, &business)).await
    }

    async fn changes(&self, business: &BusinessId, after: u64, limit: usize) -> Result<ChangePage, StoreError> {
        if let Some((changes, head)) = self.shared.recent.after(business, after, limit) {
            // The version last: it is told before the changes are, so no page is read under settings that are older
            // than its changes. A setting changed in between only makes the reader look it up sooner.
            let settings_version = self.shared.settings_version.load(Ordering::Acquire);
            return Ok(ChangePage { changes, head, settings_version });
        }
        let business = business.clone();
        self.readers.ask(move |connection| readers::page(connection, &business, after, limit)).await
    }

    async fn change(&self, business: &BusinessId, seq: u64) -> Result<Option<Arc<Change>>, StoreError> {
        if let Some(before) = seq.checked_sub(1)
            && let Some((changes, _)) = self.shared.recent.after(business, before, 1)
            && let Some(change) = changes.into_iter().next()
        {
            return Ok(Some(change));
        }
        // The file may already hold what the recent ones are about to be told of.
        let business = business.clone();
        self.readers.ask(move |connection| readers::change(connection, &business, seq)).await
    }

    async fn chain(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let (business, record) = (business.clone(), record.clone());
        self.readers.ask(move |connection| readers::chain(connection, &business, &record, after, limit)).await
    }

    async fn record(&self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let (business, key) = (business.clone(), key.clone());
        let read = move |connection: &rusqlite::Connection| {
            load::record(connection, load::business_number(connection, &business)?, &key)
        };
        self.readers.ask(read).await
    }

    async fn holder(&self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError> {
        let (business, key) = (business.clone(), key.clone());
        let read = move |connection: &rusqlite::Connection| {
            load::holder(connection, load::business_number(connection, &business)?, &key)
        };
        self.readers.ask(read).await
    }

    async fn records(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        walk: Walk,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        let (business, ty) = (business.clone(), ty.clone());
        self.readers.ask(move |connection| readers::records(connection, &business, &ty, walk, limit)).await
    }

    async fn records_of(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        ids: &[RecordId],
    ) -> Result<Vec<Option<Record>>, StoreError> {
        let (business, ty, ids) = (business.clone(), ty.clone(), ids.to_vec());
        self.readers.ask(move |connection| readers::records_of(connection, &business, &ty, &ids)).await
    }

    async fn entries(
        &self,
        business: &BusinessId,
        (ty, field): (&TypeId, &str),
        range: Range,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RecordId)>, StoreError> {
        let (business, ty, field) = (business.clone(), ty.clone(), field.to_owned());
        let read = move |connection: &rusqlite::Connection| {
            let number = load::business_number(connection, &business)?;
            lookup::entries(connection, number, (&ty, &field), &range, limit)
        };
        self.readers.ask(read).await
    }

    async fn building(&self, business: &BusinessId) -> Result<Vec<Building>, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| index::building(connection, &business)).await
    }

    async fn index_on(&self) -> Result<bool, StoreError> {
        match self.readers.ask(index::is_due).await? {
            true => self.ride(Rider::Index).await,
            false => Ok(false),
        }
    }

    async fn lookups(
        &self,
        business: &BusinessId,
        keys: &[LookupKey],
        limit: usize,
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        let (business, keys) = (business.clone(), keys.to_vec());
        let read = move |connection: &rusqlite::Connection| {
            let business = load::business_number(connection, &business)?;
            keys.iter().map(|key| lookup::find(connection, business, key, limit)).collect()
        };
        self.readers.ask(read).await
    }

    async fn history(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, StoreError> {
        let (business, record) = (business.clone(), record.clone());
        self.readers.ask(move |connection| readers::history(connection, &business, &record, before, limit)).await
    }

    async fn counts(&self, business: &BusinessId) -> Result<BTreeMap<TypeId, Count>, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| readers::counts(connection, &business)).await
    }

    async fn operation(&self, business: &BusinessId, id: OperationId) -> Result<Option<Operation>, StoreError> {
        let business = business.clone();
        let read = move |connection: &rusqlite::Connection| {
            write::operation(connection, load::business_number(connection, &business)?, id.number())
        };
        self.readers.ask(read).await
    }

    async fn outcomes(
        &self,
        business: &BusinessId,
        id: OperationId,
        after: u64,
    ) -> Result<Vec<LineOutcome>, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| upload::outcomes(connection, &business, id, after)).await
    }

    async fn settings(&self, after: u64, limit: usize) -> Result<SettingsPage, StoreError> {
        self.readers.ask(move |connection| readers::settings(connection, after, limit)).await
    }

    async fn audit(
        &self,
        business: Option<&BusinessId>,
        before_row: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Audit)>, StoreError> {
        let business = business.cloned();
        self.readers.ask(move |connection| readers::audit(connection, business.as_ref(), before_row, limit)).await
    }

    async fn outlets(&self) -> Result<Vec<OutletRows>, StoreError> {
        self.readers.ask(readers::outlets).await
    }

    async fn lane_cursor(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
    ) -> Result<Option<u64>, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| readers::lane_cursor(connection, &business, subscription)).await
    }

    async fn notices(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Notice)>, StoreError> {
        self.readers.ask(move |connection| readers::notices(connection, after_row, limit)).await
    }

    async fn scans(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Scan)>, StoreError> {
        self.readers.ask(move |connection| scan::page(connection, after_row, limit)).await
    }

    async fn dead_letters(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let business = business.clone();
        let read = move |connection: &rusqlite::Connection| {
            readers::dead_letters(connection, &business, subscription, after, limit)
        };
        self.readers.ask(read).await
    }

    async fn shadows(&self, business: &BusinessId, keys: &[ShadowKey]) -> Result<Vec<Option<Shadow>>, StoreError> {
        let (business, keys) = (business.clone(), keys.to_vec());
        self.readers.ask(move |connection| work::shadows(connection, &business, &keys)).await
    }

    async fn work(
        &self,
        business: &BusinessId,
        kind: WorkKind,
        share: Option<ShareId>,
        after: Option<&WorkKey>,
        limit: usize,
    ) -> Result<Vec<(WorkKey, WorkRow)>, StoreError> {
        let (business, after) = (business.clone(), after.cloned());
        let read = move |connection: &rusqlite::Connection| {
            work::page(connection, &business, (kind, share), after.as_ref(), limit)
        };
        self.readers.ask(read).await
    }

    async fn work_row(&self, business: &BusinessId, key: &WorkKey) -> Result<Option<WorkRow>, StoreError> {
        let (business, key) = (business.clone(), key.clone());
        let read = move |connection: &rusqlite::Connection| {
            work::row(connection, load::business_number(connection, &business)?, &key)
        };
        self.readers.ask(read).await
    }

    async fn log_attempts(&self, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        self.attempts.log(attempts)
    }

    async fn attempts(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.attempts.newest(business, subscription, limit).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.attempts.sweep(now)?;
        self.ride(|reply| Rider::Sweep(now, reply)).await
    }

    async fn floor(&self, business: &BusinessId) -> Result<u64, StoreError> {
        let business = business.clone();
        self.readers.ask(move |connection| prune::floor(connection, &business)).await
    }

    async fn prune(&self, prune: Prune) -> Result<u64, StoreError> {
        self.ride(|reply| Rider::Prune(prune, reply)).await
    }

    async fn erase_on(&self) -> Result<bool, StoreError> {
        let Some((business, seqs)) = self.readers.ask(erase::next).await? else { return Ok(false) };
        // The attempts first: what is not told of as blanked is begun again after a crash.
        self.attempts.blank(business, seqs).await?;
        self.ride(Rider::Erase).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        snapshot::take(&self.shared, &self.files).await
    }

    fn state(&self) -> StoreState {
        let (queued, refusing) = self.shared.queue.state();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreState {
            queued,
            wal_bytes: read(&self.shared.wal_bytes),
            disk_free_bytes: Some(read(&self.shared.disk_free)),
            commits: read(&self.shared.commits),
            commands: read(&self.shared.commands),
            commit_us: read(&self.shared.commit_us),
            refusing,
        }
    }

    fn heads(&self) -> HeadWatch {
        self.shared.heads.watch()
    }

    async fn close(&self) {
        self.close_now();
    }
}

/// Reads every page of a folder's store and names what is damaged.
///
/// # Errors
/// [`StoreError::InUse`] while a process serves the folder, or why the file cannot be read at all.
pub fn examine(folder: &Path) -> Result<Vec<String>, StoreError> {
    let _lock = open::take(folder)?;
    open::examine(&open::Files::of(folder))
}
