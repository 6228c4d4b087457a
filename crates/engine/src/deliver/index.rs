//! The index of one business's subscriptions: who could want a change, without asking everyone.
//!
//! Subscriptions to named records are found by record, or by what the record refers to; the others by type and kind. What the index gives still has
//! to be asked; what it does not give need not be.

use super::addressee::Addressee;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::ids::{RecordId, SubscriptionId, TypeId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Broad = (Option<TypeId>, ChangeKind);

/// Who could want what.
#[derive(Debug, Default)]
pub(super) struct Index {
    broad: BTreeMap<Broad, BTreeSet<SubscriptionId>>,
    by_record: BTreeMap<RecordId, BTreeSet<SubscriptionId>>,
    by_reference: BTreeMap<String, BTreeMap<String, BTreeSet<SubscriptionId>>>,
}

impl Index {
    /// Enters a subscription.
    pub(super) fn add(&mut self, addressee: &Addressee) {
        let id = addressee.subscription.id;
        for record in addressee.subscription.record_ids.iter().flatten() {
            self.by_record.entry(*record).or_default().insert(id);
        }
        for under in addressee.subscription.under.iter().flatten() {
            let values = self.by_reference.entry(under.field.clone()).or_default();
            values.entry(under.id.to_string()).or_default().insert(id);
        }
        if addressee.subscription.names_records() {
            return;
        }
        for key in broad(addressee) {
            self.broad.entry(key).or_default().insert(id);
        }
    }

    /// Takes a subscription out, as it was entered.
    pub(super) fn remove(&mut self, addressee: &Addressee) {
        let id = addressee.subscription.id;
        for record in addressee.subscription.record_ids.iter().flatten() {
            drop_from(&mut self.by_record, record, id);
        }
        for under in addressee.subscription.under.iter().flatten() {
            if let Some(values) = self.by_reference.get_mut(&under.field) {
                drop_from(values, &under.id.to_string(), id);
                if values.is_empty() {
                    self.by_reference.remove(&under.field);
                }
            }
        }
        for key in broad(addressee) {
            drop_from(&mut self.broad, &key, id);
        }
    }

    /// Who could want a change, each once.
    pub(super) fn candidates<'a>(&'a self, change: &'a Change) -> impl Iterator<Item = SubscriptionId> + 'a {
        let of = |ty: Option<TypeId>| self.broad.get(&(ty, change.kind)).into_iter().flatten();
        let named = self.by_record.get(&change.record).into_iter().flatten();
        // A record may be named, and stand under another, and have stood under a third: its follower is one.
        let named: BTreeSet<SubscriptionId> = named.chain(self.referred(change)).copied().collect();
        of(Some(change.ty.clone())).chain(of(None)).copied().chain(named)
    }

    /// Who follows what the change's record refers to, or referred to before it. Only fields that somebody follows
    /// are looked at.
    fn referred<'a>(&'a self, change: &'a Change) -> impl Iterator<Item = &'a SubscriptionId> {
        self.by_reference.iter().flat_map(|(field, values)| {
            let states = [change.state.fields.get(field), change.old.get(field)];
            states.into_iter().flatten().filter_map(Value::as_str).filter_map(|id| values.get(id)).flatten()
        })
    }
}

fn drop_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<SubscriptionId>>, key: &K, id: SubscriptionId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

/// The keys under which a subscription without named records stands.
fn broad(addressee: &Addressee) -> Vec<Broad> {
    let subscription = &addressee.subscription;
    let types: Vec<Option<TypeId>> = match &subscription.types {
        Some(types) => types.iter().cloned().map(Some).collect(),
        None => vec![None],
    };
    let names_fields =
        subscription.kinds.iter().flatten().any(|kind| kind.ends_with(".updated") || addressee.is_update_kind(kind));
    let wants = |kind: &ChangeKind| {
        addressee.may_shift_kinds()
            || subscription.takes_kind(kind.as_str())
            // A merge is told as a deletion to those that know no merges.
            || (*kind == ChangeKind::Merged && subscription.takes_kind(ChangeKind::Deleted.as_str()))
            || (names_fields && *kind == ChangeKind::Updated)
    };
    let kinds: Vec<_> = ChangeKind::ALL.into_iter().filter(wants).collect();
    types.iter().flat_map(|ty| kinds.iter().map(move |kind| (ty.clone(), *kind))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::record::State;
    use serde_json::json;
    use std::sync::Arc;

    fn change(fields: &Value, old: &Value) -> Change {
        let fields = fields.as_object().unwrap().clone();
        Change {
            seq: 1,
            id: lockstep_core::ids::ChangeId(1),
            at: lockstep_core::clock::Timestamp(0),
            kind: ChangeKind::Updated,
            ty: TypeId::parse("task").unwrap(),
            record: RecordId(5),
            version: 2,
            prev_seq: 0,
            created_at: lockstep_core::clock::Timestamp(0),
            origin: lockstep_core::change::Origin::Admin,
            operation: None,
            state: Arc::new(State { fields, ..State::default() }),
            old: old.as_object().unwrap().clone(),
            old_external_ids: None,
            was_deleted: false,
        }
    }

    #[test]
    fn followers_of_a_record_are_found_by_its_id_and_by_what_it_refers_to_each_once() {
        let (first, second) = (RecordId(1), RecordId(2));
        let follower = Addressee::of_somebody(&json!({
            "record_ids": [RecordId(5)],
            "under": [{"field": "projectId", "id": first}, {"field": "projectId", "id": second}],
        }));
        let mut index = Index::default();
        index.add(&follower);
        let found = |index: &Index, change: &Change| index.candidates(change).count();
        let moved = change(&json!({"projectId": second.to_string()}), &json!({"projectId": first.to_string()}));
        assert_eq!(found(&index, &moved), 1, "named, under the one before and under the one after");
        let elsewhere = Change { record: RecordId(6), ..change(&json!({"contactId": first.to_string()}), &json!({})) };
        assert_eq!(found(&index, &elsewhere), 0, "another field refers there");
        let left = Change { record: RecordId(6), ..change(&json!({}), &json!({"projectId": first.to_string()})) };
        assert_eq!(found(&index, &left), 1);
        index.remove(&follower);
        assert_eq!(found(&index, &moved), 0);
        assert!(index.by_reference.is_empty() && index.by_record.is_empty() && index.broad.is_empty());
    }

    #[test]
    fn either_a_named_record_or_one_that_refers_there_is_wanted() {
        let (named, parent) = (RecordId(9), RecordId(1));
        let under = json!([{"field": "projectId", "id": parent}]);
        let both = Addressee::of_somebody(&json!({"record_ids": [named], "under": under}));
        let kinds = |to: &Addressee, change: &Change| to.view(change).is_some();
        let refers = change(&json!({"projectId": parent.to_string()}), &json!({"name": "x"}));
        let is_named = Change { record: named, ..change(&json!({}), &json!({"name": "x"})) };
        let neither = change(&json!({"projectId": named.to_string()}), &json!({"name": "x"}));
        for (change, is_wanted) in [(&refers, true), (&is_named, true), (&neither, false)] {
            let living = Change { prev_seq: 1, ..change.clone() };
            assert_eq!(kinds(&both, &living), is_wanted, "{living:?}");
        }
    }
}
