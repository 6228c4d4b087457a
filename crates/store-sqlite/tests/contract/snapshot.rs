//! Snapshots: whole and of one moment while commits go on, one at a time, nothing left behind; and what a folder made
//! of one is.

use crate::Folder;
use lockstep_core::clock::Timestamp;
use lockstep_core::position::Position;
use lockstep_store::StoreError;
use lockstep_store::contract::desk::{Desk, commit_to, control, put_text};
use lockstep_store::settings::Expect;
use lockstep_store::snapshot::Snapshot;
use lockstep_store_sqlite::restore::Restoring;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn restored(snapshot: &mut Snapshot, folder: &Path) -> Result<u64, StoreError> {
    let restoring = Restoring::begin(folder)?;
    std::io::copy(&mut snapshot.file, &mut restoring.file()?).unwrap();
    let put = put_text("restored", Some("yes"), Expect::Anything);
    let heads = restoring.finish(Timestamp(7), &control(vec![put]))?;
    assert!(heads.iter().all(|(_, position)| position.epoch == 2), "{heads:?}");
    Ok(heads.iter().map(|(_, position)| position.seq).max().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_of_one_moment_while_commits_go_on() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    desk.create(&desk.here, json!({"notes": "x".repeat(500_000)}), None).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let commands: Vec<_> =
        (0..2_000).map(|n| desk.creating(&desk.here, json!({"code": format!("{n}")}), None)).collect();
    let (store, told) = (Arc::clone(&desk.store), Arc::clone(&is_over));
    let writer = async move {
        let mut written = 1;
        for command in commands {
            if told.load(Ordering::Relaxed) {
                break;
            }
            commit_to(&*store, None, vec![command]).await.unwrap();
            written += 1;
        }
        written
    };
    let taking = async {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push((desk.head(&desk.here).await, desk.store.snapshot().await.unwrap(), desk.head(&desk.here).await));
            let (before, snapshot, after) = all.last_mut().unwrap();
            let head = snapshot.heads.iter().find(|(id, _)| *id == desk.here).unwrap().1.seq;
            assert!((*before..=*after).contains(&head), "{before} {head} {after}");
            let other = Folder::fresh();
            let target = other.file("made");
            assert_eq!(restored(snapshot, &target).unwrap(), head);
            let copy = Folder::fresh();
            std::fs::copy(target.join("lockstep.db"), copy.file("lockstep.db")).unwrap();
            let there = Desk::join(&copy).await;
            assert_eq!(there.log(&there.here).await.len() as u64, head, "whole, and no more");
            assert_eq!(there.store.head(&there.here).await.unwrap(), Position { epoch: 2, seq: head });
            all.clear();
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(writer, taking);
    assert_eq!(desk.head(&desk.here).await, written);
    assert!(!folder.file("snapshot.tmp").exists(), "nothing is left in the folder");
}

#[tokio::test]
async fn one_snapshot_is_in_use_at_a_time() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let first = desk.store.snapshot().await.unwrap();
    assert!(matches!(desk.store.snapshot().await, Err(StoreError::Busy(_))));
    drop(first);
    desk.store.snapshot().await.unwrap();
    desk.store.close().await;
    assert!(matches!(desk.store.snapshot().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_not_restored_into() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let mut snapshot = desk.store.snapshot().await.unwrap();
    let full = Folder::fresh();
    std::fs::write(full.file("anything"), "").unwrap();
    let refused = restored(&mut snapshot, full.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::Unusable(text) if text.contains("anything")), "{refused}");
    let served = restored(&mut snapshot, folder.path());
    assert!(matches!(served, Err(StoreError::Unusable(_))), "{served:?}");
}

#[test]
fn a_restore_of_what_is_no_store_leaves_no_folder() {
    let parent = Folder::fresh();
    let target = parent.file("new");
    let restoring = Restoring::begin(&target).unwrap();
    std::io::Write::write_all(&mut restoring.file().unwrap(), &[7; 9_000]).unwrap();
    let refused = restoring.finish(Timestamp(7), &control(Vec::new()));
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert!(!target.exists());
}
