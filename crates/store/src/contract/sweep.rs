//! Sweeping forgets what is over, and nothing sooner.

use super::Subject;
use super::desk::{Desk, commit_to, seq_of};
use lockstep_core::command::{Command, Idempotency};
use lockstep_core::delivery::Attempt;
use lockstep_core::ids::{CommitId, DeliveryId, RecordId, SubscriptionId};
use lockstep_core::limits::{ATTEMPT_KEPT_MS, COMMIT_ID_KEPT_MS, IDEMPOTENCY_KEPT_MS, OPERATION_KEPT_MS};
use serde_json::json;

async fn sweep(desk: &Desk<'_>) {
    desk.store.sweep(desk.clock_now()).await.expect("swept");
}

fn keyed(desk: &Desk<'_>) -> Command {
    let idempotency = Some(Idempotency { key: [1; 16], request: [1; 16] });
    Command { idempotency, ..desk.creating(&desk.here, json!({"city": "Delft"}), None) }
}

/// A key is answered from memory until its day is over.
pub async fn idempotency_keys_are_kept_for_their_time(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let first = desk.send(keyed(&desk)).await;
    desk.clock.advance(IDEMPOTENCY_KEPT_MS - 2);
    sweep(&desk).await;
    assert_eq!(desk.send(keyed(&desk)).await, first);
    desk.clock.advance(2);
    sweep(&desk).await;
    assert_eq!(seq_of(&desk.send(keyed(&desk)).await), 2);
}

/// An operation can be read for thirty days.
pub async fn operations_are_kept_for_their_time(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let old = desk.delete(&desk.here, RecordId(desk.draw())).await.operation;
    desk.clock.advance(1_000);
    let new = desk.delete(&desk.here, RecordId(desk.draw())).await.operation;
    let is_there = async |id| desk.store.operation(&desk.here, id).await.expect("read").is_some();
    desk.clock.advance(OPERATION_KEPT_MS - 1_002);
    sweep(&desk).await;
    assert_eq!((is_there(old).await, is_there(new).await), (true, true));
    desk.clock.advance(4);
    sweep(&desk).await;
    assert_eq!((is_there(old).await, is_there(new).await), (false, true));
}

/// A commit's name is known for ten minutes; after that the same name is a new commit.
pub async fn commit_names_are_kept_for_their_time(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let id = CommitId(desk.draw());
    let named = async || {
        let update = desk.updating(&desk.here, record, json!({"city": "Breda"}));
        commit_to(&*desk.store, Some(id), vec![update]).await.expect("taken")
    };
    let first = named().await;
    desk.update(&desk.here, record, json!({"city": "Gouda"})).await;
    desk.clock.advance(COMMIT_ID_KEPT_MS - 2);
    sweep(&desk).await;
    assert_eq!(named().await, first);
    desk.clock.advance(4);
    sweep(&desk).await;
    assert_eq!(named().await.iter().map(seq_of).collect::<Vec<_>>(), [4]);
    assert_eq!(desk.values(&desk.here, record).await, json!({"city": "Breda"}));
}

/// Attempts, good and bad, are shown for fourteen days.
pub async fn attempts_are_kept_for_their_time(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let own = SubscriptionId(1);
    for (seq, failure) in [(1, None), (2, Some("500".to_owned())), (3, None), (4, Some("500".to_owned()))] {
        let attempt = Attempt {
            delivery: DeliveryId(desk.draw()),
            business: desk.here.clone(),
            subscription: own,
            seq,
            number: 1,
            at: desk.clock_now(),
            took_ms: 1,
            status: None,
            failure,
        };
        desk.store.log_attempts(vec![attempt]).await.expect("logged");
        desk.clock.advance(1_000);
    }
    let kept = async || {
        let attempts = desk.store.attempts(&desk.here, own, 9).await.expect("read");
        attempts.into_iter().map(|attempt| attempt.seq).collect::<Vec<_>>()
    };
    // The first is now 4 s old, the last 1 s.
    desk.clock.advance(ATTEMPT_KEPT_MS - 4_500);
    sweep(&desk).await;
    assert_eq!(kept().await, [4, 3, 2, 1]);
    desk.clock.advance(2_000);
    sweep(&desk).await;
    assert_eq!(kept().await, [4, 3]);
}

/// However late it is, what was written stays.
pub async fn records_changes_and_settings_are_never_swept(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    desk.delete(&desk.here, record).await;
    let before = (desk.log(&desk.here).await, desk.record(&desk.here, record).await);
    let settings = desk.store.settings(0, 100).await.expect("read");
    desk.clock.advance(100 * OPERATION_KEPT_MS);
    sweep(&desk).await;
    let desk = desk.reopen().await;
    assert_eq!((desk.log(&desk.here).await, desk.record(&desk.here, record).await), before);
    let after = desk.store.settings(0, 100).await.expect("read");
    assert_eq!((after.rows, after.version), (settings.rows, settings.version));
    let revived = desk.create(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    assert_eq!(revived.record, Some(record), "nor are external ids");
}
