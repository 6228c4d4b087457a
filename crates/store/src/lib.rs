//! The store port: what Lockstep asks of whatever keeps its data.
//!
//! A rule decides, a store does. [`Store::commit`] takes commands, loads what they touch, calls the pure rules
//! over one working set, and writes the set in one durable transaction; it is the only way to change records, the
//! log, settings and audit. [`Store::claim`] and [`Store::settle`] touch work rows alone: cursors, parked records,
//! notices. What a share still has to do moves with the commit of what it did ([`turn`]). Everything else reads.
//!
//! The in-memory store here is the port's smallest honest implementation; `store-sqlite` is the default one. Both
//! pass the same contract suite (feature `contract`), written so that a PostgreSQL store can be held to it too.

pub mod batch;
pub mod codec;
#[cfg(feature = "contract")]
#[expect(clippy::indexing_slicing, reason = "a case panics where the promise is broken")]
pub mod contract;
pub mod erase;
pub mod heads;
pub mod index;
pub mod memory;
pub mod prune;
pub mod settings;
pub mod settle;
pub mod snapshot;
pub mod turn;
pub mod upload;

use async_trait::async_trait;
use heads::HeadWatch;
use index::{Building, Range, Walk};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Command, Outcome};
use lockstep_core::delivery::{Attempt, DeadLetter, Down, Notice, Parked};
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, CommitId, RecordId, ShareId, SubscriptionId, TypeId};
use lockstep_core::operation::{Operation, OperationId, Upload};
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::scan::Scan;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::work::{WorkKey, WorkKind, WorkRow};
use prune::Prune;
use settings::{Audit, Control, SettingKey, SettingsPage};
use settle::{Fence, Settle};
use snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use turn::Turn;
use upload::{Batch, LineOutcome};

/// Why a store did not do what it was asked. Nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much work waits; try again.
    #[error("{0}")]
    Busy(String),
    /// There is no room on the disk.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The file is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The file was written by a later version.
    #[error("the store has format {found}; this version reads up to {known}")]
    Newer {
        /// The format found.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// The disk failed under a write: what it holds of it is not known.
    #[error("the disk failed: {0}; no more is written until a restart")]
    Broken(String),
    /// Another process has the folder open.
    #[error("{0}")]
    InUse(String),
    /// The folder or file cannot be made, read or written.
    #[error("{0}")]
    Unusable(String),
    /// A setting is not as the caller believed.
    #[error("the setting {0} has changed meanwhile")]
    Conflict(SettingKey),
    /// A later claim holds the work.
    #[error("another worker has taken over")]
    Fenced,
    /// The business has no log.
    #[error("there is no business {0}")]
    UnknownBusiness(BusinessId),
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What is committed: records by commands, or settings.
#[derive(Debug)]
pub struct Commit {
    /// Names this commit, so that one sent again after a lost answer has effect once. Kept for ten minutes.
    pub id: Option<CommitId>,
    /// What it does.
    pub work: Work,
}

/// The work of a commit.
#[derive(Debug)]
pub enum Work {
    /// Commands, decided in this order.
    Commands(Vec<Command>),
    /// A change of settings.
    Control(Box<Control>),
    /// Some lines of an upload; they wait behind every other commit.
    Upload(Box<Batch>),
    /// What a share has read or written, with its work rows; in bulk it waits as uploads do.
    Turn(Box<Turn>),
}

impl Work {
    /// How many commands it holds.
    #[must_use]
    pub fn commands(&self) -> usize {
        match self {
            Self::Commands(commands) => commands.len(),
            Self::Control(_) => 0,
            Self::Upload(batch) => batch.lines.len(),
            Self::Turn(turn) => turn.lines.len(),
        }
    }

    /// About how many bytes its commands hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Commands(commands) => commands.iter().map(|command| command.bytes).sum(),
            Self::Control(_) => 0,
            Self::Upload(batch) => batch.commands().map(|command| command.bytes).sum(),
            Self::Turn(turn) => turn.commands().map(|command| command.bytes).sum(),
        }
    }

    /// The business in whose turn it waits behind what is urgent, where it is bulk.
    #[must_use]
    pub fn bulk_of(&self) -> Option<&BusinessId> {
        match self {
            Self::Upload(batch) => Some(&batch.business),
            Self::Turn(turn) if turn.is_bulk => Some(&turn.business),
            Self::Commands(_) | Self::Control(_) | Self::Turn(_) => None,
        }
    }
}

/// What a commit came to. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Committed {
    /// An outcome for each command, in order.
    Outcomes(Vec<Outcome>),
    /// The version at which the settings now stand.
    Settings(u64),
    /// How the upload stands after its lines.
    Upload(Upload),
}

/// A page of one business's log.
#[derive(Clone, Debug, Default)]
pub struct ChangePage {
    /// Changes in order of seq, without holes.
    pub changes: Vec<Arc<Change>>,
    /// The newest seq there is.
    pub head: u64,
    /// The version at which settings stood when the page was read.
    pub settings_version: u64,
}

/// A page of one type's records, as they stood at one moment.
#[derive(Clone, Debug, Default)]
pub struct RecordPage {
    /// Records in the order of the walk, tombstones too.
    pub records: Vec<Record>,
    /// Whether there may be more.
    pub is_last: bool,
}

/// Where the outlets of one business stand.
#[derive(Clone, Debug, Default)]
pub struct OutletRows {
    /// The business.
    pub business: Option<BusinessId>,
    /// Up to where every lane without a row of its own is settled.
    pub position: Option<u64>,
    /// Lanes that owe something, with their cursors.
    pub lanes: Vec<(SubscriptionId, u64)>,
    /// Parked records.
    pub parked: Vec<(SubscriptionId, Parked)>,
    /// Endpoints that are down.
    pub down: Vec<(SubscriptionId, Down)>,
}

/// How many records there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those that live.
    pub living: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// How a store stands, for health checks and metrics.
#[derive(Clone, Debug, Default)]
pub struct StoreState {
    /// Commands that wait for the writer.
    pub queued: usize,
    /// Bytes in the write-ahead log.
    pub wal_bytes: u64,
    /// Free bytes on the disk, where there is one.
    pub disk_free_bytes: Option<u64>,
    /// Commits so far.
    pub commits: u64,
    /// Commands committed so far.
    pub commands: u64,
    /// Microseconds spent in commits so far.
    pub commit_us: u64,
    /// Why commits are refused at present, if they are.
    pub refusing: Option<String>,
}

/// Whatever keeps Lockstep's data.
#[async_trait]
pub trait Store: Send + Sync {
    /// Does the work in one durable transaction; commands of many callers may share it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// Takes over the delivery work: settles under earlier fences are refused from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, owner: &str) -> Result<Fence, StoreError>;

    /// Moves cursors, parked records and notices, all or nothing. It may wait a moment for a commit to ride on.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] under an earlier fence.
    async fn settle(&self, settle: Settle) -> Result<(), StoreError>;

    /// The place of a business's newest change: its log's epoch, and the seq, 0 where there is none yet.
    ///
    /// # Errors
    /// [`StoreError::UnknownBusiness`].
    async fn head(&self, business: &BusinessId) -> Result<Position, StoreError>;

    /// Changes of a business after a seq, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn changes(&self, business: &BusinessId, after: u64, limit: usize) -> Result<ChangePage, StoreError>;

    /// One change.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn change(&self, business: &BusinessId, seq: u64) -> Result<Option<Arc<Change>>, StoreError>;

    /// Seqs of a record's changes after a seq, oldest first, found by walking its chain; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn chain(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError>;

    /// A record.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record(&self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// The record that an external id leads to.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn holder(&self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError>;

    /// Records of a type along a walk, at most `limit`, fewer where they are large.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn records(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        walk: Walk,
        limit: usize,
    ) -> Result<RecordPage, StoreError>;

    /// Some records of a type, in the order asked for: one answer for each id of the front of the list, and at least
    /// one; fewer than asked for where the records are large.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn records_of(
        &self,
        business: &BusinessId,
        ty: &TypeId,
        ids: &[RecordId],
    ) -> Result<Vec<Option<Record>>, StoreError>;

    /// A page of one field's lookup entries, at most `limit`: values as bytes, with the living records that have them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entries(
        &self,
        business: &BusinessId,
        (ty, field): (&TypeId, &str),
        range: Range,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RecordId)>, StoreError>;

    /// The fields of a business whose indexes are being built, or taken down.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn building(&self, business: &BusinessId) -> Result<Vec<Building>, StoreError>;

    /// Goes on building indexes over what stands, a bounded amount. Says whether more is left.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn index_on(&self) -> Result<bool, StoreError>;

    /// Living records with a value, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lookup(&self, business: &BusinessId, key: &LookupKey, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        Ok(self.lookups(business, std::slice::from_ref(key), limit).await?.pop().unwrap_or_default())
    }

    /// The same of several keys, in the order asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lookups(
        &self,
        business: &BusinessId,
        keys: &[LookupKey],
        limit: usize,
    ) -> Result<Vec<Vec<RecordId>>, StoreError>;

    /// A record's changes before a seq, newest first, found by walking its chain; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn history(
        &self,
        business: &BusinessId,
        record: &RecordKey,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, StoreError>;

    /// How many records of each type a business has: living, and tombstones.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn counts(&self, business: &BusinessId) -> Result<BTreeMap<TypeId, Count>, StoreError>;

    /// An operation that has a row.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn operation(&self, business: &BusinessId, id: OperationId) -> Result<Option<Operation>, StoreError>;

    /// What became of an upload's lines after this one, in order; some of them, none when there are no more.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn outcomes(
        &self,
        business: &BusinessId,
        id: OperationId,
        after: u64,
    ) -> Result<Vec<LineOutcome>, StoreError>;

    /// Settings changed after a version, in order of version.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settings(&self, after: u64, limit: usize) -> Result<SettingsPage, StoreError>;

    /// Audit entries of before a row, newest first, with their rows: those that concern a business, or all.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn audit(
        &self,
        business: Option<&BusinessId>,
        before_row: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Audit)>, StoreError>;

    /// Where every business's outlets stand.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn outlets(&self) -> Result<Vec<OutletRows>, StoreError>;

    /// The cursor in a lane's row, if it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lane_cursor(&self, business: &BusinessId, subscription: SubscriptionId)
    -> Result<Option<u64>, StoreError>;

    /// Notices with rows after this one, with their row numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn notices(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Notice)>, StoreError>;

    /// Scans with rows after this one, with their row numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn scans(&self, after_row: i64, limit: usize) -> Result<Vec<(i64, Scan)>, StoreError>;

    /// Dead letters of a subscription after a seq, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dead_letters(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// What remote objects are known to hold, in the order asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn shadows(&self, business: &BusinessId, keys: &[ShadowKey]) -> Result<Vec<Option<Shadow>>, StoreError>;

    /// Work rows of one kind, of one share or of all, after a key, in order of share and what they are about; at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn work(
        &self,
        business: &BusinessId,
        kind: WorkKind,
        share: Option<ShareId>,
        after: Option<&WorkKey>,
        limit: usize,
    ) -> Result<Vec<(WorkKey, WorkRow)>, StoreError>;

    /// One work row.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn work_row(&self, business: &BusinessId, key: &WorkKey) -> Result<Option<WorkRow>, StoreError>;

    /// Keeps attempts, outside every promise.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn log_attempts(&self, attempts: Vec<Attempt>) -> Result<(), StoreError>;

    /// The newest attempts for a subscription, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn attempts(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// Forgets idempotency keys, operations, commit ids and attempts whose time is over; a bounded amount.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError>;

    /// The newest change of a business that is kept no more, 0 where all are kept.
    ///
    /// # Errors
    /// [`StoreError::UnknownBusiness`].
    async fn floor(&self, business: &BusinessId) -> Result<u64, StoreError>;

    /// Drops changes from the old end of a log, with the dead letters that stand for them: a bounded number, none that
    /// an outlet still needs, and never the newest. Gives the floor as it then stands.
    ///
    /// # Errors
    /// [`StoreError::UnknownBusiness`].
    async fn prune(&self, prune: Prune) -> Result<u64, StoreError>;

    /// Goes on blanking the past of erased records, and what rows and attempts say of them; a bounded amount. Says
    /// whether more is left.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn erase_on(&self) -> Result<bool, StoreError>;

    /// Copies the whole store as it stands, while commits go on.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another copy is in use or too much is written beside it, [`StoreError::DiskFull`],
    /// [`StoreError::Failed`] where this kind of store cannot be copied.
    async fn snapshot(&self) -> Result<Snapshot, StoreError>;

    /// How the store stands.
    fn state(&self) -> StoreState;

    /// Tells when something has been committed.
    fn heads(&self) -> HeadWatch;

    /// Finishes what waits and closes.
    async fn close(&self);
}
