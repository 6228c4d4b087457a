//! Platform X: contacts behind OAuth 1.0a, made and changed by calls of their own, and no hooks.
//!
//! Every call is signed, and the signature is worked out here anew. There is no upsert: `GET /contacts?email=` looks
//! one up, `POST /contacts` makes it and answers nothing but its id, `POST /contacts/{id}` changes what is told. An
//! address that another contact has is 409. `GET /contacts?since=&page=` lists by time of the last change, a hundred
//! a page, as things stand when each page is asked for. Bodies are JSON or a form; a name that is no field is 400.
//! A token never ends, a nonce is good once, and nothing can be removed by API.

mod contacts;
mod signature;

pub use contacts::Contact;

use super::ledger::{Ledger, Write};
use super::people::Person;
use super::{Answer, Call, Hook, Platform};
use crate::chance::Chance;
use contacts::Contacts;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use signature::Doorkeeper;
use std::collections::BTreeMap;

/// The platform.
#[derive(Default)]
pub struct PlatformX {
    doorkeeper: Doorkeeper,
    contacts: Contacts,
    ledger: Ledger,
}

impl PlatformX {
    /// Whose calls are taken: the key of the consumer.
    pub const CONSUMER_KEY: &str = "hub";
    /// Its secret, which has to be escaped before it signs.
    pub const CONSUMER_SECRET: &str = "c&s=1";
    /// The token of the account.
    pub const TOKEN: &str = "tok-1";
    /// Its secret.
    pub const TOKEN_SECRET: &str = "t+s/1";

    /// One without contacts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with so many more people, a second apart, the last one now.
    #[must_use]
    pub fn with_people(mut self, count: u64, seed: u64, now: Timestamp) -> Self {
        let chance = Chance::new(seed, "platform x");
        for number in 1..=count {
            let person = Person::drawn(&chance, number);
            let at = now.plus_ms(-1000 * i64::try_from(count - number).unwrap_or(0));
            let told = json!({
                "email": person.email, "first_name": person.first, "last_name": person.last, "city": person.city,
                "interests": person.interests,
            });
            self.add(&told, at);
        }
        self
    }

    /// All contacts by their id.
    #[must_use]
    pub fn contacts(&self) -> &BTreeMap<u64, Contact> {
        self.contacts.all()
    }

    /// A user makes a contact on a screen; gives its id.
    pub fn add(&mut self, told: &Value, now: Timestamp) -> u64 {
        self.contacts.create(told, now)
    }

    /// A user changes a contact on a screen. Gives whether it is there.
    pub fn edit(&mut self, contact: u64, told: &Value, now: Timestamp) -> bool {
        self.contacts.update(contact, told, now).is_some()
    }

    /// A user removes a contact. Gives whether it was there.
    pub fn remove(&mut self, contact: u64) -> bool {
        self.contacts.remove(contact)
    }

    /// Every route, on one page.
    fn route(&mut self, call: &Call, path: &[&str], now: Timestamp) -> Result<Answer, Answer> {
        match (call.method.as_str(), path) {
            ("GET", ["me"]) => Ok(Answer::json(StatusCode::OK, &json!({"account": "x-7", "name": "Club X"}))),
            ("GET", ["contacts"]) => self.contacts.list(call),
            ("GET", ["contacts", id]) => self.contacts.get(id),
            ("POST", ["contacts"]) => self.post_contact(call, now),
            ("POST", ["contacts", id]) => self.change_contact(call, id, now),
            _ => Err(fault(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }
}

/// An error.
fn fault(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message }))
}

impl Platform for PlatformX {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        if let Err(problem) = self.doorkeeper.admit(call, now) {
            let header = format!("OAuth realm=\"platform-x\", oauth_problem=\"{problem}\"");
            return fault(StatusCode::UNAUTHORIZED, problem).with("www-authenticate", &header);
        }
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        self.route(call, &path, now).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self, seconds: u64) -> Answer {
        fault(StatusCode::TOO_MANY_REQUESTS, "too many calls").with("retry-after", &seconds.to_string())
    }

    fn unavailable(&self) -> Answer {
        Answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/html",
            "<html><body><h1>Down for a moment</h1></body></html>",
        )
    }

    /// A token has no expiry.
    fn expire_tokens(&mut self) {}

    fn take_hooks(&mut self, _: Timestamp) -> Vec<Hook> {
        Vec::new()
    }

    fn hook_answered(&mut self, _: &Hook, _: Option<u16>) {}

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
