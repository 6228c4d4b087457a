//! Copernica, REST API v1 to v4: databases of profiles, with subprofiles, interests, imports and webhooks.
//!
//! Odd where it is: nearly every error is 400 with a text; a write has no body and its id stands in a header; v4
//! wants a JWT of a day, fetched with the API token from another host, earlier versions the token in the query;
//! a PUT that creates is 303 before v4; two profiles may share an address; a removed profile is still there,
//! emptied; times are local and say no zone; busy is HTML. Selections, files and rules are not simulated.

mod answers;
mod auth;
mod filter;
mod hooks;
mod imports;
mod profiles;
mod schema;
mod subprofiles;

pub use hooks::Caller;
pub use profiles::Profile;
pub use schema::{Collection, Database};

use super::ledger::{Ledger, Write};
use super::people::{Person, hex};
use super::{Answer, Call, Hook, Platform, zone};
use crate::chance::Chance;
use answers::{Version, refusal};
use auth::Auth;
use filter::Filter;
use hooks::Webhook;
use http::StatusCode;
use imports::Import;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use subprofiles::Subprofile;

/// How long a write with `async=1` takes.
const ASYNC_MS: i64 = 2000;

/// The platform of one account.
pub struct Copernica {
    chance: Chance,
    auth: Auth,
    next_id: u64,
    databases: BTreeMap<u64, Database>,
    profiles: BTreeMap<u64, Profile>,
    subprofiles: BTreeMap<u64, Subprofile>,
    imports: BTreeMap<u64, Import>,
    webhooks: BTreeMap<u64, Webhook>,
    /// Hosts whose owner was proved by a DNS record.
    validated: BTreeSet<String>,
    hooks: Vec<Hook>,
    ledger: Ledger,
    later: Vec<Later>,
}

/// A write that is carried out some time after its answer.
struct Later {
    due_at: Timestamp,
    database: u64,
    filters: Vec<Filter>,
    body: Value,
    is_creating: bool,
}

impl Copernica {
    /// The account's number.
    pub const ACCOUNT: &str = "34";
    /// Its API token.
    pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    /// The database that is there from the beginning.
    pub const DATABASE: u64 = 12;

    /// One with the database `Members` of email, firstname, lastname, city and `customer_id`, with some interests and
    /// the collection `Orders`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed, "copernica"),
            auth: Auth::new(seed),
            next_id: 501,
            databases: BTreeMap::from([(Self::DATABASE, Database::members())]),
            profiles: BTreeMap::new(),
            subprofiles: BTreeMap::new(),
            imports: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            validated: BTreeSet::new(),
            hooks: Vec::new(),
            ledger: Ledger::default(),
            later: Vec::new(),
        }
    }

    /// The same with so many more people, a second apart, the last one now; every third has an order.
    #[must_use]
    pub fn with_people(mut self, count: u64, now: Timestamp) -> Self {
        for number in 1..=count {
            let person = Person::drawn(&self.chance, number);
            let at = now.plus_ms(-1000 * i64::try_from(count - number).unwrap_or(0));
            let body = json!({
                "fields": {
                    "email": person.email, "firstname": person.first, "lastname": person.last, "city": person.city,
                    "customer_id": number,
                },
                "interests": person.interests,
            });
            let profile = self.create(Self::DATABASE, &body, Caller::Import, at);
            if number % 3 == 0 {
                let order = json!({"number": format!("O{number}"), "total": "12.50"});
                self.create_subprofile(profile, Database::ORDERS, &order, Caller::Import, at);
            }
        }
        self.hooks.clear();
        self.ledger.clear();
        self
    }

    /// All profiles by their id, removed ones too.
    #[must_use]
    pub fn profiles(&self) -> &BTreeMap<u64, Profile> {
        &self.profiles
    }

    /// The owner of a host puts the DNS record there that allows webhooks to it.
    pub fn validate_host(&mut self, host: &str) {
        self.validated.insert(host.to_owned());
    }

    /// A user makes a profile in a database on a screen, of `fields` and `interests`; gives its id.
    pub fn add(&mut self, database: u64, body: &Value, now: Timestamp) -> u64 {
        self.create(database, body, Caller::Publisher, now)
    }

    /// A user changes the fields of a profile on a screen. Gives whether it is there.
    pub fn edit(&mut self, profile: u64, fields: &Value, now: Timestamp) -> bool {
        self.edit_both(profile, &json!({"fields": fields}), now)
    }

    /// A user switches interests of a profile on and off: names with 1 or 0. Gives whether it is there.
    pub fn edit_interests(&mut self, profile: u64, interests: &Value, now: Timestamp) -> bool {
        self.edit_both(profile, &json!({"interests": interests}), now)
    }

    fn edit_both(&mut self, profile: u64, body: &Value, now: Timestamp) -> bool {
        let is_there = self.is_present(profile);
        if is_there {
            self.update(profile, body, Caller::Publisher, now);
        }
        is_there
    }

    /// A user removes a profile. Gives whether it was there.
    pub fn remove_by_user(&mut self, profile: u64, now: Timestamp) -> bool {
        let was_there = self.is_present(profile);
        if was_there {
            self.remove(profile, Caller::Publisher, now);
        }
        was_there
    }

    fn is_present(&self, profile: u64) -> bool {
        self.profiles.get(&profile).is_some_and(|profile| profile.removed_at.is_none())
    }

    fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Does what became due.
    fn settle(&mut self, now: Timestamp) {
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|later| later.due_at <= now);
        self.later = later;
        for later in Vec::<Later>::from_iter(due) {
            self.update_matching(later.database, &later.filters, &later.body, later.is_creating, later.due_at);
        }
        self.run_imports(now);
    }

    /// Every route, on one page. What follows a known path is ignored, as there.
    fn route(&mut self, call: &Call, version: Version, path: &[&str], now: Timestamp) -> Result<Answer, Answer> {
        let place = Place { call, version, now };
        match (call.method.as_str(), path) {
            ("GET", ["identity", ..]) => Ok(identity()),
            ("GET", ["consumption", ..]) => Ok(Answer::json(StatusCode::OK, &json!({"emailings": 0, "mails": 0}))),
            ("GET", ["databases", ..]) => Ok(self.list_databases(call)),
            (_, ["database", id, rest @ ..]) => {
                let database = self.database_id(id)?;
                self.route_database(&place, database, rest)
            }
            (_, ["collection", id, rest @ ..]) => self.route_collection(&place, id, rest),
            (_, ["interest", id, ..]) => self.route_interest(&place, id),
            (_, ["profile", id, rest @ ..]) => {
                let profile = self.profile_id(id)?;
                self.route_profile(&place, profile, rest)
            }
            (_, ["subprofile", id, rest @ ..]) => self.route_subprofile(&place, id, rest),
            ("POST" | "PUT", ["imports", ..]) => self.create_import(&place),
            ("GET", ["import", id, ..]) => self.get_import(id),
            ("POST" | "PUT", ["webhooks", ..]) => self.create_webhook(&place),
            (_, ["webhook", id, ..]) => self.route_webhook(&place, id),
            _ => Err(refusal("Invalid method")),
        }
    }

    fn route_database(&mut self, place: &Place<'_>, database: u64, path: &[&str]) -> Result<Answer, Answer> {
        match (place.call.method.as_str(), path) {
            ("GET", []) => self.get_database(database),
            ("GET", ["fields", ..]) => self.list_fields(place.call, database),
            ("POST" | "PUT", ["fields", ..]) => self.create_field(place, database),
            ("GET", ["interests", ..]) => self.list_interests(place.call, database),
            ("POST" | "PUT", ["interests", ..]) => self.create_interest(place, database),
            ("GET", ["collections", ..]) => self.list_collections(place.call, database),
            ("GET", ["profiles", ..]) => self.list_profiles(place.call, database),
            ("GET", ["profileids", ..]) => self.list_profile_ids(place.call, database),
            ("POST", ["profiles", ..]) => self.create_profile(place, database),
            ("PUT", ["profiles", ..]) => self.update_profiles(place, database),
            ("DELETE", ["profiles", ..]) => self.remove_profiles(place, database),
            _ => Err(refusal("Invalid method")),
        }
    }

    fn route_profile(&mut self, place: &Place<'_>, profile: u64, path: &[&str]) -> Result<Answer, Answer> {
        match (place.call.method.as_str(), path) {
            ("GET", []) => Ok(self.get_profile(profile)),
            ("PUT", []) => self.update_profile(place, profile),
            ("DELETE", []) => self.remove_profile(place, profile),
            ("GET", ["interests", ..]) => self.get_interests(place.call, profile),
            ("POST", ["interests", ..]) => self.switch_interests(place, profile),
            ("PUT", ["interests", ..]) => self.replace_interests(place, profile),
            ("POST" | "PUT", ["fields", ..]) => self.update_fields(place, profile),
            ("POST" | "PUT", ["unsubscribe", ..]) => self.unsubscribe(place, profile),
            (_, ["subprofiles", collection, ..]) => self.route_subprofiles(place, profile, collection),
            _ => Err(refusal("Invalid method")),
        }
    }
}

fn identity() -> Answer {
    let body = json!({"id": Copernica::ACCOUNT, "name": "dev", "description": "An account", "company": "A club"});
    Answer::json(StatusCode::OK, &body)
}

/// A call with its version and time.
struct Place<'c> {
    call: &'c Call,
    version: Version,
    now: Timestamp,
}

impl Platform for Copernica {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.settle(now);
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let answer = match path.as_slice() {
            // The host authenticate.copernica.com has nothing but this.
            [] if call.method == http::Method::POST => self.auth.exchange(call, now),
            [version, "token", ..] if Version::parse(version).is_some() => Auth::redeem(call),
            [version, rest @ ..] => match Version::parse(version) {
                None => Err(refusal("Invalid method")),
                Some(version) if !self.auth.is_authorized(call, version, now) => Err(refusal("Invalid access token")),
                Some(version) => self.route(call, version, rest, now),
            },
            [] => Err(refusal("Invalid method")),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    /// No limit is published; too much load shows as the load balancer's page.
    fn throttled(&self, _: u64) -> Answer {
        self.unavailable()
    }

    fn unavailable(&self) -> Answer {
        let page =
            "<html><head><title>Loadbalancer Error</title></head><body><h1>Loadbalancer Error</h1></body></html>";
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", page)
    }

    fn expire_tokens(&mut self) {
        self.auth.expire();
    }

    fn take_hooks(&mut self, now: Timestamp) -> Vec<Hook> {
        self.settle(now);
        std::mem::take(&mut self.hooks)
    }

    /// Whether a failed webhook is sent again is not known, so it is not.
    fn hook_answered(&mut self, _: &Hook, _: Option<u16>) {}

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
