//! Opening a folder: what is refused, in which words, and that nothing is changed by the refusal.

use crate::Folder;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_store::StoreError;
use lockstep_store::contract::desk::{Desk, key};
use lockstep_store_sqlite::SqliteStore;
use rusqlite::Connection;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }
}

fn open(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder, Arc::new(Still))
}

fn refusal(folder: &Path) -> StoreError {
    match open(folder) {
        Ok(_) => panic!("the folder was opened"),
        Err(error) => error,
    }
}

/// A folder with a store that has been closed.
async fn closed() -> Folder {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    desk.store.close().await;
    folder
}

#[tokio::test]
async fn a_folder_is_served_once() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let refused = refusal(folder.path());
    assert!(matches!(&refused, StoreError::InUse(text) if text.contains("--data")), "{refused}");
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    desk.store.close().await;
    drop(open(folder.path()).unwrap());
}

#[tokio::test]
async fn a_dropped_store_frees_its_folder() {
    let folder = Folder::fresh();
    drop(Desk::open(&folder).await);
    drop(open(folder.path()).unwrap());
    assert!(open(folder.path()).is_ok());
}

#[tokio::test]
async fn a_file_of_a_later_format_is_refused_and_left_as_it_is() {
    for (name, newest) in [("lockstep.db", 4), ("attempts.db", 1)] {
        let folder = closed().await;
        let file = folder.file(name);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = fs::read(&file).unwrap();
        let refused = refusal(folder.path());
        assert!(matches!(refused, StoreError::Newer { found: 99, known } if known == newest), "{name}: {refused}");
        assert!(fs::read(&file).unwrap() == before, "{name} was changed");
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_is() {
    let folder = Folder::fresh();
    let file = folder.file("lockstep.db");
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA application_id = 7; CREATE TABLE business (x); INSERT INTO business VALUES (1)")
        .unwrap();
    drop(other);
    let before = fs::read(&file).unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = Folder::fresh();
    let file = folder.file("lockstep.db");
    let garbage = b"This is a letter to my aunt. ".repeat(500);
    fs::write(&file, &garbage).unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(&refused, StoreError::Corrupt(text) if text.contains("lockstep.db")), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), garbage);
    fs::remove_file(&file).unwrap();
    assert!(open(folder.path()).is_ok(), "the refusal leaves the folder free");
}

#[test]
fn a_folder_that_cannot_be_made_is_unusable() {
    let folder = Folder::fresh();
    let file = folder.file("a-file");
    fs::write(&file, "x").unwrap();
    let refused = refusal(&file.join("data"));
    assert!(matches!(&refused, StoreError::Unusable(text) if text.contains("a-file")), "{refused}");
}

#[tokio::test]
async fn the_attempt_log_may_be_deleted_while_stopped() {
    let folder = closed().await;
    for name in ["attempts.db", "attempts.db-wal", "attempts.db-shm"] {
        let _ = fs::remove_file(folder.file(name));
    }
    let desk = Desk::join(&folder).await;
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}

#[tokio::test]
async fn a_value_of_a_later_format_is_named_and_harms_no_other() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let one = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let two = desk.made(&desk.here, json!({"city": "Breda"}), None).await;
    desk.store.close().await;
    let later = "SET body = CAST(x'09' || substr(body, 2) AS BLOB)";
    let file = Connection::open(folder.file("lockstep.db")).unwrap();
    assert_eq!(file.execute(&format!("UPDATE change {later} WHERE key & 0xffffffffff = 1"), []).unwrap(), 1);
    assert_eq!(file.execute(&format!("UPDATE record {later} WHERE id = ?1"), [one.0.to_be_bytes()]).unwrap(), 1);
    drop(file);

    let desk = Desk::join(&folder).await;
    let is_newer = |error: Option<StoreError>| matches!(error, Some(StoreError::Newer { found: 9, known: 1 }));
    assert!(is_newer(desk.store.changes(&desk.here, 0, 9).await.err()));
    assert!(is_newer(desk.store.change(&desk.here, 1).await.err()));
    assert!(is_newer(desk.store.record(&desk.here, &key(one)).await.err()));
    assert!(is_newer(desk.commit(vec![desk.updating(&desk.here, one, json!({"city": "x"}))]).await.err()));
    assert_eq!(desk.store.changes(&desk.here, 1, 9).await.unwrap().changes.len(), 1);
    desk.clock.advance(1_000);
    desk.update(&desk.here, two, json!({"city": "Gouda"})).await;
    assert_eq!(desk.values(&desk.here, two).await, json!({"city": "Gouda"}));
}
