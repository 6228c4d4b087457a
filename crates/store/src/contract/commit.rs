//! A commit is one durable transaction: all of it or none, each command seeing those before it, and a bad one
//! spoiling no neighbour.

use super::Subject;
use super::desk::{Desk, business, code_of, commit_to, contact, external, fields, provider, seq_of};
use crate::StoreError;
use lockstep_core::change::{ChangeKind, Origin};
use lockstep_core::command::{Action, Command, Ending, Idempotency, Outcome, Target};
use lockstep_core::error::Code;
use lockstep_core::ids::{ApplicationId, TypeId};
use lockstep_core::operation::OperationState;
use lockstep_core::position::Position;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Record, external id, change, idempotency key and operation are there together once the commit is answered.
pub async fn all_that_a_command_brings_is_written_together(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let keyed = Idempotency { key: [1; 16], request: [2; 16] };
    let create = Command {
        idempotency: Some(keyed),
        ..desk.creating(&desk.here, json!({"firstName": "Ann", "city": "Delft"}), Some("1"))
    };
    let outcome = desk.send(create.clone()).await;
    assert_eq!(outcome.ending, Ending::Changed { seq: 1, version: 1 });
    assert_eq!(outcome.operation.position_in(&desk.here), Some(Position::first(1)));
    let id = outcome.record.expect("a created record has an id");
    assert_eq!(id, create.fresh.record);

    let change = desk.store.change(&desk.here, 1).await.expect("read").expect("the change is there");
    let expected = json!({"firstName": "Ann", "city": "Delft"});
    assert_eq!((change.id, change.kind, change.record), (create.fresh.change, ChangeKind::Created, id));
    assert_eq!((change.version, change.prev_seq, change.at), (1, 0, desk.clock_now()));
    assert_eq!(change.origin, Origin::Application { id: ApplicationId(9), provider: provider(), token: None });
    assert_eq!(change.state.fields, fields(expected));
    assert_eq!(change.state.external_ids, [external("1")]);

    let record = desk.record(&desk.here, id).await.expect("the record is there");
    assert_eq!((record.version, record.last_seq, &record.state), (1, 1, &change.state));
    assert_eq!((record.created_at, record.updated_at), (change.created_at, change.at));
    assert_eq!(record.provenance.iter().map(|entry| entry.fields.len()).sum::<usize>(), 2);

    let target = Target::External(external("1"));
    let same = Action::Update { target, patch: fields(json!({"city": "Delft"})) };
    let unchanged = desk.send(desk.command(&desk.here, same)).await;
    assert_eq!((unchanged.record, &unchanged.ending), (Some(id), &Ending::Unchanged), "found by its external id");
    let operation = desk.store.operation(&desk.here, unchanged.operation).await.expect("read");
    assert_eq!(operation.map(|operation| operation.state), Some(OperationState::Unchanged));

    let again = Command { idempotency: Some(keyed), ..desk.creating(&desk.here, json!({"firstName": "Ann"}), None) };
    assert_eq!(desk.send(again).await, outcome, "the key is known");
    assert_eq!(desk.head(&desk.here).await, 1);
}

/// One command that the store cannot take undoes the others of its commit.
pub async fn a_commit_is_all_or_nothing(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let keyed = Idempotency { key: [1; 16], request: [2; 16] };
    let good = Command { idempotency: Some(keyed), ..desk.creating(&desk.here, json!({"city": "Delft"}), Some("1")) };
    let there = desk.creating(&desk.there, json!({"city": "Breda"}), None);
    let unknown = Command { business: business("nowhere"), ..desk.creating(&desk.here, json!({}), None) };
    let refused = desk.commit(vec![good.clone(), there, unknown]).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!((desk.head(&desk.here).await, desk.head(&desk.there).await), (0, 0));
    assert_eq!(desk.record(&desk.here, good.fresh.record).await, None);
    let later = Command { fresh: desk.creating(&desk.here, json!({}), None).fresh, ..good };
    let outcome = desk.send(later.clone()).await;
    assert_eq!(outcome.record, Some(later.fresh.record), "neither its key nor its external id was kept");
    assert_eq!(desk.log(&desk.here).await.len(), 1);
}

/// Commands of one commit decide over what the earlier ones made.
pub async fn later_commands_see_earlier_ones(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let target = || Target::External(external("1"));
    let create = desk.creating(&desk.here, json!({"firstName": "Ann"}), Some("1"));
    let id = create.fresh.record;
    let outcomes = desk
        .commit(vec![
            create,
            desk.command(&desk.here, Action::Update { target: target(), patch: fields(json!({"firstName": "Anna"})) }),
            desk.updating(&desk.here, id, json!({"firstName": "Anna"})),
            desk.command(&desk.here, Action::Delete { target: target() }),
            desk.updating(&desk.here, id, json!({"firstName": "Late"})),
            desk.creating(&desk.here, json!({"lastName": "Vos"}), Some("1")),
        ])
        .await
        .expect("all are taken");
    let changed = |seq| Ending::Changed { seq, version: seq };
    let endings: Vec<_> = outcomes.iter().map(|outcome| outcome.ending.clone()).collect();
    let [first, second, third, fourth, fifth, sixth] = endings.try_into().expect("six outcomes");
    assert_eq!((first, second, third, fourth), (changed(1), changed(2), Ending::Unchanged, changed(3)));
    assert!(matches!(&fifth, Ending::Failed(rejection) if rejection.code == Code::RecordDeleted), "{fifth:?}");
    assert_eq!(sixth, changed(4));
    assert!(outcomes.iter().all(|outcome| outcome.record == Some(id)), "one record throughout");
    assert_eq!(desk.values(&desk.here, id).await, json!({"lastName": "Vos"}));
    let links: Vec<_> = desk.log(&desk.here).await.iter().map(|change| change.prev_seq).collect();
    assert_eq!(links, [0, 1, 2, 3]);
}

/// Commits that wait together share a transaction; what one may not do costs it alone.
pub async fn a_bad_command_fails_alone(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut tasks = JoinSet::new();
    for number in 0..60 {
        let good = desk.creating(&desk.here, json!({"code": format!("{number}")}), None);
        let command = match number % 6 {
            2 => Command { business: business("nowhere"), ..good },
            4 => Command { ty: type_id("unheard-of"), ..good },
            _ => good,
        };
        let store = Arc::clone(&desk.store);
        tasks.spawn(async move { (number, commit_to(&*store, None, vec![command]).await) });
    }
    let mut kept = 0;
    while let Some(done) = tasks.join_next().await {
        let (number, answer) = done.expect("no panic");
        match number % 6 {
            2 => assert!(matches!(answer, Err(StoreError::UnknownBusiness(_))), "{number}: {answer:?}"),
            4 => assert_eq!(code_of(one(&answer.expect("taken"))), Code::UnknownType),
            _ => {
                let outcomes = answer.expect("a good command is taken");
                let change = desk.store.change(&desk.here, seq_of(one(&outcomes))).await.expect("read");
                let code = change.and_then(|change| change.state.fields.get("code").cloned());
                assert_eq!(code, Some(json!(format!("{number}"))), "each is answered with its own change");
                kept += 1;
            }
        }
    }
    assert_eq!(kept, 40);
    assert_eq!(desk.log(&desk.here).await.len(), 40);
}

/// A write of what stands leaves log and record as they are (P5).
pub async fn a_write_that_changes_nothing_makes_no_change(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    let before = desk.record(&desk.here, id).await;
    desk.clock.advance(1_000);
    for patch in [json!({}), json!({"city": "Delft"}), json!({"lastName": null})] {
        assert_eq!(desk.update(&desk.here, id, patch).await.ending, Ending::Unchanged);
    }
    let action = Action::Correlate { target: Target::Id(id), external_id: external("1"), force: false };
    assert_eq!(desk.send(desk.command(&desk.here, action)).await.ending, Ending::Unchanged);
    assert_eq!(desk.record(&desk.here, id).await, before);
    assert_eq!(desk.log(&desk.here).await.len(), 1);
    desk.delete(&desk.here, id).await;
    assert_eq!(desk.delete(&desk.here, id).await.ending, Ending::Unchanged);
    assert_eq!(desk.log(&desk.here).await.len(), 2);
}

/// Two changes of one record in one commit are two entries of the log and one record.
pub async fn a_record_made_and_deleted_in_one_commit_is_one_tombstone(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let create = desk.creating(&desk.here, json!({"city": "Delft"}), None);
    let id = create.fresh.record;
    let delete = desk.command(&desk.here, Action::Delete { target: Target::Id(id) });
    desk.commit(vec![create, delete]).await.expect("both are taken");
    let record = desk.record(&desk.here, id).await.expect("a tombstone is kept");
    assert!(record.state.is_deleted);
    assert_eq!((record.version, record.last_seq), (2, 2));
    assert_eq!(desk.values(&desk.here, id).await, json!({"city": "Delft"}), "it keeps its last values");
    assert_eq!(desk.log(&desk.here).await.len(), 2);
}

/// `If-Match` is held against the record as it stands at the commit.
pub async fn an_update_asks_for_the_version_that_stands(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let matching =
        |version, city| Command { if_match: Some(version), ..desk.updating(&desk.here, id, json!({ "city": city })) };
    assert_eq!(seq_of(&desk.send(matching(1, "Breda")).await), 2);
    assert_eq!(code_of(&desk.send(matching(1, "Gouda")).await), Code::VersionConflict);
    let both = desk.commit(vec![matching(2, "Zwolle"), matching(2, "Assen")]).await.expect("both are taken");
    let [first, second] = both.try_into().expect("two outcomes");
    assert_eq!((seq_of(&first), code_of(&second)), (3, Code::VersionConflict));
    assert_eq!(desk.values(&desk.here, id).await, json!({"city": "Zwolle"}));
}

/// Texts of any script, numbers of any size, lists and objects come back as they went in, also after reopening.
pub async fn values_read_back_as_they_were_written(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let values = json!({
        "firstName": "Ünï\u{1F600}\"\\\u{0}\n", "notes": "x".repeat(20_000), "opt-in": false, "tags": ["b", "a"],
        "custom": {"deep": {"n": 9_007_199_254_740_993_i64, "min": i64::MIN, "list": [1, {"a": null}, "t"]}},
    });
    let id = desk.made(&desk.here, values.clone(), Some("é/1 ")).await;
    assert_eq!(desk.values(&desk.here, id).await, values);
    let before = (desk.record(&desk.here, id).await, desk.log(&desk.here).await);
    let desk = desk.reopen().await;
    assert_eq!((desk.record(&desk.here, id).await, desk.log(&desk.here).await), before);
}

/// A command that was accepted earlier and committed later does not turn the log's time back.
pub async fn time_never_goes_back_in_a_business(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let early = desk.creating(&desk.here, json!({"city": "Early"}), None);
    desk.clock.advance(60_000);
    desk.create(&desk.here, json!({"city": "Late"}), None).await;
    let late = desk.clock_now();
    let desk = desk.reopen().await;
    desk.send(early).await;
    let times: Vec<_> = desk.log(&desk.here).await.iter().map(|change| change.at).collect();
    assert_eq!(times, [late, late]);
}

/// A commit of no commands is answered with no outcomes.
pub async fn an_empty_commit_is_no_trouble(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    assert_eq!(desk.commit(Vec::new()).await.expect("taken"), []);
    assert_eq!(desk.head(&desk.here).await, 0);
}

fn type_id(text: &str) -> TypeId {
    assert_ne!(text, contact().as_str());
    TypeId::parse(text).expect("a legal type")
}

fn one(outcomes: &[Outcome]) -> &Outcome {
    assert_eq!(outcomes.len(), 1);
    outcomes.first().expect("one outcome")
}

/// Counts follow creations, deletions and revivals, by type, also when one commit does several.
pub async fn counts_are_kept_with_each_commit(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let count = async |desk: &Desk<'_>| {
        let counts = desk.store.counts(&desk.here).await.expect("read");
        counts.get(&contact()).map_or((0, 0), |count| (count.living, count.deleted))
    };
    assert_eq!(count(&desk).await, (0, 0));
    let ann = desk.made(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    desk.made(&desk.here, json!({}), None).await;
    desk.update(&desk.here, ann, json!({"city": "Breda"})).await;
    assert_eq!(count(&desk).await, (2, 0));
    desk.delete(&desk.here, ann).await;
    assert_eq!(count(&desk).await, (1, 1));
    desk.create(&desk.here, json!({"city": "Delft"}), Some("1")).await;
    assert_eq!(count(&desk).await, (2, 0), "revived");
    let both = vec![desk.creating(&desk.here, json!({}), None), desk.creating(&desk.here, json!({}), None)];
    desk.commit(both).await.expect("committed");
    let desk = desk.reopen().await;
    assert_eq!(count(&desk).await, (4, 0));
    assert!(desk.store.counts(&desk.there).await.expect("read").is_empty(), "each business has its own");
}
