//! Records by their values: entered by the commit that writes them, found by the next command and after reopening.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::{Desk, code_of, contact, fields, seq_of};
use lockstep_core::command::{Action, Command, Outcome, Target};
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_core::kind::Kind;
use lockstep_core::limits;
use lockstep_core::rules::matching::key_of;
use serde_json::{Value, json};

fn matching(desk: &Desk<'_>, values: Value, groups: &[&str]) -> Command {
    let matching = groups.iter().map(|group| group.split(',').map(str::to_owned).collect()).collect();
    desk.command(&desk.here, Action::Create { fields: fields(values), external_id: None, matching })
}

async fn found(desk: &Desk<'_>, field: &str, value: &str) -> Vec<RecordId> {
    let key = key_of(&contact(), field, &Kind::Email, &json!(value)).expect("a value to look up");
    desk.store.lookup(&desk.here, &key, 99).await.expect("read")
}

async fn merge(desk: &Desk<'_>, goes: RecordId, stays: RecordId) -> Outcome {
    let action = Action::Merge { target: Target::Id(goes), into: Target::Id(stays) };
    desk.send(desk.command(&desk.here, action)).await
}

/// A value is found from its commit on, by its newest form alone, in its own business alone.
pub async fn a_value_is_found_while_it_stands(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let ann = desk.made(&desk.here, json!({"email": "a@b.nl", "phone": "+31201"}), None).await;
    desk.made(&desk.there, json!({"email": "a@b.nl"}), None).await;
    assert_eq!((found(&desk, "email", "a@b.nl").await, found(&desk, "phone", "+31201").await), (vec![ann], vec![ann]));
    desk.update(&desk.here, ann, json!({"email": "ann@b.nl"})).await;
    let desk = desk.reopen().await;
    assert_eq!(found(&desk, "email", "a@b.nl").await, []);
    assert_eq!(found(&desk, "email", "ann@b.nl").await, [ann]);
    desk.delete(&desk.here, ann).await;
    assert_eq!(found(&desk, "email", "ann@b.nl").await, []);
}

/// A command finds what an earlier one of the same batch made, changed or took away.
pub async fn a_batch_matches_what_it_made_itself(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let stood = desk.made(&desk.here, json!({"email": "old@b.nl"}), None).await;
    let outcomes = desk
        .commit(vec![
            matching(&desk, json!({"email": "a@b.nl"}), &["email"]),
            matching(&desk, json!({"email": "a@b.nl", "city": "Delft"}), &["email"]),
            desk.updating(&desk.here, stood, json!({"email": "new@b.nl"})),
            matching(&desk, json!({"email": "old@b.nl"}), &["email"]),
            matching(&desk, json!({"email": "new@b.nl"}), &["email"]),
        ])
        .await
        .expect("taken");
    let records: Vec<_> = outcomes.iter().map(|outcome| outcome.record.expect("a record")).collect();
    assert_eq!((records[0], records[4]), (records[1], stood));
    assert_ne!(records[3], stood);
    assert_eq!(seq_of(&outcomes[1]), 3);
}

/// Several that match fail the command; a merged one matches no more and its ids lead to the survivor.
pub async fn of_several_that_match_none_is_written(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"email": "a@b.nl"}), Some("1")).await;
    let two = desk.made(&desk.here, json!({"email": "a@b.nl"}), Some("2")).await;
    let both = desk.send(matching(&desk, json!({"email": "a@b.nl"}), &["email"])).await;
    assert_eq!((code_of(&both), desk.head(&desk.here).await), (Code::AmbiguousMatch, 2));
    merge(&desk, one, two).await;
    let desk = desk.reopen().await;
    let again = desk.send(matching(&desk, json!({"email": "a@b.nl", "city": "Delft"}), &["email"])).await;
    assert_eq!(again.record, Some(two));
    assert_eq!(desk.create(&desk.here, json!({"city": "Breda"}), Some("1")).await.record, Some(two));
    let counts = desk.store.counts(&desk.here).await.expect("counted");
    assert_eq!(counts.get(&contact()).map(|count| (count.living, count.deleted)), Some((1, 1)));
    let back = desk.send(desk.command(&desk.here, Action::Unmerge { target: Target::Id(one) })).await;
    assert_eq!(back.record, Some(one));
    assert_eq!(found(&desk, "email", "a@b.nl").await, [one, two]);
}

/// Values longer than a key are told apart by what follows.
pub async fn long_values_are_compared_whole(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let long = |end: &str| format!("{}{end}@b.nl", "x".repeat(limits::LOOKUP_BYTES_MAX));
    let one = desk.made(&desk.here, json!({"email": long("1")}), None).await;
    let other = desk.send(matching(&desk, json!({"email": long("2")}), &["email"])).await.record;
    assert!(other.is_some_and(|id| id != one));
    let same = desk.send(matching(&desk, json!({"email": long("1")}), &["email"])).await;
    assert_eq!(same.record, Some(one));
}
