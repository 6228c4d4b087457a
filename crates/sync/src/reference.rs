//! Who waits for whom: records on their way out that refer to one without an object there, and objects on their way in
//! that refer to one without a record here. Both are kept in memory beside their rows, so that what was waited for
//! wakes exactly those who wait.

use lockstep_core::ids::RecordId;
use lockstep_core::work::{Unresolved, WorkKey, WorkKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many waiting records are looked at for a circle.
const CIRCLE_MAX: usize = 64;

/// Waiting rows by what they wait for. A row that has come to wait for something else may still be listed.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    records: BTreeMap<RecordId, BTreeSet<WorkKey>>,
    objects: BTreeMap<(String, String), BTreeSet<WorkKey>>,
    /// The rows of objects, with what they wait for.
    known: BTreeMap<WorkKey, Vec<(String, String)>>,
}

impl Waits {
    /// A push waits until a record has an object there.
    pub(crate) fn for_record(&mut self, record: RecordId, key: WorkKey) {
        self.records.entry(record).or_default().insert(key);
    }

    /// The pushes that waited for a record, which do no more.
    pub(crate) fn written(&mut self, record: RecordId) -> BTreeSet<WorkKey> {
        self.records.remove(&record).unwrap_or_default()
    }

    /// Whether a record, by others that wait too, waits for one that waits for it.
    pub(crate) fn is_circle(&self, record: RecordId, target: RecordId) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([record]), VecDeque::from([record]));
        while let Some(one) = next.pop_front() {
            if one == target {
                return true;
            }
            let waiting = self.records.get(&one).into_iter().flatten().filter(|key| key.kind == WorkKind::Waiting);
            for other in waiting.filter_map(|key| key.about.parse().ok()) {
                if seen.len() < CIRCLE_MAX && seen.insert(other) {
                    next.push_back(other);
                }
            }
        }
        false
    }

    /// An object waits until those that it refers to are known.
    pub(crate) fn for_objects(&mut self, key: &WorkKey, missing: &Unresolved) {
        self.settled(key);
        let places: Vec<_> = missing.fields.values().cloned().collect();
        for place in &places {
            self.objects.entry(place.clone()).or_default().insert(key.clone());
        }
        self.known.insert(key.clone(), places);
    }

    /// An object waits for nothing any more.
    pub(crate) fn settled(&mut self, key: &WorkKey) {
        for place in self.known.remove(key).unwrap_or_default() {
            if let Some(keys) = self.objects.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.objects.remove(&place);
                }
            }
        }
    }

    /// Whether an object waits.
    pub(crate) fn knows(&self, key: &WorkKey) -> bool {
        self.known.contains_key(key)
    }

    /// The objects that wait for one, by its object's name and its id.
    pub(crate) fn for_object(&self, object: &str, id: &str) -> impl Iterator<Item = &WorkKey> {
        self.objects.get(&(object.to_owned(), id.to_owned())).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::clock::Timestamp;
    use lockstep_core::ids::ShareId;

    #[test]
    fn a_circle_is_seen_over_others_and_a_chain_is_none() {
        let mut waits = Waits::default();
        let wait = |waits: &mut Waits, one: u128, for_other: u128| {
            waits.for_record(RecordId(for_other), WorkKey::waiting(ShareId(1), RecordId(one)));
        };
        wait(&mut waits, 1, 2);
        wait(&mut waits, 2, 3);
        assert!(!waits.is_circle(RecordId(1), RecordId(2)));
        wait(&mut waits, 3, 1);
        assert!(waits.is_circle(RecordId(1), RecordId(2)) && waits.is_circle(RecordId(3), RecordId(1)));
        assert!(waits.is_circle(RecordId(7), RecordId(7)), "one that refers to itself");
        assert_eq!(waits.written(RecordId(2)).len(), 1);
        assert!(!waits.is_circle(RecordId(3), RecordId(1)));
    }

    #[test]
    fn an_object_waits_for_what_it_last_referred_to() {
        let mut waits = Waits::default();
        let key = WorkKey::reference(ShareId(1), "p1");
        let missing = |id: &str| {
            let fields = BTreeMap::from([("employer".to_owned(), ("company".to_owned(), id.to_owned()))]);
            Unresolved::at(fields, Timestamp(0), Timestamp(0))
        };
        waits.for_objects(&key, &missing("c1"));
        waits.for_objects(&key, &missing("c2"));
        assert_eq!((waits.for_object("company", "c1").count(), waits.for_object("company", "c2").count()), (0, 1));
        waits.settled(&key);
        assert!(waits.for_object("company", "c2").next().is_none() && !waits.knows(&key) && waits.objects.is_empty());
    }
}
