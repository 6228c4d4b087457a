//! Items: listed in five ways of paging, read, written and deleted one by one. It must not know who calls.

use super::{Rest, fault};
use crate::platforms::call::insert;
use crate::platforms::ledger::Effect;
use crate::platforms::{Answer, Call, Hook};
use http::{HeaderMap, Method, StatusCode};
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// How many are on a page, when nobody says and at most.
const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 100;

/// One item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id.
    pub id: u64,
    /// What was written: name, email, tags, address.
    pub body: Value,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Item {
    /// As the API shows it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = self.body.clone();
        shown["id"] = Value::from(self.id);
        shown["updated_at"] = Value::from(self.updated_at.to_string());
        shown
    }
}

impl Rest {
    /// A user makes an item; gives its id.
    pub fn insert(&mut self, body: Value, now: Timestamp) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.items.insert(id, Item { id, body, updated_at: now });
        self.notify("created", id);
        id
    }

    /// A user changes an item. Gives whether it is there.
    pub fn update(&mut self, id: u64, told: &Value, now: Timestamp) -> bool {
        let Some(item) = self.items.get_mut(&id) else { return false };
        for (name, value) in told.as_object().into_iter().flatten() {
            item.body[name] = value.clone();
        }
        item.updated_at = now;
        self.notify("updated", id);
        true
    }

    /// A user removes an item. Gives whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let was_there = self.items.remove(&id).is_some();
        if was_there {
            self.notify("deleted", id);
        }
        was_there
    }

    fn notify(&mut self, event: &str, id: u64) {
        let item = self.items.get(&id).map_or_else(|| json!({ "id": id }), Item::shown);
        for (webhook, url) in &self.webhooks {
            let mut headers = HeaderMap::new();
            insert(&mut headers, "content-type", "application/json");
            let body = json!({"event": event, "item": item}).to_string().into();
            let (webhook, url) = (webhook.to_string(), url.clone());
            self.hooks.push(Hook { webhook, method: Method::POST, url, headers, body });
        }
    }

    pub(super) fn list_items(&self, call: &Call, style: &str) -> Answer {
        let since = match call.query("updated_since").map(|text| Timestamp::parse(&text)) {
            Some(Err(_)) => return fault(StatusCode::BAD_REQUEST, "updated_since is no time"),
            since => since.and_then(Result::ok),
        };
        let email = call.query("email");
        let has_email = |item: &&Item| email.as_ref().is_none_or(|email| item.body["email"] == email.as_str());
        let is_new = |item: &&Item| since.is_none_or(|at| item.updated_at >= at);
        let items: Vec<&Item> = self.items.values().filter(is_new).filter(has_email).collect();
        let limit =
            call.number("limit").or_else(|| call.number("per_page")).unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let total = items.len();
        let offset = call.number("offset").unwrap_or(0);
        let number = call.number("page").unwrap_or(1).max(1);
        let after = |name: &str| call.query(name).and_then(|cursor| cursor.strip_prefix("after-")?.parse::<u64>().ok());
        let skipped = match style {
            "offset" => offset,
            "page" | "link" => (number - 1) * limit,
            _ => items.iter().take_while(|item| after("cursor").is_some_and(|id| item.id <= id)).count(),
        };
        let shown: Vec<Value> = items.iter().skip(skipped).take(limit).map(|item| item.shown()).collect();
        let last = shown.last().and_then(|item| item["id"].as_u64()).filter(|_| skipped + limit < total);
        let cursor = last.map(|id| format!("after-{id}"));
        let next = |name: &str, value: &str| with_query(&call.url, name, value).to_string();
        let data = json!({ "items": shown });
        match style {
            "offset" => page(&json!({"data": data, "meta": {"offset": offset, "limit": limit, "total": total}})),
            "page" => page(&json!({"data": data, "meta": {"page": number, "total_pages": total.div_ceil(limit)}})),
            "cursor" => page(&json!({"data": data, "meta": {"next_cursor": cursor}})),
            "next" => page(&json!({"data": data, "links": {"next": cursor.map(|cursor| next("cursor", &cursor))}})),
            "link" => {
                let answer = page(&Value::from(shown));
                let link = last.map(|_| format!("<{}>; rel=\"next\"", next("page", &(number + 1).to_string())));
                link.map_or(answer.clone(), |link| answer.with("link", &link))
            }
            _ => fault(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    fn item_id(&self, id: &str) -> Result<u64, Answer> {
        let known = id.parse().ok().filter(|id| self.items.contains_key(id));
        known.ok_or_else(|| fault(StatusCode::NOT_FOUND, "there is no such item"))
    }

    fn shown(&self, status: StatusCode, id: u64) -> Answer {
        Answer::json(status, &self.items.get(&id).map(Item::shown).unwrap_or_default())
    }

    pub(super) fn get_item(&self, id: &str) -> Answer {
        self.item_id(id).map_or_else(|fault| fault, |id| self.shown(StatusCode::OK, id))
    }

    pub(super) fn post_item(&mut self, call: &Call, now: Timestamp) -> Answer {
        let Some(body) = call.json().filter(Value::is_object) else {
            return fault(StatusCode::BAD_REQUEST, "the body is an item");
        };
        let is_taken = self.items.values().any(|item| !body["email"].is_null() && item.body["email"] == body["email"]);
        if is_taken {
            return fault(StatusCode::CONFLICT, "an item with this email exists");
        }
        let id = self.insert(body, now);
        self.ledger.note(now, "item", &id, Effect::Made);
        self.shown(StatusCode::CREATED, id)
    }

    pub(super) fn put_item(&mut self, call: &Call, id: &str, now: Timestamp) -> Answer {
        let Some(body) = call.json().filter(Value::is_object) else {
            return fault(StatusCode::BAD_REQUEST, "the body is an item");
        };
        match self.item_id(id) {
            Ok(id) => {
                let before = self.items.get(&id).map(|item| item.body.clone());
                self.update(id, &body, now);
                let is_changed = self.items.get(&id).map(|item| &item.body) != before.as_ref();
                self.ledger.note(now, "item", &id, Effect::changed(is_changed));
                self.shown(StatusCode::OK, id)
            }
            Err(fault) => fault,
        }
    }

    pub(super) fn delete_item(&mut self, id: &str, now: Timestamp) -> Answer {
        match self.item_id(id) {
            Ok(id) => {
                self.remove(id);
                self.ledger.note(now, "item", &id, Effect::Changed);
                Answer::empty(StatusCode::NO_CONTENT)
            }
            Err(fault) => fault,
        }
    }

    pub(super) fn post_webhook(&mut self, call: &Call) -> Answer {
        let url = call.json().and_then(|body| Url::parse(body["url"].as_str()?).ok());
        let Some(url) = url else { return fault(StatusCode::BAD_REQUEST, "url is missing or no URL") };
        let id = self.next_id;
        self.next_id += 1;
        let answer = Answer::json(StatusCode::CREATED, &json!({"id": id, "url": url.as_str()}));
        self.webhooks.insert(id, url);
        answer
    }

    pub(super) fn delete_webhook(&mut self, id: &str) -> Answer {
        let removed = id.parse().ok().and_then(|id: u64| self.webhooks.remove(&id));
        removed.map_or_else(
            || fault(StatusCode::NOT_FOUND, "there is no such webhook"),
            |_| Answer::empty(StatusCode::NO_CONTENT),
        )
    }
}

fn page(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, body)
}

/// The same URL with another value of a name in its query; a key there is not repeated to anybody.
fn with_query(url: &Url, name: &str, value: &str) -> Url {
    let mut next = url.clone();
    let kept = url
        .query_pairs()
        .filter(|(key, _)| key != name && key != "api_key")
        .map(|(key, value)| (key.into_owned(), value.into_owned()));
    let kept: Vec<(String, String)> = kept.collect();
    next.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, value);
    next
}
