//! The SQLite store, held to the contract, and to what it promises of its own: one process a folder, files that
//! are never misread, acknowledged commits that survive a kill, formats that stay openable.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod erased;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod snapshot;

use async_trait::async_trait;
use lockstep_core::clock::Clock;
use lockstep_store::Store;
use lockstep_store::contract::Subject;
use lockstep_store_sqlite::SqliteStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// One data folder, gone with the case.
struct Folder(TempDir);

impl Folder {
    fn fresh() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

#[async_trait]
impl Subject for Folder {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.path(), clock).expect("the folder opens"))
    }

    async fn begin_epoch(&self, clock: Arc<dyn Clock>) {
        lockstep_store_sqlite::epoch::begin_epoch(self.path(), clock.now()).expect("the folder is free");
    }

    fn is_durable(&self) -> bool {
        true
    }
}

lockstep_store::contract!(crate::Folder::fresh());
