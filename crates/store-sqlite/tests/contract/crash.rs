//! A kill: the files as they lie on the disk at any moment, without a close, hold all that was answered (P1).
//!
//! A process cannot kill itself in a test; its files are copied while it runs instead, which is what a kill leaves.
//! Loss of power, where unsynced bytes go too, is the world's to test.

use crate::Folder;
use lockstep_core::clock::Clock;
use lockstep_core::ids::SubscriptionId;
use lockstep_store::contract::desk::{Desk, commit_to, control, control_to, put_text, seq_of};
use lockstep_store::settings::Expect;
use lockstep_store::settle::LaneStep;
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

/// What a kill at this moment would leave. The main file first: it only changes when the log is copied back, which
/// does not happen to a log this short.
fn left_behind(folder: &Folder) -> Folder {
    let copy = Folder::fresh();
    for name in ["lockstep.db", "lockstep.db-wal"] {
        fs::copy(folder.file(name), copy.file(name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_killed_store_holds_every_acknowledged_commit() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let id = Some(desk.commit_id());
    let record = desk.made(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    let update = desk.updating(&desk.here, record, json!({"city": "Breda"}));
    let outcomes = commit_to(&*desk.store, id, vec![update.clone()]).await.unwrap();
    let version = desk.control(control(vec![put_text("s", Some("1"), Expect::Absent)])).await.unwrap();
    let fence = desk.store.claim("worker").await.unwrap();
    desk.settle(fence, &desk.here, vec![(SubscriptionId(1), LaneStep::Cursor(1))]).await.unwrap();

    let copy = left_behind(&folder);
    let after = Desk::join(&copy).await;
    assert_eq!(after.log(&desk.here).await, desk.log(&desk.here).await);
    assert_eq!(after.record(&desk.here, record).await, desk.record(&desk.here, record).await);
    assert_eq!(after.store.settings(0, 99).await.unwrap().version, version);
    assert_eq!(after.outlet(&desk.here).await.lanes, [(SubscriptionId(1), 1)]);
    assert_eq!(commit_to(&*after.store, id, vec![update]).await.unwrap(), outcomes, "a named commit sent again");
    assert!(after.store.claim("worker").await.unwrap() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_killed_while_writing_holds_a_prefix_with_all_that_was_acknowledged() {
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..3 {
        let creating = |n| desk.creating(&desk.here, json!({"code": format!("{writer}-{n}")}), None);
        let commands: Vec<_> = (0..60).map(creating).collect();
        let (store, acknowledged) = (Arc::clone(&desk.store), Arc::clone(&acknowledged));
        writers.spawn(async move {
            for command in commands {
                let outcomes = commit_to(&*store, None, vec![command]).await.unwrap();
                acknowledged.fetch_max(seq_of(&outcomes[0]), Ordering::SeqCst);
                let put = put_text(&format!("w{writer}"), Some("x"), Expect::Anything);
                control_to(&*store, None, control(vec![put])).await.unwrap();
            }
        });
    }
    let watch = desk.store.heads();
    for kill in 1..=4 {
        while acknowledged.load(Ordering::SeqCst) < kill * 30 {
            watch.moved().await;
        }
        let known = acknowledged.load(Ordering::SeqCst);
        let copy = left_behind(&folder);
        let after = Desk::join(&copy).await;
        let log = after.log(&desk.here).await;
        assert!(log.len() as u64 >= known, "{known} were acknowledged, {} are there", log.len());
        for change in &log {
            let record = after.record(&desk.here, change.record).await.expect("its record was written with it");
            assert_eq!((record.last_seq, &record.state), (change.seq, &change.state));
        }
        after.clock.advance(1_000);
        assert!(after.clock.now() > desk.clock.now(), "fresh ids do not meet those of the other store");
        let next = after.create(&desk.here, json!({"city": "Delft"}), None).await;
        assert_eq!(seq_of(&next), log.len() as u64 + 1, "and it goes on from there");
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(desk.log(&desk.here).await.len(), 180);
}
