//! Contacts of platform X: looked up by address, listed by time, made and changed one by one. It must not know who
//! calls.

use super::{PlatformX, fault};
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many are on a page of the list.
const PAGE: usize = 100;

/// The fields that hold a text.
const TEXTS: [&str; 5] = ["email", "first_name", "last_name", "phone", "city"];

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: u64,
    /// Texts by the names of their fields; one that is empty is absent.
    pub texts: BTreeMap<String, String>,
    /// Its interests, in the order in which they were told.
    pub interests: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Contact {
    /// Its address; empty where it has none.
    #[must_use]
    pub fn email(&self) -> &str {
        self.texts.get("email").map(String::as_str).unwrap_or_default()
    }

    /// As the API shows it: every field, and null where it is empty.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown: Map<String, Value> =
            TEXTS.iter().map(|name| ((*name).to_owned(), json!(self.texts.get(*name)))).collect();
        shown.insert("id".to_owned(), Value::from(self.id));
        shown.insert("interests".to_owned(), json!(self.interests));
        shown.insert("created_at".to_owned(), Value::from(self.created_at.to_string()));
        shown.insert("updated_at".to_owned(), Value::from(self.updated_at.to_string()));
        Value::Object(shown)
    }

    /// Writes what is told and is a field.
    fn apply(&mut self, told: &Value) {
        for (name, value) in told.as_object().into_iter().flatten() {
            if name == "interests" {
                let listed = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                self.interests = listed.map(str::to_owned).collect();
            } else if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                self.texts.insert(name.clone(), text.to_owned());
            } else {
                self.texts.remove(name);
            }
        }
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Contacts {
    by_id: BTreeMap<u64, Contact>,
    /// Who has an address, in lower case.
    by_email: BTreeMap<String, u64>,
    last_id: u64,
}

impl Contacts {
    pub(super) fn all(&self) -> &BTreeMap<u64, Contact> {
        &self.by_id
    }

    fn with_email(&self, email: &str) -> Option<&Contact> {
        self.by_email.get(&email.to_lowercase()).and_then(|id| self.by_id.get(id))
    }

    /// Puts a contact, new or changed, and keeps the lookup right.
    fn put(&mut self, contact: Contact) {
        self.remove(contact.id);
        self.by_email.insert(contact.email().to_lowercase(), contact.id);
        self.by_id.insert(contact.id, contact);
    }

    /// Makes a contact; gives its id.
    pub(super) fn create(&mut self, told: &Value, now: Timestamp) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let mut contact =
            Contact { id, texts: BTreeMap::new(), interests: Vec::new(), created_at: now, updated_at: now };
        contact.apply(told);
        self.put(contact);
        id
    }

    /// Changes a contact, and says whether it is other than before; none where there is no such contact.
    pub(super) fn update(&mut self, id: u64, told: &Value, now: Timestamp) -> Option<bool> {
        let before = self.by_id.get(&id)?;
        let mut contact = before.clone();
        contact.apply(told);
        let is_changed = contact != *before;
        if is_changed {
            contact.updated_at = now;
            self.put(contact);
        }
        Some(is_changed)
    }

    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(contact) = self.by_id.remove(&id) else { return false };
        self.by_email.remove(&contact.email().to_lowercase());
        true
    }

    fn known(&self, id: &str) -> Result<&Contact, Answer> {
        let contact = id.parse().ok().and_then(|id: u64| self.by_id.get(&id));
        contact.ok_or_else(|| fault(StatusCode::NOT_FOUND, "there is no such contact"))
    }

    pub(super) fn get(&self, id: &str) -> Result<Answer, Answer> {
        Ok(Answer::json(StatusCode::OK, &self.known(id)?.shown()))
    }

    /// Those with an address, or a page of those changed at or after an instant, the longest unchanged first.
    pub(super) fn list(&self, call: &Call) -> Result<Answer, Answer> {
        if let Some(email) = call.query("email") {
            let shown: Vec<Value> = self.with_email(&email).map(Contact::shown).into_iter().collect();
            return Ok(Answer::json(StatusCode::OK, &Value::from(shown)));
        }
        let since = call.query("since").map(|text| Timestamp::parse(&text)).transpose();
        let since = since.map_err(|_odd| fault(StatusCode::BAD_REQUEST, "since is no time"))?;
        let page = call.query("page").map_or(Some(1), |text| text.parse().ok().filter(|page| *page > 0));
        let page: usize = page.ok_or_else(|| fault(StatusCode::BAD_REQUEST, "page counts from 1"))?;
        let is_wanted = |contact: &&Contact| since.is_none_or(|since| contact.updated_at >= since);
        let mut found: Vec<&Contact> = self.by_id.values().filter(is_wanted).collect();
        found.sort_by_key(|contact| (contact.updated_at, contact.id));
        let shown = found.into_iter().skip((page - 1).saturating_mul(PAGE)).take(PAGE).map(Contact::shown);
        Ok(Answer::json(StatusCode::OK, &shown.collect()))
    }

    /// What a call tells of a contact; `id` is that of the contact it is about, where there is one already.
    fn told(&self, call: &Call, id: Option<u64>) -> Result<Value, Answer> {
        let refused = |text: &str| Err(fault(StatusCode::BAD_REQUEST, text));
        let Some(told) = call.data().filter(Value::is_object) else {
            return refused("the body is a contact, as JSON or as a form");
        };
        for (name, value) in told.as_object().into_iter().flatten() {
            let is_right = match name.as_str() {
                "interests" => value.as_array().is_some_and(|listed| listed.iter().all(Value::is_string)),
                name => TEXTS.contains(&name) && (value.is_string() || value.is_null()),
            };
            if !is_right {
                return refused(&format!("{name} is no field, or its value is of another kind"));
            }
        }
        let is_creating = id.is_none();
        let Some(email) = told.get("email").or_else(|| is_creating.then_some(&Value::Null)) else { return Ok(told) };
        let Some(email) = email.as_str().filter(|text| text.split('@').filter(|part| !part.is_empty()).count() == 2)
        else {
            return refused("email is missing or no address");
        };
        match self.with_email(email) {
            Some(other) if Some(other.id) != id => {
                Err(fault(StatusCode::CONFLICT, "another contact has this e-mail address"))
            }
            _ => Ok(told),
        }
    }
}

impl PlatformX {
    pub(super) fn post_contact(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let told = self.contacts.told(call, None)?;
        let id = self.contacts.create(&told, now);
        self.ledger.note(now, "contact", &id, Effect::Made);
        Ok(Answer::json(StatusCode::CREATED, &json!({ "id": id })))
    }

    pub(super) fn change_contact(&mut self, call: &Call, id: &str, now: Timestamp) -> Result<Answer, Answer> {
        let id = self.contacts.known(id)?.id;
        let told = self.contacts.told(call, Some(id))?;
        let is_changed = self.contacts.update(id, &told, now).unwrap_or_default();
        self.ledger.note(now, "contact", &id, Effect::changed(is_changed));
        Ok(Answer::json(StatusCode::OK, &json!({ "id": id })))
    }
}
