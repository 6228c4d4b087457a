//! Reading threads, each with a connection of its own, and what they are asked.
//!
//! Reads are short: a page, a row. They run beside the writer and see what was last committed.

use crate::fault::OrFault;
use crate::key::{blob, column, count, number, seq_of};
use crate::load::{business_number, settings_version};
use lockstep_core::change::Change;
use lockstep_core::delivery::{DeadLetter, Notice};
use lockstep_core::ids::{BusinessId, RecordId, SubscriptionId, TypeId};
use lockstep_core::limits::{PAGE_BYTES_MAX, READS_WAITING_MAX};
use lockstep_core::record::{Record, RecordKey};
use lockstep_store::index::Walk;
use lockstep_store::settings::{Audit, SettingKey, SettingKind, SettingRow, SettingsPage};
use lockstep_store::{ChangePage, Count, OutletRows, RecordPage, StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A few threads that read.
pub(crate) struct Readers {
    sender: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// One thread for each connection.
    pub(crate) fn start(connections: Vec<Connection>) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel::<Read>(READS_WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |connection: Connection| {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new().name("store-read".to_owned());
            thread.spawn(move || serve(&connection, &receiver)).map_err(|error| StoreError::Failed(error.to_string()))
        };
        let threads = connections.into_iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { sender: Mutex::new(Some(sender)), threads: Mutex::new(threads) })
    }

    /// Asks one of them.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Who has hung up needs no answer.
            let _ = reply.send(read(connection));
        });
        {
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            let sender = sender.as_ref().ok_or(StoreError::Closed)?;
            sender.try_send(read).map_err(|error| match error {
                std::sync::mpsc::TrySendError::Full(_) => StoreError::Busy("too many reads wait".to_owned()),
                std::sync::mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what waits and ends the threads.
    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if thread.join().is_err() {
                tracing::warn!("a reading thread panicked");
            }
        }
    }
}

fn serve(connection: &Connection, receiver: &Mutex<Receiver<Read>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = next else { return };
        // A read that panics fails its asker alone.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(connection))).is_err() {
            tracing::error!("a read panicked; this is a bug");
        }
    }
}

/// A page of the log with the head, in one snapshot.
pub(crate) fn page(
    connection: &Connection,
    business: &BusinessId,
    after: u64,
    limit: usize,
) -> Result<ChangePage, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let number = business_number(&snapshot, business)?;
    let head = snapshot
        .prepare_cached("SELECT head FROM business WHERE number = ?1")
        .or_fault()?
        .query_row([number.0], |row| row.get(0))
        .map(count)
        .or_fault()?;
    let mut select =
        snapshot.prepare_cached("SELECT key, body FROM change WHERE key > ?1 AND key <= ?2 ORDER BY key").or_fault()?;
    let mut rows = select.query([number.change_key(after), number.last_key()]).or_fault()?;
    let (mut changes, mut bytes) = (Vec::new(), 0);
    while changes.len() < limit && bytes < PAGE_BYTES_MAX {
        let Some(row) = rows.next().or_fault()? else { break };
        let body = row.get_ref(1).or_fault()?.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        bytes += body.len();
        changes.push(Arc::new(codec::change::decode(seq_of(row.get(0).or_fault()?), body)?));
    }
    drop(rows);
    drop(select);
    let settings_version = settings_version(&snapshot)?;
    Ok(ChangePage { changes, head, settings_version })
}

fn change_body(connection: &Connection, business: &BusinessId, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let number = business_number(connection, business)?;
    let mut select = connection.prepare_cached("SELECT body FROM change WHERE key = ?1").or_fault()?;
    select.query_row([number.change_key(seq)], |row| row.get(0)).optional().or_fault()
}

/// One change.
pub(crate) fn change(
    connection: &Connection,
    business: &BusinessId,
    seq: u64,
) -> Result<Option<Arc<Change>>, StoreError> {
    let body = change_body(connection, business, seq)?;
    body.map(|body| codec::change::decode(seq, &body).map(Arc::new)).transpose()
}

/// Seqs along a record's chain after a seq, oldest first.
pub(crate) fn chain(
    connection: &Connection,
    business: &BusinessId,
    key: &RecordKey,
    after: u64,
    limit: usize,
) -> Result<Vec<u64>, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let number = business_number(&snapshot, business)?;
    let Some(record) = crate::load::record(&snapshot, number, key)? else { return Ok(Vec::new()) };
    let (mut seqs, mut seq) = (std::collections::VecDeque::new(), record.last_seq);
    while seq > after {
        // The chain ends where it goes below the log's floor.
        let Some(body) = change_body(&snapshot, business, seq)? else { break };
        seqs.push_front(seq);
        // The walk is from the new end; only the old end of a long chain is wanted.
        seqs.truncate(limit);
        seq = codec::change::prev_seq(seq, &body)?;
    }
    Ok(seqs.into())
}

/// Changes along a record's chain before a seq, newest first.
pub(crate) fn history(
    connection: &Connection,
    business: &BusinessId,
    key: &RecordKey,
    before: u64,
    limit: usize,
) -> Result<Vec<Arc<Change>>, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let number = business_number(&snapshot, business)?;
    let Some(record) = crate::load::record(&snapshot, number, key)? else { return Ok(Vec::new()) };
    let (mut changes, mut seq, mut bytes) = (Vec::new(), record.last_seq, 0);
    while seq > 0 && changes.len() < limit && bytes < PAGE_BYTES_MAX {
        let Some(body) = change_body(&snapshot, business, seq)? else { break };
        if seq >= before {
            seq = codec::change::prev_seq(seq, &body)?;
            continue;
        }
        bytes += body.len();
        let change = codec::change::decode(seq, &body)?;
        seq = change.prev_seq;
        changes.push(Arc::new(change));
    }
    Ok(changes)
}

/// Records of a type along a walk.
pub(crate) fn records(
    connection: &Connection,
    business: &BusinessId,
    ty: &TypeId,
    walk: Walk,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    let business = business_number(connection, business)?;
    let (sql, from) = match walk {
        Walk::Up(after) => {
            ("SELECT id, body FROM record WHERE business = ?1 AND type = ?2 AND id > ?3 ORDER BY id", after)
        }
        Walk::Down(before) => {
            ("SELECT id, body FROM record WHERE business = ?1 AND type = ?2 AND id < ?3 ORDER BY id DESC", before)
        }
    };
    let mut select = connection.prepare_cached(sql).or_fault()?;
    let mut rows = select.query(params![business.0, ty.as_str(), blob(from.0)]).or_fault()?;
    let (mut page, mut bytes) = (RecordPage::default(), 0);
    while page.records.len() < limit && bytes < PAGE_BYTES_MAX {
        let Some(row) = rows.next().or_fault()? else {
            page.is_last = true;
            break;
        };
        let id: [u8; 16] = row.get(0).or_fault()?;
        let key = RecordKey { ty: ty.clone(), id: RecordId(number(&id)?) };
        let body = row.get_ref(1).or_fault()?.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        bytes += body.len();
        page.records.push(codec::record::decode(&key, body)?);
    }
    Ok(page)
}

/// Some records of a type, each by its id; fewer than asked for where they are large.
pub(crate) fn records_of(
    connection: &Connection,
    business: &BusinessId,
    ty: &TypeId,
    ids: &[RecordId],
) -> Result<Vec<Option<Record>>, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let business = business_number(&snapshot, business)?;
    let mut select =
        snapshot.prepare_cached("SELECT body FROM record WHERE business = ?1 AND type = ?2 AND id = ?3").or_fault()?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for id in ids {
        if bytes >= PAGE_BYTES_MAX {
            break;
        }
        let mut rows = select.query(params![business.0, ty.as_str(), blob(id.0)]).or_fault()?;
        let Some(row) = rows.next().or_fault()? else {
            found.push(None);
            continue;
        };
        let body = row.get_ref(0).or_fault()?.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        bytes += body.len();
        found.push(Some(codec::record::decode(&RecordKey { ty: ty.clone(), id: *id }, body)?));
    }
    Ok(found)
}

/// Settings changed after a version.
pub(crate) fn settings(connection: &Connection, after: u64, limit: usize) -> Result<SettingsPage, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let mut select = snapshot
        .prepare_cached("SELECT kind, id, version, body FROM setting WHERE version > ?1 ORDER BY version LIMIT ?2")
        .or_fault()?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, Option<Vec<u8>>>(3)?,
        ))
    };
    let rows = select.query_map(params![column(after), column(limit as u64)], read).or_fault()?;
    let rows = rows.map(|row| {
        let (kind, id, version, body) = row.or_fault()?;
        let kind = SettingKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| StoreError::Corrupt(format!("a setting of kind {kind}")))?;
        let value = body.map(|body| codec::decode(&body)).transpose()?;
        Ok(SettingRow { key: SettingKey { kind, id }, version: count(version), value })
    });
    let rows = rows.collect::<Result<_, StoreError>>()?;
    Ok(SettingsPage { rows, version: settings_version(&snapshot)? })
}

/// Audit entries before a row, newest first.
pub(crate) fn audit(
    connection: &Connection,
    business: Option<&BusinessId>,
    before_row: i64,
    limit: usize,
) -> Result<Vec<(i64, Audit)>, StoreError> {
    let limit = column(limit as u64);
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let sql = match business {
        Some(_) => "SELECT row, body FROM audit WHERE business = ?3 AND row < ?1 ORDER BY row DESC LIMIT ?2",
        None => "SELECT row, body FROM audit WHERE row < ?1 ORDER BY row DESC LIMIT ?2",
    };
    let mut select = connection.prepare_cached(sql).or_fault()?;
    let rows = match business {
        Some(business) => select.query_map(params![before_row, limit, business.as_str()], read),
        None => select.query_map(params![before_row, limit], read),
    };
    rows.or_fault()?
        .map(|row| {
            let (row, body) = row.or_fault()?;
            Ok((row, codec::decode(&body)?))
        })
        .collect()
}

/// Where every business's outlets stand.
pub(crate) fn outlets(connection: &Connection) -> Result<Vec<OutletRows>, StoreError> {
    let snapshot = connection.unchecked_transaction().or_fault()?;
    let mut select = snapshot.prepare_cached("SELECT number, id, position FROM business").or_fault()?;
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?));
    let businesses: Vec<_> = select.query_map([], read).or_fault()?.collect::<Result<_, _>>().or_fault()?;
    businesses.into_iter().map(|(number, id, position)| outlet(&snapshot, number, &id, position)).collect()
}

fn outlet(connection: &Connection, business: i64, id: &str, position: Option<i64>) -> Result<OutletRows, StoreError> {
    let id = BusinessId::parse(id).map_err(|refused| StoreError::Corrupt(refused.message))?;
    let mut outlet = OutletRows { business: Some(id), position: position.map(count), ..OutletRows::default() };
    let mut lanes =
        connection.prepare_cached("SELECT subscription, cursor FROM lane WHERE business = ?1").or_fault()?;
    let rows = lanes.query_map([business], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?))).or_fault()?;
    for row in rows {
        let (owner, cursor) = row.or_fault()?;
        outlet.lanes.push((SubscriptionId(number(&owner)?), count(cursor)));
    }
    outlet.parked =
        owned(connection, "SELECT subscription, body FROM parked WHERE business = ?1", business, codec::decode)?;
    outlet.down =
        owned(connection, "SELECT subscription, body FROM gate WHERE business = ?1", business, codec::decode)?;
    Ok(outlet)
}

/// What subscriptions of a business own, by a query for owner and body.
fn owned<T>(
    connection: &Connection,
    sql: &str,
    business: i64,
    decode: fn(&[u8]) -> Result<T, StoreError>,
) -> Result<Vec<(SubscriptionId, T)>, StoreError> {
    let mut select = connection.prepare_cached(sql).or_fault()?;
    let rows =
        select.query_map([business], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?))).or_fault()?;
    rows.map(|row| {
        let (owner, body) = row.or_fault()?;
        Ok((SubscriptionId(number(&owner)?), decode(&body)?))
    })
    .collect()
}

/// How many records of each type there are, as kept by each commit.
pub(crate) fn counts(connection: &Connection, business: &BusinessId) -> Result<BTreeMap<TypeId, Count>, StoreError> {
    let business = business_number(connection, business)?;
    let mut select =
        connection.prepare_cached("SELECT type, living, deleted FROM record_count WHERE business = ?1").or_fault()?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let rows = select.query_map([business.0], read).or_fault()?;
    rows.map(|row| {
        let (ty, living, deleted) = row.or_fault()?;
        let ty = TypeId::parse(&ty).map_err(|refused| StoreError::Corrupt(refused.message))?;
        Ok((ty, Count { living: count(living), deleted: count(deleted) }))
    })
    .collect()
}

/// The cursor in a lane's row.
pub(crate) fn lane_cursor(
    connection: &Connection,
    business: &BusinessId,
    subscription: SubscriptionId,
) -> Result<Option<u64>, StoreError> {
    let business = business_number(connection, business)?;
    let mut select =
        connection.prepare_cached("SELECT cursor FROM lane WHERE business = ?1 AND subscription = ?2").or_fault()?;
    let cursor: Option<i64> =
        select.query_row(params![business.0, blob(subscription.0)], |row| row.get(0)).optional().or_fault()?;
    Ok(cursor.map(count))
}

/// Notices with rows after this one.
pub(crate) fn notices(connection: &Connection, after: i64, limit: usize) -> Result<Vec<(i64, Notice)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT row, body FROM notice WHERE row > ?1 ORDER BY row LIMIT ?2").or_fault()?;
    let rows = select
        .query_map(params![after, column(limit as u64)], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
        .or_fault()?;
    rows.map(|row| row.or_fault().and_then(|(row, body)| Ok((row, codec::decode(&body)?)))).collect()
}

/// Dead letters of a subscription after a seq.
pub(crate) fn dead_letters(
    connection: &Connection,
    business: &BusinessId,
    subscription: SubscriptionId,
    after: u64,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let business = business_number(connection, business)?;
    let mut select = connection
        .prepare_cached(
            "SELECT body FROM dead_letter WHERE business = ?1 AND subscription = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        )
        .or_fault()?;
    let values = params![business.0, blob(subscription.0), column(after), column(limit as u64)];
    let rows = select.query_map(values, |row| row.get::<_, Vec<u8>>(0)).or_fault()?;
    rows.map(|body| codec::decode(&body.or_fault()?)).collect()
}
