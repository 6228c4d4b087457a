//! Settling: cursors, parked records and dead letters move together or not at all, and stay where they were put.

use super::Subject;
use super::desk::{Desk, business, contact};
use crate::StoreError;
use crate::settle::{LaneStep, OutletSettle, Settle};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{DeadLetter, Down, Parked};
use lockstep_core::ids::{BusinessId, RecordId, SubscriptionId};

const ONE: SubscriptionId = SubscriptionId(1);
const TWO: SubscriptionId = SubscriptionId(2);

fn parked(record: u128, attempt: u32) -> Parked {
    let reason = format!("refused with 500, attempt {attempt}");
    Parked {
        ty: contact(),
        record: RecordId(record),
        first_seq: 3,
        attempt,
        next_at: Timestamp(i64::from(attempt)),
        reason,
        is_alone: false,
    }
}

fn letter(seq: u64, reason: &str) -> DeadLetter {
    DeadLetter { seq, ty: contact(), record: RecordId(7), at: Timestamp(11), attempts: 10, reason: reason.to_owned() }
}

async fn letters(desk: &Desk<'_>, own: SubscriptionId) -> Vec<u64> {
    let letters = desk.store.dead_letters(&desk.here, own, 0, 100).await.expect("read");
    letters.into_iter().map(|letter| letter.seq).collect()
}

fn outlet(business: &BusinessId, position: u64, steps: Vec<(SubscriptionId, LaneStep)>) -> OutletSettle {
    OutletSettle { business: business.clone(), position: Some(position), steps }
}

/// A settle that names a business without a log moves nothing anywhere.
pub async fn a_settle_is_all_or_nothing(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let steps = || vec![(ONE, LaneStep::Cursor(5)), (ONE, LaneStep::Park(parked(7, 1)))];
    let settle = |business: &BusinessId| Settle {
        fence,
        at: desk.clock_now(),
        outlets: vec![outlet(&desk.here, 9, steps()), outlet(business, 9, steps())],
        scans: Vec::new(),
        notices: Vec::new(),
    };
    let refused = desk.store.settle(settle(&business("nowhere"))).await;
    assert!(matches!(refused, Err(StoreError::UnknownBusiness(_))), "{refused:?}");
    let before = desk.outlet(&desk.here).await;
    assert_eq!((before.position, before.lanes.len(), before.parked.len()), (None, 0, 0));
    desk.store.settle(settle(&desk.there)).await.expect("settled");
    for business in [&desk.here, &desk.there] {
        let after = desk.outlet(business).await;
        assert_eq!((after.position, after.lanes, after.parked), (Some(9), vec![(ONE, 5)], vec![(ONE, parked(7, 1))]));
    }
}

/// A lane's cursor is the last one given, until the lane owes nothing and has no row.
pub async fn cursors_move_and_rejoin(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let both = vec![(ONE, LaneStep::Cursor(5)), (TWO, LaneStep::Cursor(1)), (ONE, LaneStep::Cursor(6))];
    desk.settle(fence, &desk.here, both).await.expect("settled");
    let mut lanes = desk.outlet(&desk.here).await.lanes;
    lanes.sort_unstable();
    assert_eq!(lanes, [(ONE, 6), (TWO, 1)]);
    let rejoined = OutletSettle {
        business: desk.here.clone(),
        position: Some(8),
        steps: vec![(ONE, LaneStep::Rejoined), (SubscriptionId(99), LaneStep::Rejoined)],
    };
    let settle =
        Settle { fence, at: desk.clock_now(), outlets: vec![rejoined], scans: Vec::new(), notices: Vec::new() };
    desk.store.settle(settle).await.expect("settled");
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!((outlet.position, outlet.lanes), (Some(8), vec![(TWO, 1)]));
    let cursor = async |own| desk.store.lane_cursor(&desk.here, own).await.expect("read");
    assert_eq!((cursor(ONE).await, cursor(TWO).await), (None, Some(1)), "a lane asked for alone says the same");
    desk.settle(fence, &desk.here, Vec::new()).await.expect("settled");
    assert_eq!(desk.outlet(&desk.here).await.position, Some(8), "no position said, none moved");
}

/// A record parked anew replaces its row; another record or subscription has a row of its own.
pub async fn a_parked_record_is_one_row(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let steps = vec![
        (ONE, LaneStep::Park(parked(7, 1))),
        (ONE, LaneStep::Park(parked(8, 1))),
        (TWO, LaneStep::Park(parked(7, 1))),
        (ONE, LaneStep::Park(parked(7, 2))),
    ];
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    let rows = async || {
        let mut rows = desk.outlet(&desk.here).await.parked;
        rows.sort_by_key(|(own, parked)| (*own, parked.record));
        rows
    };
    assert_eq!(rows().await, [(ONE, parked(7, 2)), (ONE, parked(8, 1)), (TWO, parked(7, 1))]);
    let steps = vec![(ONE, LaneStep::Unpark(RecordId(7))), (ONE, LaneStep::Unpark(RecordId(99)))];
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    assert_eq!(rows().await, [(ONE, parked(8, 1)), (TWO, parked(7, 1))]);
    assert!(desk.outlet(&desk.there).await.parked.is_empty());
}

/// A dead letter is kept whole until it is dismissed; one buried again is one.
pub async fn dead_letters_are_kept_and_dismissed(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let bury = |own, seq, reason| (own, LaneStep::Bury(letter(seq, reason)));
    let steps = vec![bury(ONE, 4, "first"), bury(TWO, 4, "own"), bury(ONE, 4, "last")];
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    let kept = desk.store.dead_letters(&desk.here, ONE, 0, 10).await.expect("read");
    assert_eq!(kept, [letter(4, "last")]);
    let steps = vec![(ONE, LaneStep::Unbury(4)), (ONE, LaneStep::Unbury(99))];
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    assert_eq!((letters(&desk, ONE).await, letters(&desk, TWO).await), (vec![], vec![4]));
}

/// Dead letters are listed oldest first, from a seq on.
pub async fn dead_letters_come_in_pages(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let steps = [9, 300, 2, 70_000].map(|seq| (ONE, LaneStep::Bury(letter(seq, "no")))).into();
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    let page = async |after, limit| {
        let page = desk.store.dead_letters(&desk.here, ONE, after, limit).await.expect("read");
        page.into_iter().map(|letter| letter.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 3).await, [2, 9, 300]);
    assert_eq!(page(300, 3).await, [70_000]);
    assert_eq!(page(2, 1).await, [9]);
    assert_eq!(page(u64::MAX, 1).await, [0; 0]);
}

/// All of it is there after reopening, as it was.
pub async fn work_rows_outlive_the_store(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let steps = vec![
        (ONE, LaneStep::Cursor(5)),
        (ONE, LaneStep::Park(parked(7, 3))),
        (ONE, LaneStep::Bury(letter(2, "given up"))),
    ];
    let settle = Settle {
        fence,
        at: desk.clock_now(),
        outlets: vec![outlet(&desk.here, 6, steps)],
        scans: Vec::new(),
        notices: Vec::new(),
    };
    desk.store.settle(settle).await.expect("settled");
    let desk = desk.reopen().await;
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!((outlet.position, outlet.lanes, outlet.parked), (Some(6), vec![(ONE, 5)], vec![(ONE, parked(7, 3))]));
    let kept = desk.store.dead_letters(&desk.here, ONE, 0, 10).await.expect("read");
    assert_eq!(kept, [letter(2, "given up")]);
}

/// Since when an endpoint has been down is one row, told anew with each step and gone when it is well.
pub async fn a_down_endpoint_is_one_row(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let own = desk.subscription_id();
    let fence = desk.store.claim("worker").await.expect("claimed");
    for is_warned in [false, true] {
        let down = Down { since: Timestamp(7), is_warned };
        desk.settle(fence, &desk.here, vec![(own, LaneStep::Shut(down))]).await.expect("settled");
        assert_eq!(desk.outlet(&desk.here).await.down, [(own, down)]);
    }
    let desk = desk.reopen().await;
    assert_eq!(desk.outlet(&desk.here).await.down, [(own, Down { since: Timestamp(7), is_warned: true })]);
    assert_eq!(desk.outlet(&desk.there).await.down, []);
    let fence = desk.store.claim("worker").await.expect("claimed");
    desk.settle(fence, &desk.here, vec![(own, LaneStep::Opened)]).await.expect("settled");
    assert_eq!(desk.outlet(&desk.here).await.down, []);
}
