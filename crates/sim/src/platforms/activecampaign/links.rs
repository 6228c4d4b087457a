//! What hangs on contacts: custom fields and their values, tags and lists, each link a row with an id of its own.
//! It must not change contacts themselves.

use super::answers::{body, invalid, list, missing, page};
use super::contacts::links;
use super::{ActiveCampaign, Origin, zone};
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many custom fields are on a page when nobody says.
const FIELDS_DEFAULT: usize = 100;

/// The source that may subscribe somebody again who left.
const RESUBSCRIBING: u64 = 4;

pub(super) struct Field {
    id: u64,
    title: String,
    kind: String,
}

impl Field {
    pub(super) fn new(id: u64, title: &str, kind: &str) -> Self {
        Self { id, title: title.to_owned(), kind: kind.to_owned() }
    }

    /// Its name in messages and webhooks.
    pub(super) fn perstag(&self) -> String {
        self.title.to_uppercase().replace(' ', "_")
    }
}

pub(super) struct FieldValue {
    pub(super) id: u64,
    pub(super) contact: u64,
    pub(super) field: u64,
    pub(super) value: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl FieldValue {
    fn shown(&self) -> Value {
        json!({
            "contact": self.contact.to_string(),
            "field": self.field.to_string(),
            "value": self.value,
            "cdate": zone::offset(self.created_at),
            "udate": zone::offset(self.updated_at),
            "created_by": null,
            "updated_by": null,
            "links": links("fieldValues", self.id, &["owner", "field"]),
            "id": self.id.to_string(),
            "owner": self.contact.to_string(),
        })
    }
}

pub(super) struct Tag {
    id: u64,
    pub(super) tag: String,
    kind: String,
    description: String,
}

impl Tag {
    pub(super) fn new(id: u64, tag: &str) -> Self {
        Self { id, tag: tag.to_owned(), kind: "contact".to_owned(), description: String::new() }
    }

    fn shown(&self) -> Value {
        json!({
            "id": self.id.to_string(), "tag": self.tag, "tagType": self.kind, "description": self.description,
            "links": links("tags", self.id, &["contactGoalTags"]),
        })
    }
}

pub(super) struct ContactTag {
    pub(super) contact: u64,
    pub(super) tag: u64,
    pub(super) created_at: Timestamp,
}

impl ContactTag {
    fn shown(&self, id: u64) -> Value {
        json!({
            "cdate": zone::offset(self.created_at),
            "contact": self.contact.to_string(),
            "tag": self.tag.to_string(),
            "id": id.to_string(),
            "links": links("contactTags", id, &["tag", "contact"]),
        })
    }
}

pub(super) struct ContactList {
    pub(super) contact: u64,
    pub(super) list: u64,
    /// 1 is subscribed, 2 is unsubscribed.
    pub(super) status: u64,
}

impl ContactList {
    fn shown(&self, id: u64) -> Value {
        json!({
            "contact": self.contact.to_string(), "list": self.list.to_string(), "status": self.status.to_string(),
            "id": id.to_string(), "links": links("contactLists", id, &["list", "contact"]),
        })
    }
}

/// A number, written as one or as a text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl ActiveCampaign {
    pub(super) fn field_values(&self, contact: u64) -> impl Iterator<Item = Value> {
        let rows = self.values_of.get(&contact).into_iter().flat_map(BTreeMap::values);
        rows.filter_map(|id| self.values.get(id)).map(FieldValue::shown)
    }

    pub(super) fn list_field_values(&self, contact: u64) -> Answer {
        Answer::json(StatusCode::OK, &json!({"fieldValues": self.field_values(contact).collect::<Vec<_>>()}))
    }

    pub(super) fn put_field_value(&mut self, call: &Call, id: Option<&str>, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "fieldValue")?;
        let known = id.and_then(|id| id.parse().ok()).and_then(|id: u64| self.values.get(&id));
        if let (Some(id), None) = (id, known) {
            return Err(missing("FieldValue", id));
        }
        let contact = known.map(|row| row.contact).or_else(|| number(&told["contact"]));
        let field = known.map(|row| row.field).or_else(|| number(&told["field"]));
        let contact = contact.filter(|id| self.contacts.contains_key(id));
        let contact = contact.ok_or_else(|| invalid("The contact is missing.", "contact_missing", "contact"))?;
        let field = field.filter(|id| self.fields.contains_key(id));
        let field = field.ok_or_else(|| invalid("The field is missing.", "field_missing", "field"))?;
        let value = json!({"fieldValues": [{"field": field.to_string(), "value": told["value"]}]});
        self.update_contact(contact, &value, Origin::Api, now);
        let row = self.values.values().find(|row| row.contact == contact && row.field == field).map(FieldValue::shown);
        Ok(Answer::json(StatusCode::OK, &json!({"contacts": [], "fieldValue": row})))
    }

    pub(super) fn list_fields(&self, call: &Call) -> Answer {
        let show = |field: &&Field| {
            json!({
                "id": field.id.to_string(), "title": field.title, "descript": "", "type": field.kind,
                "perstag": field.perstag(), "isrequired": "0", "defval": null, "visible": "1", "options": [],
                "relations": [], "links": links("fields", field.id, &["options", "relations"]),
            })
        };
        let fields = Vec::from_iter(self.fields.values());
        page(call, "fields", (&fields, FIELDS_DEFAULT), show, json!({"fieldOptions": [], "fieldRels": []}))
    }

    pub(super) fn list_tags(&self, call: &Call) -> Answer {
        let part = call.query("search").unwrap_or_default().to_lowercase();
        let whole = call.query("filters[search][eq]");
        let shown = self.tags.values().filter(|tag| {
            tag.tag.to_lowercase().contains(&part) && whole.as_ref().is_none_or(|whole| tag.tag == *whole)
        });
        list(call, "tags", &Vec::from_iter(shown), |tag| tag.shown(), json!({}))
    }

    pub(super) fn post_tag(&mut self, call: &Call) -> Result<Answer, Answer> {
        let told = body(call, "tag")?;
        let name = told["tag"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("The tag has no name.", "field_missing", "tag"))?;
        let is_known = self.tags.values().any(|tag| tag.tag.eq_ignore_ascii_case(name));
        if is_known {
            return Err(invalid("The tag exists.", "duplicate", "tag"));
        }
        let id = self.fresh_id();
        let mut tag = Tag::new(id, name);
        tag.kind = told["tagType"].as_str().unwrap_or("contact").to_owned();
        tag.description = told["description"].as_str().unwrap_or_default().to_owned();
        let answer = Answer::json(StatusCode::CREATED, &json!({"tag": tag.shown()}));
        self.tags.insert(id, tag);
        Ok(answer)
    }

    pub(super) fn list_contact_tags(&self, contact: u64) -> Answer {
        let own = self.contact_tags.iter().filter(|(_, link)| link.contact == contact);
        Answer::json(StatusCode::OK, &json!({"contactTags": own.map(|(id, link)| link.shown(*id)).collect::<Vec<_>>()}))
    }

    pub(super) fn post_contact_tag(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "contactTag")?;
        let contact = number(&told["contact"]).filter(|id| self.contacts.contains_key(id));
        let contact = contact.ok_or_else(|| missing("Subscriber", &told["contact"].to_string()))?;
        let tag = number(&told["tag"]).filter(|id| self.tags.contains_key(id));
        let tag = tag.ok_or_else(|| missing("Tag", &told["tag"].to_string()))?;
        let known = self.contact_tags.iter().find(|(_, link)| link.contact == contact && link.tag == tag);
        if let Some((id, link)) = known {
            self.ledger.note(now, "contactTag", id, Effect::Nothing);
            return Ok(Answer::json(StatusCode::OK, &json!({"contactTag": link.shown(*id)})));
        }
        let id = self.fresh_id();
        let link = ContactTag { contact, tag, created_at: now };
        let answer = Answer::json(StatusCode::CREATED, &json!({"contactTag": link.shown(id)}));
        self.contact_tags.insert(id, link);
        self.ledger.note(now, "contactTag", &id, Effect::Made);
        self.touch(contact, now);
        self.notify("contact_tag_added", contact, Some(tag), Origin::Api, now);
        Ok(answer)
    }

    pub(super) fn delete_contact_tag(&mut self, id: &str, now: Timestamp) -> Result<Answer, Answer> {
        let link = id.parse().ok().and_then(|id: u64| self.contact_tags.remove(&id));
        let link = link.ok_or_else(|| missing("SubscriberTag", id))?;
        self.ledger.note(now, "contactTag", id, Effect::Changed);
        self.touch(link.contact, now);
        self.notify("contact_tag_removed", link.contact, Some(link.tag), Origin::Api, now);
        Ok(Answer::json(StatusCode::OK, &json!({})))
    }

    fn touch(&mut self, contact: u64, now: Timestamp) {
        if let Some(contact) = self.contacts.get_mut(&contact) {
            contact.updated_at = now;
        }
    }

    pub(super) fn list_lists(&self, call: &Call) -> Answer {
        let show = |(id, name): &(&u64, &String)| {
            json!({
                "id": id.to_string(), "name": name, "stringid": name.to_lowercase(), "sender_url": "https://club.test",
                "links": links("lists", **id, &["contactGoalLists"]),
            })
        };
        list(call, "lists", &Vec::from_iter(&self.lists), show, json!({}))
    }

    pub(super) fn lists_of(&self, contact: u64) -> impl Iterator<Item = Value> {
        self.contact_lists.iter().filter(move |(_, link)| link.contact == contact).map(|(id, link)| link.shown(*id))
    }

    pub(super) fn list_contact_lists(&self, contact: u64) -> Answer {
        Answer::json(StatusCode::OK, &json!({"contactLists": self.lists_of(contact).collect::<Vec<_>>()}))
    }

    /// Somebody who left a list comes back only with the source that says so.
    pub(super) fn post_contact_list(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let told = body(call, "contactList")?;
        let contact = number(&told["contact"]).filter(|id| self.contacts.contains_key(id));
        let contact = contact.ok_or_else(|| missing("Subscriber", &told["contact"].to_string()))?;
        let list = number(&told["list"]).filter(|id| self.lists.contains_key(id));
        let list = list.ok_or_else(|| missing("List", &told["list"].to_string()))?;
        let status = number(&told["status"]).filter(|status| matches!(status, 1 | 2));
        let status = status.ok_or_else(|| invalid("The status is 1 or 2.", "status_invalid", "status"))?;
        let known = self.contact_lists.iter().find(|(_, link)| link.contact == contact && link.list == list);
        let (known, before) = known.map_or((None, 0), |(id, link)| (Some(*id), link.status));
        let stays_away = before == 2 && status == 1 && number(&told["sourceid"]) != Some(RESUBSCRIBING);
        let link = ContactList { contact, list, status: if stays_away { before } else { status } };
        let id = known.unwrap_or_else(|| self.fresh_id());
        let is_changed = before != link.status;
        let made = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        let answer = Answer::json(made, &json!({"contacts": [], "contactList": link.shown(id)}));
        let event = if link.status == 1 { "subscribe" } else { "unsubscribe" };
        self.contact_lists.insert(id, link);
        let effect = if known.is_some() { Effect::changed(is_changed) } else { Effect::Made };
        self.ledger.note(now, "contactList", &id, effect);
        if is_changed {
            self.notify(event, contact, Some(list), Origin::Api, now);
        }
        Ok(answer)
    }
}
