//! The index of one business's subscriptions: who could want a change, without asking everyone.
//!
//! Subscriptions to named records are found by record; the others by type and kind. What the index gives still has
//! to be asked; what it does not give need not be.

use super::addressee::Addressee;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::ids::{RecordId, SubscriptionId, TypeId};
use std::collections::{BTreeMap, BTreeSet};

type Broad = (Option<TypeId>, ChangeKind);

/// Who could want what.
#[derive(Debug, Default)]
pub(super) struct Index {
    broad: BTreeMap<Broad, BTreeSet<SubscriptionId>>,
    by_record: BTreeMap<RecordId, BTreeSet<SubscriptionId>>,
}

impl Index {
    /// Enters a subscription.
    pub(super) fn add(&mut self, addressee: &Addressee) {
        let id = addressee.subscription.id;
        if let Some(records) = &addressee.subscription.record_ids {
            for record in records {
                self.by_record.entry(*record).or_default().insert(id);
            }
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
        for key in broad(addressee) {
            drop_from(&mut self.broad, &key, id);
        }
    }

    /// Who could want a change.
    pub(super) fn candidates(&self, change: &Change) -> impl Iterator<Item = SubscriptionId> + '_ {
        let of = |ty: Option<TypeId>| self.broad.get(&(ty, change.kind)).into_iter().flatten();
        let named = self.by_record.get(&change.record).into_iter().flatten();
        of(Some(change.ty.clone())).chain(of(None)).chain(named).copied()
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
    let names_fields = subscription.kinds.iter().flatten().any(|kind| kind.ends_with(".updated"));
    let wants = |kind: &ChangeKind| {
        addressee.may_shift_kinds()
            || subscription.takes_kind(kind.as_str())
            || (names_fields && *kind == ChangeKind::Updated)
    };
    let kinds: Vec<_> = ChangeKind::ALL.into_iter().filter(wants).collect();
    types.iter().flat_map(|ty| kinds.iter().map(move |kind| (ty.clone(), *kind))).collect()
}
