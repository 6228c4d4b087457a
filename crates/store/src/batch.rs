//! Deciding a batch: the part of a commit that is the same in every store.
//!
//! The store says how things are loaded; this loads what each command names, calls the pure rules in arrival
//! order over one working set a business, and hands back the sets to be written.

use crate::StoreError;
use crate::settle::ScanSettle;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Command, Ending, Outcome};
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, SubscriptionId};
use lockstep_core::limits;
use lockstep_core::operation::{Operation, OperationState};
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::ingest::{Step, decide, keys};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::rules::working_set::{Keys, Remembered, WorkingSet};
use lockstep_core::schema::Schema;
use lockstep_core::shadow::{Shadow, ShadowKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a store loads, inside the transaction of a commit.
pub trait Load {
    /// The place of a business's newest change, and its time.
    ///
    /// # Errors
    /// [`StoreError::UnknownBusiness`] where it has no log.
    fn head(&mut self, business: &BusinessId) -> Result<(Position, Timestamp), StoreError>;
    /// The types that a business knows, as its settings stand in this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    fn schema(&mut self, business: &BusinessId) -> Result<Arc<Schema>, StoreError>;
    /// A record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn record(&mut self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError>;
    /// The holder of an external id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn holder(&mut self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError>;
    /// What an idempotency key remembers.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remembered(&mut self, business: &BusinessId, key: [u8; 16]) -> Result<Option<Remembered>, StoreError>;
    /// What a remote object is known to hold.
    ///
    /// # Errors
    /// [`StoreError`].
    fn shadow(&mut self, business: &BusinessId, key: &ShadowKey) -> Result<Option<Shadow>, StoreError>;
    /// Records with a value, at most [`limits::MATCHES_MAX`].
    ///
    /// # Errors
    /// [`StoreError`].
    fn lookup(&mut self, business: &BusinessId, key: &LookupKey) -> Result<Vec<RecordId>, StoreError>;
}

/// Working sets by business, ready to be written.
pub type Sets = BTreeMap<BusinessId, WorkingSet>;

/// Decides commands in order.
///
/// # Errors
/// What loading failed with; the sets may then hold half a command and must be thrown away.
pub fn decide_all<'a>(
    load: &mut impl Load,
    sets: &mut Sets,
    commands: impl IntoIterator<Item = &'a Command>,
) -> Result<Vec<Outcome>, StoreError> {
    commands.into_iter().map(|command| decide_one(load, sets, command)).collect()
}

fn decide_one(load: &mut impl Load, sets: &mut Sets, command: &Command) -> Result<Outcome, StoreError> {
    if !sets.contains_key(&command.business) {
        let (head, last_at) = load.head(&command.business)?;
        let set = WorkingSet::new(command.business.clone(), head.seq, last_at).in_epoch(head.epoch);
        sets.insert(command.business.clone(), set);
    }
    let Some(set) = sets.get_mut(&command.business) else {
        return Err(StoreError::UnknownBusiness(command.business.clone()));
    };
    let schema = load.schema(&command.business)?;
    let shape = match schema.shape(command.ty.as_str()) {
        Ok(shape) => shape,
        // The type was there when the command came in.
        Err(refused) => {
            return Ok(Outcome { operation: command.fresh.operation, record: None, ending: Ending::Refused(refused) });
        }
    };
    let mut wanted = keys(command, shape);
    for _ in 0..limits::DECIDE_ROUNDS_MAX {
        fill(load, set, wanted, command.at)?;
        match decide(set, command, shape) {
            Step::Done(outcome) => return Ok(outcome),
            Step::Need(more) => wanted = more,
        }
    }
    Err(StoreError::Failed(format!("{} asked more than {} times", command.action.verb(), limits::DECIDE_ROUNDS_MAX)))
}

fn fill(load: &mut impl Load, set: &mut WorkingSet, keys: Keys, now: Timestamp) -> Result<(), StoreError> {
    for key in keys.records {
        if !set.records.contains_key(&key) {
            let record = load.record(&set.business, &key)?;
            set.records.insert(key, record);
        }
    }
    for key in keys.externals {
        if !set.externals.contains_key(&key) {
            let holder = load.holder(&set.business, &key)?;
            set.externals.insert(key, holder);
        }
    }
    for key in keys.idempotency {
        if !set.idempotency.contains_key(&key) {
            let remembered = load.remembered(&set.business, key)?.filter(|entry| entry.expires_at > now);
            set.idempotency.insert(key, remembered);
        }
    }
    for key in keys.lookups {
        if !set.lookups.contains_key(&key) {
            let found = load.lookup(&set.business, &key)?;
            set.lookups.insert(key, found);
        }
    }
    for key in keys.shadows {
        if !set.shadows.contains_key(&key) {
            let shadow = load.shadow(&set.business, &key)?;
            set.shadows.insert(key, shadow);
        }
    }
    Ok(())
}

/// What has come of a sync since it was last written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Notifications found to be due.
    pub matched: u64,
    /// Those that arrived.
    pub sent: u64,
    /// Notices that began to be waited for.
    pub begun: u64,
    /// Notices and scans that are over.
    pub over: u64,
}

/// The progress that a scan's move brings.
#[must_use]
pub fn progress_of(settle: &ScanSettle) -> Progress {
    let (begun, over) = (settle.put_off.len() as u64, u64::from(settle.is_over));
    Progress { matched: settle.matched, sent: settle.sent, begun, over }
}

/// What progress makes of a sync: the operation after it, and the notices due if nothing is waited for any more.
#[must_use]
pub fn advance_sync(
    mut operation: Operation,
    progress: Progress,
    tell: &[SubscriptionId],
    business: &BusinessId,
    (head, at): (u64, Timestamp),
) -> (Operation, Vec<Notice>) {
    let OperationState::Sync { matched, sent, waiting } = &mut operation.state else {
        return (operation, Vec::new());
    };
    *matched += progress.matched;
    *sent += progress.sent;
    *waiting = (*waiting + progress.begun).saturating_sub(progress.over);
    if *waiting > 0 || progress.over == 0 {
        return (operation, Vec::new());
    }
    let notices = ended(&operation, tell, business, (head, at));
    (operation, notices)
}

/// Word of an operation's end.
pub(crate) fn ended(
    operation: &Operation,
    tell: &[SubscriptionId],
    business: &BusinessId,
    (head, at): (u64, Timestamp),
) -> Vec<Notice> {
    let notice = |subscription: &SubscriptionId| Notice {
        id: DeliveryId::of_operation(operation.id, "ended", *subscription),
        business: business.clone(),
        subscription: *subscription,
        after_seq: head,
        at,
        body: NoticeBody::Operation(operation.clone()),
        attempt: 0,
        next_at: at,
    };
    tell.iter().map(notice).collect()
}
