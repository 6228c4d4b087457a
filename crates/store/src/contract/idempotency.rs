//! An idempotency key has effect once for a day, and is answered the same each time (P4).

use super::Subject;
use super::desk::{Desk, code_of, commit_to, contact, seq_of};
use lockstep_core::command::{Action, Command, Ending, Idempotency, Target};
use lockstep_core::error::Code;
use lockstep_core::ids::{BusinessId, RecordId};
use lockstep_core::limits::IDEMPOTENCY_KEPT_MS;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

fn keyed(command: Command, key: u8, request: u8) -> Command {
    Command { idempotency: Some(Idempotency { key: [key; 16], request: [request; 16] }), ..command }
}

fn create(desk: &Desk<'_>, business: &BusinessId, key: u8, request: u8) -> Command {
    keyed(desk.creating(business, json!({"firstName": "Ann"}), None), key, request)
}

/// The same key and request come back with the first answer.
pub async fn a_repeated_key_is_answered_as_before(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.send(create(&desk, &desk.here, 1, 1)).await;
    assert_eq!(seq_of(&first), 1);
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 1)).await, first);
    let twice = desk.commit(vec![create(&desk, &desk.here, 2, 2), create(&desk, &desk.here, 2, 2)]).await;
    let [third, fourth] = twice.expect("taken").try_into().expect("two outcomes");
    assert_eq!((seq_of(&third), &third), (2, &fourth), "within one commit too");
    assert_eq!(desk.log(&desk.here).await.len(), 2);
}

/// The key is as durable as the change.
pub async fn a_repeated_key_is_answered_as_before_after_reopening(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.send(create(&desk, &desk.here, 1, 1)).await;
    let desk = desk.reopen().await;
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 1)).await, first);
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}

/// What failed or changed nothing is not tried again under its key, though it would now succeed.
pub async fn failures_and_blanks_are_remembered_too(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let same = || keyed(desk.updating(&desk.here, id, json!({"city": "Delft"})), 1, 1);
    let blank = desk.send(same()).await;
    assert_eq!(blank.ending, Ending::Unchanged);
    let target = Target::Id(RecordId(desk.draw()));
    let absent = || keyed(desk.command(&desk.here, Action::Delete { target: target.clone() }), 2, 2);
    let failed = desk.send(absent()).await;
    assert_eq!(code_of(&failed), Code::RecordNotFound);
    desk.update(&desk.here, id, json!({"city": "Breda"})).await;
    assert_eq!(desk.send(same()).await, blank);
    assert_eq!(desk.send(absent()).await, failed);
    assert_eq!(desk.values(&desk.here, id).await, json!({"city": "Breda"}));
}

/// One key, two requests: the second is refused and leaves nothing behind.
pub async fn a_key_used_for_another_request_is_refused(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.send(create(&desk, &desk.here, 1, 1)).await;
    let other = create(&desk, &desk.here, 1, 2);
    let (id, operation) = (other.fresh.record, other.fresh.operation);
    let refused = desk.send(other).await;
    assert!(matches!(refused.ending, Ending::Refused(_)), "{refused:?}");
    assert_eq!(code_of(&refused), Code::IdempotencyConflict);
    assert_eq!(desk.record(&desk.here, id).await, None, "no {} was made", contact());
    assert_eq!(desk.store.operation(&desk.here, operation).await.expect("read"), None);
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 1)).await, first, "the first use stands");
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}

/// After its day the key is free, whether or not it has been swept.
pub async fn a_key_expires(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.send(create(&desk, &desk.here, 1, 1)).await;
    desk.clock.advance(IDEMPOTENCY_KEPT_MS - 1);
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 1)).await, first);
    desk.clock.advance(1);
    let second = desk.send(create(&desk, &desk.here, 1, 2)).await;
    assert_eq!(seq_of(&second), 2);
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 2)).await, second, "it is remembered anew");
    desk.store.sweep(desk.clock_now()).await.expect("swept");
    assert_eq!(desk.send(create(&desk, &desk.here, 1, 2)).await, second, "the sweep goes by the newer use");
}

/// Many callers with one key at the same time are all given the one answer.
pub async fn a_key_used_at_once_by_many_has_effect_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (store, command) = (Arc::clone(&desk.store), create(&desk, &desk.here, 1, 1));
        tasks.spawn(async move { commit_to(&*store, None, vec![command]).await.expect("taken") });
    }
    let mut answers = tasks.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}
