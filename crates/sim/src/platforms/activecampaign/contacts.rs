//! Contacts: one for an address, written whole or in part, found by many filters. It must not know how a webhook
//! looks.

use super::answers::{body, invalid, list};
use super::links::FieldValue;
use super::{ActiveCampaign, Origin, hex, zone};
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A contact. Its custom fields are rows of their own.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its id.
    pub id: u64,
    /// Its address, which no other contact has.
    pub email: String,
    /// First name.
    pub first: String,
    /// Last name.
    pub last: String,
    /// Telephone.
    pub phone: String,
    /// A key that its own pages use.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last, its custom fields included.
    pub updated_at: Timestamp,
}

/// Whether a text can be an address: one `@` with something on both sides.
pub(super) fn is_email(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    matches!(parts.as_slice(), [name, host] if !name.is_empty() && host.contains('.'))
}

impl ActiveCampaign {
    /// A contact as a write shows it.
    fn shown(&self, contact: &Contact) -> Value {
        let values = self.values_of.get(&contact.id).into_iter().flat_map(BTreeMap::values);
        json!({
            "email": contact.email,
            "phone": contact.phone,
            "firstName": contact.first,
            "lastName": contact.last,
            "email_empty": contact.email.is_empty(),
            "cdate": zone::offset(contact.created_at),
            "udate": zone::offset(contact.updated_at),
            "orgid": "",
            "orgname": "",
            "links": links("contacts", contact.id, &["contactTags", "contactLists", "fieldValues"]),
            "hash": contact.hash,
            "fieldValues": values.map(u64::to_string).collect::<Vec<_>>(),
            "id": contact.id.to_string(),
            "organization": "",
        })
    }

    /// A contact as a read shows it.
    fn listed(&self, contact: &Contact) -> Value {
        let mut shown = self.shown(contact);
        shown["created_utc_timestamp"] = Value::from(zone::utc(contact.created_at));
        shown["updated_utc_timestamp"] = Value::from(zone::utc(contact.updated_at));
        shown["scoreValues"] = json!([]);
        shown["deleted"] = Value::from("0");
        shown
    }

    fn written(&self, status: StatusCode, id: u64) -> Answer {
        let Some(contact) = self.contacts.get(&id) else { return Answer::empty(status) };
        let values: Vec<Value> = self.field_values(id).collect();
        Answer::json(status, &json!({"fieldValues": values, "contact": self.shown(contact)}))
    }

    pub(super) fn with_email(&self, email: &str) -> Option<u64> {
        self.by_email.get(&email.to_lowercase()).copied()
    }

    /// The upsert: by address.
    pub(super) fn sync_contact(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "contact")?;
        let email = check_email(&told)?;
        // Whether an update is 200 or 201 is documented nowhere, so a caller has to take both.
        if let Some(id) = self.with_email(email) {
            self.update_contact(id, &told, Origin::Api, now);
            return Ok(self.written(StatusCode::OK, id));
        }
        let id = self.create_contact(&told, now);
        self.ledger.note(now, "contact", &id, Effect::Made);
        Ok(self.written(StatusCode::CREATED, id))
    }

    pub(super) fn post_contact(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "contact")?;
        let email = check_email(&told)?;
        if self.with_email(email).is_some() {
            return Err(duplicate());
        }
        let id = self.create_contact(&told, now);
        self.ledger.note(now, "contact", &id, Effect::Made);
        Ok(self.written(StatusCode::CREATED, id))
    }

    pub(super) fn put_contact(&mut self, call: &Call, id: u64, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "contact")?;
        if told.get("email").is_some() && self.with_email(check_email(&told)?).is_some_and(|other| other != id) {
            return Err(duplicate());
        }
        self.update_contact(id, &told, Origin::Api, now);
        Ok(self.written(StatusCode::OK, id))
    }

    pub(super) fn get_contact(&self, id: u64) -> Answer {
        let Some(contact) = self.contacts.get(&id) else { return Answer::empty(StatusCode::NOT_FOUND) };
        let shown_id = contact.id.to_string();
        let deals: Vec<&Value> = self.deals.iter().filter(|deal| deal["contact"] == shown_id).collect();
        let body = json!({
            "contactAutomations": [],
            "contactLists": self.lists_of(id).collect::<Vec<_>>(),
            "deals": deals,
            "fieldValues": self.field_values(id).collect::<Vec<_>>(),
            "geoAddresses": [],
            "geoIps": [],
            "contact": self.listed(contact),
        });
        Answer::json(StatusCode::OK, &body)
    }

    pub(super) fn list_contacts(&self, call: &Call) -> Answer {
        let named = self.named(call);
        let mut found: Vec<&Contact> = match &named {
            Some(ids) => ids.iter().filter_map(|id| self.contacts.get(id)).collect(),
            None => self.contacts.values().collect(),
        };
        found.retain(|contact| self.is_wanted(call, contact));
        let (orders, filters) = (pairs(call, "orders"), pairs(call, "filters"));
        for (name, direction) in orders.iter().rev() {
            match name.as_str() {
                "email" => found.sort_by(|one, other| one.email.cmp(&other.email)),
                "cdate" => found.sort_by_key(|contact| contact.created_at),
                "udate" => found.sort_by_key(|contact| contact.updated_at),
                _ => found.sort_by_key(|contact| contact.id),
            }
            if direction.eq_ignore_ascii_case("desc") {
                found.reverse();
            }
        }
        let input = json!({
            "limit": call.number("limit").unwrap_or(20), "offset": call.number("offset").unwrap_or(0),
            "search": call.query("search"), "sort": null, "status": -1, "listid": 0, "tagid": 0, "segmentid": 0,
            "filters": filters.into_iter().collect::<BTreeMap<_, _>>(),
        });
        let beside = json!({"scoreValues": [], "meta": {"page_input": input}});
        list(call, "contacts", &found, |contact| self.listed(contact), beside)
    }

    /// The contacts that a call names by their ids or by an address, where it does: looking at all others takes long in a
    /// large account.
    fn named(&self, call: &Call) -> Option<BTreeSet<u64>> {
        let mut ids = call.queries("ids[]").chain(call.queries("ids")).peekable();
        if ids.peek().is_some() {
            return Some(ids.filter_map(|id| id.parse().ok()).collect());
        }
        let email = call.query("email")?;
        Some(self.by_email.get(&email.to_lowercase()).copied().into_iter().collect())
    }

    /// Whether a contact passes all filters of a call, but for ids.
    fn is_wanted(&self, call: &Call, contact: &Contact) -> bool {
        let number = |name: &str| call.query(name).and_then(|value| value.parse::<u64>().ok());
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let plain = call.query("email").is_none_or(|email| contact.email.eq_ignore_ascii_case(&email))
            && call.query("email_like").is_none_or(|part| has(&contact.email, &part))
            && call.query("phone").is_none_or(|phone| contact.phone == phone)
            && call.query("search").is_none_or(|part| {
                [&contact.email, &contact.first, &contact.last, &contact.phone].iter().any(|text| has(text, &part))
            })
            && number("id_greater").is_none_or(|id| contact.id > id)
            && number("id_less").is_none_or(|id| contact.id < id);
        let linked = number("listid").is_none_or(|list| {
            self.contact_lists.values().any(|link| link.contact == contact.id && link.list == list && link.status == 1)
        }) && number("tagid")
            .is_none_or(|tag| self.contact_tags.values().any(|link| link.contact == contact.id && link.tag == tag));
        let dated = pairs(call, "filters").iter().all(|(name, value)| {
            let Some(limit) = zone::parse(value) else { return true };
            match name.as_str() {
                "created_after" => contact.created_at > limit,
                "created_before" => contact.created_at < limit,
                "updated_after" => contact.updated_at > limit,
                "updated_before" => contact.updated_at < limit,
                _ => true,
            }
        });
        plain && linked && dated
    }

    /// Makes a contact; gives its id.
    pub(super) fn create_contact(&mut self, told: &Value, now: Timestamp) -> u64 {
        let id = self.contacts.last_key_value().map_or(88, |(last, _)| last + 1);
        let contact = Contact {
            id,
            email: String::new(),
            first: String::new(),
            last: String::new(),
            phone: String::new(),
            hash: hex(&self.chance, 32),
            created_at: now,
            updated_at: now,
        };
        self.contacts.insert(id, contact);
        self.apply(id, told, now);
        id
    }

    /// Changes a contact by a call, and tells of it where something is other than before.
    pub(super) fn update_contact(&mut self, id: u64, told: &Value, origin: Origin, now: Timestamp) {
        let is_changed = self.apply(id, told, now);
        self.ledger.note(now, "contact", &id, Effect::changed(is_changed));
        if is_changed {
            self.notify("update", id, None, origin, now);
        }
    }

    /// Writes what is told, and says whether something is other than before.
    pub(super) fn apply(&mut self, id: u64, told: &Value, now: Timestamp) -> bool {
        let Some(contact) = self.contacts.get_mut(&id) else { return false };
        let mut is_changed = false;
        let before = contact.email.clone();
        let mut put = |name: &str, place: &mut String| {
            if let Some(value) = told[name].as_str().filter(|value| *value != place.as_str()) {
                value.clone_into(place);
                is_changed = true;
            }
        };
        put("email", &mut contact.email);
        put("firstName", &mut contact.first);
        put("lastName", &mut contact.last);
        put("phone", &mut contact.phone);
        if contact.email != before {
            self.by_email.remove(&before.to_lowercase());
            self.by_email.insert(contact.email.to_lowercase(), id);
        }
        for value in told["fieldValues"].as_array().into_iter().flatten() {
            let field = super::links::number(&value["field"]).filter(|field| self.fields.contains_key(field));
            if let Some(field) = field {
                is_changed |= self.set_field(id, field, value["value"].as_str().unwrap_or_default(), now);
            }
        }
        if let Some(contact) = self.contacts.get_mut(&id).filter(|_| is_changed) {
            contact.updated_at = now;
        }
        is_changed
    }

    /// Sets a custom field of a contact, and says whether it was other before.
    pub(super) fn set_field(&mut self, contact: u64, field: u64, value: &str, now: Timestamp) -> bool {
        let known = self.values_of.get(&contact).and_then(|rows| rows.get(&field));
        if let Some(row) = known.and_then(|id| self.values.get_mut(id)) {
            let is_changed = row.value != value;
            value.clone_into(&mut row.value);
            row.updated_at = if is_changed { now } else { row.updated_at };
            return is_changed;
        }
        let id = self.fresh_id();
        let row = FieldValue { id, contact, field, value: value.to_owned(), created_at: now, updated_at: now };
        self.values.insert(id, row);
        self.values_of.entry(contact).or_default().insert(field, id);
        true
    }
}

fn check_email(told: &Value) -> Result<&str, Answer> {
    let email = told["email"].as_str().filter(|email| is_email(email));
    email.ok_or_else(|| invalid("Contact Email Address is not valid.", "email_invalid", "email"))
}

fn duplicate() -> Answer {
    invalid("Email address already exists in the system", "duplicate", "email")
}

/// The pairs of a query under names such as `orders[id]`.
fn pairs(call: &Call, group: &str) -> Vec<(String, String)> {
    let prefix = format!("{group}[");
    let named = call.url.query_pairs().filter_map(|(name, value)| {
        let name = name.strip_prefix(prefix.as_str())?.strip_suffix(']')?;
        Some((name.to_owned(), value.into_owned()))
    });
    named.collect()
}

/// The links from one thing to the lists about it.
pub(super) fn links(kind: &str, id: u64, names: &[&str]) -> Value {
    let link =
        |name: &&str| ((*name).to_owned(), Value::from(format!("https://acme.api-us1.com/api/3/{kind}/{id}/{name}")));
    Value::Object(names.iter().map(link).collect())
}
