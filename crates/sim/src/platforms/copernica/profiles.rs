//! Profiles: found by `fields[]`, paged, written one by one or all that match, removed and yet there. It must not
//! know how a webhook looks.

use super::answers::{changed, created, deleted, is_on, page, refusal};
use super::filter::Filter;
use super::hooks::{Caller, Event};
use super::{ASYNC_MS, Copernica, Later, Place, hex, zone};
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One member of a database.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its id.
    pub id: u64,
    /// Its database.
    pub database: u64,
    /// Its values by the names of fields; every field has one.
    pub fields: BTreeMap<String, String>,
    /// The interests it has.
    pub interests: BTreeSet<String>,
    /// A code that only its owner knows.
    pub secret: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
    /// When it was removed, if it was.
    pub removed_at: Option<Timestamp>,
}

impl Profile {
    fn shown(&self) -> Value {
        json!({
            "ID": self.id.to_string(),
            "fields": self.fields,
            "interests": self.interests,
            "database": self.database.to_string(),
            "secret": self.secret,
            "created": zone::local(self.created_at),
            "modified": zone::local(self.modified_at),
            "removed": self.removed_at.map_or(Value::Bool(false), |at| Value::from(zone::local(at))),
        })
    }

    /// What `dataonly` leaves.
    fn data(&self) -> Value {
        json!({
            "ID": self.id.to_string(),
            "fields": self.fields,
            "interests": self.interests,
            "modified": zone::local(self.modified_at),
        })
    }

    /// The value that a condition or an order names.
    fn value(&self, name: &str) -> Option<String> {
        let own = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        match (own, name.to_ascii_lowercase().as_str()) {
            (Some((_, value)), _) => Some(value.clone()),
            (None, "id") => Some(self.id.to_string()),
            (None, "code") => Some(self.secret.clone()),
            (None, "modified") => Some(zone::local(self.modified_at)),
            _ => None,
        }
    }

    pub(super) fn fits(&self, filters: &[Filter]) -> bool {
        filters.iter().all(|filter| self.value(&filter.name).is_some_and(|value| filter.fits(&value)))
    }
}

/// A value as the text that a field keeps.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Interests as a list of names, or as names with 0 or 1.
fn switches(interests: &Value) -> Vec<(String, bool)> {
    match interests {
        Value::Array(names) => names.iter().map(|name| (text(name), true)).collect(),
        Value::Object(names) => {
            names.iter().map(|(name, on)| (name.clone(), !matches!(text(on).as_str(), "0" | "false" | ""))).collect()
        }
        _ => Vec::new(),
    }
}

impl Copernica {
    pub(super) fn profile_id(&self, id: &str) -> Result<u64, Answer> {
        let known = id.parse().ok().filter(|id| self.profiles.contains_key(id));
        known.ok_or_else(|| refusal("No entity with supplied ID"))
    }

    /// The conditions of a call, each about something there is.
    fn filters(&self, call: &Call, database: u64) -> Result<Vec<Filter>, Answer> {
        let database = self.database(database)?;
        let is_known = |name: &str| {
            database.field(name).is_some() || matches!(name.to_ascii_lowercase().as_str(), "id" | "code" | "modified")
        };
        let filters = call.queries("fields[]").map(|text| Filter::parse(&text));
        let filters: Option<Vec<Filter>> = filters.collect();
        filters.filter(|all| all.iter().all(|it| is_known(&it.name))).ok_or_else(|| refusal("Invalid data provided"))
    }

    /// The profiles of a database that fit and are not removed, in the order a call wants.
    fn select(&self, call: &Call, database: u64) -> Result<Vec<&Profile>, Answer> {
        let filters = self.filters(call, database)?;
        let all = self.profiles.values().filter(|it| it.database == database && it.removed_at.is_none());
        let mut selected: Vec<&Profile> = all.filter(|profile| profile.fits(&filters)).collect();
        match call.query("orderby").as_deref() {
            None | Some("id") => {}
            Some("random") => selected.sort_by_cached_key(|_| self.chance.draw()),
            Some("modified") => selected.sort_by_key(|profile| (profile.modified_at, profile.id)),
            Some(field) => selected.sort_by_cached_key(|profile| profile.value(field)),
        }
        if call.query("order").is_some_and(|order| order.eq_ignore_ascii_case("desc")) {
            selected.reverse();
        }
        Ok(selected)
    }

    pub(super) fn list_profiles(&self, call: &Call, database: u64) -> Result<Answer, Answer> {
        let show = if is_on(call, "dataonly") { Profile::data } else { Profile::shown };
        Ok(page(call, &self.select(call, database)?, |profile| show(profile)))
    }

    pub(super) fn list_profile_ids(&self, call: &Call, database: u64) -> Result<Answer, Answer> {
        let ids = self.select(call, database)?.into_iter().map(|profile| Value::from(profile.id.to_string()));
        Ok(Answer::json(StatusCode::OK, &ids.collect()))
    }

    pub(super) fn create_profile(&mut self, place: &Place<'_>, database: u64) -> Result<Answer, Answer> {
        let body = place.body()?;
        if !body["fields"].is_object() {
            return Err(refusal("Failed to create profile"));
        }
        let id = self.create(database, &body, Caller::Rest, place.now);
        Ok(created(place.call, place.version, "profile", id))
    }

    /// The upsert: all that match are changed; where none does, `create` makes one of the body alone.
    pub(super) fn update_profiles(&mut self, place: &Place<'_>, database: u64) -> Result<Answer, Answer> {
        let filters = self.filters(place.call, database)?;
        if filters.is_empty() {
            return Err(refusal("Invalid data provided"));
        }
        let (body, is_creating) = (place.body()?, is_on(place.call, "create"));
        if is_on(place.call, "async") {
            let due_at = place.now.plus_ms(ASYNC_MS);
            self.later.push(Later { due_at, database, filters, body, is_creating });
            return Ok(changed(place.version));
        }
        let made = self.update_matching(database, &filters, &body, is_creating, place.now);
        Ok(made.map_or_else(|| changed(place.version), |id| created(place.call, place.version, "profile", id)))
    }

    /// Gives the id of the profile that was made, if one was.
    pub(super) fn update_matching(
        &mut self,
        database: u64,
        filters: &[Filter],
        body: &Value,
        is_creating: bool,
        now: Timestamp,
    ) -> Option<u64> {
        let all = self.profiles.values().filter(|it| it.database == database && it.removed_at.is_none());
        let matching: Vec<u64> = all.filter(|profile| profile.fits(filters)).map(|profile| profile.id).collect();
        for id in &matching {
            self.update(*id, body, Caller::Rest, now);
        }
        (matching.is_empty() && is_creating).then(|| self.create(database, body, Caller::Rest, now))
    }

    pub(super) fn remove_profiles(&mut self, place: &Place<'_>, database: u64) -> Result<Answer, Answer> {
        let body = place.body()?;
        let ids: Vec<String> = body["profiles"].as_array().into_iter().flatten().map(text).collect();
        if ids.is_empty() {
            return Err(refusal("Invalid data provided"));
        }
        for id in ids.iter().filter_map(|id| id.parse().ok()) {
            if self.profiles.get(&id).is_some_and(|it| it.database == database && it.removed_at.is_none()) {
                self.remove(id, Caller::Rest, place.now);
            }
        }
        Ok(changed(place.version))
    }

    pub(super) fn get_profile(&self, id: u64) -> Answer {
        let shown = self.profiles.get(&id).map(Profile::shown).unwrap_or_default();
        Answer::json(StatusCode::OK, &shown)
    }

    /// Refuses a profile that was removed.
    fn check_present(&self, id: u64) -> Result<(), Answer> {
        if self.is_present(id) { Ok(()) } else { Err(refusal("This profile has already been removed")) }
    }

    pub(super) fn update_profile(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        self.update(id, &place.body()?, Caller::Rest, place.now);
        Ok(changed(place.version))
    }

    /// The body is the bare map of fields.
    pub(super) fn update_fields(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        self.update(id, &json!({"fields": place.body()?}), Caller::Rest, place.now);
        Ok(changed(place.version))
    }

    /// The configured behaviour: the address is wiped.
    pub(super) fn unsubscribe(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        self.update(id, &json!({"fields": {"email": ""}}), Caller::Rest, place.now);
        Ok(changed(place.version))
    }

    pub(super) fn remove_profile(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        self.remove(id, Caller::Rest, place.now);
        Ok(deleted(place.version, "profile", id))
    }

    pub(super) fn get_interests(&self, call: &Call, id: u64) -> Result<Answer, Answer> {
        let profile = self.profiles.get(&id).ok_or_else(|| refusal("No entity with supplied ID"))?;
        let known = self.database(profile.database)?.interests.iter();
        let has: Vec<_> = known.filter(|interest| profile.interests.contains(&interest.name)).collect();
        let shown = match call.query("return").as_deref() {
            Some("ids") => has.iter().map(|interest| Value::from(interest.id.to_string())).collect(),
            _ => has.iter().map(|interest| interest.shown()).collect::<Value>(),
        };
        Ok(Answer::json(StatusCode::OK, &shown))
    }

    pub(super) fn switch_interests(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        let told = place.call.data().ok_or_else(|| refusal("Invalid data provided"))?;
        self.update(id, &json!({"interests": told}), Caller::Rest, place.now);
        Ok(changed(place.version))
    }

    pub(super) fn replace_interests(&mut self, place: &Place<'_>, id: u64) -> Result<Answer, Answer> {
        self.check_present(id)?;
        let told = switches(&place.call.data().ok_or_else(|| refusal("Invalid data provided"))?);
        let had = self.profiles.get(&id).map(|profile| profile.interests.clone()).unwrap_or_default();
        let off = had.into_iter().map(|name| (name, Value::from(0)));
        let on = told.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, Value::from(1)));
        let all: Map<String, Value> = off.chain(on).collect();
        self.update(id, &json!({"interests": all}), Caller::Rest, place.now);
        Ok(changed(place.version))
    }

    /// Keeps in mind what was written, unless a user did it on a screen.
    pub(super) fn note(&mut self, object: &'static str, id: u64, effect: Effect, caller: Caller, now: Timestamp) {
        if caller != Caller::Publisher {
            self.ledger.note(now, object, &id, effect);
        }
    }

    /// Makes a profile, always; gives its id.
    pub(super) fn create(&mut self, database: u64, body: &Value, caller: Caller, now: Timestamp) -> u64 {
        let id = self.fresh_id();
        let defaults = self.databases.get(&database).into_iter().flat_map(|database| &database.fields);
        let fields = defaults.map(|field| (field.name.clone(), field.default.clone())).collect();
        let profile = Profile {
            id,
            database,
            fields,
            interests: BTreeSet::new(),
            secret: hex(&self.chance, 28),
            created_at: now,
            modified_at: now,
            removed_at: None,
        };
        self.profiles.insert(id, profile);
        self.apply(id, body, now);
        self.note("profile", id, Effect::Made, caller, now);
        self.notify(&Event::profile("create", id, parameters(body)), caller, now);
        id
    }

    /// Changes a profile, and tells of it where something is other than before.
    pub(super) fn update(&mut self, id: u64, body: &Value, caller: Caller, now: Timestamp) {
        let is_changed = self.apply(id, body, now);
        self.note("profile", id, Effect::changed(is_changed), caller, now);
        if is_changed {
            self.notify(&Event::profile("update", id, parameters(body)), caller, now);
        }
    }

    /// Writes fields and interests that there are, and says whether something is other than before.
    fn apply(&mut self, id: u64, body: &Value, now: Timestamp) -> bool {
        let Some(profile) = self.profiles.get_mut(&id) else { return false };
        let Some(database) = self.databases.get(&profile.database) else { return false };
        let before = (profile.fields.clone(), profile.interests.clone());
        for (name, value) in body["fields"].as_object().into_iter().flatten() {
            if let Some(field) = database.field(name) {
                profile.fields.insert(field.name.clone(), text(value));
            }
        }
        for (name, is_on) in switches(&body["interests"]) {
            let known = database.interests.iter().find(|interest| interest.name.eq_ignore_ascii_case(&name));
            match known {
                Some(interest) if is_on => drop(profile.interests.insert(interest.name.clone())),
                Some(interest) => drop(profile.interests.remove(&interest.name)),
                None => {}
            }
        }
        if let Some(secret) = body["secret"].as_str() {
            secret.clone_into(&mut profile.secret);
        }
        let is_changed = before != (profile.fields.clone(), profile.interests.clone());
        if is_changed {
            profile.modified_at = now;
        }
        is_changed
    }

    pub(super) fn remove(&mut self, id: u64, caller: Caller, now: Timestamp) {
        self.note("profile", id, Effect::Changed, caller, now);
        self.notify(&Event::profile("delete", id, Map::new()), caller, now);
        self.subprofiles.retain(|_, subprofile| subprofile.profile != id);
        if let Some(profile) = self.profiles.get_mut(&id) {
            profile.fields.values_mut().for_each(String::clear);
            profile.interests.clear();
            profile.removed_at = Some(now);
        }
    }
}

/// What an action was done with, as a webhook tells it.
fn parameters(body: &Value) -> Map<String, Value> {
    body["fields"].as_object().cloned().unwrap_or_default()
}
