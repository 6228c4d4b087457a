//! The checkpointer: copies the write-ahead log back into the file, on a thread of its own, so that the writer
//! only ever appends. Its bound is kept by the writer, which empties a log that steady writing keeps from restarting.

use crate::open::Files;
use crate::writer::Shared;
use lockstep_core::limits::WAL_CHECKPOINT_BYTES;
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The checkpointer's thread.
pub(crate) struct Checkpointer {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    pub(crate) fn start(connection: Connection, files: Files, shared: Arc<Shared>) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let heard = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, &files, &shared, &heard))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn close(&self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::warn!("the checkpointer panicked");
        }
    }
}

fn run(connection: &Connection, files: &Files, shared: &Shared, stop: &(Mutex<bool>, Condvar)) {
    let mut copied_at_commits = 0;
    loop {
        let stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = stop.1.wait_timeout(stopped, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return;
        }
        drop(stopped);
        let commits = shared.commits.load(Ordering::Relaxed);
        let wal = std::fs::metadata(&files.wal).map_or(0, |file| file.len());
        if commits == copied_at_commits || wal < WAL_CHECKPOINT_BYTES {
            continue;
        }
        copied_at_commits = commits;
        if let Err(error) = connection.pragma(None, "wal_checkpoint", "PASSIVE", |_| Ok(())) {
            tracing::warn!(wal.bytes = wal, error = %error, "a checkpoint failed; it is tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::SqliteStore;
    use async_trait::async_trait;
    use lockstep_core::clock::Clock;
    use lockstep_core::limits::{WAL_BYTES_MAX, WAL_CHECKPOINT_BYTES};
    use lockstep_store::Store;
    use lockstep_store::contract::Subject;
    use lockstep_store::contract::desk::Desk;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;
    use tempfile::TempDir;

    /// A folder whose write-ahead log has a bound of its own.
    struct Bounded(TempDir, u64);

    impl Bounded {
        fn bytes(&self, name: &str) -> u64 {
            std::fs::metadata(self.0.path().join(name)).map_or(0, |file| file.len())
        }
    }

    #[async_trait]
    impl Subject for Bounded {
        async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
            Arc::new(SqliteStore::open_bounded(self.0.path(), clock, self.1).unwrap())
        }

        async fn begin_epoch(&self, clock: Arc<dyn Clock>) {
            crate::epoch::begin_epoch(self.0.path(), clock.now()).unwrap();
        }

        fn is_durable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn the_log_stays_bounded_under_steady_writing() {
        // Under the size at which the checkpointer looks, so that only the writer keeps the bound.
        let folder = Bounded(TempDir::new().unwrap(), 1024 * 1024);
        assert!(folder.1 < WAL_CHECKPOINT_BYTES && WAL_CHECKPOINT_BYTES < WAL_BYTES_MAX);
        let desk = Desk::open(&folder).await;
        let (mut longest, mut refilled, mut before) = (0, 0, 0);
        for number in 0..200 {
            desk.create(&desk.here, json!({"code": format!("{number}"), "notes": "x".repeat(50_000)}), None).await;
            let wal = folder.bytes("lockstep.db-wal");
            longest = longest.max(wal);
            refilled += u32::from(wal < before);
            before = wal;
        }
        // Each commit writes its value twice, and is in the log before the log is looked at.
        assert!(longest < folder.1 + 300_000, "the log grew to {longest} bytes");
        assert!(refilled > 10, "20 MB went through a log of 1 MiB, which was emptied {refilled} times");
        assert_eq!(desk.head(&desk.here).await, 200);
    }

    #[tokio::test]
    async fn a_long_log_is_copied_back_beside_the_writer() {
        let folder = Bounded(TempDir::new().unwrap(), WAL_BYTES_MAX);
        let desk = Desk::open(&folder).await;
        let grown = 2 * WAL_CHECKPOINT_BYTES;
        while folder.bytes("lockstep.db-wal") < grown {
            desk.create(&desk.here, json!({"notes": "x".repeat(500_000)}), None).await;
        }
        let copied = async {
            while folder.bytes("lockstep.db") < grown / 2 {
                desk.head(&desk.there).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), copied).await.expect("the checkpointer copies the log back");
    }
}
