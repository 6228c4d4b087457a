//! External ids: one holder each, through creation, death, revival and moves, whatever commit did what.

use super::Subject;
use super::desk::{Desk, code_of, contact, external, fields, key, provider, seq_of};
use lockstep_core::change::ChangeKind;
use lockstep_core::command::{Action, Command, Ending, Outcome, Target};
use lockstep_core::error::Code;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::record::RecordKey;
use serde_json::json;

/// Who holds an external id: found by an update that changes nothing, and by a reader.
async fn holder(desk: &Desk<'_>, id: &ExternalId) -> Option<RecordId> {
    let action = Action::Update { target: Target::External(id.clone()), patch: fields(json!({})) };
    let found = desk.send(desk.command(&desk.here, action)).await.record;
    let read = desk.store.holder(&desk.here, &id.key(&contact())).await.expect("a read");
    assert_eq!(read.map(|holder| holder.id), found);
    found
}

async fn correlate(desk: &Desk<'_>, record: RecordId, id: ExternalId, force: bool) -> Outcome {
    let action = Action::Correlate { target: Target::Id(record), external_id: id, force };
    desk.send(desk.command(&desk.here, action)).await
}

async fn held(desk: &Desk<'_>, record: RecordId) -> Vec<ExternalId> {
    desk.record(&desk.here, record).await.expect("the record is there").state.external_ids.clone()
}

/// A creation under a known external id is an update of its holder.
pub async fn a_known_external_id_updates_its_record(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    let again = desk.create(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    assert_eq!((again.record, again.ending), (Some(id), Ending::Unchanged));
    let more = desk.create(&desk.here, json!({"lastName": "Vos"}), Some("1")).await;
    assert_eq!((more.record, seq_of(&more)), (Some(id), 2));
    assert_eq!(desk.values(&desk.here, id).await, json!({"firstName": "Ann", "lastName": "Vos"}));
}

/// A tombstone keeps its external ids, and lives again when one is created.
pub async fn a_deleted_record_is_revived_by_its_external_id(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"firstName": "Ann", "city": "Delft"}), Some("1")).await;
    desk.delete(&desk.here, id).await;
    assert_eq!(held(&desk, id).await, [external("1")]);
    assert_eq!(code_of(&desk.update(&desk.here, id, json!({"city": "Breda"})).await), Code::RecordDeleted);
    let revived = desk.create(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    assert_eq!((revived.record, revived.ending), (Some(id), Ending::Changed { seq: 3, version: 3 }));
    let record = desk.record(&desk.here, id).await.expect("there");
    assert!(!record.state.is_deleted);
    assert_eq!(record.state.fields, fields(json!({"firstName": "Ann"})), "old values do not come back");
    let change = desk.store.change(&desk.here, 3).await.expect("read").expect("there");
    assert!(change.was_deleted && change.kind == ChangeKind::Created);
    assert_eq!(change.old, fields(json!({"city": "Delft"})));
}

/// An id held by another record is refused, or taken from it by force: two changes, one holder.
pub async fn an_external_id_moves_only_by_force(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    let two = desk.made(&desk.here, json!({"firstName": "Bob"}), None).await;
    let refused = correlate(&desk, two, external("1"), false).await;
    assert_eq!(code_of(&refused), Code::ExternalIdTaken);
    assert_eq!(holder(&desk, &external("1")).await, Some(one));
    let moved = correlate(&desk, two, external("1"), true).await;
    assert_eq!(seq_of(&moved), 4, "the loser's change comes first");
    assert_eq!(holder(&desk, &external("1")).await, Some(two));
    assert_eq!((held(&desk, one).await, held(&desk, two).await), (vec![], vec![external("1")]));
    let log = desk.log(&desk.here).await;
    let last: Vec<_> = log.iter().skip(2).map(|change| (change.record, change.old_external_ids.clone())).collect();
    assert_eq!(last, [(one, Some(vec![external("1")])), (two, Some(vec![]))]);
    let desk = desk.reopen().await;
    assert_eq!(holder(&desk, &external("1")).await, Some(two));
}

/// An id taken off its record is nobody's, and may be given again.
pub async fn a_detached_external_id_is_free_again(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    let off = || Action::Uncorrelate { target: Target::Id(one), external_id: external("1") };
    assert_eq!(seq_of(&desk.send(desk.command(&desk.here, off())).await), 2);
    assert_eq!(code_of(&desk.send(desk.command(&desk.here, off())).await), Code::ExternalIdUnknown);
    assert_eq!(holder(&desk, &external("1")).await, None);
    let two = desk.made(&desk.here, json!({"firstName": "Bob"}), Some("1")).await;
    assert_ne!(one, two);
    assert_eq!(holder(&desk, &external("1")).await, Some(two));
}

/// A record has one id in each place; a new one there frees the one before.
pub async fn a_new_id_of_the_same_place_frees_the_old_one(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    correlate(&desk, one, external("2"), false).await;
    assert_eq!(held(&desk, one).await, [external("2")]);
    assert_eq!((holder(&desk, &external("1")).await, holder(&desk, &external("2")).await), (None, Some(one)));
    let two = desk.made(&desk.here, json!({"firstName": "Bob"}), Some("1")).await;
    assert_ne!(one, two);
}

/// Realm and object are part of the id; an object left out is the type itself.
pub async fn ids_of_other_objects_and_realms_are_others(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let called = |realm: &str, object: Option<&str>| {
        ExternalId::check(provider(), realm, object, "1").expect("a legal external id")
    };
    let places = [called("", None), called("nl", None), called("", Some("lead")), called("nl", Some("lead"))];
    let mut records = Vec::new();
    for place in &places {
        let action = Action::Create {
            fields: fields(json!({"city": "Delft"})),
            external_id: Some(place.clone()),
            matching: Vec::new(),
        };
        records.extend(desk.send(desk.command(&desk.here, action)).await.record);
    }
    for (place, record) in places.iter().zip(&records) {
        assert_eq!(holder(&desk, place).await, Some(*record), "{place:?}");
    }
    let said_in_full = called("", Some(contact().as_str()));
    assert_eq!(holder(&desk, &said_in_full).await, records.first().copied(), "the object is the type");
    let agent = TypeId::parse("agent").expect("a type");
    let as_agent = desk.creating(&desk.here, json!({"firstName": "Ann"}), Some("1"));
    let as_agent = desk.send(Command { ty: agent.clone(), ..as_agent }).await;
    let id = as_agent.record.expect("made");
    assert!(!records.contains(&id), "an agent's 1 is not a contact's 1");
    assert!(desk.store.record(&desk.here, &RecordKey { ty: agent, id }).await.expect("read").is_some());
    assert_eq!(desk.store.record(&desk.here, &key(id)).await.expect("read"), None, "nor is the agent a contact");
}

/// Holders, tombstones' too, are known after reopening.
pub async fn external_ids_are_known_after_reopening(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"firstName": "Ann"}), Some("1")).await;
    let two = desk.made(&desk.here, json!({"firstName": "Bob"}), Some("2")).await;
    desk.delete(&desk.here, two).await;
    let desk = desk.reopen().await;
    assert_eq!(desk.create(&desk.here, json!({"city": "Delft"}), Some("1")).await.record, Some(one));
    assert_eq!(desk.create(&desk.here, json!({"city": "Delft"}), Some("2")).await.record, Some(two));
    assert_eq!(desk.values(&desk.here, one).await, json!({"firstName": "Ann", "city": "Delft"}));
    assert_eq!(desk.values(&desk.here, two).await, json!({"city": "Delft"}));
}
