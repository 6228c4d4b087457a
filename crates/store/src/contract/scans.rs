//! Scans: begun with their operation, moved by settles, gone with their end or their subscription.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::{Desk, commit_to, contact, control, dropped};
use crate::settings::Control;
use crate::settle::{ScanSettle, Settle};
use lockstep_core::command::{Action, Ending};
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::ids::{DeliveryId, RecordId, SubscriptionId};
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::scan::{Over, Picked, Scan, ScanKey};

const ONE: SubscriptionId = SubscriptionId(1);
const TWO: SubscriptionId = SubscriptionId(2);
const WATCHING: SubscriptionId = SubscriptionId(3);

async fn begun(desk: &Desk<'_>) -> OperationId {
    let action = Action::SyncAll { since: None, subscriptions: vec![ONE, TWO] };
    let [outcome] = commit_to(&*desk.store, None, vec![desk.command(&desk.here, action)])
        .await
        .expect("taken")
        .try_into()
        .expect("one outcome");
    assert_eq!(outcome.ending, Ending::Syncing { matched: 0 });
    outcome.operation
}

async fn scans(desk: &Desk<'_>) -> Vec<Scan> {
    let rows = desk.store.scans(0, 99).await.expect("read");
    rows.into_iter().map(|(_, scan)| scan).collect()
}

async fn state(desk: &Desk<'_>, id: OperationId) -> OperationState {
    desk.store.operation(&desk.here, id).await.expect("read").expect("a row").state
}

fn moved(desk: &Desk<'_>, operation: OperationId, subscription: SubscriptionId, done: u128) -> ScanSettle {
    ScanSettle {
        operation,
        business: desk.here.clone(),
        subscription,
        done: ScanKey(done),
        matched: 0,
        sent: 0,
        put_off: Vec::new(),
        is_over: false,
        tell: Vec::new(),
    }
}

async fn settle(desk: &Desk<'_>, scans: Vec<ScanSettle>) {
    let fence = desk.store.claim("worker").await.expect("claimed");
    let settle = Settle { fence, at: desk.clock_now(), scans, ..Settle::default() };
    desk.store.settle(settle).await.expect("settled");
}

/// A scan a subscription, with word of it, kept until it is over; its counts add up in its operation.
pub async fn a_scan_keeps_its_place_and_ends(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let heads = desk.store.heads();
    drop(heads.take());
    let id = begun(&desk).await;
    assert!(heads.take().has_scans);
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 0, sent: 0, waiting: 2 });
    let first = ScanSettle { matched: 5, sent: 3, ..moved(&desk, id, ONE, 77) };
    settle(&desk, vec![first]).await;
    let desk = desk.reopen().await;
    let all = scans(&desk).await;
    assert_eq!(all.iter().map(|scan| (scan.subscription, scan.done.0)).collect::<Vec<_>>(), [(ONE, 77), (TWO, 0)]);
    assert_eq!(all[0].over, Over::Records { ty: contact(), since: None });
    let last = ScanSettle { sent: 2, is_over: true, ..moved(&desk, id, ONE, 99) };
    settle(&desk, vec![last.clone()]).await;
    settle(&desk, vec![last]).await;
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 5, sent: 5, waiting: 1 }, "an end counts once");
    let other = ScanSettle { is_over: true, tell: vec![WATCHING], ..moved(&desk, id, TWO, 99) };
    settle(&desk, vec![other]).await;
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 5, sent: 5, waiting: 0 });
    assert!(scans(&desk).await.is_empty());
    let [(_, told)] = desk.store.notices(0, 9).await.expect("read").try_into().expect("one notice");
    assert!(told.subscription == WATCHING && matches!(told.body, NoticeBody::Operation(_)));
}

/// What a scan puts off becomes a notice that its operation waits for.
pub async fn what_is_put_off_is_waited_for(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    let notice = Notice {
        id: DeliveryId(5),
        business: desk.here.clone(),
        subscription: ONE,
        after_seq: 0,
        at: desk.clock_now(),
        body: NoticeBody::Current { operation: id, ty: contact(), record: RecordId(9) },
        attempt: 1,
        next_at: desk.clock_now().plus_ms(5_000),
    };
    let put_off = ScanSettle { matched: 1, put_off: vec![notice.clone()], is_over: true, ..moved(&desk, id, ONE, 9) };
    let other = ScanSettle { is_over: true, ..moved(&desk, id, TWO, 9) };
    settle(&desk, vec![put_off, other]).await;
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 1, sent: 0, waiting: 1 });
    assert_eq!(desk.notices().await.into_iter().map(|(_, notice)| notice).collect::<Vec<_>>(), [notice]);
}

/// A subscription that goes takes its scans and notices along, and whoever waited is told.
pub async fn a_dropped_subscription_is_waited_for_no_more(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    let mut gone = dropped(&desk.here, ONE);
    gone.extend(dropped(&desk.here, TWO));
    gone[1].tell = vec![WATCHING];
    desk.control(Control { dropped: gone, ..control(Vec::new()) }).await.expect("dropped");
    assert!(scans(&desk).await.is_empty());
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 0, sent: 0, waiting: 0 });
    assert_eq!(desk.notices().await.len(), 1);
}

/// A replay begins with a control: its operation and its scan together.
pub async fn a_replay_begins_with_its_operation(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let operation = Operation {
        id: OperationId::fresh(desk.draw()),
        verb: "replay".to_owned(),
        at: desk.clock_now(),
        application: None,
        token: None,
        ty: None,
        record: None,
        state: OperationState::Sync { matched: 0, sent: 0, waiting: 1 },
    };
    let scan = Scan {
        operation: operation.id,
        business: desk.here.clone(),
        subscription: ONE,
        over: Over::Dead { until: 7, only: Picked::default() },
        done: ScanKey(3),
    };
    let begun = vec![(operation.clone(), scan.clone())];
    desk.control(Control { scans: begun, ..control(Vec::new()) }).await.expect("begun");
    let desk = desk.reopen().await;
    assert_eq!(scans(&desk).await, [scan]);
    assert_eq!(desk.store.operation(&desk.here, operation.id).await.expect("read"), Some(operation));
}
