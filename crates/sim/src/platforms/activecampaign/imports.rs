//! Bulk imports: up to 250 contacts in a dialect of their own, all refused if one is malformed, carried out later,
//! and silent towards webhooks. It must not notify.

use super::answers::message;
use super::contacts::is_email;
use super::limit::Window;
use super::links::{ContactList, ContactTag, Tag, number};
use super::{ActiveCampaign, hex, zone};
use crate::platforms::call::insert;
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call, Hook};
use http::{HeaderMap, Method, StatusCode};
use lockstep_core::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Most contacts of one import.
const CONTACTS_MAX: usize = 250;

/// Imports of an account in a minute.
const IMPORTS_PER_MINUTE: usize = 100;

/// How long an import waits to be carried out.
const WAIT_MS: i64 = 3000;

pub(super) struct Imports {
    calls: Window,
    batches: BTreeMap<String, Batch>,
}

impl Default for Imports {
    fn default() -> Self {
        Self { calls: Window::new(IMPORTS_PER_MINUTE, 60_000), batches: BTreeMap::new() }
    }
}

struct Batch {
    due_at: Timestamp,
    rows: Vec<Value>,
    callback: Value,
    is_done: bool,
    success: Vec<String>,
    failure: Vec<String>,
}

impl ActiveCampaign {
    pub(super) fn post_import(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let refused = |text: &str, reasons: Vec<Value>| {
            let body = json!({"success": 0, "message": text, "failureReasons": reasons});
            Err(Answer::json(StatusCode::BAD_REQUEST, &body))
        };
        if !self.imports.calls.take(now) {
            return Err(message(StatusCode::BAD_REQUEST, "Rate limit exceeded."));
        }
        let body = call.json().unwrap_or_default();
        let Some(rows) = body["contacts"].as_array().filter(|rows| !rows.is_empty()) else {
            return refused("No contacts were given.", Vec::new());
        };
        if rows.len() > CONTACTS_MAX {
            return refused("Too many contacts were given; at most 250.", Vec::new());
        }
        let reasons = rows.iter().zip(0..).filter_map(|(row, at)| {
            let reason = |text: &str| Some(json!({"contact": at, "failureReason": text}));
            match row["email"].as_str() {
                Some(email) if !email.is_empty() => None,
                _ => reason("The email address is missing."),
            }
        });
        let reasons: Vec<Value> = reasons.collect();
        if !reasons.is_empty() {
            return refused("There were problems with the contacts; nothing was queued.", reasons);
        }
        let id = hex(&self.chance, 32);
        let text = format!("{} contact(s) were queued.", rows.len());
        let answer = json!({"Success": 1, "queued_contacts": rows.len(), "batchId": id, "message": text});
        let batch = Batch {
            due_at: now.plus_ms(WAIT_MS),
            rows: rows.clone(),
            callback: body["callback"].clone(),
            is_done: false,
            success: Vec::new(),
            failure: Vec::new(),
        };
        self.imports.batches.insert(id, batch);
        Ok(Answer::json(StatusCode::OK, &answer))
    }

    pub(super) fn get_import(&self, call: &Call) -> Result<Answer, Answer> {
        let batch = call.query("batchId").and_then(|id| self.imports.batches.get(&id));
        let batch = batch.ok_or_else(|| message(StatusCode::NOT_FOUND, "No Result found"))?;
        let status = if batch.is_done { "completed" } else { "waiting" };
        let body = json!({"status": status, "success": batch.success, "failure": batch.failure});
        Ok(Answer::json(StatusCode::OK, &body))
    }

    pub(super) fn list_imports(&self, now: Timestamp) -> Answer {
        let day = zone::local(now).chars().take(10).collect::<String>();
        let counted = |is_done: bool| {
            let batches = self.imports.batches.values().filter(|batch| batch.is_done == is_done);
            let contacts: usize = batches.map(|batch| batch.rows.len()).sum();
            if contacts == 0 { json!([]) } else { json!([{"day": day, "contacts": contacts.to_string()}]) }
        };
        let body = json!({"outstanding": counted(false), "recentlyCompleted": counted(true)});
        Answer::json(StatusCode::OK, &body)
    }

    pub(super) fn run_imports(&mut self, now: Timestamp) {
        let due = self.imports.batches.iter().filter(|(_, batch)| !batch.is_done && batch.due_at <= now);
        for id in due.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let Some(mut batch) = self.imports.batches.remove(&id) else { continue };
            for row in &batch.rows {
                let email = row["email"].as_str().unwrap_or_default();
                if is_email(email) {
                    batch.success.push(self.import_row(row, email, batch.due_at).to_string());
                } else {
                    batch.failure.push(email.to_owned());
                }
            }
            batch.is_done = true;
            self.hooks.extend(batch.called_back(&id));
            self.imports.batches.insert(id, batch);
        }
    }

    /// Writes one row, whose names are others than those of the contacts' own calls; gives the contact's id.
    fn import_row(&mut self, row: &Value, email: &str, now: Timestamp) -> u64 {
        let mut told = Map::from_iter([("email".to_owned(), Value::from(email))]);
        for (theirs, ours) in [("first_name", "firstName"), ("last_name", "lastName"), ("phone", "phone")] {
            if let Some(value) = row.get(theirs) {
                told.insert(ours.to_owned(), value.clone());
            }
        }
        let fields = row["fields"].as_array().into_iter().flatten();
        let values: Vec<Value> = fields.map(|field| json!({"field": field["id"], "value": field["value"]})).collect();
        told.insert("fieldValues".to_owned(), Value::from(values));
        let told = Value::Object(told);
        let known = self.with_email(email);
        let (contact, mut is_changed) = match known {
            Some(id) => (id, self.apply(id, &told, now)),
            None => (self.create_contact(&told, now), true),
        };
        for tag in row["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            is_changed |= self.import_tag(contact, tag, now);
        }
        for (name, status) in [("subscribe", 1), ("unsubscribe", 2)] {
            for list in row[name].as_array().into_iter().flatten().filter_map(|entry| number(&entry["listid"])) {
                is_changed |= self.import_list(contact, list, status);
            }
        }
        let effect = if known.is_none() { Effect::Made } else { Effect::changed(is_changed) };
        self.ledger.note(now, "contact", &contact, effect);
        contact
    }

    /// Puts a tag on a contact, and says whether it had it not.
    fn import_tag(&mut self, contact: u64, name: &str, now: Timestamp) -> bool {
        let known = self.tags.iter().find(|(_, tag)| tag.tag == name).map(|(id, _)| *id);
        let tag = known.unwrap_or_else(|| {
            let id = self.fresh_id();
            self.tags.insert(id, Tag::new(id, name));
            id
        });
        let is_new = !self.contact_tags.values().any(|link| link.contact == contact && link.tag == tag);
        if is_new {
            let id = self.fresh_id();
            self.contact_tags.insert(id, ContactTag { contact, tag, created_at: now });
        }
        is_new
    }

    /// Puts a contact on a list or off it, and says whether that is new. Somebody who left a list is not brought back.
    fn import_list(&mut self, contact: u64, list: u64, status: u64) -> bool {
        let known = self.contact_lists.values_mut().find(|link| link.contact == contact && link.list == list);
        match known {
            Some(link) if link.status == 2 => false,
            Some(link) => std::mem::replace(&mut link.status, status) != status,
            None => {
                let id = self.fresh_id();
                self.contact_lists.insert(id, ContactList { contact, list, status });
                true
            }
        }
    }
}

impl Batch {
    /// The call that whoever asked for the import wanted at its end.
    fn called_back(&self, id: &str) -> Option<Hook> {
        let mut url = Url::parse(self.callback["url"].as_str()?).ok()?;
        let mut body = json!({ "batchId": id });
        if self.callback["detailed_results"].as_str() == Some("true") {
            body["success"] = json!(self.success);
            body["failure"] = json!(self.failure);
        }
        let pairs = |name: &str| {
            let listed = self.callback[name].as_array().cloned().unwrap_or_default();
            listed
                .into_iter()
                .filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned())))
        };
        let mut headers = HeaderMap::new();
        insert(&mut headers, "content-type", "application/json");
        for (name, value) in pairs("headers") {
            insert(&mut headers, &name, &value);
        }
        for (name, value) in pairs("params") {
            url.query_pairs_mut().append_pair(&name, &value);
        }
        let is_get = self.callback["requestType"].as_str() == Some("GET");
        let (method, body) = if is_get { (Method::GET, String::new()) } else { (Method::POST, body.to_string()) };
        Some(Hook { webhook: format!("import {id}"), method, url, headers, body: body.into() })
    }
}
