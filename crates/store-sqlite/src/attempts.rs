//! The attempt log: a file and a thread of its own, outside every promise.
//!
//! Successes are rows of many, failures rows of one, so a healthy hub writes a row a second however much it
//! delivers. When the thread falls behind, attempts are dropped and counted rather than slow down delivery.

use crate::fault::OrFault;
use crate::key::blob;
use crate::sweep;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Attempt;
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_core::limits::ATTEMPT_BATCHES_MAX;
use lockstep_store::erase::ERASED;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Rows of successes looked through for one subscription's newest.
const SUCCESS_ROWS_READ_MAX: usize = 200;

enum Ask {
    Log(Vec<Attempt>),
    Newest(BusinessId, SubscriptionId, usize, oneshot::Sender<Result<Vec<Attempt>, StoreError>>),
    Sweep(Timestamp),
    Blank(BusinessId, BTreeSet<u64>, oneshot::Sender<Result<(), StoreError>>),
}

/// The attempt log's thread.
pub(crate) struct Attempts {
    sender: Mutex<Option<SyncSender<Ask>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Attempts {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(ATTEMPT_BATCHES_MAX);
        let thread = std::thread::Builder::new()
            .name("store-attempts".to_owned())
            .spawn(move || serve(&connection, &receiver))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    fn send(&self, ask: Ask) -> Result<(), StoreError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(StoreError::Closed)?;
        sender.try_send(ask).map_err(|refused| StoreError::Busy(format!("the attempt log falls behind: {refused}")))
    }

    pub(crate) fn log(&self, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        self.send(Ask::Log(attempts))
    }

    pub(crate) fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.send(Ask::Sweep(now))
    }

    /// Blanks why deliveries of changes failed: an endpoint may have said their values back.
    pub(crate) async fn blank(&self, business: BusinessId, seqs: BTreeSet<u64>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Ask::Blank(business, seqs, reply))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) async fn newest(
        &self,
        business: &BusinessId,
        subscription: SubscriptionId,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Ask::Newest(business.clone(), subscription, limit, reply))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::warn!("the attempt log's thread panicked");
        }
    }
}

fn serve(connection: &Connection, receiver: &Receiver<Ask>) {
    while let Ok(ask) = receiver.recv() {
        let done = match ask {
            Ask::Log(attempts) => write(connection, attempts),
            Ask::Sweep(now) => sweep::attempts(connection, now),
            Ask::Blank(business, seqs, reply) => {
                let _ = reply.send(blank(connection, &business, &seqs));
                Ok(())
            }
            Ask::Newest(business, subscription, limit, reply) => {
                let _ = reply.send(newest(connection, &business, subscription, limit));
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::warn!(error = %error, "attempts could not be logged; deliveries go on");
        }
    }
}

fn write(connection: &Connection, attempts: Vec<Attempt>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction().or_fault()?;
    let (failures, successes): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|attempt| attempt.failure.is_some());
    if let Some(last) = successes.last() {
        transaction
            .prepare_cached("INSERT INTO success (at, body) VALUES (?1, ?2)")
            .or_fault()?
            .execute(params![last.at.0, codec::encode(&successes)?])
            .or_fault()?;
    }
    for failure in &failures {
        transaction
            .prepare_cached("INSERT INTO failure (subscription, business, at, body) VALUES (?1, ?2, ?3, ?4)")
            .or_fault()?
            .execute(params![
                blob(failure.subscription.0),
                failure.business.as_str(),
                failure.at.0,
                codec::encode(failure)?
            ])
            .or_fault()?;
    }
    transaction.commit().or_fault()
}

fn blank(connection: &Connection, business: &BusinessId, seqs: &BTreeSet<u64>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction().or_fault()?;
    let mut select = transaction.prepare("SELECT row, body FROM failure WHERE business = ?1").or_fault()?;
    let mut rows = select.query([business.as_str()]).or_fault()?;
    let mut blanked = Vec::new();
    while let Some(row) = rows.next().or_fault()? {
        let body: Vec<u8> = row.get(1).or_fault()?;
        let attempt: Attempt = codec::decode(&body)?;
        if seqs.contains(&attempt.seq) {
            let attempt = Attempt { failure: Some(ERASED.to_owned()), ..attempt };
            blanked.push((row.get::<_, i64>(0).or_fault()?, codec::encode(&attempt)?));
        }
    }
    drop(rows);
    drop(select);
    for (row, body) in &blanked {
        transaction.execute("UPDATE failure SET body = ?2 WHERE row = ?1", params![row, body]).or_fault()?;
    }
    transaction.commit().or_fault()?;
    if !blanked.is_empty() {
        // What it overwrites stands in the log until that is emptied.
        connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())).or_fault()?;
    }
    Ok(())
}

fn newest(
    connection: &Connection,
    business: &BusinessId,
    subscription: SubscriptionId,
    limit: usize,
) -> Result<Vec<Attempt>, StoreError> {
    let is_own = |attempt: &Attempt| attempt.business == *business && attempt.subscription == subscription;
    let mut found = Vec::new();
    let mut failures = connection
        .prepare_cached("SELECT body FROM failure WHERE subscription = ?1 AND business = ?2 ORDER BY row DESC LIMIT ?3")
        .or_fault()?;
    let own = params![blob(subscription.0), business.as_str(), i64::try_from(limit).unwrap_or(i64::MAX)];
    for body in failures.query_map(own, |row| row.get::<_, Vec<u8>>(0)).or_fault()? {
        found.push(codec::decode(&body.or_fault()?)?);
    }
    let mut successes = connection.prepare_cached("SELECT body FROM success ORDER BY row DESC LIMIT ?1").or_fault()?;
    let rows = successes
        .query_map([i64::try_from(SUCCESS_ROWS_READ_MAX).unwrap_or(i64::MAX)], |row| row.get::<_, Vec<u8>>(0))
        .or_fault()?;
    let mut delivered = 0;
    for body in rows {
        let batch: Vec<Attempt> = codec::decode(&body.or_fault()?)?;
        let own: Vec<_> = batch.into_iter().rev().filter(is_own).collect();
        delivered += own.len();
        found.extend(own);
        if delivered >= limit {
            break;
        }
    }
    found.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
    found.truncate(limit);
    Ok(found)
}
