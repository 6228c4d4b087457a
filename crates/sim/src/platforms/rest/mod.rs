//! A plain REST platform, for the connector that fits many: items in five ways of paging, behind six ways to prove
//! who calls, with a filter of what changed since, and JSON webhooks.
//!
//! `/offset/items`, `/page/items`, `/cursor/items` and `/next/items` nest their items under `data.items`;
//! `/link/items` is a bare list whose next page stands in a `Link` header. Pages are of the items as they stand when
//! each is asked for, so an item that comes or goes between two pages moves the rest, but for the cursor.

mod auth;
mod items;

pub use auth::Auth;
pub use items::Item;

use super::ledger::{Ledger, Write};
use super::people::Person;
use super::{Answer, Call, Hook, Platform};
use crate::chance::Chance;
use auth::Tokens;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use url::Url;

/// The platform.
pub struct Rest {
    auth: Auth,
    tokens: Tokens,
    next_id: u64,
    items: BTreeMap<u64, Item>,
    webhooks: BTreeMap<u64, Url>,
    hooks: Vec<Hook>,
    ledger: Ledger,
}

impl Rest {
    /// An empty one that wants this kind of proof.
    #[must_use]
    pub fn new(seed: u64, auth: Auth) -> Self {
        Self {
            auth,
            tokens: Tokens::new(seed),
            next_id: 1,
            items: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            hooks: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// The same with so many more items, a second apart, the last one now.
    #[must_use]
    pub fn with_people(mut self, count: u64, seed: u64, now: Timestamp) -> Self {
        let chance = Chance::new(seed, "rest");
        for number in 1..=count {
            let person = Person::drawn(&chance, number);
            let at = now.plus_ms(-1000 * i64::try_from(count - number).unwrap_or(0));
            let body = json!({
                "name": format!("{} {}", person.first, person.last), "email": person.email, "tags": person.interests,
                "address": {"city": person.city},
            });
            self.insert(body, at);
        }
        self
    }

    /// All items by their id.
    #[must_use]
    pub fn items(&self) -> &BTreeMap<u64, Item> {
        &self.items
    }

    /// Every route, on one page.
    fn route(&mut self, call: &Call, path: &[&str], now: Timestamp) -> Answer {
        match (call.method.as_str(), path) {
            ("GET", ["me"]) => Answer::json(StatusCode::OK, &json!({"account": "acme"})),
            ("GET", ["items", id]) => self.get_item(id),
            ("POST", ["items"]) => self.post_item(call, now),
            ("PUT", ["items", id]) => self.put_item(call, id, now),
            ("DELETE", ["items", id]) => self.delete_item(id, now),
            ("GET", [style, "items"]) => self.list_items(call, style),
            ("POST", ["webhooks"]) => self.post_webhook(call),
            ("DELETE", ["webhooks", id]) => self.delete_webhook(id),
            _ => fault(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }
}

/// An error.
fn fault(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"status": status.as_u16(), "message": message}}))
}

impl Platform for Rest {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if path == ["oauth", "token"] && call.method == http::Method::POST {
            return self.tokens.answer(call, now);
        }
        if !self.auth.is_proved(call, &self.tokens, now) {
            return fault(StatusCode::UNAUTHORIZED, "the credentials are missing, wrong or expired");
        }
        self.route(call, &path, now)
    }

    fn throttled(&self, seconds: u64) -> Answer {
        fault(StatusCode::TOO_MANY_REQUESTS, "too many calls").with("retry-after", &seconds.to_string())
    }

    fn unavailable(&self) -> Answer {
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", "<html><body>Service Unavailable</body></html>")
    }

    fn expire_tokens(&mut self) {
        self.tokens.expire();
    }

    fn take_hooks(&mut self, _: Timestamp) -> Vec<Hook> {
        std::mem::take(&mut self.hooks)
    }

    fn hook_answered(&mut self, hook: &Hook, status: Option<u16>) {
        if let Some(id) = hook.webhook.parse::<u64>().ok().filter(|_| status == Some(410)) {
            self.webhooks.remove(&id);
        }
    }

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
