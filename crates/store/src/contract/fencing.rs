//! Fencing: whoever claims the work last may settle it, and nobody who claimed it before.

use super::Subject;
use super::desk::Desk;
use crate::StoreError;
use crate::settle::{LaneStep, NoticeSettle, NoticeStep, OutletSettle, Settle};
use lockstep_core::command::{Action, Target};
use lockstep_core::ids::SubscriptionId;
use lockstep_core::operation::OperationState;
use serde_json::json;

const ONE: SubscriptionId = SubscriptionId(1);

/// Each claim gives a higher fence, whoever claims.
pub async fn a_claim_raises_the_fence(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.store.claim("one").await.expect("claimed");
    let second = desk.store.claim("two").await.expect("claimed");
    let third = desk.store.claim("two").await.expect("claimed");
    assert!(first < second && second < third);
    let cursor = |seq| vec![(ONE, LaneStep::Cursor(seq))];
    desk.settle(third, &desk.here, cursor(1)).await.expect("the newest claim settles");
    desk.settle(third, &desk.here, cursor(2)).await.expect("and goes on settling");
    assert_eq!(desk.outlet(&desk.here).await.lanes, [(ONE, 2)]);
}

/// A settle under an earlier fence is refused and moves nothing.
pub async fn a_stale_fence_is_refused(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let stale = desk.store.claim("one").await.expect("claimed");
    desk.settle(stale, &desk.here, vec![(ONE, LaneStep::Cursor(1))]).await.expect("settled");
    let fresh = desk.store.claim("two").await.expect("claimed");
    let outlets =
        vec![OutletSettle { business: desk.here.clone(), position: Some(9), steps: vec![(ONE, LaneStep::Cursor(9))] }];
    let settle = Settle { fence: stale, at: desk.clock_now(), outlets, scans: Vec::new(), notices: Vec::new() };
    let refused = desk.store.settle(settle).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!((outlet.position, outlet.lanes), (None, vec![(ONE, 1)]));
    desk.settle(fresh, &desk.here, vec![(ONE, LaneStep::Cursor(2))]).await.expect("settled");
    assert_eq!(desk.outlet(&desk.here).await.lanes, [(ONE, 2)]);
}

/// Nor does a stale worker remove a notice or count down its sync.
pub async fn a_stale_settle_ends_no_sync(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let stale = desk.store.claim("one").await.expect("claimed");
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let sync = Action::SyncById { target: Target::Id(record), subscriptions: vec![ONE] };
    let outcome = desk.send(desk.command(&desk.here, sync)).await;
    let before = desk.notices().await;
    let [(_, notice)] = before.clone().try_into().expect("one notice");
    desk.store.claim("two").await.expect("claimed");
    let done = NoticeSettle {
        id: notice.id,
        business: desk.here.clone(),
        subscription: ONE,
        step: NoticeStep::Done { is_sent: true, sync: Some(outcome.operation), tell: vec![ONE] },
    };
    let settle =
        Settle { fence: stale, at: desk.clock_now(), outlets: Vec::new(), scans: Vec::new(), notices: vec![done] };
    let refused = desk.store.settle(settle).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    assert_eq!(desk.notices().await, before);
    let operation = desk.store.operation(&desk.here, outcome.operation).await.expect("read").expect("there");
    assert_eq!(operation.state, OperationState::Sync { matched: 1, sent: 0, waiting: 1 });
}

/// A claim after reopening is higher than any before it, so a worker of the old life is shut out.
pub async fn fences_outlive_the_store(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let old = desk.store.claim("one").await.expect("claimed");
    let desk = desk.reopen().await;
    let new = desk.store.claim("one").await.expect("claimed");
    assert!(new > old);
    let refused = desk.settle(old, &desk.here, vec![(ONE, LaneStep::Cursor(1))]).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    assert!(desk.outlet(&desk.here).await.lanes.is_empty());
}
