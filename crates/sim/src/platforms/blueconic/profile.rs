//! Profiles: values as lists of texts, when each changed, and how two become one. It must not know any call.

use super::properties::{Merge, Registry};
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A property that follows from the profile and cannot be written.
const MODIFIED: &str = "lastmodifieddate";
const CREATED: &str = "creationdate";

/// One person, device or customer.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When one of its values changed last.
    pub modified_at: Timestamp,
    /// Its values; a property without values is absent.
    pub properties: BTreeMap<String, Vec<String>>,
    /// When each property changed last.
    pub changed_at: BTreeMap<String, Timestamp>,
    /// Objectives that were consented to.
    pub consented: BTreeSet<String>,
    /// Objectives that were refused.
    pub refused: BTreeSet<String>,
    /// What may be kept of it: `PERSONAL`, `ANONYMOUS` or `DO_NOT_TRACK`.
    pub level: String,
    /// Its group of domains.
    pub domain_group: String,
    /// The law it is kept under.
    pub legislation: Option<String>,
    /// The ids of profiles that became part of it.
    pub replaces: Vec<String>,
    /// Its timeline: events by their id.
    pub timeline: BTreeMap<String, Value>,
}

impl Profile {
    pub(super) fn new(id: String, now: Timestamp) -> Self {
        Self {
            id,
            created_at: now,
            modified_at: now,
            properties: BTreeMap::new(),
            changed_at: BTreeMap::new(),
            consented: BTreeSet::new(),
            refused: BTreeSet::new(),
            level: "PERSONAL".to_owned(),
            domain_group: "DEFAULT".to_owned(),
            legislation: None,
            replaces: Vec::new(),
            timeline: BTreeMap::new(),
        }
    }

    /// The values of a property; none where it is not set.
    #[must_use]
    pub fn values(&self, property: &str) -> Vec<String> {
        match property {
            MODIFIED => vec![self.modified_at.0.to_string()],
            CREATED => vec![self.created_at.0.to_string()],
            _ => self.properties.get(property).cloned().unwrap_or_default(),
        }
    }

    /// Sets the values of a property, and says whether they are others than before.
    pub(super) fn set(&mut self, property: &str, values: Vec<String>, now: Timestamp) -> bool {
        if self.values(property) == values {
            return false;
        }
        if values.is_empty() {
            self.properties.remove(property);
        } else {
            self.properties.insert(property.to_owned(), values);
        }
        self.changed_at.insert(property.to_owned(), now);
        self.modified_at = now;
        true
    }

    /// As the API shows it, with the chosen properties, or all; when it was modified is always told.
    pub(super) fn shown(&self, chosen: &[String]) -> Value {
        let named = |id: &String| chosen.is_empty() || chosen.contains(id);
        let written = self.properties.iter().filter(|(id, _)| named(id));
        let mut properties: Vec<Value> = written.map(|(id, values)| json!({"id": id, "values": values})).collect();
        if named(&CREATED.to_owned()) {
            properties.push(json!({"id": CREATED, "values": self.values(CREATED)}));
        }
        properties.push(json!({"id": MODIFIED, "values": self.values(MODIFIED)}));
        let mut shown = json!({
            "id": self.id,
            "creationDate": self.created_at.to_string(),
            "consentedObjectives": self.consented,
            "refusedObjectives": self.refused,
            "properties": properties,
        });
        if let Some(legislation) = &self.legislation {
            shown["privacyLegislation"] = Value::from(legislation.as_str());
        }
        shown
    }

    /// Takes in another profile, property by property as its merge strategy says.
    fn absorb(&mut self, other: Self, registry: &Registry, now: Timestamp) {
        for (property, theirs) in other.properties {
            let ours = self.values(&property);
            let when = |profile: &BTreeMap<String, Timestamp>| profile.get(&property).copied();
            let is_newer = when(&other.changed_at) > when(&self.changed_at);
            let merged = match registry.merge_strategy(&property) {
                _ if ours.is_empty() => theirs,
                Merge::Both => union(&ours, &theirs),
                Merge::Sum => vec![number(sum(&ours) + sum(&theirs))],
                Merge::Highest => vec![number(sum(&ours).max(sum(&theirs)))],
                Merge::Lowest => vec![number(sum(&ours).min(sum(&theirs)))],
                Merge::Latest if is_newer => theirs,
                Merge::Oldest if !is_newer => theirs,
                Merge::Latest | Merge::Oldest | Merge::KeepCurrent => ours,
            };
            self.set(&property, merged, now);
        }
        self.consented.extend(other.consented);
        self.refused.extend(other.refused);
        self.timeline.extend(other.timeline);
        self.replaces.push(other.id);
        self.replaces.extend(other.replaces);
        self.modified_at = now;
    }
}

/// All profiles of a tenant.
#[derive(Default)]
pub(super) struct Profiles {
    by_id: BTreeMap<String, Profile>,
    /// Of every value, who has it: identifiers are looked up often.
    holders: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Profiles {
    pub(super) fn all(&self) -> &BTreeMap<String, Profile> {
        &self.by_id
    }

    pub(super) fn get(&self, id: &str) -> Option<&Profile> {
        self.by_id.get(id)
    }

    /// Puts a profile, new or changed, and keeps the lookup right.
    pub(super) fn insert(&mut self, profile: Profile) {
        self.remove(&profile.id);
        for (property, values) in &profile.properties {
            for value in values {
                let key = (property.clone(), value.clone());
                self.holders.entry(key).or_default().insert(profile.id.clone());
            }
        }
        self.by_id.insert(profile.id.clone(), profile);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Profile> {
        let profile = self.by_id.remove(id)?;
        for (property, values) in &profile.properties {
            for value in values {
                let key = (property.clone(), value.clone());
                self.holders.get_mut(&key).map(|ids| ids.remove(id));
            }
        }
        Some(profile)
    }

    /// The profiles that have this value.
    pub(super) fn with_value(&self, property: &str, value: &str) -> BTreeSet<String> {
        self.holders.get(&(property.to_owned(), value.to_owned())).cloned().unwrap_or_default()
    }

    /// Makes one profile of all that share an identifier with this one; gives the id of the one that stays, which is
    /// the oldest.
    pub(super) fn merge(&mut self, id: &str, registry: &Registry, now: Timestamp) -> String {
        let Some(profile) = self.get(id) else { return id.to_owned() };
        let identifiers = profile.properties.iter().filter(|(property, _)| registry.is_indexed(property));
        let values = identifiers.flat_map(|(property, values)| values.iter().map(move |value| (property, value)));
        let sharing: BTreeSet<String> = values.flat_map(|(property, value)| self.with_value(property, value)).collect();
        let age = |id: &String| self.get(id).map(|profile| (profile.created_at, id.clone()));
        let Some(winner) = sharing.iter().min_by_key(|id| age(id)).cloned().filter(|_| sharing.len() > 1) else {
            return id.to_owned();
        };
        let Some(mut kept) = self.remove(&winner) else { return id.to_owned() };
        for loser in sharing.iter().filter(|id| **id != winner) {
            if let Some(loser) = self.remove(loser) {
                kept.absorb(loser, registry, now);
            }
        }
        self.insert(kept);
        winner
    }
}

/// Both lists, each value once, in order.
pub(super) fn union(one: &[String], other: &[String]) -> Vec<String> {
    let new = other.iter().filter(|value| !one.contains(value));
    one.iter().chain(new).cloned().collect()
}

/// The sum of what is a number.
pub(super) fn sum(values: &[String]) -> f64 {
    values.iter().filter_map(|value| value.parse::<f64>().ok()).sum()
}

/// A number as text, whole where it is.
pub(super) fn number(number: f64) -> String {
    number.to_string()
}
