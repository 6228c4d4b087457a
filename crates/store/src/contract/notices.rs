//! Notices: rows that wait in order until they are settled, and syncs that end with their last.

use super::Subject;
use super::desk::{Desk, code_of, contact, control};
use crate::settings::Control;
use crate::settle::{Fence, NoticeSettle, NoticeStep, Settle};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Ending, Outcome, Target, Tell};
use lockstep_core::delivery::{About, Notice, NoticeBody};
use lockstep_core::error::Code;
use lockstep_core::ids::{DeliveryId, RecordId, SubscriptionId};
use lockstep_core::operation::{OperationId, OperationState};
use serde_json::json;
use std::sync::Arc;

const ONE: SubscriptionId = SubscriptionId(1);
const TWO: SubscriptionId = SubscriptionId(2);
const OWNER: SubscriptionId = SubscriptionId(3);

async fn sync(desk: &Desk<'_>, record: RecordId, subscriptions: Vec<SubscriptionId>) -> Outcome {
    desk.send(desk.command(&desk.here, Action::SyncById { target: Target::Id(record), subscriptions })).await
}

async fn settle(desk: &Desk<'_>, fence: Fence, notice: &Notice, step: NoticeStep) {
    let one = NoticeSettle { id: notice.id, business: desk.here.clone(), subscription: notice.subscription, step };
    let settle = Settle { fence, at: desk.clock_now(), outlets: Vec::new(), scans: Vec::new(), notices: vec![one] };
    desk.store.settle(settle).await.expect("settled");
}

fn done(is_sent: bool, sync: Option<OperationId>) -> NoticeStep {
    NoticeStep::Done { is_sent, sync, tell: vec![OWNER] }
}

async fn state(desk: &Desk<'_>, id: OperationId) -> OperationState {
    desk.store.operation(&desk.here, id).await.expect("read").expect("the operation is there").state
}

fn warning(desk: &Desk<'_>, about: u128) -> Notice {
    Notice {
        id: DeliveryId(desk.draw()),
        business: desk.here.clone(),
        subscription: OWNER,
        after_seq: 0,
        at: desk.clock_now(),
        body: NoticeBody::Warning {
            event: "subscription.paused".to_owned(),
            about: About::Subscription(SubscriptionId(about)),
            message: "its endpoint was down for five days".to_owned(),
        },
        attempt: 0,
        next_at: desk.clock_now(),
    }
}

/// Notices are read in the order of their making, from a row on, with row numbers that are never used again.
pub async fn notices_come_in_row_order(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let outcome = sync(&desk, record, vec![ONE, TWO]).await;
    let sent = warning(&desk, 1);
    desk.control(Control { notices: vec![sent.clone()], ..control(Vec::new()) }).await.expect("taken");
    let all = desk.notices().await;
    assert!(all.is_sorted_by(|(one, _), (two, _)| one < two) && all.iter().all(|(row, _)| *row > 0));
    let [(_, first), (second_row, second), (third_row, third)] = all.clone().try_into().expect("three notices");
    assert_eq!((first.subscription, second.subscription, &third), (ONE, TWO, &sent));
    let body = NoticeBody::Current { operation: outcome.operation, ty: contact(), record };
    assert_eq!((&first.body, first.after_seq, first.attempt), (&body, 1, 0));
    assert_eq!(first.business, desk.here);
    assert_eq!(desk.store.notices(0, 2).await.expect("read").len(), 2);
    assert_eq!(desk.store.notices(second_row, 9).await.expect("read"), [(third_row, third.clone())]);
    assert_eq!(desk.store.notices(third_row, 9).await.expect("read"), []);
    assert_eq!(desk.store.notices(i64::MAX, 9).await.expect("read"), []);
    settle(&desk, fence, &third, done(true, None)).await;
    desk.control(Control { notices: vec![warning(&desk, 2)], ..control(Vec::new()) }).await.expect("taken");
    let rows = desk.store.notices(third_row, 9).await.expect("read");
    assert_eq!(rows.len(), 1, "a reader that has read up to the settled row misses nothing");
}

/// A failed try leaves the notice where it stands, with its count and its next time.
pub async fn a_notice_put_off_says_when(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let outcome = sync(&desk, record, vec![ONE, TWO]).await;
    let [(row, one), other] = desk.notices().await.try_into().expect("two notices");
    let next_at = desk.clock_now().plus_ms(5_000);
    settle(&desk, fence, &one, NoticeStep::Later { attempt: 3, next_at }).await;
    let expected = Notice { attempt: 3, next_at, ..one };
    let desk = desk.reopen().await;
    assert_eq!(desk.notices().await, [(row, expected), other]);
    assert_eq!(
        state(&desk, outcome.operation).await,
        OperationState::Sync { matched: 2, sent: 0, waiting: 2 },
        "the sync waits"
    );
}

/// A notice that is over is gone; settling it again, or one that never was, is no trouble.
pub async fn a_settled_notice_is_gone(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let notices = vec![warning(&desk, 1), warning(&desk, 2)];
    desk.control(Control { notices, ..control(Vec::new()) }).await.expect("taken");
    let [(_, one), other] = desk.notices().await.try_into().expect("two notices");
    settle(&desk, fence, &one, done(false, None)).await;
    settle(&desk, fence, &one, done(false, None)).await;
    let later = NoticeStep::Later { attempt: 9, next_at: Timestamp(9) };
    settle(&desk, fence, &one, later).await;
    settle(&desk, fence, &warning(&desk, 3), done(true, None)).await;
    assert_eq!(desk.notices().await, [other]);
}

/// Each end counts the sync down; the last one, sent or not, tells whoever is to be told, once.
pub async fn a_sync_ends_with_its_last_notice(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let outcome = sync(&desk, record, vec![ONE, TWO]).await;
    assert_eq!(outcome.ending, Ending::Syncing { matched: 2 });
    let id = outcome.operation;
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 2, sent: 0, waiting: 2 });
    let [(_, first), (second_row, second)] = desk.notices().await.try_into().expect("two notices");
    settle(&desk, fence, &first, done(true, Some(id))).await;
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 2, sent: 1, waiting: 1 });
    assert_eq!(desk.notices().await.len(), 1, "nobody is told before the last");
    desk.create(&desk.here, json!({"city": "Breda"}), None).await;
    desk.clock.advance(1_000);
    settle(&desk, fence, &second, done(false, Some(id))).await;
    let ended = OperationState::Sync { matched: 2, sent: 1, waiting: 0 };
    assert_eq!(state(&desk, id).await, ended, "what was not sent is not counted as sent");
    let [(row, told)] = desk.notices().await.try_into().expect("one notice, of the end");
    assert!(row > second_row);
    assert_eq!((told.subscription, told.after_seq, told.attempt), (OWNER, 2, 0));
    assert_eq!((told.at, told.next_at), (desk.clock_now(), desk.clock_now()));
    let NoticeBody::Operation(operation) = told.body else { panic!("{told:?}") };
    assert_eq!((operation.id, operation.state), (id, ended));
}

/// An end that is settled twice, as after a crash between sending and hearing of it, counts once.
pub async fn a_sync_told_twice_counts_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let id = sync(&desk, record, vec![ONE, TWO]).await.operation;
    let [(_, first), (_, second)] = desk.notices().await.try_into().expect("two notices");
    for _ in 0..2 {
        settle(&desk, fence, &first, done(true, Some(id))).await;
    }
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 2, sent: 1, waiting: 1 });
    for _ in 0..2 {
        settle(&desk, fence, &second, done(true, Some(id))).await;
    }
    assert_eq!(state(&desk, id).await, OperationState::Sync { matched: 2, sent: 2, waiting: 0 });
    assert_eq!(desk.notices().await.len(), 1, "the end is told once");
}

/// A replay asked for twice before it went out has two rows of one id; its end is that of both.
pub async fn notices_of_one_id_end_together(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let fence = desk.store.claim("worker").await.expect("claimed");
    let (twice, other) = (warning(&desk, 1), warning(&desk, 2));
    let notices = vec![twice.clone(), twice.clone(), other.clone()];
    desk.control(Control { notices, ..control(Vec::new()) }).await.expect("taken");
    settle(&desk, fence, &twice, done(true, None)).await;
    let left: Vec<_> = desk.notices().await.into_iter().map(|(_, notice)| notice.id).collect();
    assert_eq!(left, [other.id]);
}

/// A sync that finds nothing sends nothing and has ended when it is answered.
pub async fn a_sync_of_nothing_ends_at_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let action = Action::SyncById { target: Target::Id(RecordId(desk.draw())), subscriptions: vec![ONE, TWO] };
    let tell = Arc::new(Tell { failed: vec![TWO], completed: vec![OWNER] });
    let outcome = desk.send(Command { tell, ..desk.command(&desk.here, action) }).await;
    assert_eq!(outcome.ending, Ending::Syncing { matched: 0 });
    let ended = OperationState::Sync { matched: 0, sent: 0, waiting: 0 };
    assert_eq!(state(&desk, outcome.operation).await, ended);
    let [(_, told)] = desk.notices().await.try_into().expect("one notice");
    assert_eq!(told.subscription, OWNER);
}

/// Failure and success are told to those who asked for them, in the commit that decides.
pub async fn the_end_of_a_command_is_told(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let tell = Arc::new(Tell { failed: vec![ONE], completed: vec![TWO] });
    let good = Command { tell: Arc::clone(&tell), ..desk.creating(&desk.here, json!({"city": "Delft"}), None) };
    let bad = Command { tell, ..desk.updating(&desk.here, RecordId(desk.draw()), json!({"city": "x"})) };
    let outcomes = desk.commit(vec![good, bad]).await.expect("taken");
    let [good, bad] = outcomes.try_into().expect("two outcomes");
    assert_eq!(code_of(&bad), Code::RecordNotFound);
    let told: Vec<_> = desk
        .notices()
        .await
        .into_iter()
        .map(|(_, notice)| match notice.body {
            NoticeBody::Operation(operation) => (notice.subscription, operation.id, notice.after_seq),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(TWO, good.operation, 1), (ONE, bad.operation, 1)]);
}

/// Rows, numbers and all, are there after reopening, and numbering goes on.
pub async fn notices_outlive_the_store(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let notices = vec![warning(&desk, 1), warning(&desk, 2)];
    desk.control(Control { notices, ..control(Vec::new()) }).await.expect("taken");
    let before = desk.notices().await;
    let desk = desk.reopen().await;
    assert_eq!(desk.notices().await, before);
    let last = before.last().expect("two notices").0;
    desk.control(Control { notices: vec![warning(&desk, 3)], ..control(Vec::new()) }).await.expect("taken");
    assert_eq!(desk.store.notices(last, 9).await.expect("read").len(), 1);
}
