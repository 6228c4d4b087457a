//! Writing and finding profiles: the bulk write with its matching, strategies and states, and the two reads of
//! single profiles. It must not know how a profile is kept.

use super::answers::error;
use super::profile::{Profile, number, sum, union};
use super::segments::chosen;
use super::{BlueConic, ENTRIES_MAX};
use crate::platforms::ledger::Effect;
use crate::platforms::people::uuid;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};

/// Most events of one entry.
const EVENTS_MAX: usize = 250;

/// How many profiles a search shows; its answer has ids only.
const FOUND_MAX: usize = 5;

/// What became of one entry.
struct Outcome {
    profile: Option<String>,
    state: &'static str,
    errors: Vec<String>,
}

impl Outcome {
    fn of(state: &'static str, profile: impl Into<Option<String>>) -> Self {
        Self { profile: profile.into(), state, errors: Vec::new() }
    }
}

impl BlueConic {
    pub(super) fn put_profiles(&mut self, call: &Call, now: Timestamp) -> Answer {
        let entries = match call.json() {
            Some(Value::Array(entries)) => entries,
            Some(Value::Object(one)) if one.contains_key("setProperties") => vec![of_consent_form(&Value::Object(one))],
            _ => return error(StatusCode::BAD_REQUEST, "the body is a list of profiles"),
        };
        let objectives: Vec<String> = call.queries("objectiveIds").collect();
        let results: Vec<Value> = entries
            .iter()
            .take(ENTRIES_MAX)
            .map(|entry| {
                let outcome = self.put_profile(entry, &objectives, now);
                self.note(&outcome, now);
                let mut result = json!({"state": outcome.state});
                if let Some(profile) = outcome.profile {
                    result["profileId"] = Value::from(profile);
                }
                if let Some(identifier) = entry.get("identifier") {
                    result["identifier"] = identifier.clone();
                }
                if !outcome.errors.is_empty() {
                    result["validationErrors"] = json!(outcome.errors);
                }
                result
            })
            .collect();
        let is_too_many = entries.len() > ENTRIES_MAX;
        let status = if is_too_many { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
        Answer::json(status, &Value::from(results))
    }

    /// Keeps in mind what an entry did; one that was refused did nothing to anybody.
    fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        let effect = match outcome.state {
            "CREATED" => Effect::Made,
            "MODIFIED" | "DELETED" => Effect::Changed,
            "UNCHANGED" => Effect::Nothing,
            _ => return,
        };
        self.ledger.note(now, "profile", outcome.profile.as_deref().unwrap_or_default(), effect);
    }

    fn put_profile(&mut self, entry: &Value, objectives: &[String], now: Timestamp) -> Outcome {
        let errors = self.check_entry(entry);
        if !errors.is_empty() {
            return Outcome { profile: None, state: "SKIPPED", errors };
        }
        let known = self.find_entry(entry);
        let strategy = entry["strategy"].as_str().unwrap_or("UPDATE");
        let mut profile = match (strategy, known) {
            ("DELETE", Some(id)) => {
                self.profiles.remove(&id);
                return Outcome::of("DELETED", id);
            }
            ("UPSERT", None) => self.created(entry, now),
            (_, None) => return Outcome::of("NOTFOUND", entry["profileId"].as_str().map(str::to_owned)),
            (_, Some(id)) => match self.profiles.get(&id) {
                Some(profile) => profile.clone(),
                None => return Outcome::of("NOTFOUND", id),
            },
        };
        if !objectives.iter().all(|objective| profile.consented.contains(objective)) {
            return Outcome::of("CONSENT_MISMATCH", profile.id);
        }
        let is_new = self.profiles.get(&profile.id).is_none();
        let changed = apply_properties(&mut profile, &entry["properties"], now);
        let has_events = apply_timeline(&mut profile, &entry["timeline"]);
        let id = profile.id.clone();
        self.profiles.insert(profile);
        let id = self.profiles.merge(&id, &self.registry, now);
        if entry["triggerOnPropertyChange"].as_bool().unwrap_or(true) {
            self.trigger(&id, &changed, now);
        }
        let is_changed = has_events || !changed.is_empty();
        Outcome::of(
            if is_new {
                "CREATED"
            } else if is_changed {
                "MODIFIED"
            } else {
                "UNCHANGED"
            },
            id,
        )
    }

    /// What is wrong with an entry before anything is looked up.
    fn check_entry(&self, entry: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        if !matches!(entry["strategy"].as_str().unwrap_or("UPDATE"), "UPDATE" | "UPSERT" | "DELETE") {
            errors.push(format!("strategy {} is unknown", entry["strategy"]));
        }
        for pair in entry["matching"].as_array().into_iter().flatten().flat_map(|group| group.as_array()).flatten() {
            let id = pair["id"].as_str().unwrap_or_default();
            if !self.registry.is_indexed(id) {
                errors.push(format!("property '{id}' is not a unique identifier"));
            }
        }
        for property in entry["properties"].as_array().into_iter().flatten() {
            let id = property["id"].as_str().unwrap_or_default();
            let are_texts = property["values"].as_array().is_some_and(|values| values.iter().all(Value::is_string));
            let strategy = property["strategy"].as_str().unwrap_or("SET");
            if !self.registry.is_known(id) {
                errors.push(format!("property '{id}' doesn't exist"));
            } else if !self.registry.is_writable(id) {
                errors.push(format!("property '{id}' cannot be written"));
            } else if !are_texts {
                errors.push(format!("property '{id}' needs a list of texts as values"));
            } else if !matches!(strategy, "ADD" | "SET" | "SET_IF_EMPTY" | "SUM" | "REMOVE") {
                errors.push(format!("strategy '{strategy}' of property '{id}' is unknown"));
            }
        }
        if entry["timeline"].as_array().is_some_and(|events| events.len() > EVENTS_MAX) {
            errors.push(format!("more than {EVENTS_MAX} timeline events"));
        }
        errors
    }

    /// The profile an entry means: by its id, or by the first group of identifiers that are all the same profile's.
    fn find_entry(&self, entry: &Value) -> Option<String> {
        if let Some(id) = entry["profileId"].as_str() {
            return self.profiles.get(id).map(|profile| profile.id.clone());
        }
        let groups = entry["matching"].as_array()?.iter().filter_map(Value::as_array).filter(|group| !group.is_empty());
        let domain_group = entry["domainGroup"].as_str().unwrap_or("DEFAULT");
        groups.into_iter().find_map(|group| {
            let holders = group.iter().map(|pair| {
                let text = |name: &str| pair[name].as_str().unwrap_or_default();
                self.profiles.with_value(text("id"), text("value"))
            });
            let all = holders.reduce(|one, other| &one & &other)?;
            all.into_iter().find(|id| self.profiles.get(id).is_some_and(|it| it.domain_group == domain_group))
        })
    }

    /// What an upsert makes. Its identifiers are only those among the properties, not those of the matching.
    fn created(&self, entry: &Value, now: Timestamp) -> Profile {
        let id = entry["profileId"].as_str().map_or_else(|| uuid(&self.chance), str::to_owned);
        let mut profile = Profile::new(id, now);
        let told = |name: &str| entry[name].as_str().map(str::to_owned);
        profile.domain_group = told("domainGroup").unwrap_or(profile.domain_group);
        profile.level = told("permissionLevel").unwrap_or(profile.level);
        profile.legislation = told("privacyLegislation");
        profile
    }

    /// A search by values of indexed properties, all of which must fit; ids only.
    pub(super) fn find_profiles(&self, call: &Call) -> Answer {
        let pairs: Vec<(String, String)> = call.queries("property").zip(call.queries("value")).collect();
        if pairs.is_empty() {
            return error(StatusCode::BAD_REQUEST, "property and value are missing");
        }
        if let Some((id, _)) = pairs.iter().find(|(id, _)| !self.registry.is_indexed(id)) {
            return error(StatusCode::NOT_IMPLEMENTED, &format!("property '{id}' is not indexed"));
        }
        let holders = pairs.iter().map(|(id, value)| self.profiles.with_value(id, value));
        let found = holders.reduce(|one, other| &one & &other).unwrap_or_default();
        let shown: Vec<Value> = found.iter().take(FOUND_MAX).map(|id| json!({"id": id})).collect();
        Answer::json(
            StatusCode::OK,
            &json!({
                "profiles": shown,
                "itemsPerPage": FOUND_MAX,
                "startIndex": 0,
                "totalPages": found.len().div_ceil(FOUND_MAX),
                "totalResults": found.len(),
            }),
        )
    }

    pub(super) fn get_profile(&self, call: &Call, id: &str) -> Answer {
        let Some(profile) = self.profiles.get(id) else {
            return error(StatusCode::NOT_FOUND, "The specified profile doesn't exist.");
        };
        let mut shown = profile.shown(&chosen(call));
        shown["permissions"] = json!({"level": profile.level});
        for expand in call.queries("expand") {
            match expand.as_str() {
                "profile.replace" => shown["replaces"] = json!(profile.replaces),
                "profile.timeline" => shown["events"] = profile.timeline.values().cloned().collect(),
                _ => {}
            }
        }
        Answer::json(StatusCode::OK, &shown)
    }
}

/// The single form that consent pages send: `{id, setProperties: {property: values}}`.
fn of_consent_form(form: &Value) -> Value {
    let set = form["setProperties"].as_object().into_iter().flatten();
    let properties = set.map(|(id, values)| {
        let values = if values.is_array() { values.clone() } else { json!([values]) };
        json!({"id": id, "values": values, "strategy": "SET"})
    });
    json!({"profileId": form["id"], "strategy": "UPSERT", "properties": properties.collect::<Vec<_>>()})
}

/// Writes an entry's properties; gives the ids of those that changed.
fn apply_properties(profile: &mut Profile, properties: &Value, now: Timestamp) -> Vec<String> {
    let mut changed = Vec::new();
    for property in properties.as_array().into_iter().flatten() {
        let id = property["id"].as_str().unwrap_or_default();
        let told = property["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let told: Vec<String> = told.map(str::to_owned).collect();
        let has = profile.values(id);
        let values = match property["strategy"].as_str().unwrap_or("SET") {
            "ADD" => union(&has, &told),
            "SET_IF_EMPTY" if !has.is_empty() => has,
            "SUM" => vec![number(sum(&has) + sum(&told))],
            "REMOVE" => has.into_iter().filter(|value| !told.contains(value)).collect(),
            _ => told,
        };
        if profile.set(id, values, now) {
            changed.push(id.to_owned());
        }
    }
    changed
}

/// Writes an entry's events; says whether there were any.
fn apply_timeline(profile: &mut Profile, timeline: &Value) -> bool {
    let events = timeline.as_array().into_iter().flatten();
    let mut has_events = false;
    for event in events {
        let unnamed = format!("event{}", profile.timeline.len() + 1);
        let id = event["id"].as_str().unwrap_or(&unnamed).to_owned();
        let is_known = profile.timeline.contains_key(&id);
        match event["strategy"].as_str().unwrap_or("SET") {
            "DELETE" => has_events |= profile.timeline.remove(&id).is_some(),
            "UPDATE" if !is_known => {}
            _ => {
                let mut kept = event.clone();
                kept["id"] = Value::from(id.as_str());
                profile.timeline.insert(id, kept);
                has_events = true;
            }
        }
    }
    has_events
}
