//! Closing and opening again: all that was answered is there, as it was answered (P1).

use super::Subject;
use super::desk::{Desk, commit_to, control, key, put_text, seq_of};
use crate::StoreError;
use crate::settings::Expect;
use lockstep_core::ids::RecordId;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Records, logs, settings and heads are the same before and after, as often as it is done.
pub async fn everything_is_there_after_reopening(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    let mut records = Vec::new();
    for round in 0..3_u64 {
        let id = desk.made(&desk.here, json!({"code": format!("{round}")}), Some(&format!("{round}"))).await;
        records.push(id);
        desk.create(&desk.there, json!({"code": format!("{round}")}), None).await;
        desk.update(&desk.here, id, json!({"city": "Delft"})).await;
        let put = put_text(&format!("s{round}"), Some("1"), Expect::Absent);
        desk.control(control(vec![put])).await.expect("taken");
        let before = picture(&desk, &records).await;
        desk = desk.reopen().await;
        assert_eq!(picture(&desk, &records).await, before, "round {round}");
        assert_eq!((desk.head(&desk.here).await, desk.head(&desk.there).await), (2 * round + 2, round + 1));
    }
}

/// All that can be read of a store, as text.
async fn picture(desk: &Desk<'_>, records: &[RecordId]) -> String {
    let mut text = format!("{:?}", desk.store.settings(0, 1_000).await.expect("read"));
    for business in [&desk.here, &desk.there] {
        text += &format!("{:?} {:?}", desk.log(business).await, desk.outlet(business).await);
        for record in records {
            text += &format!("{:?}", desk.record(business, *record).await);
        }
    }
    text
}

/// A durable store that is closed answers `closed`, and writes nothing; closing twice is no trouble.
pub async fn a_closed_store_takes_no_more(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    if !desk.is_durable() {
        return;
    }
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    desk.store.close().await;
    desk.store.close().await;
    let late = desk.creating(&desk.here, json!({"city": "Late"}), None);
    let refused = commit_to(&*desk.store, None, vec![late]).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let refused = desk.settle(crate::settle::Fence(9), &desk.here, Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let refused = desk.store.record(&desk.here, &key(RecordId(1))).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let desk = desk.reopen().await;
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}

/// A commit that waits when the store closes is done and answered, or refused: never answered and lost.
pub async fn closing_finishes_what_waits(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let command = desk.creating(&desk.here, json!({"code": format!("{number}")}), None);
        let store = Arc::clone(&desk.store);
        tasks.spawn(async move { commit_to(&*store, None, vec![command]).await });
        if number == 20 {
            tokio::task::yield_now().await;
        }
    }
    let desk = desk.reopen().await;
    let mut answered = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.expect("no panic") {
            Ok(outcomes) => answered.extend(outcomes.iter().map(seq_of)),
            Err(StoreError::Closed) => {}
            Err(error) => panic!("{error}"),
        }
    }
    answered.sort_unstable();
    let log: Vec<_> = desk.log(&desk.here).await.iter().map(|change| change.seq).collect();
    assert_eq!(log, answered, "what is there was answered, and what was answered is there");
}
