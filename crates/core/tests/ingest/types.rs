//! What a business says of a type, held against what commands do: required, unique, editable; and whole replacements and
//! undone changes.

use super::{Desk, Move, ext, failure, moves, object};
use lockstep_core::change::{ChangeKind, Origin};
use lockstep_core::command::{Action, Ending, Outcome, Target};
use lockstep_core::error::Code;
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::kind::Kind;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::schema::{Field, Schema};
use lockstep_expr::Expr;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn shape(desk: &mut Desk, fields: impl IntoIterator<Item = Field>) {
    let ty = TypeId::parse("contact").unwrap();
    let fields = fields.into_iter().map(|field| (field.id.clone(), field)).collect();
    let definition = TypeDefinition { fields, ..TypeDefinition::default() };
    desk.schema = Schema::of([(&ty, &definition)]);
}

fn required(id: &str) -> Field {
    Field { is_required: true, ..Field::new(id, Kind::String) }
}

fn unique(id: &str) -> Field {
    Field { is_unique: true, is_indexed: true, ..Field::new(id, Kind::String) }
}

fn seq(outcome: &Outcome) -> u64 {
    match outcome.ending {
        Ending::Changed { seq, .. } => seq,
        ref other => panic!("{other:?}"),
    }
}

impl Desk {
    fn replace(&mut self, id: RecordId, fields: Value) -> Outcome {
        self.send(Action::Replace { target: Target::Id(id), fields: object(fields) })
    }

    fn undo(&mut self, seq: u64) -> Outcome {
        let of = Arc::clone(&self.set.written.changes[usize::try_from(seq).unwrap() - 1]);
        self.send(Action::Rollback { of })
    }
}

#[test]
fn a_record_has_what_its_type_requires() {
    let mut desk = Desk::new();
    let bare = desk.create(json!({"city": "Delft"}), Some("1")).record.unwrap();
    shape(&mut desk, [required("lastName")]);
    let refused = desk.create(json!({"city": "Delft"}), None);
    assert_eq!(failure(&refused), Code::FieldRequired);
    let Ending::Failed(rejection) = refused.ending else { panic!() };
    assert_eq!(rejection.pointer.as_deref(), Some("/lastName"));
    assert_eq!(failure(&desk.update(bare, json!({"city": "Breda"}))), Code::FieldRequired);
    assert_eq!(desk.update(bare, json!({"city": "Delft"})).ending, Ending::Unchanged);
    desk.delete(bare);
    assert_eq!(failure(&desk.create(json!({"city": "Delft"}), Some("1"))), Code::FieldRequired, "revived");
    assert_eq!(failure(&desk.undo(2)), Code::FieldRequired, "restored");
    let ann = desk.create(json!({"lastName": "Vos"}), Some("1"));
    assert_eq!(ann.record, Some(bare));
    assert_eq!(failure(&desk.update(bare, json!({"lastName": null}))), Code::FieldRequired);
    assert_eq!(failure(&desk.replace(bare, json!({"city": "Delft"}))), Code::FieldRequired);
    desk.reach = Arc::new(Reach::of_grant(None, ["lastName".to_owned()].into()));
    let Ending::Failed(hidden) = desk.create(json!({"city": "Delft"}), None).ending else { panic!() };
    assert!(hidden.code == Code::FieldRequired && !hidden.message.contains("lastName"), "{}", hidden.message);
}

#[test]
fn no_two_living_records_have_a_unique_value() {
    let mut desk = Desk::new();
    shape(&mut desk, [unique("code")]);
    let ann = desk.create(json!({"code": "A"}), Some("1")).record.unwrap();
    let refused = desk.create(json!({"code": "A"}), None);
    assert_eq!(failure(&refused), Code::ValueTaken);
    let Ending::Failed(rejection) = refused.ending else { panic!() };
    assert!(rejection.message.contains(&ann.to_string()), "{}", rejection.message);
    let bob = desk.create(json!({"code": "B"}), Some("2")).record.unwrap();
    let nobody = desk.create(json!({}), None).record.unwrap();
    assert!(matches!(desk.update(nobody, json!({"city": "x"})).ending, Ending::Changed { .. }), "absent is no value");
    assert_eq!(failure(&desk.update(bob, json!({"code": "A"}))), Code::ValueTaken);
    assert_eq!(failure(&desk.replace(bob, json!({"code": "A"}))), Code::ValueTaken);
    desk.update(ann, json!({"code": "C"}));
    assert!(matches!(desk.update(bob, json!({"code": "A"})).ending, Ending::Changed { .. }), "it is free again");
    desk.delete(bob);
    desk.update(nobody, json!({"code": "A"}));
    assert_eq!(failure(&desk.create(json!({"code": "A"}), Some("2"))), Code::ValueTaken, "a revived one asks too");
    let deletion = desk.set.written.changes.iter().find(|change| change.kind == ChangeKind::Deleted).unwrap().seq;
    assert_eq!(failure(&desk.undo(deletion)), Code::ValueTaken, "and a restored one");
    desk.reach = Arc::new(Reach::of_grant(Some(Expr::compile("city == 'Delft'").unwrap()), [].into()));
    let Ending::Failed(unseen) = desk.create(json!({"code": "C", "city": "Delft"}), None).ending else { panic!() };
    assert!(unseen.code == Code::ValueTaken && !unseen.message.contains("rec_"), "{}", unseen.message);
    desk.reach = Arc::new(Reach::everything());
    let long = "x".repeat(300);
    assert_eq!(failure(&desk.create(json!({"code": long}), None)), Code::InvalidValue);
}

#[test]
fn a_merge_hands_over_unique_values() {
    let mut desk = Desk::new();
    shape(&mut desk, [unique("code"), unique("city")]);
    let ann = desk.create(json!({"code": "A"}), None).record.unwrap();
    let other = desk.create(json!({"city": "Delft"}), None).record.unwrap();
    assert!(matches!(desk.merge(ann, other).ending, Ending::Changed { .. }));
    assert_eq!(desk.fields(other), json!({"code": "A", "city": "Delft"}));
    assert_eq!(failure(&desk.create(json!({"code": "A"}), None)), Code::ValueTaken);
    let unmerge = Action::Unmerge { target: Target::Id(ann) };
    assert_eq!(failure(&desk.send(unmerge.clone())), Code::ValueTaken);
    desk.update(other, json!({"code": null}));
    assert!(matches!(desk.send(unmerge).ending, Ending::Changed { .. }));
}

#[test]
fn what_a_type_no_longer_takes_is_refused_in_the_commit() {
    let mut desk = Desk::new();
    let size = |kind| Field { is_custom: true, ..Field::new("size", kind) };
    shape(&mut desk, [size(Kind::Enum(vec!["S".to_owned()]))]);
    assert!(matches!(desk.create(json!({"size": "S"}), None).ending, Ending::Changed { .. }));
    for (kind, code) in [(Kind::Enum(vec!["L".to_owned()]), Code::InvalidValue), (Kind::Integer, Code::InvalidValue)] {
        shape(&mut desk, [size(kind)]);
        assert_eq!(failure(&desk.create(json!({"size": "S"}), None)), code);
    }
    shape(&mut desk, []);
    assert_eq!(failure(&desk.create(json!({"size": "S"}), None)), Code::UnknownField);
    shape(&mut desk, [Field { is_editable: false, ..Field::new("code", Kind::String) }]);
    assert_eq!(failure(&desk.create(json!({"code": "A"}), None)), Code::FieldNotEditable);
    desk.origin = Origin::Admin;
    assert!(matches!(desk.create(json!({"code": "A"}), None).ending, Ending::Changed { .. }));
}

#[test]
fn a_replacement_clears_what_it_does_not_say() {
    let mut desk = Desk::new();
    let values = json!({"firstName": "Ann", "city": "Delft", "notes": "n", "code": "7", "custom": {"a": 1}});
    let ann = desk.create(values, Some("1")).record.unwrap();
    shape(&mut desk, [Field { is_editable: false, ..Field::new("code", Kind::String) }]);
    desk.reach = Arc::new(Reach::of_grant(None, ["notes".to_owned()].into()));
    desk.replace(ann, json!({"firstName": "Anna", "custom": {"b": 2}}));
    let expected = json!({"firstName": "Anna", "notes": "n", "code": "7", "custom": {"b": 2}});
    assert_eq!(desk.fields(ann), expected, "hidden and fixed values stay, an object is replaced whole");
    assert_eq!(desk.replace(ann, json!({"firstName": "Anna", "custom": {"b": 2}})).ending, Ending::Unchanged);
    let known = Action::Replace { target: Target::External(ext("1")), fields: object(json!({"city": "Breda"})) };
    assert_eq!(desk.send(known).record, Some(ann));
    let fresh = Action::Replace { target: Target::External(ext("2")), fields: object(json!({"city": "Gouda"})) };
    let made = desk.send(fresh.clone());
    assert_eq!(desk.fields(made.record.unwrap()), json!({"city": "Gouda"}));
    assert_eq!(desk.last().state.external_ids, [ext("2")]);
    assert_eq!(desk.send(fresh).ending, Ending::Unchanged);
    desk.if_match = Some(9);
    assert_eq!(failure(&desk.replace(ann, json!({}))), Code::VersionConflict);
    let unknown = Action::Replace { target: Target::External(ext("3")), fields: object(json!({})) };
    assert_eq!(failure(&desk.send(unknown)), Code::VersionConflict, "there is none yet");
}

#[test]
fn an_undone_update_takes_back_what_still_stands() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"firstName": "Ann", "city": "Delft"}), None).record.unwrap();
    let changed = seq(&desk.update(ann, json!({"firstName": "Anna", "city": "Breda", "lastName": "Vos"})));
    desk.update(ann, json!({"city": "Gouda"}));
    desk.undo(changed);
    assert_eq!(desk.fields(ann), json!({"firstName": "Ann", "city": "Gouda"}));
    assert_eq!(desk.undo(changed).ending, Ending::Unchanged, "nothing is left to take back");
    shape(&mut desk, [Field { is_editable: false, ..Field::new("city", Kind::String) }]);
    let last = seq(&desk.update(ann, json!({"lastName": "Bos"})));
    desk.delete(ann);
    assert_eq!(desk.undo(last).ending, Ending::Unchanged, "a tombstone is not written to");
}

#[test]
fn an_undone_creation_deletes_or_clears() {
    let mut desk = Desk::new();
    let made = desk.create(json!({"firstName": "Ann"}), Some("1"));
    desk.undo(seq(&made));
    assert!(desk.last().state.is_deleted);
    let made = desk.create(json!({"firstName": "Bob", "city": "Delft"}), None);
    let bob = made.record.unwrap();
    desk.update(bob, json!({"city": "Breda"}));
    desk.undo(seq(&made));
    assert_eq!(desk.fields(bob), json!({"city": "Breda"}), "what came later stays");
}

#[test]
fn an_undone_deletion_or_merge_brings_the_record_back() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"firstName": "Ann"}), Some("1")).record.unwrap();
    let gone = seq(&desk.delete(ann));
    desk.undo(gone);
    assert_eq!((desk.fields(ann), desk.last().state.is_deleted), (json!({"firstName": "Ann"}), false));
    assert_eq!(desk.undo(gone).ending, Ending::Unchanged, "it has changed since");
    let bob = desk.create(json!({"city": "Delft"}), None).record.unwrap();
    let merged = seq(&desk.merge(ann, bob));
    desk.undo(merged);
    assert_eq!(desk.last().state.external_ids, [ext("1")]);
    assert_eq!(desk.undo(merged).ending, Ending::Unchanged);
}

#[test]
fn an_undone_correlation_gives_ids_back_where_they_are_free() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({}), Some("1")).record.unwrap();
    let correlate = |desk: &mut Desk, id, to: &str| {
        desk.send(Action::Correlate { target: Target::Id(id), external_id: ext(to), force: false })
    };
    let moved = seq(&correlate(&mut desk, ann, "2"));
    desk.undo(moved);
    assert_eq!(desk.last().state.external_ids, [ext("1")]);
    let moved = seq(&correlate(&mut desk, ann, "3"));
    let bob = desk.create(json!({}), Some("1")).record.unwrap();
    assert_ne!(bob, ann);
    desk.undo(moved);
    assert!(desk.last().record == ann && desk.last().state.external_ids.is_empty(), "1 has another holder");
}

proptest! {
    /// Whatever is asked, no two living records share a value of a unique field, and each has what is required.
    #[test]
    fn unique_and_required_hold_whatever_is_asked(moves in moves(), undone in prop::collection::vec(0..30_usize, 0..10)) {
        let mut desk = Desk::new();
        shape(&mut desk, [unique("city"), required("lastName")]);
        let mut ids = Vec::new();
        for step in moves {
            let at = |index: usize, ids: &Vec<RecordId>| ids.get(index % ids.len().max(1)).copied().unwrap_or(RecordId(999));
            let outcome = match step {
                Move::Create(fields, external) => desk.create(fields, external.map(|id| id.to_string()).as_deref()),
                Move::Update(index, fields) => desk.update(at(index, &ids), fields),
                Move::Delete(index) => desk.delete(at(index, &ids)),
                Move::Merge(goes, stays) => desk.merge(at(goes, &ids), at(stays, &ids)),
                Move::Unmerge(index) => desk.send(Action::Unmerge { target: Target::Id(at(index, &ids)) }),
                Move::Correlate(index, ..) | Move::Uncorrelate(index, _) => {
                    desk.replace(at(index, &ids), json!({"city": "a", "lastName": "b"}))
                }
            };
            ids.extend(outcome.record.filter(|id| !ids.contains(id)));
        }
        for index in undone {
            let count = desk.set.written.changes.len();
            if count > 0 {
                desk.undo((index % count) as u64 + 1);
            }
        }
        let living: Vec<_> = desk.set.records.values().flatten().filter(|record| !record.state.is_deleted).collect();
        let mut cities: Vec<_> = living.iter().filter_map(|record| record.state.fields.get("city")).map(Value::to_string).collect();
        let count = cities.len();
        cities.sort();
        cities.dedup();
        prop_assert_eq!(cities.len(), count);
        prop_assert!(living.iter().all(|record| record.state.fields.contains_key("lastName")));
        // The lookup says what the records say.
        let entries: Vec<_> = desk.set.written.lookups.iter().filter(|((key, _), is_so)| **is_so && key.field == "city").collect();
        prop_assert_eq!(entries.len(), living.len());
    }
}
