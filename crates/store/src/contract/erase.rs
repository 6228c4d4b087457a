//! Erasing: nothing is left of a record but its id, when it changed, and that it is gone.

use super::Subject;
use super::desk::{Desk, contact, external, fields, key, seq_of};
use crate::erase::ERASED;
use crate::settle::LaneStep;
use lockstep_core::change::ChangeKind;
use lockstep_core::command::{Action, Command, Ending, Outcome, Target};
use lockstep_core::delivery::{Attempt, DeadLetter, Parked};
use lockstep_core::ids::{DeliveryId, RecordId};
use lockstep_core::kind::Kind;
use lockstep_core::limits::ERASED_CHANGES_A_TURN;
use lockstep_core::rules::matching;
use serde_json::json;

async fn erase(desk: &Desk<'_>, record: RecordId) -> Outcome {
    desk.send(desk.command(&desk.here, Action::Erase { target: Target::Id(record), accounts: Vec::new() })).await
}

async fn to_the_end(desk: &Desk<'_>) {
    while desk.store.erase_on().await.expect("blanked") {}
}

/// The record, its past, what it is found by: all blank; seqs, kinds and times stay.
pub async fn an_erased_record_keeps_its_id_and_nothing_else(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"firstName": "Ann", "email": "ann@example.com"}), Some("1")).await;
    let other = desk.made(&desk.here, json!({"firstName": "Bob"}), None).await;
    desk.update(&desk.here, record, json!({"firstName": "Anna", "city": "Delft"})).await;
    let before = desk.log(&desk.here).await;
    let outcome = erase(&desk, record).await;
    assert_eq!(outcome.ending, Ending::Changed { seq: 4, version: 3 });
    to_the_end(&desk).await;
    assert_eq!(erase(&desk, record).await.ending, Ending::Unchanged);

    let desk = desk.reopen().await;
    let erased = desk.record(&desk.here, record).await.expect("its id stays");
    assert!(erased.state.is_deleted && erased.state.is_erased && erased.state.fields.is_empty());
    assert_eq!((erased.state.external_ids.len(), erased.provenance.len(), erased.version), (0, 0, 3));
    let log = desk.log(&desk.here).await;
    assert_eq!(log.len(), 4);
    for (change, before) in log.iter().zip(&before) {
        assert_eq!(
            (change.seq, change.kind, change.at, change.prev_seq),
            (before.seq, before.kind, before.at, before.prev_seq)
        );
        if change.record == record {
            assert!(change.state.is_erased && change.state.fields.is_empty() && change.old.is_empty(), "{change:?}");
            assert!(
                change.state.external_ids.is_empty() && change.old_external_ids.as_ref().is_none_or(Vec::is_empty),
                "{change:?}"
            );
        }
    }
    assert_eq!(log[3].kind, ChangeKind::Deleted);
    assert_eq!(log[1].state.fields, fields(json!({"firstName": "Bob"})), "nobody else's");
    assert_eq!(desk.values(&desk.here, other).await, json!({"firstName": "Bob"}));
    let at = matching::key_of(&contact(), "email", &Kind::Email, &json!("ann@example.com")).expect("a key");
    assert_eq!(desk.store.lookup(&desk.here, &at, 9).await.expect("read"), []);
    let past = desk.store.history(&desk.here, &key(record), u64::MAX, 9).await.expect("read");
    assert_eq!(past.iter().map(|change| change.seq).collect::<Vec<_>>(), [4, 3, 1]);
}

/// Who comes again under the same external id is somebody new.
pub async fn an_erased_external_id_makes_a_new_record(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    // More ids than a command may ask for one by one.
    for number in 0..20 {
        let (external_id, target) = (external(&format!("x{number}")), Target::Id(record));
        let external_id = lockstep_core::external_id::ExternalId { realm: format!("r{number}"), ..external_id };
        desk.send(desk.command(&desk.here, Action::Correlate { target, external_id, force: false })).await;
    }
    assert_eq!(seq_of(&erase(&desk, record).await), 22);
    to_the_end(&desk).await;
    let again = desk.create(&desk.here, json!({"firstName": "Cas"}), Some("1")).await;
    assert!(again.record.is_some() && again.record != Some(record), "{again:?}");
    assert_eq!(desk.store.chain(&desk.here, &key(again.record.expect("one")), 0, 9).await.expect("read"), [23]);
}

/// A tombstone keeps its values until it is erased.
pub async fn a_tombstone_can_be_erased_and_is_counted_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    desk.delete(&desk.here, record).await;
    erase(&desk, record).await;
    to_the_end(&desk).await;
    let counts = desk.store.counts(&desk.here).await.expect("read");
    assert_eq!((counts[&contact()].living, counts[&contact()].deleted), (0, 1));
    assert!(desk.log(&desk.here).await.iter().all(|change| change.state.is_erased));
}

/// An endpoint may say values back when it refuses them, and a failed operation may name them.
pub async fn what_an_endpoint_said_of_an_erased_record_is_blanked(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"firstName": "Ann"}), None).await;
    let own = desk.subscription_id();
    let reason = "HTTP 400: Ann is no name".to_owned();
    let (at, ty) = (desk.clock_now(), contact());
    let parked = Parked {
        ty: ty.clone(),
        record,
        first_seq: 1,
        attempt: 1,
        next_at: at,
        reason: reason.clone(),
        is_alone: false,
    };
    let letter = DeadLetter { seq: 1, ty, record, at, attempts: 10, reason: reason.clone() };
    let fence = desk.store.claim("worker").await.expect("claimed");
    let steps = vec![(own, LaneStep::Park(parked)), (own, LaneStep::Bury(letter))];
    desk.settle(fence, &desk.here, steps).await.expect("settled");
    let attempt = Attempt {
        delivery: DeliveryId(1),
        business: desk.here.clone(),
        subscription: own,
        seq: 1,
        number: 1,
        at,
        took_ms: 1,
        status: Some(400),
        failure: Some(reason),
    };
    desk.store.log_attempts(vec![attempt]).await.expect("logged");
    let stale = Command { if_match: Some(9), ..desk.updating(&desk.here, record, json!({"firstName": "Anna"})) };
    let failed = desk.send(stale).await.operation;

    erase(&desk, record).await;
    to_the_end(&desk).await;
    let desk = desk.reopen().await;
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!(outlet.parked.iter().map(|(_, parked)| parked.reason.as_str()).collect::<Vec<_>>(), [ERASED]);
    let letters = desk.store.dead_letters(&desk.here, own, 0, 9).await.expect("read");
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), [ERASED]);
    let operation = desk.store.operation(&desk.here, failed).await.expect("read").expect("kept");
    let lockstep_core::operation::OperationState::Failed { rejection } = operation.state else { panic!("it failed") };
    assert_eq!(rejection.message, ERASED);
    if desk.is_durable() {
        let attempts = desk.store.attempts(&desk.here, own, 9).await.expect("read");
        assert_eq!(attempts.iter().filter_map(|attempt| attempt.failure.as_deref()).collect::<Vec<_>>(), [ERASED]);
    }
}

/// However often a record changed, no transaction blanks more than a bounded number of its changes.
pub async fn a_long_past_is_blanked_in_turns_and_after_reopening(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"city": "0"}), None).await;
    let updates = (1..=ERASED_CHANGES_A_TURN)
        .map(|number| desk.updating(&desk.here, record, json!({"city": format!("{number}")})));
    desk.commit(updates.collect()).await.expect("taken");
    erase(&desk, record).await;
    assert!(desk.store.erase_on().await.expect("blanked"), "one change is left");
    let desk = desk.reopen().await;
    let first = desk.store.change(&desk.here, 1).await.expect("read").expect("kept");
    assert!(!first.state.is_erased);
    assert!(!desk.store.erase_on().await.expect("blanked"), "nothing is left");
    let first = desk.store.change(&desk.here, 1).await.expect("read").expect("kept");
    assert!(first.state.is_erased && first.state.fields.is_empty());
}
