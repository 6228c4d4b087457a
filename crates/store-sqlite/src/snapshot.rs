//! Snapshots: the main file copied as it stood at one moment, on a thread and a connection of its own.
//!
//! A read transaction holds the moment while the pages are copied in small steps (SQLite's backup API), so the writer
//! goes on as ever. The price is that the write-ahead log cannot be emptied meanwhile: the writer leaves it alone, and
//! a copy under which it grows past its bound, or the disk runs full, is given up. The other way, copying between
//! commits on the writer's own connection, would keep the log short and make every commit wait for the copy.

use crate::epoch;
use crate::fault::OrFault;
use crate::open::{self, Files};
use crate::writer::{Shared, floor};
use lockstep_core::limits;
use lockstep_store::StoreError;
use lockstep_store::snapshot::Snapshot;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Pages of one step; between steps it is looked whether the copy may go on.
const STEP_PAGES: i32 = 1_024;
const SCRATCH: &str = "snapshot.tmp";

/// Whether a snapshot is being taken, and the thread that takes it.
pub(crate) struct Snapshots {
    /// Write-ahead log at which a copy is given up, in bytes.
    wal_bytes_max: AtomicU64,
    is_copying: AtomicBool,
    is_closing: AtomicBool,
    /// Whether there is one: being taken, or taken and still in use.
    is_placed: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            wal_bytes_max: AtomicU64::new(limits::SNAPSHOT_WAL_BYTES_MAX),
            is_copying: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            is_placed: Arc::default(),
            thread: Mutex::default(),
        }
    }
}

/// The place of the one snapshot there may be.
struct Place(Arc<AtomicBool>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Snapshots {
    /// Whether the write-ahead log is being read by one.
    pub(crate) fn is_copying(&self) -> bool {
        self.is_copying.load(Ordering::Acquire)
    }

    fn place(&self) -> Result<Place, StoreError> {
        if self.is_placed.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy("another backup is being taken: wait until it has ended".to_owned()));
        }
        Ok(Place(Arc::clone(&self.is_placed)))
    }

    /// Gives up what is under way.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that takes snapshots panicked");
        }
    }
}

/// Removes what a crash in the middle of one left in the folder.
pub(crate) fn clear(files: &Files) -> Result<(), StoreError> {
    let path = files.folder.join(SCRATCH);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Unusable(format!("{} cannot be removed: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Takes a snapshot.
pub(crate) async fn take(shared: &Arc<Shared>, files: &Files) -> Result<Snapshot, StoreError> {
    let snapshots = &shared.snapshots;
    if snapshots.is_closing.load(Ordering::Acquire) {
        return Err(StoreError::Closed);
    }
    let place = snapshots.place()?;
    let (reply, answer) = oneshot::channel();
    let (owned, files) = (Arc::clone(shared), files.clone());
    let run = move || {
        owned.snapshots.is_copying.store(true, Ordering::Release);
        let path = files.folder.join(SCRATCH);
        let taken = copy(&owned, &files, &path);
        owned.snapshots.is_copying.store(false, Ordering::Release);
        // From here on the open file alone holds it.
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(error = %error, "the scratch file of a backup could not be removed");
        }
        let snapshot = taken.map(|copied| Snapshot {
            file: copied.file,
            bytes: copied.bytes,
            name: "lockstep.db",
            format: copied.format,
            heads: copied.heads,
            place: Box::new(place),
        });
        // Who has hung up needs no answer.
        let _ = reply.send(snapshot);
    };
    let thread = std::thread::Builder::new().name("store-snapshot".to_owned()).spawn(run);
    let thread = thread.map_err(|error| StoreError::Failed(error.to_string()))?;
    // The one before it has ended: it gave up the place.
    *snapshots.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    answer.await.unwrap_or(Err(StoreError::Closed))
}

struct Copied {
    file: File,
    bytes: u64,
    format: i64,
    heads: Vec<(lockstep_core::ids::BusinessId, lockstep_core::position::Position)>,
}

fn copy(shared: &Shared, files: &Files, path: &Path) -> Result<Copied, StoreError> {
    let unusable = |error: std::io::Error| StoreError::Unusable(format!("{}: {error}", path.display()));
    must_have_room(files)?;
    let made = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(unusable)?;
    drop(made);
    let source = open::reader(files)?;
    let moment = source.unchecked_transaction().or_fault()?;
    let heads = epoch::heads(&moment)?;
    let format = moment.pragma_query_value(None, "user_version", |row| row.get(0)).or_fault()?;
    let mut target = Connection::open(path).or_fault()?;
    // What is lost with the power was of use to nobody yet.
    for (name, value) in [("journal_mode", "OFF"), ("synchronous", "OFF")] {
        target.pragma_update(None, name, value).or_fault()?;
    }
    let backup = Backup::new(&moment, &mut target).or_fault()?;
    while backup.step(STEP_PAGES).or_fault()? != StepResult::Done {
        may_go_on(shared, files)?;
    }
    drop(backup);
    target.close().map_err(|(_, error)| crate::fault::fault(&error))?;
    let file = File::open(path).map_err(unusable)?;
    let bytes = file.metadata().map_err(unusable)?.len();
    Ok(Copied { file, bytes, format, heads })
}

/// That the disk has room for a copy beside the store, with the floor left free.
fn must_have_room(files: &Files) -> Result<(), StoreError> {
    let free = AtomicU64::new(0);
    if let Some(refused) = floor(files, &free) {
        return Err(refused);
    }
    let bytes = [&files.main, &files.wal].map(|path| std::fs::metadata(path).map_or(0, |file| file.len()));
    let needed = bytes.iter().sum::<u64>() + 2 * limits::DISK_FREE_BYTES_MIN;
    let free = free.load(Ordering::Relaxed);
    if free < needed {
        return Err(StoreError::DiskFull(format!(
            "a backup copies the store beside itself: {needed} bytes must be free at {}, and {free} are",
            files.folder.display()
        )));
    }
    Ok(())
}

fn may_go_on(shared: &Shared, files: &Files) -> Result<(), StoreError> {
    if shared.snapshots.is_closing.load(Ordering::Acquire) {
        return Err(StoreError::Closed);
    }
    let wal = std::fs::metadata(&files.wal).map_or(0, |file| file.len());
    if wal > shared.snapshots.wal_bytes_max.load(Ordering::Relaxed) {
        return Err(StoreError::Busy(format!(
            "the write-ahead log has grown to {wal} bytes beside the copy: take the backup when less is written"
        )));
    }
    floor(files, &AtomicU64::new(0)).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use async_trait::async_trait;
    use lockstep_core::clock::Clock;
    use lockstep_store::Store;
    use lockstep_store::contract::Subject;
    use lockstep_store::contract::desk::Desk;
    use serde_json::json;
    use tempfile::TempDir;

    /// A folder in which a copy is given up at a write-ahead log of so many bytes.
    struct Narrow(TempDir, u64);

    #[async_trait]
    impl Subject for Narrow {
        async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
            let store = SqliteStore::open(self.0.path(), clock).unwrap();
            store.shared.snapshots.wal_bytes_max.store(self.1, Ordering::Relaxed);
            Arc::new(store)
        }

        async fn begin_epoch(&self, clock: Arc<dyn Clock>) {
            epoch::begin_epoch(self.0.path(), clock.now()).unwrap();
        }

        fn is_durable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_copy_under_which_the_log_grows_too_long_is_given_up_and_writing_goes_on() {
        let folder = Narrow(TempDir::new().unwrap(), 1024 * 1024);
        let desk = Desk::open(&folder).await;
        for _ in 0..12 {
            desk.create(&desk.here, json!({"notes": "x".repeat(500_000)}), None).await;
        }
        for _ in 0..2 {
            let refused = desk.store.snapshot().await.map(|snapshot| snapshot.bytes);
            assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
            assert!(!folder.0.path().join(SCRATCH).exists(), "nothing is left of it");
            desk.create(&desk.here, json!({"code": "after"}), None).await;
        }
        // Opened anew the log is short, and what a crash left is gone.
        std::fs::write(folder.0.path().join(SCRATCH), "left").unwrap();
        let desk = desk.reopen().await;
        assert!(!folder.0.path().join(SCRATCH).exists());
        assert!(desk.store.snapshot().await.unwrap().bytes > 6_000_000);
    }
}
