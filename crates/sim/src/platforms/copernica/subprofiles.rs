//! Subprofiles: the child rows of a profile, such as its orders. It must not know how a webhook looks.

use super::answers::{changed, created, deleted, is_on, page, refusal};
use super::filter::Filter;
use super::hooks::{Caller, Event};
use super::profiles::text;
use super::schema::field;
use super::{Copernica, Place, zone};
use crate::platforms::Answer;
use crate::platforms::ledger::Effect;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Subprofile {
    pub(super) id: u64,
    pub(super) profile: u64,
    pub(super) collection: u64,
    pub(super) fields: BTreeMap<String, String>,
    pub(super) created_at: Timestamp,
    pub(super) modified_at: Timestamp,
}

impl Subprofile {
    fn shown(&self) -> Value {
        json!({
            "ID": self.id.to_string(),
            "profile": self.profile.to_string(),
            "collection": self.collection.to_string(),
            "fields": self.fields,
            "created": zone::local(self.created_at),
            "modified": zone::local(self.modified_at),
            "removed": false,
        })
    }

    fn fits(&self, filters: &[Filter]) -> bool {
        filters.iter().all(|filter| {
            let own = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(&filter.name));
            let value = match filter.name.as_str() {
                "id" => Some(self.id.to_string()),
                "modified" => Some(zone::local(self.modified_at)),
                _ => own.map(|(_, value)| value.clone()),
            };
            value.is_some_and(|value| filter.fits(&value))
        })
    }
}

impl Copernica {
    pub(super) fn route_subprofiles(
        &mut self,
        place: &Place<'_>,
        profile: u64,
        collection: &str,
    ) -> Result<Answer, Answer> {
        let collection = self.collection(collection)?.id;
        let filters = place.call.queries("fields[]").map(|text| Filter::parse(&text)).collect::<Option<Vec<Filter>>>();
        let filters = filters.ok_or_else(|| refusal("Invalid data provided"))?;
        let own = self.subprofiles.values().filter(|it| it.profile == profile && it.collection == collection);
        let matching: Vec<u64> = own.filter(|it| it.fits(&filters)).map(|it| it.id).collect();
        match place.call.method.as_str() {
            "GET" => {
                let own = matching.iter().filter_map(|id| self.subprofiles.get(id));
                Ok(page(place.call, &Vec::from_iter(own), |subprofile| subprofile.shown()))
            }
            "POST" => {
                let id = self.create_subprofile(profile, collection, &place.body()?, Caller::Rest, place.now);
                Ok(created(place.call, place.version, "subprofile", id))
            }
            "PUT" if filters.is_empty() => Err(refusal("Invalid data provided")),
            "PUT" => {
                let body = place.body()?;
                for id in &matching {
                    self.update_subprofile(*id, &body, Caller::Rest, place.now);
                }
                if !matching.is_empty() || !is_on(place.call, "create") {
                    return Ok(changed(place.version));
                }
                let id = self.create_subprofile(profile, collection, &body, Caller::Rest, place.now);
                Ok(created(place.call, place.version, "subprofile", id))
            }
            _ => Err(refusal("Invalid method")),
        }
    }

    pub(super) fn route_subprofile(&mut self, place: &Place<'_>, id: &str, path: &[&str]) -> Result<Answer, Answer> {
        let known = id.parse().ok().and_then(|id| self.subprofiles.get(&id)).cloned();
        let subprofile = known.ok_or_else(|| refusal("No subprofile with supplied ID"))?;
        match (place.call.method.as_str(), path) {
            ("GET", []) => Ok(Answer::json(StatusCode::OK, &subprofile.shown())),
            ("POST" | "PUT", ["fields", ..]) | ("PUT", []) => {
                let body = place.body()?;
                let fields = if path.is_empty() { &body["fields"] } else { &body };
                self.update_subprofile(subprofile.id, fields, Caller::Rest, place.now);
                Ok(changed(place.version))
            }
            ("DELETE", []) => {
                self.notify(&Event::subprofile("delete", &subprofile, &Value::Null), Caller::Rest, place.now);
                self.subprofiles.remove(&subprofile.id);
                self.note("subprofile", subprofile.id, Effect::Changed, Caller::Rest, place.now);
                Ok(deleted(place.version, "subprofile", subprofile.id))
            }
            _ => Err(refusal("Invalid method")),
        }
    }

    pub(super) fn create_subprofile(
        &mut self,
        profile: u64,
        collection: u64,
        body: &Value,
        caller: Caller,
        now: Timestamp,
    ) -> u64 {
        let id = self.fresh_id();
        let names = self.collection(&collection.to_string()).map(|it| it.fields.clone()).unwrap_or_default();
        let fields = names.into_iter().map(|field| (field.name, field.default)).collect();
        let subprofile = Subprofile { id, profile, collection, fields, created_at: now, modified_at: now };
        self.subprofiles.insert(id, subprofile);
        self.apply_subprofile(id, body, now);
        self.note("subprofile", id, Effect::Made, caller, now);
        if let Some(subprofile) = self.subprofiles.get(&id).cloned() {
            self.notify(&Event::subprofile("create", &subprofile, body), caller, now);
        }
        id
    }

    fn update_subprofile(&mut self, id: u64, body: &Value, caller: Caller, now: Timestamp) {
        let is_changed = self.apply_subprofile(id, body, now);
        self.note("subprofile", id, Effect::changed(is_changed), caller, now);
        if let Some(subprofile) = self.subprofiles.get(&id).cloned().filter(|_| is_changed) {
            self.notify(&Event::subprofile("update", &subprofile, body), caller, now);
        }
    }

    fn apply_subprofile(&mut self, id: u64, body: &Value, now: Timestamp) -> bool {
        let Some(collection) = self.subprofiles.get(&id).map(|subprofile| subprofile.collection.to_string()) else {
            return false;
        };
        let names = self.collection(&collection).map(|it| it.fields.clone()).unwrap_or_default();
        let Some(subprofile) = self.subprofiles.get_mut(&id) else { return false };
        let before = subprofile.fields.clone();
        for (name, value) in body.as_object().into_iter().flatten() {
            if let Some(field) = field(&names, name) {
                subprofile.fields.insert(field.name.clone(), text(value));
            }
        }
        let is_changed = before != subprofile.fields;
        if is_changed {
            subprofile.modified_at = now;
        }
        is_changed
    }
}
