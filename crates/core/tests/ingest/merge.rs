//! Recognising records by their values, merging them, and taking a merge back.

use super::{Desk, ext, failure, object};
use lockstep_core::change::ChangeKind;
use lockstep_core::command::{Action, Ending, Outcome, Target};
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_core::record::State;
use lockstep_core::rules::scope::{Reach, look};
use lockstep_core::schema::Schema;
use lockstep_expr::Expr;
use serde_json::{Value, json};
use std::sync::Arc;

impl Desk {
    fn matching(&mut self, fields: Value, external: Option<&str>, groups: &[&[&str]]) -> Outcome {
        let matching = groups.iter().map(|group| group.iter().map(|&field| field.to_owned()).collect()).collect();
        self.send(Action::Create { fields: object(fields), external_id: external.map(ext), matching })
    }

    pub(super) fn merge(&mut self, goes: RecordId, stays: RecordId) -> Outcome {
        self.send(Action::Merge { target: Target::Id(goes), into: Target::Id(stays) })
    }

    fn unmerge(&mut self, id: RecordId) -> Outcome {
        self.send(Action::Unmerge { target: Target::Id(id) })
    }

    fn state(&self, id: RecordId) -> &State {
        let mut found = self.set.records.iter().filter(|(key, _)| key.id == id);
        &found.next().and_then(|(_, record)| record.as_ref()).unwrap().state
    }

    fn holder(&self, id: &str) -> Option<RecordId> {
        let key = ext(id).key(&lockstep_core::ids::TypeId::parse("contact").unwrap());
        self.set.externals.get(&key).and_then(Option::as_ref).map(|holder| holder.id)
    }
}

#[test]
fn a_record_is_recognised_by_all_fields_of_a_group() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"email": "a@b.nl", "phone": "+31201"}), None).record.unwrap();
    let again = desk.matching(json!({"email": "a@b.nl", "city": "Delft"}), None, &[&["email"]]);
    assert_eq!((again.record, again.ending), (Some(ann), Ending::Changed { seq: 2, version: 2 }));
    let same = desk.matching(json!({"email": "a@b.nl"}), None, &[&["email"]]);
    assert_eq!((same.record, same.ending), (Some(ann), Ending::Unchanged));
    let other = desk.matching(json!({"email": "a@b.nl", "phone": "+31202"}), None, &[&["email", "phone"]]);
    assert_ne!(other.record, Some(ann), "one of two fields is no match");
    let silent = desk.matching(json!({"email": "a@b.nl"}), None, &[&["email", "phone"]]);
    assert!(![Some(ann), other.record].contains(&silent.record), "a group that the body does not fill matches nothing");
}

#[test]
fn two_that_match_are_told_and_none_is_touched() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"email": "a@b.nl"}), None).record.unwrap();
    let bob = desk.create(json!({"phone": "+31201"}), None).record.unwrap();
    let both = desk.matching(json!({"email": "a@b.nl", "phone": "+31201"}), None, &[&["email"], &["phone"]]);
    assert_eq!(failure(&both), Code::AmbiguousMatch);
    let Ending::Failed(rejection) = both.ending else { panic!("it failed") };
    assert!([ann, bob].iter().all(|id| rejection.message.contains(&id.to_string())), "{}", rejection.message);
    assert_eq!(desk.set.head, 2);
    desk.merge(bob, ann);
    let one = desk.matching(json!({"email": "a@b.nl", "phone": "+31201"}), None, &[&["email"], &["phone"]]);
    assert_eq!((one.record, one.ending), (Some(ann), Ending::Unchanged), "a tombstone matches nothing");
}

#[test]
fn a_changed_value_is_found_by_the_new_one_alone() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"email": "a@b.nl"}), None).record.unwrap();
    desk.update(ann, json!({"email": "ann@b.nl"}));
    assert_eq!(desk.matching(json!({"email": "ann@b.nl"}), None, &[&["email"]]).record, Some(ann));
    assert_ne!(desk.matching(json!({"email": "a@b.nl"}), None, &[&["email"]]).record, Some(ann));
    desk.delete(ann);
    assert_ne!(desk.matching(json!({"email": "ann@b.nl"}), None, &[&["email"]]).record, Some(ann));
}

#[test]
fn a_match_takes_the_callers_external_id_unless_it_has_another() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"email": "a@b.nl"}), None).record.unwrap();
    let called = desk.matching(json!({"email": "a@b.nl"}), Some("7"), &[&["email"]]);
    assert_eq!((called.record, called.ending), (Some(ann), Ending::Changed { seq: 2, version: 2 }));
    assert_eq!((desk.last().kind, desk.holder("7")), (ChangeKind::Correlated, Some(ann)));
    let second = desk.matching(json!({"email": "a@b.nl"}), Some("8"), &[&["email"]]);
    assert_eq!((failure(&second), desk.holder("8")), (Code::AmbiguousMatch, None));
    let by_id = desk.matching(json!({"email": "other@b.nl"}), Some("7"), &[&["email"]]);
    assert_eq!(by_id.record, Some(ann), "the external id comes first");
}

#[test]
fn what_the_caller_may_not_see_does_not_match() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"email": "a@b.nl", "city": "Delft"}), None).record.unwrap();
    desk.reach = Arc::new(Reach::of_grant(Some(Expr::compile("city == 'Breda'").unwrap()), [].into()));
    let own = desk.matching(json!({"email": "a@b.nl", "city": "Breda"}), None, &[&["email"]]);
    assert!(own.record.is_some_and(|id| id != ann));
    let schema = Schema::ready_made();
    let hiding = Reach::of_grant(None, ["email".to_owned()].into());
    let refused = schema.shape("contact").unwrap().match_group("email", &hiding).unwrap_err();
    assert_eq!(refused.code, Code::UnknownMatchGroup);
    assert!(refused.message.ends_with("it declares phone"), "{}", refused.message);
    let group = schema.shape("contact").unwrap().match_group("phone, email", &Reach::everything()).unwrap();
    assert_eq!(group, ["email", "phone"], "in any order");
}

#[test]
fn the_survivor_fills_its_blanks_and_takes_the_ids() {
    let mut desk = Desk::new();
    let goes = desk.create(json!({"firstName": "A.", "city": "Delft"}), Some("1")).record.unwrap();
    let stays = desk.create(json!({"firstName": "Ann"}), None).record.unwrap();
    let merged = desk.merge(goes, stays);
    assert_eq!((merged.record, merged.ending), (Some(goes), Ending::Changed { seq: 4, version: 2 }));
    assert_eq!(desk.fields(stays), json!({"firstName": "Ann", "city": "Delft"}));
    assert_eq!((desk.holder("1"), &desk.state(stays).external_ids), (Some(stays), &vec![ext("1")]));
    let change = desk.last();
    assert_eq!((change.kind, change.state.merged_into), (ChangeKind::Merged, Some(stays)));
    let seen = look(change, &Reach::everything()).unwrap();
    assert_eq!((seen.kind, seen.merged_into), (ChangeKind::Merged, Some(stays)));
    let update = Action::Update { target: Target::External(ext("1")), patch: object(json!({"city": "Breda"})) };
    assert_eq!(desk.send(update).record, Some(stays), "its id leads to the survivor");
    let refused = desk.update(goes, json!({"city": "Gent"}));
    let Ending::Failed(rejection) = refused.ending else { panic!("it failed") };
    assert!(rejection.code == Code::RecordDeleted && rejection.message.contains(&stays.to_string()));
}

#[test]
fn a_second_id_of_one_slot_becomes_an_alias() {
    let mut desk = Desk::new();
    let goes = desk.create(json!({}), Some("1")).record.unwrap();
    let stays = desk.create(json!({}), Some("2")).record.unwrap();
    desk.merge(goes, stays);
    assert_eq!((&desk.state(stays).external_ids, &desk.state(stays).aliases), (&vec![ext("2")], &vec![ext("1")]));
    assert_eq!(desk.create(json!({"city": "Delft"}), Some("1")).record, Some(stays), "an alias leads there");
    let again = desk.send(Action::Correlate { target: Target::Id(stays), external_id: ext("1"), force: false });
    assert!(matches!(again.ending, Ending::Changed { .. }));
    assert_eq!(
        (&desk.state(stays).external_ids, desk.state(stays).aliases.len(), desk.holder("2")),
        (&vec![ext("1")], 0, None),
        "asked for by name it is the one to write to"
    );
}

#[test]
fn an_unmerge_gives_back_what_was_taken_and_leaves_later_edits() {
    let mut desk = Desk::new();
    let goes = desk.create(json!({"firstName": "A.", "city": "Delft"}), Some("1")).record.unwrap();
    let stays = desk.create(json!({"firstName": "Ann"}), Some("2")).record.unwrap();
    desk.merge(goes, stays);
    desk.update(stays, json!({"lastName": "Vos"}));
    let back = desk.unmerge(goes);
    assert!(matches!(back.ending, Ending::Changed { .. }));
    assert_eq!(desk.last().kind, ChangeKind::Created);
    assert_eq!(desk.fields(goes), json!({"firstName": "A.", "city": "Delft"}));
    assert_eq!(desk.fields(stays), json!({"firstName": "Ann", "city": "Delft", "lastName": "Vos"}));
    assert_eq!((desk.holder("1"), desk.holder("2")), (Some(goes), Some(stays)));
    assert_eq!((&desk.state(goes).external_ids, desk.state(stays).aliases.len()), (&vec![ext("1")], 0));
    assert_eq!(failure(&desk.unmerge(goes)), Code::MergeRefused, "it is no longer merged");
}

#[test]
fn merges_are_undone_from_the_last_one_back() {
    let mut desk = Desk::new();
    let ids: Vec<RecordId> =
        ["1", "2", "3"].iter().map(|id| desk.create(json!({"code": id}), Some(id)).record.unwrap()).collect();
    assert_eq!(failure(&desk.merge(ids[0], ids[0])), Code::MergeRefused);
    desk.merge(ids[0], ids[1]);
    desk.merge(ids[1], ids[2]);
    assert_eq!(["1", "2", "3"].map(|id| desk.holder(id)), [Some(ids[2]); 3]);
    assert_eq!(failure(&desk.unmerge(ids[0])), Code::MergeRefused);
    desk.unmerge(ids[1]);
    assert_eq!(["1", "2", "3"].map(|id| desk.holder(id)), [Some(ids[1]), Some(ids[1]), Some(ids[2])]);
    desk.unmerge(ids[0]);
    assert_eq!(["1", "2", "3"].map(|id| desk.holder(id)), [0, 1, 2].map(|at| Some(ids[at])));
}
