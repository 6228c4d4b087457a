//! A business's data is found under its own id and no other (P7), though another uses the very same keys.

use super::Subject;
use super::desk::{Desk, business, contact, external, fields, key, seq_of};
use crate::StoreError;
use crate::settle::LaneStep;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Idempotency, Target};
use lockstep_core::delivery::{DeadLetter, Parked};
use lockstep_core::ids::{RecordId, SubscriptionId};
use serde_json::json;

/// Two records of one id in two businesses are two, each with its own log.
pub async fn the_same_record_id_means_another_record_elsewhere(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    let here = desk.creating(&desk.here, json!({"city": "Delft"}), None);
    let id = here.fresh.record;
    let there = Command { fresh: here.fresh, ..desk.creating(&desk.there, json!({"city": "Breda"}), None) };
    desk.send(here).await;
    assert_eq!(desk.record(&desk.there, id).await, None, "not there yet");
    assert_eq!(desk.store.chain(&desk.there, &key(id), 0, 9).await.expect("read"), [0; 0]);
    assert_eq!(desk.store.change(&desk.there, 1).await.expect("read"), None);
    assert_eq!(seq_of(&desk.send(there).await), 1);
    desk.update(&desk.there, id, json!({"city": "Gouda"})).await;
    for _ in 0..2 {
        assert_eq!(desk.values(&desk.here, id).await, json!({"city": "Delft"}));
        assert_eq!(desk.values(&desk.there, id).await, json!({"city": "Gouda"}));
        assert_eq!((desk.log(&desk.here).await.len(), desk.log(&desk.there).await.len()), (1, 2));
        assert_eq!(desk.store.chain(&desk.here, &key(id), 0, 9).await.expect("read"), [1]);
        let first = desk.store.change(&desk.there, 1).await.expect("read").expect("there");
        assert_eq!(first.state.fields, fields(json!({"city": "Breda"})));
        desk = desk.reopen().await;
    }
}

/// An external id leads to a record of its own business.
pub async fn the_same_external_id_means_another_record_elsewhere(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let here = desk.made(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    let target = || Target::External(external("1"));
    let lost = desk.send(desk.command(&desk.there, Action::Delete { target: target() })).await;
    assert_eq!(lost.record, None, "nobody there is called so");
    let there = desk.made(&desk.there, json!({"city": "Breda"}), Some("1")).await;
    assert_ne!(here, there);
    let gone = desk.send(desk.command(&desk.there, Action::Delete { target: target() })).await;
    assert_eq!(gone.record, Some(there));
    let off = Action::Uncorrelate { target: target(), external_id: external("1") };
    assert_eq!(desk.send(desk.command(&desk.here, off)).await.record, Some(here));
    let revived = desk.create(&desk.there, json!({"city": "Breda"}), Some("1")).await;
    assert_eq!(revived.record, Some(there), "its own tombstone is revived, though the id is free elsewhere");
}

/// A key used in one business says nothing of it in another.
pub async fn the_same_idempotency_key_means_another_request_elsewhere(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let idempotency = Some(Idempotency { key: [1; 16], request: [1; 16] });
    let create = |at| Command { idempotency, ..desk.creating(at, json!({"city": "Delft"}), None) };
    let here = desk.send(create(&desk.here)).await;
    let there = desk.send(create(&desk.there)).await;
    assert_ne!(here.record, there.record);
    assert_eq!(desk.head(&desk.there).await, 1);
    assert_eq!(desk.send(create(&desk.here)).await, here);
    assert_eq!(desk.send(create(&desk.there)).await, there);
}

/// An operation's id opens it in its own business alone.
pub async fn operations_are_read_in_their_business_alone(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let failed = desk.delete(&desk.here, RecordId(desk.draw())).await.operation;
    assert!(desk.store.operation(&desk.here, failed).await.expect("read").is_some());
    assert_eq!(desk.store.operation(&desk.there, failed).await.expect("read"), None);
}

/// Lanes, parked records and dead letters of one subscription are apart in each business.
pub async fn work_rows_stay_in_their_business(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let own = SubscriptionId(1);
    let fence = desk.store.claim("worker").await.expect("claimed");
    let record = RecordId(7);
    let parked = |first_seq| Parked {
        ty: contact(),
        record,
        first_seq,
        attempt: 1,
        next_at: Timestamp(1),
        reason: "no".to_owned(),
        is_alone: false,
    };
    let letter =
        |attempts| DeadLetter { seq: 4, ty: contact(), record, at: Timestamp(1), attempts, reason: "never".to_owned() };
    for (business, number) in [(&desk.here, 1), (&desk.there, 2)] {
        let steps = vec![
            (own, LaneStep::Cursor(number.into())),
            (own, LaneStep::Park(parked(number.into()))),
            (own, LaneStep::Bury(letter(number))),
        ];
        desk.settle(fence, business, steps).await.expect("settled");
    }
    let steps = vec![(own, LaneStep::Rejoined), (own, LaneStep::Unpark(record)), (own, LaneStep::Unbury(4))];
    desk.settle(fence, &desk.there, steps).await.expect("settled");
    let here = desk.outlet(&desk.here).await;
    assert_eq!((here.lanes, here.parked), (vec![(own, 1)], vec![(own, parked(1))]));
    assert_eq!(desk.store.dead_letters(&desk.here, own, 0, 9).await.expect("read"), [letter(1)]);
    let there = desk.outlet(&desk.there).await;
    assert_eq!((there.lanes.len(), there.parked.len()), (0, 0));
    assert_eq!(desk.store.lane_cursor(&desk.here, own).await.expect("read"), Some(1));
    assert_eq!(desk.store.lane_cursor(&desk.there, own).await.expect("read"), None);
    assert_eq!(desk.store.dead_letters(&desk.there, own, 0, 9).await.expect("read"), []);
}

/// Every verb that takes a business says so where there is none.
pub async fn what_has_no_log_is_unknown(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (store, nowhere) = (&desk.store, business("nowhere"));
    let failed = desk.delete(&desk.here, RecordId(desk.draw())).await.operation;
    let answers = [
        store.changes(&nowhere, 0, 1).await.err(),
        store.change(&nowhere, 1).await.err(),
        store.chain(&nowhere, &key(RecordId(1)), 0, 1).await.err(),
        store.record(&nowhere, &key(RecordId(1))).await.err(),
        store.operation(&nowhere, failed).await.err(),
        store.dead_letters(&nowhere, SubscriptionId(1), 0, 1).await.err(),
        store.lane_cursor(&nowhere, SubscriptionId(1)).await.err(),
        desk.commit(vec![desk.creating(&nowhere, json!({}), None)]).await.err(),
    ];
    for answer in answers {
        assert!(matches!(&answer, Some(StoreError::UnknownBusiness(named)) if *named == nowhere), "{answer:?}");
    }
}
