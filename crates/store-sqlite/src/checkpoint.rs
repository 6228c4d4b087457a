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
