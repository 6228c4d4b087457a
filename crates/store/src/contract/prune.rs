//! Pruning: the old end of a log goes, as far as nobody needs it, and above the floor all is as it was.

use super::Subject;
use super::desk::{Desk, contact, control, dropped, key};
use crate::prune::Prune;
use crate::settings::Control;
use crate::settle::{LaneStep, OutletSettle, Settle};
use lockstep_core::delivery::{DeadLetter, Parked};
use lockstep_core::ids::RecordId;
use lockstep_core::limits::PRUNED_CHANGES_A_TURN;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::scan::{Over, Picked, Scan, ScanKey};
use lockstep_core::subscription::StartAt;
use serde_json::json;

async fn prune(desk: &Desk<'_>, until: u64) -> u64 {
    let prune = Prune { business: desk.here.clone(), until, has_outlets: false };
    desk.store.prune(prune).await.expect("pruned")
}

async fn with_changes(desk: &Desk<'_>, many: usize) -> Vec<RecordId> {
    let mut made = Vec::new();
    for number in 0..many {
        made.push(desk.made(&desk.here, json!({"code": format!("{number}")}), None).await);
    }
    made
}

async fn seqs(desk: &Desk<'_>, after: u64) -> Vec<u64> {
    let page = desk.store.changes(&desk.here, after, 100).await.expect("read");
    page.changes.iter().map(|change| change.seq).collect()
}

/// Below the floor there is nothing; a page asked from there begins above it; new changes go on where the log was.
pub async fn a_pruned_log_has_no_holes_above_its_floor(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    with_changes(&desk, 9).await;
    assert_eq!((prune(&desk, 4).await, prune(&desk, 3).await), (4, 4), "a floor never falls");
    for is_reopened in [false, true] {
        let floor = desk.store.floor(&desk.here).await.expect("read");
        assert_eq!((floor, desk.head(&desk.here).await), (4, 9), "{is_reopened}");
        assert_eq!(seqs(&desk, 0).await, [5, 6, 7, 8, 9]);
        assert_eq!((seqs(&desk, 4).await, seqs(&desk, 6).await), (vec![5, 6, 7, 8, 9], vec![7, 8, 9]));
        let one = async |seq| desk.store.change(&desk.here, seq).await.expect("read").map(|change| change.seq);
        assert_eq!((one(0).await, one(4).await, one(5).await, one(9).await), (None, None, Some(5), Some(9)));
    }
    let desk = desk.reopen().await;
    assert_eq!(desk.store.floor(&desk.here).await.expect("read"), 4);
    with_changes(&desk, 1).await;
    assert_eq!(seqs(&desk, 0).await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(desk.store.floor(&desk.there).await.expect("read"), 0);
    assert_eq!(prune(&desk, 99).await, 9, "the newest change stays");
    assert_eq!((seqs(&desk, 0).await, desk.head(&desk.here).await), (vec![10], 10));
}

/// A cursor, a parked record, the position of those without rows and a running replay each hold the log.
pub async fn what_an_outlet_needs_is_not_pruned(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let records = with_changes(&desk, 9).await;
    let (own, fence) = (desk.subscription_id(), desk.store.claim("worker").await.expect("claimed"));
    let has_outlets = Prune { business: desk.here.clone(), until: 8, has_outlets: true };
    assert_eq!(desk.store.prune(has_outlets.clone()).await.expect("pruned"), 0, "where they stand is not known");
    let letter = |seq| DeadLetter {
        seq,
        ty: contact(),
        record: records[0],
        at: desk.clock_now(),
        attempts: 1,
        reason: String::new(),
    };
    let parked = Parked {
        ty: contact(),
        record: records[2],
        first_seq: 3,
        attempt: 1,
        next_at: desk.clock_now(),
        reason: String::new(),
        is_alone: false,
    };
    let steps = vec![
        (own, LaneStep::Cursor(1)),
        (own, LaneStep::Park(parked.clone())),
        (own, LaneStep::Bury(letter(1))),
        (own, LaneStep::Bury(letter(7))),
    ];
    let outlets = vec![OutletSettle { business: desk.here.clone(), position: Some(6), steps }];
    let at = desk.clock_now();
    desk.store.settle(Settle { fence, at, outlets, ..Settle::default() }).await.expect("settled");
    let letters = async || {
        let letters = desk.store.dead_letters(&desk.here, own, 0, 9).await.expect("read");
        letters.iter().map(|letter| letter.seq).collect::<Vec<_>>()
    };
    assert_eq!(prune(&desk, 8).await, 1, "the cursor");
    assert_eq!(letters().await, [7], "one whose change is gone goes too");
    desk.settle(fence, &desk.here, vec![(own, LaneStep::Cursor(5))]).await.expect("settled");
    assert_eq!(prune(&desk, 8).await, 2, "the parked record");
    desk.settle(fence, &desk.here, vec![(own, LaneStep::Unpark(parked.record))]).await.expect("settled");
    let operation = OperationId::fresh(desk.draw());
    let row = Operation {
        id: operation,
        verb: "replay".to_owned(),
        at,
        application: None,
        token: None,
        ty: None,
        record: None,
        state: OperationState::Sync { matched: 0, sent: 0, waiting: 1 },
    };
    let over = Over::Changes { until: 9, only: Picked::default() };
    let scan = Scan { operation, business: desk.here.clone(), subscription: own, over, done: ScanKey::of_seq(3) };
    desk.control(Control { scans: vec![(row, scan)], ..control(Vec::new()) }).await.expect("begun");
    assert_eq!(prune(&desk, 8).await, 3, "the replay");
    let dropped = dropped(&desk.here, own);
    desk.control(Control { dropped, ..control(Vec::new()) }).await.expect("dropped");
    assert_eq!(desk.store.prune(has_outlets).await.expect("pruned"), 6, "the position");
    assert_eq!(prune(&desk, 8).await, 8);
}

/// No transaction drops more than a bounded number.
pub async fn a_long_log_is_pruned_in_turns(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let many = PRUNED_CHANGES_A_TURN + 3;
    for from in (0..many).step_by(500) {
        let creates = (from..many.min(from + 500))
            .map(|number| desk.creating(&desk.here, json!({"code": format!("{number}")}), None));
        desk.commit(creates.collect()).await.expect("taken");
    }
    let turn = PRUNED_CHANGES_A_TURN as u64;
    assert_eq!((prune(&desk, turn + 2).await, prune(&desk, turn + 2).await), (turn, turn + 2));
}

/// The beginning is the floor.
pub async fn a_lane_begins_no_lower_than_the_floor(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    with_changes(&desk, 6).await;
    prune(&desk, 4).await;
    for (start, cursor) in [(StartAt::Beginning, 4), (StartAt::After(2), 4), (StartAt::After(5), 5), (StartAt::Now, 6)]
    {
        let own = desk.subscription_id();
        let lanes = vec![(desk.here.clone(), own, start)];
        desk.control(Control { lanes, ..control(Vec::new()) }).await.expect("taken");
        assert_eq!(desk.store.lane_cursor(&desk.here, own).await.expect("read"), Some(cursor), "{start:?}");
    }
}

/// The record, its values and where they came from stay; its history ends at the floor; it goes on as it was.
pub async fn a_record_outlives_its_pruned_changes(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let old = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    let record = desk.made(&desk.here, json!({"firstName": "Bob"}), None).await;
    for number in 0..3 {
        desk.update(&desk.here, record, json!({"city": format!("{number}")})).await;
    }
    assert_eq!(prune(&desk, 3).await, 3);
    let standing = desk.record(&desk.here, old).await.expect("kept");
    assert_eq!((standing.last_seq, standing.provenance.len()), (1, 1));
    assert_eq!(desk.store.history(&desk.here, &key(old), u64::MAX, 9).await.expect("read"), []);
    let past = desk.store.history(&desk.here, &key(record), u64::MAX, 9).await.expect("read");
    assert_eq!(past.iter().map(|change| change.seq).collect::<Vec<_>>(), [5, 4]);
    assert_eq!(desk.store.chain(&desk.here, &key(record), 0, 9).await.expect("read"), [4, 5]);
    desk.create(&desk.here, json!({"firstName": "Anna"}), Some("1")).await;
    let past = desk.store.history(&desk.here, &key(old), u64::MAX, 9).await.expect("read");
    assert_eq!(past.iter().map(|change| (change.seq, change.prev_seq)).collect::<Vec<_>>(), [(6, 1)]);
}

/// What it owed is let go, and what waited for it does not wait for ever; its letters and others' things stay.
pub async fn a_lapsed_subscription_goes_on_at_the_head(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let records = with_changes(&desk, 4).await;
    let (own, other) = (desk.subscription_id(), desk.subscription_id());
    let fence = desk.store.claim("worker").await.expect("claimed");
    let parked = Parked {
        ty: contact(),
        record: records[0],
        first_seq: 1,
        attempt: 1,
        next_at: desk.clock_now(),
        reason: String::new(),
        is_alone: false,
    };
    for id in [own, other] {
        let steps = vec![(id, LaneStep::Cursor(1)), (id, LaneStep::Park(parked.clone()))];
        desk.settle(fence, &desk.here, steps).await.expect("settled");
    }
    let lapsed = dropped(&desk.here, own);
    desk.control(Control { lapsed, ..control(Vec::new()) }).await.expect("lapsed");
    let desk = desk.reopen().await;
    let mut outlet = desk.outlet(&desk.here).await;
    outlet.lanes.sort_unstable();
    let mut expected = vec![(own, 4), (other, 1)];
    expected.sort_unstable();
    assert_eq!((outlet.lanes, outlet.parked), (expected, vec![(other, parked)]));
}
