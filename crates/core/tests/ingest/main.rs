//! The heart, as a table of stories: what commands do to records, and what they refuse.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test's own furniture lacks fails the test")]

mod merge;
mod types;

use lockstep_core::Fields;
use lockstep_core::change::{Change, ChangeKind, Origin};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Ending, FreshIds, Idempotency, Outcome, Target, Tell};
use lockstep_core::error::Code;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{ApplicationId, BusinessId, ChangeId, Provider, RecordId, SubscriptionId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::position::Position;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::ingest::{Step, decide, keys};
use lockstep_core::rules::scope::{Reach, Reason, look};
use lockstep_core::rules::working_set::WorkingSet;
use lockstep_core::schema::Schema;
use lockstep_expr::Expr;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A business whose working set is never written away: loading what is missing finds nothing.
struct Desk {
    set: WorkingSet,
    schema: Arc<Schema>,
    drawn: u128,
    reach: Arc<Reach>,
    origin: Origin,
    if_match: Option<u64>,
    idempotency: Option<Idempotency>,
    tell: Arc<Tell>,
}

impl Desk {
    fn new() -> Self {
        Self {
            set: WorkingSet::new(BusinessId::parse("b").unwrap(), 0, Timestamp(0)),
            schema: Schema::ready_made(),
            drawn: 0,
            reach: Arc::new(Reach::everything()),
            origin: Origin::Application {
                id: ApplicationId(9),
                provider: Provider::parse("crm").unwrap(),
                token: None,
            },
            if_match: None,
            idempotency: None,
            tell: Arc::default(),
        }
    }

    fn draw(&mut self) -> u128 {
        self.drawn += 1;
        self.drawn
    }

    fn send(&mut self, action: Action) -> Outcome {
        let ty = TypeId::parse("contact").unwrap();
        let fresh = FreshIds {
            record: RecordId(self.draw()),
            change: ChangeId(self.draw()),
            second_change: ChangeId(self.draw()),
            operation: OperationId::fresh(self.draw()),
        };
        let command = Command {
            business: self.set.business.clone(),
            at: Timestamp(1_000),
            origin: self.origin.clone(),
            reach: Arc::clone(&self.reach),
            ty,
            action,
            if_match: self.if_match,
            idempotency: self.idempotency,
            fresh,
            tell: Arc::clone(&self.tell),
            upload: None,
            bytes: 0,
        };
        let schema = Arc::clone(&self.schema);
        let shape = schema.shape("contact").unwrap();
        let mut wanted = keys(&command, shape);
        loop {
            for key in wanted.records {
                self.set.records.entry(key).or_insert(None);
            }
            for key in wanted.externals {
                self.set.externals.entry(key).or_insert(None);
            }
            for key in wanted.lookups {
                self.set.lookups.entry(key).or_default();
            }
            for key in wanted.idempotency {
                self.set.idempotency.entry(key).or_insert(None);
            }
            match decide(&mut self.set, &command, shape) {
                Step::Done(outcome) => return outcome,
                Step::Need(more) => wanted = more,
            }
        }
    }

    fn create(&mut self, fields: Value, external: Option<&str>) -> Outcome {
        self.send(Action::Create { fields: object(fields), external_id: external.map(ext), matching: Vec::new() })
    }

    fn update(&mut self, id: RecordId, patch: Value) -> Outcome {
        self.send(Action::Update { target: Target::Id(id), patch: object(patch) })
    }

    fn delete(&mut self, id: RecordId) -> Outcome {
        self.send(Action::Delete { target: Target::Id(id) })
    }

    fn fields(&self, id: RecordId) -> Value {
        let key = RecordKey { ty: TypeId::parse("contact").unwrap(), id };
        Value::Object(self.set.records[&key].as_ref().unwrap().state.fields.clone())
    }

    fn last(&self) -> &Change {
        self.set.written.changes.last().unwrap()
    }
}

fn object(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("an object") };
    fields
}

fn ext(id: &str) -> ExternalId {
    ExternalId::check(Provider::parse("crm").unwrap(), "", None, id).unwrap()
}

fn failure(outcome: &Outcome) -> Code {
    match &outcome.ending {
        Ending::Failed(rejection) | Ending::Refused(rejection) => rejection.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_holds_the_state_after_and_the_old_values() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"firstName": "Ann", "city": "Delft"}), None).record.unwrap();
    let outcome = desk.update(id, json!({"firstName": "Anna", "city": null, "lastName": "Vos"}));
    assert_eq!(outcome.ending, Ending::Changed { seq: 2, version: 2 });
    let change = desk.last();
    assert_eq!(Value::Object(change.state.fields.clone()), json!({"firstName": "Anna", "lastName": "Vos"}));
    assert_eq!(Value::Object(change.old.clone()), json!({"firstName": "Ann", "city": "Delft", "lastName": null}));
    assert_eq!(Value::Object(change.fields_before()), json!({"firstName": "Ann", "city": "Delft"}));
    assert_eq!((change.prev_seq, change.kind), (1, ChangeKind::Updated));
    assert_eq!(outcome.operation.position_in(&desk.set.business), Some(Position::first(2)));
}

#[test]
fn each_field_remembers_the_change_that_set_it() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"firstName": "Ann", "city": "Delft"}), None).record.unwrap();
    desk.update(id, json!({"city": "Breda"}));
    let key = RecordKey { ty: TypeId::parse("contact").unwrap(), id };
    let set_by: BTreeMap<_, _> = desk.set.records[&key]
        .as_ref()
        .unwrap()
        .provenance
        .iter()
        .flat_map(|entry| entry.fields.iter().map(|field| (field.clone(), entry.seq)))
        .collect();
    assert_eq!(set_by, BTreeMap::from([("city".to_owned(), 2), ("firstName".to_owned(), 1)]));
}

#[test]
fn a_write_that_changes_nothing_makes_no_change() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"firstName": "Ann", "custom": {"a": {"b": 1}}}), None).record.unwrap();
    for patch in [json!({}), json!({"firstName": "Ann"}), json!({"lastName": null}), json!({"custom": {"a": {"b": 1}}})]
    {
        let outcome = desk.update(id, patch.clone());
        assert_eq!(outcome.ending, Ending::Unchanged, "{patch}");
    }
    desk.delete(id);
    assert_eq!(desk.delete(id).ending, Ending::Unchanged);
    assert_eq!(desk.set.head, 2);
    assert_eq!(desk.set.written.operations.len(), 5, "each operation without a change has a row");
}

#[test]
fn an_object_is_patched_member_by_member() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"custom": {"a": 1, "b": {"c": 2}}}), None).record.unwrap();
    desk.update(id, json!({"custom": {"a": null, "b": {"d": 3}}}));
    assert_eq!(desk.fields(id), json!({"custom": {"b": {"c": 2, "d": 3}}}));
    desk.update(id, json!({"custom": {"b": null}}));
    assert_eq!(desk.fields(id), json!({}), "an object without members is no value");
}

#[test]
fn a_tombstone_is_not_updated_but_its_external_id_revives_it() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"firstName": "Ann", "city": "Delft"}), Some("1")).record.unwrap();
    desk.delete(id);
    assert_eq!(failure(&desk.update(id, json!({"firstName": "A"}))), Code::RecordDeleted);
    let revived = desk.create(json!({"firstName": "Ann", "lastName": "Vos"}), Some("1"));
    assert_eq!((revived.record, &revived.ending), (Some(id), &Ending::Changed { seq: 3, version: 3 }));
    assert_eq!(desk.fields(id), json!({"firstName": "Ann", "lastName": "Vos"}));
    let change = desk.last();
    assert!(change.was_deleted && change.kind == ChangeKind::Created && !change.existed_before());
    assert_eq!(Value::Object(change.fields_before()), json!({"firstName": "Ann", "city": "Delft"}));
}

#[test]
fn an_external_id_seen_again_makes_no_second_record() {
    let mut desk = Desk::new();
    let first = desk.create(json!({"firstName": "Ann"}), Some("1"));
    let again = desk.create(json!({"firstName": "Ann"}), Some("1"));
    assert_eq!((again.record, again.ending), (first.record, Ending::Unchanged));
    let more = desk.create(json!({"lastName": "Vos"}), Some("1"));
    assert_eq!((more.record, more.ending), (first.record, Ending::Changed { seq: 2, version: 2 }));
    assert_eq!(
        desk.fields(first.record.unwrap()),
        json!({"firstName": "Ann", "lastName": "Vos"}),
        "absent is not said"
    );
}

#[test]
fn an_idempotency_key_has_effect_once() {
    let mut desk = Desk::new();
    desk.idempotency = Some(Idempotency { key: [1; 16], request: [2; 16] });
    let first = desk.create(json!({"firstName": "Ann"}), None);
    assert_eq!(desk.create(json!({"firstName": "Ann"}), None), first);
    assert_eq!(desk.set.head, 1);
    desk.idempotency = Some(Idempotency { key: [1; 16], request: [3; 16] });
    let refused = desk.create(json!({"firstName": "Bob"}), None);
    assert!(matches!(refused.ending, Ending::Refused(_)));
    assert_eq!((failure(&refused), desk.set.head), (Code::IdempotencyConflict, 1));
}

#[test]
fn if_match_refuses_another_version() {
    let mut desk = Desk::new();
    let id = desk.create(json!({"firstName": "Ann"}), None).record.unwrap();
    desk.if_match = Some(2);
    assert_eq!(failure(&desk.update(id, json!({"firstName": "A"}))), Code::VersionConflict);
    assert_eq!(failure(&desk.delete(id)), Code::VersionConflict);
    assert_eq!(failure(&desk.create(json!({"firstName": "Bob"}), None)), Code::VersionConflict, "there is none yet");
    desk.if_match = Some(1);
    assert_eq!(desk.update(id, json!({"firstName": "A"})).ending, Ending::Changed { seq: 2, version: 2 });
}

#[test]
fn correlating_replaces_ones_own_entry_and_moves_only_by_force() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"firstName": "Ann"}), Some("1")).record.unwrap();
    let bob = desk.create(json!({"firstName": "Bob"}), None).record.unwrap();
    let correlate = |desk: &mut Desk, id, to: &str, force| {
        desk.send(Action::Correlate { target: Target::Id(id), external_id: ext(to), force })
    };
    assert_eq!(correlate(&mut desk, ann, "1", false).ending, Ending::Unchanged);
    assert_eq!(failure(&correlate(&mut desk, bob, "1", false)), Code::ExternalIdTaken);
    correlate(&mut desk, ann, "2", false);
    assert_eq!(desk.last().state.external_ids, [ext("2")]);
    assert_eq!(desk.last().old_external_ids.as_deref(), Some(&[ext("1")][..]));
    assert_eq!(correlate(&mut desk, bob, "1", false).ending, Ending::Changed { seq: 4, version: 2 }, "1 is free again");
    let moved = correlate(&mut desk, bob, "2", true);
    assert_eq!(moved.ending, Ending::Changed { seq: 6, version: 3 }, "the loser's change first, then the winner's");
    let by_external =
        desk.send(Action::Update { target: Target::External(ext("2")), patch: object(json!({"city": "X"})) });
    assert_eq!(by_external.record, Some(bob));
    let undo = Action::Uncorrelate { target: Target::Id(bob), external_id: ext("2") };
    assert!(matches!(desk.send(undo.clone()).ending, Ending::Changed { .. }));
    assert_eq!(failure(&desk.send(undo)), Code::ExternalIdUnknown);
    let gone = Action::Delete { target: Target::External(ext("2")) };
    assert_eq!(failure(&desk.send(gone)), Code::RecordNotFound);
}

#[test]
fn a_record_outside_the_grant_is_not_there_and_cannot_be_written_there() {
    let mut desk = Desk::new();
    let ann = desk.create(json!({"city": "Delft"}), Some("1")).record.unwrap();
    desk.reach = Arc::new(Reach::of_grant(Some(Expr::compile("city == 'Breda'").unwrap()), [].into()));
    assert_eq!(failure(&desk.update(ann, json!({"city": "Breda"}))), Code::RecordNotFound);
    assert_eq!(failure(&desk.create(json!({"city": "Delft"}), None)), Code::OutsideGrant);
    assert_eq!(failure(&desk.create(json!({"city": "Breda"}), Some("1"))), Code::ExternalIdTaken);
    let bob = desk.create(json!({"city": "Breda"}), None).record.unwrap();
    assert_eq!(failure(&desk.update(bob, json!({"city": "Delft"}))), Code::OutsideGrant);
    let sync = Action::SyncById { target: Target::Id(ann), subscriptions: vec![SubscriptionId(1)] };
    assert_eq!(desk.send(sync).ending, Ending::Syncing { matched: 0 });
    assert!(desk.set.written.notices.is_empty());
}

#[test]
fn endings_are_told_to_whom_they_are_owed() {
    let mut desk = Desk::new();
    desk.tell = Arc::new(Tell { failed: vec![SubscriptionId(1)], completed: vec![SubscriptionId(2)] });
    let id = desk.create(json!({"firstName": "Ann"}), None).record.unwrap();
    desk.update(id, json!({}));
    desk.update(RecordId(77), json!({}));
    let sync = Action::SyncById { target: Target::Id(id), subscriptions: vec![SubscriptionId(3)] };
    desk.send(sync);
    let told: Vec<u128> = desk.set.written.notices.iter().map(|notice| notice.subscription.0).collect();
    assert_eq!(told, [2, 2, 1, 3], "a sync ends when its notifications are settled, not before");
}

#[test]
fn readers_see_leaving_and_entering() {
    let mut desk = Desk::new();
    let reach = Reach::of_grant(Some(Expr::compile("city == 'Delft'").unwrap()), ["notes".to_owned()].into());
    let id = desk.create(json!({"city": "Delft", "notes": "secret", "firstName": "Ann"}), Some("1")).record.unwrap();
    let seen = |desk: &Desk| {
        look(desk.last(), &reach).map(|seen| {
            let fields = Value::Object(seen.fields.into_owned());
            (seen.kind, seen.reason, fields, Value::Object(seen.old.into_owned()), seen.external_ids.len())
        })
    };
    assert_eq!(
        seen(&desk),
        Some((ChangeKind::Created, None, json!({"city": "Delft", "firstName": "Ann"}), json!({}), 1))
    );
    desk.update(id, json!({"notes": "another"}));
    assert_eq!(seen(&desk), None, "a change of hidden fields alone is no change");
    desk.update(id, json!({"notes": "third", "firstName": "Anna"}));
    let visible = json!({"city": "Delft", "firstName": "Anna"});
    assert_eq!(seen(&desk), Some((ChangeKind::Updated, None, visible.clone(), json!({"firstName": "Ann"}), 1)));
    desk.update(id, json!({"city": "Breda"}));
    assert_eq!(seen(&desk), Some((ChangeKind::Deleted, Some(Reason::LeftScope), json!({}), json!({}), 0)));
    desk.update(id, json!({"firstName": "Annie"}));
    assert_eq!(seen(&desk), None);
    desk.update(id, json!({"city": "Delft", "firstName": "Anna"}));
    assert_eq!(seen(&desk), Some((ChangeKind::Created, Some(Reason::EnteredScope), visible, json!({}), 1)));
    desk.delete(id);
    assert_eq!(seen(&desk).map(|seen| (seen.0, seen.1)), Some((ChangeKind::Deleted, None)));
}

#[derive(Clone, Debug)]
enum Move {
    Create(Value, Option<u8>),
    Update(usize, Value),
    Delete(usize),
    Correlate(usize, u8, bool),
    Uncorrelate(usize, u8),
    Merge(usize, usize),
    Unmerge(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let value = prop_oneof![Just(Value::Null), "[ab]{1}".prop_map(Value::from)];
    let fields = prop::collection::btree_map("(city|firstName|lastName)", value, 0..3).prop_map(|map| json!(map));
    let one = prop_oneof![
        (fields.clone(), prop::option::of(0..4_u8)).prop_map(|(fields, ext)| Move::Create(fields, ext)),
        (0..6_usize, fields).prop_map(|(at, fields)| Move::Update(at, fields)),
        (0..6_usize).prop_map(Move::Delete),
        (0..6_usize, 0..4_u8, any::<bool>()).prop_map(|(at, ext, force)| Move::Correlate(at, ext, force)),
        (0..6_usize, 0..4_u8).prop_map(|(at, ext)| Move::Uncorrelate(at, ext)),
        (0..6_usize, 0..6_usize).prop_map(|(goes, stays)| Move::Merge(goes, stays)),
        (0..6_usize).prop_map(Move::Unmerge),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    /// Whatever is asked in whatever order: seqs have no holes, each change's state before is the state after its
    /// predecessor, versions count up by one, and an external id has one holder who knows of it.
    #[test]
    fn the_log_is_a_chain_and_ids_have_one_holder(moves in moves()) {
        let mut desk = Desk::new();
        let mut ids = Vec::new();
        for step in moves {
            let at = |index: usize, ids: &Vec<RecordId>| ids.get(index % ids.len().max(1)).copied().unwrap_or(RecordId(999));
            let outcome = match step {
                Move::Create(fields, external) => desk.create(fields, external.map(|id| id.to_string()).as_deref()),
                Move::Update(index, fields) => desk.update(at(index, &ids), fields),
                Move::Delete(index) => desk.delete(at(index, &ids)),
                Move::Correlate(index, id, force) => {
                    let target = Target::Id(at(index, &ids));
                    desk.send(Action::Correlate { target, external_id: ext(&id.to_string()), force })
                }
                Move::Uncorrelate(index, id) => {
                    desk.send(Action::Uncorrelate { target: Target::Id(at(index, &ids)), external_id: ext(&id.to_string()) })
                }
                Move::Merge(goes, stays) => {
                    let (target, into) = (Target::Id(at(goes, &ids)), Target::Id(at(stays, &ids)));
                    desk.send(Action::Merge { target, into })
                }
                Move::Unmerge(index) => desk.send(Action::Unmerge { target: Target::Id(at(index, &ids)) }),
            };
            ids.extend(outcome.record.filter(|id| !ids.contains(id)));
        }
        let mut newest: BTreeMap<RecordId, &Arc<Change>> = BTreeMap::new();
        for (index, change) in desk.set.written.changes.iter().enumerate() {
            prop_assert_eq!(change.seq, index as u64 + 1);
            match newest.insert(change.record, change) {
                None => prop_assert_eq!((change.prev_seq, change.version, change.kind), (0, 1, ChangeKind::Created)),
                Some(before) => {
                    prop_assert_eq!((change.prev_seq, change.version), (before.seq, before.version + 1));
                    prop_assert_eq!(&change.fields_before(), &before.state.fields);
                    let ids_before = change.old_external_ids.as_ref().unwrap_or(&change.state.external_ids);
                    prop_assert_eq!(ids_before, &before.state.external_ids);
                    prop_assert_eq!(change.was_deleted, before.state.is_deleted);
                    let is_same = change.old.is_empty() && change.old_external_ids.is_none()
                        && change.was_deleted == change.state.is_deleted;
                    prop_assert!(!is_same, "a change that changes nothing: {:?}", change);
                }
            }
        }
        for (key, holder) in &desk.set.externals {
            let holders: Vec<_> = newest.values().filter(|change| {
                // One that was merged keeps a list of what it was called; the ids themselves have moved.
                let state = &change.state;
                let called = state.external_ids.iter().chain(&state.aliases);
                state.merged_into.is_none() && called.into_iter().any(|held| held.key(&change.ty) == *key)
            }).map(|change| change.record).collect();
            prop_assert_eq!(holders, holder.iter().map(|holder| holder.id).collect::<Vec<_>>());
        }
    }
}
