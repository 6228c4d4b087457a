//! The SQLite store, held to the contract.

use async_trait::async_trait;
use lockstep_core::clock::Clock;
use lockstep_store::Store;
use lockstep_store::contract::Subject;
use lockstep_store_sqlite::SqliteStore;
use std::sync::Arc;
use tempfile::TempDir;

/// One data folder.
struct Folder(TempDir);

impl Folder {
    fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }
}

#[async_trait]
impl Subject for Folder {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path(), clock).unwrap())
    }

    fn is_durable(&self) -> bool {
        true
    }
}

lockstep_store::contract!(crate::Folder::fresh());
