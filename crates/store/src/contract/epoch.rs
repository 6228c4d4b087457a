//! Epochs: a log that was restored gives out lost seqs again, and never what was known by them.

use super::Subject;
use super::desk::{Desk, business};
use crate::StoreError;
use lockstep_core::position::Position;
use serde_json::json;
use std::collections::BTreeSet;

/// The head says where the newest change stands, and in which epoch.
pub async fn a_head_is_the_place_of_the_newest_change(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    assert_eq!(desk.store.head(&desk.here).await.expect("read"), Position::first(0));
    desk.create(&desk.here, json!({"code": "1"}), None).await;
    desk.create(&desk.here, json!({"code": "2"}), None).await;
    for _ in 0..2 {
        assert_eq!(desk.store.head(&desk.here).await.expect("read"), Position::first(2));
        assert_eq!(desk.store.head(&desk.there).await.expect("read"), Position::first(0));
        desk = desk.reopen().await;
    }
    let nobody = desk.store.head(&business("nobody")).await;
    assert!(matches!(nobody, Err(StoreError::UnknownBusiness(_))), "{nobody:?}");
}

/// A new epoch keeps the log and its seqs, and every operation from then on has an id that no earlier one had.
pub async fn no_operation_of_a_new_epoch_has_an_id_of_an_old_one(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    let (mut ids, mut epochs) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..3_u64 {
        for number in 0..3 {
            let outcome = desk.create(&desk.here, json!({"code": format!("{round}-{number}")}), None).await;
            let seq = round * 3 + number + 1;
            let position = outcome.operation.position_in(&desk.here).expect("the place of its change");
            assert_eq!(position.seq, seq);
            let change = desk.store.change(&desk.here, seq).await.expect("read").expect("there");
            assert_eq!(change.operation(&desk.here), outcome.operation, "the change knows its operation");
            assert!(ids.insert(outcome.operation));
            epochs.insert(position.epoch);
            // What another epoch's change at this seq was called is not what this one is.
            let lost = Position { epoch: position.epoch + 1, seq };
            assert_ne!(change.operation(&desk.here).position_in(&desk.here), Some(lost));
        }
        let before = desk.log(&desk.here).await;
        desk = desk.reopen_in_new_epoch().await;
        assert_eq!(desk.log(&desk.here).await, before, "nothing of the log changes");
        let head = desk.store.head(&desk.here).await.expect("read");
        assert!(head.seq == before.len() as u64 && epochs.insert(head.epoch), "{head:?} after {epochs:?}");
    }
}
