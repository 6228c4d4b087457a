//! ActiveCampaign, API v3: contacts with custom fields, tags and lists, bulk imports, and webhooks.
//!
//! Odd where it is: a wrong token is 403; five calls a second for the whole account; numbers and totals are texts;
//! custom fields go by number in the API and by name in a webhook; a tag on a contact is a row of its own; an import
//! is another dialect, and silent; a webhook is never sent again, and ends with a 410. Custom objects, notes and
//! automations are not simulated.

mod answers;
mod contacts;
mod hooks;
mod imports;
mod limit;
mod links;

pub use contacts::Contact;

use super::ledger::{Effect, Ledger, Write};
use super::people::{Person, hex};
use super::{Answer, Call, Hook, Platform, zone};
use crate::chance::Chance;
use answers::{list, message, missing};
use hooks::Webhook;
use http::StatusCode;
use imports::Imports;
use limit::Window;
use links::{ContactList, ContactTag, Field, FieldValue, Tag};
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Calls of an account in a second.
pub const CALLS_PER_SECOND: usize = 5;

/// The platform of one account.
pub struct ActiveCampaign {
    chance: Chance,
    calls: Window,
    next_id: u64,
    contacts: BTreeMap<u64, Contact>,
    /// Who has an address, in lower case.
    by_email: BTreeMap<String, u64>,
    fields: BTreeMap<u64, Field>,
    values: BTreeMap<u64, FieldValue>,
    /// Of each contact, the row of each field.
    values_of: BTreeMap<u64, BTreeMap<u64, u64>>,
    tags: BTreeMap<u64, Tag>,
    contact_tags: BTreeMap<u64, ContactTag>,
    lists: BTreeMap<u64, String>,
    contact_lists: BTreeMap<u64, ContactList>,
    accounts: Vec<Value>,
    deals: Vec<Value>,
    imports: Imports,
    webhooks: BTreeMap<u64, Webhook>,
    takes_any_url: bool,
    hooks: Vec<Hook>,
    ledger: Ledger,
}

/// Who caused a change, as webhooks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A form on a public page.
    Public,
    /// A user on a screen.
    Admin,
    /// A call of the API.
    Api,
    /// An automation.
    System,
}

impl Origin {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
            Self::Api => "api",
            Self::System => "system",
        }
    }
}

impl ActiveCampaign {
    /// A user's token.
    pub const TOKEN: &str = "k1";

    /// One without contacts, with the fields `Member no`, `Joined` and `City`, the tags `member` and `rowing`, and
    /// two lists.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut fields = BTreeMap::new();
        for (id, title, kind) in [(1, "Member no", "text"), (2, "Joined", "date"), (3, "City", "text")] {
            fields.insert(id, Field::new(id, title, kind));
        }
        Self {
            chance: Chance::new(seed, "activecampaign"),
            calls: Window::new(CALLS_PER_SECOND, 1000),
            next_id: 400,
            contacts: BTreeMap::new(),
            by_email: BTreeMap::new(),
            fields,
            values: BTreeMap::new(),
            values_of: BTreeMap::new(),
            tags: BTreeMap::from([(19, Tag::new(19, "member")), (20, Tag::new(20, "rowing"))]),
            contact_tags: BTreeMap::new(),
            lists: BTreeMap::from([(1, "Newsletter".to_owned()), (2, "Members".to_owned())]),
            contact_lists: BTreeMap::new(),
            accounts: Vec::new(),
            deals: Vec::new(),
            imports: Imports::default(),
            webhooks: BTreeMap::new(),
            takes_any_url: false,
            hooks: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// The same with so many more people, a second apart, the last one now; each with a city and a tag, every fifth
    /// with an account and a deal.
    #[must_use]
    pub fn with_people(mut self, count: u64, now: Timestamp) -> Self {
        for number in 1..=count {
            let person = Person::drawn(&self.chance, number);
            let at = now.plus_ms(-1000 * i64::try_from(count - number).unwrap_or(0));
            let told = json!({
                "email": person.email, "firstName": person.first, "lastName": person.last,
                "fieldValues": [{"field": "1", "value": format!("M{number}")}, {"field": "3", "value": person.city}],
            });
            let contact = self.create_contact(&told, at);
            let id = self.fresh_id();
            let tag = if person.interests.contains(&"rowing") { 20 } else { 19 };
            self.contact_tags.insert(id, ContactTag { contact, tag, created_at: at });
            let id = self.fresh_id();
            self.contact_lists.insert(id, ContactList { contact, list: 1 + number % 2, status: 1 });
            if number.is_multiple_of(5) {
                self.add_business(number, contact, at);
            }
        }
        self
    }

    fn add_business(&mut self, number: u64, contact: u64, at: Timestamp) {
        let account = self.accounts.len() + 1;
        self.accounts.push(json!({
            "id": account.to_string(), "name": format!("Club {number}"), "accountUrl": "", "owner": "1",
            "createdTimestamp": zone::offset(at), "updatedTimestamp": zone::offset(at),
        }));
        self.deals.push(json!({
            "id": (self.deals.len() + 1).to_string(), "title": format!("Season {number}"), "contact": contact.to_string(),
            "account": account.to_string(), "value": "12500", "currency": "eur", "status": "0", "stage": "1",
            "group": "1", "owner": "1", "cdate": zone::offset(at), "mdate": zone::offset(at),
        }));
    }

    /// More custom fields, so that they no longer fit on a page.
    #[must_use]
    pub fn with_fields(mut self, count: u64) -> Self {
        for number in 0..count {
            let id = 100 + number;
            self.fields.insert(id, Field::new(id, &format!("Extra {number}"), "text"));
        }
        self
    }

    /// Also takes webhooks to URLs that are not https on port 443, as no real account does.
    #[must_use]
    pub fn with_any_url(mut self) -> Self {
        self.takes_any_url = true;
        self
    }

    /// All contacts by their id.
    #[must_use]
    pub fn contacts(&self) -> &BTreeMap<u64, Contact> {
        &self.contacts
    }

    /// The value of a custom field of a contact, where it has one.
    #[must_use]
    pub fn field_value(&self, contact: u64, field: u64) -> Option<&str> {
        let row = self.values_of.get(&contact)?.get(&field)?;
        self.values.get(row).map(|row| row.value.as_str())
    }

    /// Somebody other than the API makes a contact and puts it on the first list, of which webhooks tell; gives its id.
    pub fn add(&mut self, told: &Value, origin: Origin, now: Timestamp) -> u64 {
        let contact = self.create_contact(told, now);
        let id = self.fresh_id();
        self.contact_lists.insert(id, ContactList { contact, list: 1, status: 1 });
        self.notify("subscribe", contact, Some(1), origin, now);
        contact
    }

    /// A user removes a contact, of which no webhook tells. Gives whether it was there.
    pub fn remove(&mut self, contact: u64) -> bool {
        let Some(removed) = self.contacts.remove(&contact) else { return false };
        self.by_email.remove(&removed.email.to_lowercase());
        self.values.retain(|_, value| value.contact != contact);
        self.values_of.remove(&contact);
        self.contact_tags.retain(|_, link| link.contact != contact);
        self.contact_lists.retain(|_, link| link.contact != contact);
        true
    }

    /// Somebody other than the API changes a contact. Gives whether it is there.
    pub fn edit(&mut self, contact: u64, told: &Value, origin: Origin, now: Timestamp) -> bool {
        let is_there = self.contacts.contains_key(&contact);
        if self.apply(contact, told, now) {
            self.notify("update", contact, None, origin, now);
        }
        is_there
    }

    fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Every route, on one page.
    fn route(&mut self, call: &Call, path: &[&str], now: Timestamp) -> Result<Answer, Answer> {
        match (call.method.as_str(), path) {
            ("GET", ["users", "me"]) => Ok(who()),
            ("GET", ["contacts"]) => Ok(self.list_contacts(call)),
            ("POST", ["contacts"]) => self.post_contact(call, now),
            ("POST", ["contact", "sync"]) => self.sync_contact(call, now),
            (_, ["contacts", id, rest @ ..]) => {
                let id = id.parse().ok().filter(|id| self.contacts.contains_key(id));
                let id = id.ok_or_else(|| missing("Subscriber", path.get(1).copied().unwrap_or_default()))?;
                self.route_contact(call, id, rest, now)
            }
            ("POST", ["contactTags"]) => self.post_contact_tag(call, now),
            ("DELETE", ["contactTags", id]) => self.delete_contact_tag(id, now),
            ("POST", ["contactLists"]) => self.post_contact_list(call, now),
            ("POST", ["fieldValues"]) => self.put_field_value(call, None, now),
            ("PUT", ["fieldValues", id]) => self.put_field_value(call, Some(id), now),
            ("GET", ["tags"]) => Ok(self.list_tags(call)),
            ("POST", ["tags"]) => self.post_tag(call),
            ("GET", ["lists"]) => Ok(self.list_lists(call)),
            ("GET", ["fields"]) => Ok(self.list_fields(call)),
            ("GET", ["accounts"]) => Ok(list(call, "accounts", &self.accounts, Value::clone, json!({}))),
            ("GET", ["deals"]) => Ok(list(call, "deals", &self.deals, Value::clone, json!({}))),
            ("POST", ["import", "bulk_import"]) => self.post_import(call, now),
            ("GET", ["import", "bulk_import"]) => Ok(self.list_imports(now)),
            ("GET", ["import", "info"]) => self.get_import(call),
            ("GET", ["webhook", "events"]) => Ok(hooks::list_events()),
            ("GET", ["webhooks"]) => Ok(self.list_webhooks(call)),
            ("POST", ["webhooks"]) => self.post_webhook(call, now),
            (_, ["webhooks", id]) => self.route_webhook(call, id),
            _ => Err(message(StatusCode::NOT_FOUND, "No Result found")),
        }
    }

    fn route_contact(&mut self, call: &Call, id: u64, path: &[&str], now: Timestamp) -> Result<Answer, Answer> {
        match (call.method.as_str(), path) {
            ("GET", []) => Ok(self.get_contact(id)),
            ("PUT", []) => self.put_contact(call, id, now),
            ("DELETE", []) => {
                self.remove(id);
                self.ledger.note(now, "contact", &id, Effect::Changed);
                Ok(Answer::json(StatusCode::OK, &json!({})))
            }
            ("GET", ["contactTags"]) => Ok(self.list_contact_tags(id)),
            ("GET", ["contactLists"]) => Ok(self.list_contact_lists(id)),
            ("GET", ["fieldValues"]) => Ok(self.list_field_values(id)),
            _ => Err(message(StatusCode::NOT_FOUND, "No Result found")),
        }
    }

    /// Tells how many calls are left in this second.
    fn marked(&self, answer: Answer, now: Timestamp) -> Answer {
        let left = self.calls.left(now).to_string();
        answer.with("ratelimit-limit", &CALLS_PER_SECOND.to_string()).with("ratelimit-remaining", &left)
    }
}

fn who() -> Answer {
    let user =
        json!({"username": "admin", "firstName": "Ada", "lastName": "Admin", "email": "ada@club.test", "id": "1"});
    Answer::json(StatusCode::OK, &json!({ "user": user }))
}

impl Platform for ActiveCampaign {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.run_imports(now);
        if call.header("api-token") != Self::TOKEN {
            return message(StatusCode::FORBIDDEN, "Forbidden");
        }
        if !self.calls.take(now) {
            let seconds = self.calls.wait_ms(now).div_ceil(1000).max(1);
            return self.throttled(seconds);
        }
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let answer = match path.as_slice() {
            ["api", "3", rest @ ..] => self.route(call, rest, now).unwrap_or_else(|refusal| refusal),
            _ => message(StatusCode::NOT_FOUND, "No Result found"),
        };
        self.marked(answer, now)
    }

    fn throttled(&self, seconds: u64) -> Answer {
        Answer::empty(StatusCode::TOO_MANY_REQUESTS)
            .with("retry-after", &seconds.to_string())
            .with("ratelimit-limit", &CALLS_PER_SECOND.to_string())
            .with("ratelimit-remaining", "0")
    }

    fn unavailable(&self) -> Answer {
        let page = "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>";
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", page)
    }

    /// A key has no expiry.
    fn expire_tokens(&mut self) {}

    fn take_hooks(&mut self, now: Timestamp) -> Vec<Hook> {
        self.run_imports(now);
        std::mem::take(&mut self.hooks)
    }

    /// Never sent again; a 410 switches the webhook off.
    fn hook_answered(&mut self, hook: &Hook, status: Option<u16>) {
        let webhook = hook.webhook.parse().ok().and_then(|id: u64| self.webhooks.get_mut(&id));
        if let Some(webhook) = webhook.filter(|_| status == Some(410)) {
            webhook.is_active = false;
        }
    }

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
