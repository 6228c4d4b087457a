//! BlueConic, REST API v2: a customer data platform of profiles whose values are all lists of texts.
//!
//! Strict where it is: a token lives 3600 s and a refresh token is used once; the default strategy of a write never
//! inserts; only indexed properties find a profile; of more than 1000 entries the first 1000 are written and 413
//! is answered; the last page has no cursor; profiles that come to share an identifier become one. There is no
//! way to register a webhook by API, so [`BlueConic::connect_webhook`] stands for its screen.
//! Groups and the statistics of connections are not simulated.

mod answers;
mod hooks;
mod oauth;
mod profile;
mod properties;
mod refinement;
mod segments;
mod write;

pub use hooks::WebhookConnection;
pub use profile::Profile;
pub use properties::Property;

use super::ledger::{Ledger, Write};
use super::people::{Person, uuid};
use super::{Answer, Call, Hook, Platform};
use crate::chance::Chance;
use answers::{busy, error};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use oauth::OAuth;
use profile::Profiles;
use properties::Registry;
use segments::Segments;
use std::collections::BTreeMap;

/// Most entries of one write.
pub const ENTRIES_MAX: usize = 1000;

/// The platform of one customer.
pub struct BlueConic {
    chance: Chance,
    oauth: OAuth,
    registry: Registry,
    profiles: Profiles,
    segments: Segments,
    webhooks: Vec<WebhookConnection>,
    hooks: Vec<Hook>,
    ledger: Ledger,
}

impl BlueConic {
    /// An empty one: client `hub` with secret `s3`, the properties that every tenant has, the segment `allmembers`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed, "blueconic"),
            oauth: OAuth::new(seed),
            registry: Registry::new(),
            profiles: Profiles::default(),
            segments: Segments::new(),
            webhooks: Vec::new(),
            hooks: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// The same with so many more people, a second apart, the last one now.
    #[must_use]
    pub fn with_people(mut self, count: u64, now: Timestamp) -> Self {
        for number in 1..=count {
            let person = Person::drawn(&self.chance, number);
            let at = now.plus_ms(-1000 * i64::try_from(count - number).unwrap_or(0));
            let mut profile = Profile::new(uuid(&self.chance), at);
            profile.set("email", vec![person.email], at);
            profile.set("member_no", vec![format!("M{number}")], at);
            profile.set("firstname", vec![person.first.to_owned()], at);
            profile.set("lastname", vec![person.last.to_owned()], at);
            profile.set("city", vec![person.city.to_owned()].into_iter().filter(|city| !city.is_empty()).collect(), at);
            profile.set("interests", person.interests.iter().map(|&interest| interest.to_owned()).collect(), at);
            self.profiles.insert(profile);
        }
        self
    }

    /// A property that its users added.
    pub fn add_property(&mut self, property: Property) {
        self.registry.insert(property);
    }

    /// A segment that its users made, of the profiles that a refinement keeps.
    pub fn add_segment(&mut self, id: &str, name: &str, refinement: serde_json::Value) {
        self.segments.insert(id, name, refinement);
    }

    /// Sets up a webhook connection, as its users do on their screen.
    pub fn connect_webhook(&mut self, webhook: WebhookConnection) {
        self.webhooks.push(webhook);
    }

    /// Takes all webhook connections away.
    pub fn disconnect_webhooks(&mut self) {
        self.webhooks.clear();
    }

    /// The button that sends a test request for a profile.
    pub fn test_webhook(&mut self, webhook: &str, profile: &str) {
        let Some(profile) = self.profiles.get(profile) else { return };
        let webhook = self.webhooks.iter().find(|known| known.name == webhook);
        self.hooks.extend(webhook.and_then(|webhook| webhook.request(profile)));
    }

    /// A visitor changes a property of theirs. Gives whether the profile exists.
    pub fn visit(&mut self, profile: &str, property: &str, values: &[&str], now: Timestamp) -> bool {
        self.edit(profile, &[(property, values)], now)
    }

    /// A visitor or a user makes a profile with these properties; gives its id, or that of the profile that it became
    /// part of.
    pub fn add(&mut self, properties: &[(&str, &[&str])], now: Timestamp) -> String {
        let id = uuid(&self.chance);
        self.profiles.insert(Profile::new(id.clone(), now));
        self.edit(&id, properties, now);
        let part_of = self.profiles.all().values().find(|profile| profile.replaces.contains(&id));
        part_of.map_or(id, |profile| profile.id.clone())
    }

    /// A visitor or a user changes properties of a profile. Gives whether it exists.
    pub fn edit(&mut self, profile: &str, properties: &[(&str, &[&str])], now: Timestamp) -> bool {
        let Some(mut edited) = self.profiles.get(profile).cloned() else { return false };
        let mut changed = Vec::new();
        for (property, values) in properties {
            if edited.set(property, values.iter().map(|&value| value.to_owned()).collect(), now) {
                changed.push((*property).to_owned());
            }
        }
        if !changed.is_empty() {
            self.profiles.insert(edited);
            let kept = self.profiles.merge(profile, &self.registry, now);
            self.trigger(&kept, &changed, now);
        }
        true
    }

    /// A user removes a profile, of which no webhook tells. Gives whether it was there.
    pub fn remove(&mut self, profile: &str) -> bool {
        self.profiles.remove(profile).is_some()
    }

    /// All profiles by their id.
    #[must_use]
    pub fn profiles(&self) -> &BTreeMap<String, Profile> {
        self.profiles.all()
    }

    /// Queues the hooks that want to know of these properties of a profile.
    fn trigger(&mut self, profile: &str, changed: &[String], now: Timestamp) {
        let Some(profile) = self.profiles.get(profile) else { return };
        let is_member = |segment: &str| self.segments.has_member(segment, profile, now);
        let due = self.webhooks.iter().filter(|webhook| webhook.is_triggered_by(changed, is_member));
        self.hooks.extend(due.filter_map(|webhook| webhook.request(profile)));
    }

    /// Every route, on one page.
    fn route(&mut self, call: &Call, path: &[&str], now: Timestamp) -> Answer {
        match (call.method.as_str(), path) {
            ("PUT", ["profiles"]) => self.put_profiles(call, now),
            ("GET", ["profiles"]) => self.find_profiles(call),
            ("GET", ["profiles", id]) => self.get_profile(call, id),
            ("GET", ["segments"]) => self.segments.list(call, &self.profiles, now),
            ("GET", ["segments", id, "profiles"]) => self.segments.export(call, id, &self.profiles, now),
            ("GET", ["profileProperties"]) => self.registry.list(call),
            ("GET", ["profileProperties", id]) => self.registry.get(id),
            ("PUT", ["profileProperties", id]) => self.registry.put(id, call),
            ("DELETE", ["profileProperties", id]) => self.registry.delete(id),
            ("GET", ["connections"]) => self.list_connections(call),
            ("GET", ["connections", id]) => self.get_connection(id),
            ("GET", ["connections", id, "runs"]) => self.list_runs(call, id),
            _ => error(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }
}

impl Platform for BlueConic {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["rest", "v2", "oauth", step] => self.oauth.answer(call, step, now),
            ["rest", "v2", rest @ ..] if self.oauth.is_authorized(call, now) => self.route(call, rest, now),
            ["rest", "v2", ..] => error(StatusCode::UNAUTHORIZED, "Unauthorized"),
            _ => error(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    /// No header tells how long to wait.
    fn throttled(&self, _: u64) -> Answer {
        Answer::empty(StatusCode::TOO_MANY_REQUESTS)
    }

    fn unavailable(&self) -> Answer {
        busy()
    }

    fn expire_tokens(&mut self) {
        self.oauth.expire();
    }

    fn take_hooks(&mut self, _: Timestamp) -> Vec<Hook> {
        std::mem::take(&mut self.hooks)
    }

    /// Whether a failed hook is sent again is not known, so it is not.
    fn hook_answered(&mut self, _: &Hook, _: Option<u16>) {}

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
