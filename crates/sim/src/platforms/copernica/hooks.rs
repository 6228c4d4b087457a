//! Webhooks: one trigger each, only for some callers, only to hosts whose owner was proved, and signed with a key
//! that changes every month. The two keys in `keys/` were made for this double and guard nothing.
//! It must not decide what is a change.

use super::answers::{changed, created, deleted, refusal};
use super::profiles::text;
use super::subprofiles::Subprofile;
use super::{Copernica, Place, zone};
use crate::platforms::call::{insert, php_fields};
use crate::platforms::people::hex;
use crate::platforms::{Answer, Hook};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

/// The keys by their selector, which follow each other month by month.
const KEYS: [(&str, &[u8]); 2] = [("one", include_bytes!("keys/one.der")), ("two", include_bytes!("keys/two.der"))];

/// What the signature covers, in this order.
const SIGNED: &str = "(request-target) host date content-length content-type x-copernica-id digest x-nonce";

/// What caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A call of this API.
    Rest,
    /// A user on a screen.
    Publisher,
    /// An import.
    Import,
}

impl Caller {
    const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Publisher => "publisher",
            Self::Import => "import",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Webhook {
    id: u64,
    handler: String,
    trigger: String,
    callers: Vec<String>,
    database: Option<String>,
    collection: Option<String>,
}

/// Something that happened to a profile or subprofile.
pub(super) struct Event {
    kind: &'static str,
    profile: u64,
    subprofile: Option<Subprofile>,
    parameters: Map<String, Value>,
}

impl Event {
    pub(super) fn profile(kind: &'static str, profile: u64, parameters: Map<String, Value>) -> Self {
        Self { kind, profile, subprofile: None, parameters }
    }

    pub(super) fn subprofile(kind: &'static str, subprofile: &Subprofile, body: &Value) -> Self {
        let parameters = body.as_object().cloned().unwrap_or_default();
        Self { kind, profile: subprofile.profile, subprofile: Some(subprofile.clone()), parameters }
    }
}

impl Copernica {
    /// The DNS record of a selector, as it stands at `SELECTOR._domainkey.copernica.com`.
    #[must_use]
    pub fn dns_record(selector: &str) -> Option<String> {
        let (_, der) = KEYS.into_iter().find(|(name, _)| *name == selector)?;
        let public = KeyPair::from_pkcs8(der).ok()?.public_key().as_der().ok()?;
        Some(format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public.as_ref())))
    }

    pub(super) fn create_webhook(&mut self, place: &Place<'_>) -> Result<Answer, Answer> {
        let body = place.body()?;
        let id = self.fresh_id();
        let webhook = Webhook {
            id,
            handler: String::new(),
            trigger: String::new(),
            callers: Vec::new(),
            database: None,
            collection: None,
        };
        self.webhooks.insert(id, webhook.changed_by(&body)?);
        Ok(created(place.call, place.version, "webhook", id))
    }

    pub(super) fn route_webhook(&mut self, place: &Place<'_>, id: &str) -> Result<Answer, Answer> {
        let known = id.parse().ok().and_then(|id| self.webhooks.get(&id)).cloned();
        let webhook = known.ok_or_else(|| refusal("No entity with supplied ID"))?;
        match place.call.method.as_str() {
            "GET" => {
                let shown = json!({
                    "ID": webhook.id.to_string(), "handler": webhook.handler, "trigger": webhook.trigger,
                    "callers": webhook.callers,
                });
                Ok(Answer::json(StatusCode::OK, &shown))
            }
            "PUT" | "POST" => {
                self.webhooks.insert(webhook.id, webhook.changed_by(&place.body()?)?);
                Ok(changed(place.version))
            }
            "DELETE" => {
                self.webhooks.remove(&webhook.id);
                Ok(deleted(place.version, "webhook", webhook.id))
            }
            _ => Err(refusal("Invalid method")),
        }
    }

    /// Queues the webhooks that want to know.
    pub(super) fn notify(&mut self, event: &Event, caller: Caller, now: Timestamp) {
        let Some(fields) = self.fields_of(event, now) else { return };
        let Some(database) = self.profiles.get(&event.profile).map(|profile| profile.database) else { return };
        let due: Vec<Webhook> =
            self.webhooks.values().filter(|it| it.wants(event, database, caller)).cloned().collect();
        for webhook in due {
            let Ok(url) = Url::parse(&webhook.handler) else { continue };
            if url.host_str().is_some_and(|host| self.validated.contains(host)) {
                let mut hook = Hook::form(&webhook.id.to_string(), url, &fields);
                self.sign(&mut hook, now);
                self.hooks.push(hook);
            }
        }
    }

    /// What a webhook tells: the fields in the order in which the database lists them.
    fn fields_of(&self, event: &Event, now: Timestamp) -> Option<Vec<(String, String)>> {
        let profile = self.profiles.get(&event.profile)?;
        let database = self.databases.get(&profile.database)?;
        let mut told: Vec<(String, String)> = Vec::new();
        let mut tell = |name: &str, value: String| told.push((name.to_owned(), value));
        tell("type", event.kind.to_owned());
        tell("timestamp", zone::local(now));
        tell("time", now.seconds().to_string());
        let (mut names, mut values) = (&database.fields, &profile.fields);
        let (mut created_at, mut modified_at) = (profile.created_at, profile.modified_at);
        if let Some(subprofile) = &event.subprofile {
            tell("subprofile", subprofile.id.to_string());
            tell("collection", subprofile.collection.to_string());
            names = &database.collection(&subprofile.collection.to_string())?.fields;
            values = &subprofile.fields;
            (created_at, modified_at) = (subprofile.created_at, subprofile.modified_at);
        }
        tell("profile", profile.id.to_string());
        tell("database", profile.database.to_string());
        let is_delete = event.kind == "delete";
        if !is_delete {
            tell("created", zone::local(created_at));
            tell("modified", zone::local(modified_at));
        }
        if !is_delete {
            told.extend(event.parameters.iter().map(|(name, value)| (format!("parameters[{name}]"), text(value))));
        }
        let values = names.iter().filter_map(|field| Some((field, values.get(&field.name)?)));
        told.extend(values.map(|(field, value)| (format!("fields[{}]", field.name), value.clone())));
        if !is_delete && event.subprofile.is_none() {
            told.extend(php_fields("interests", &json!(profile.interests)));
        }
        Some(told)
    }

    /// HTTP Signatures (draft-cavage-http-signatures-10) with the key of the month.
    fn sign(&self, hook: &mut Hook, now: Timestamp) {
        let date = zone::http_date(now);
        let host = hook.url.host_str().unwrap_or_default();
        let host = hook.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let account = format!("account-{}", Self::ACCOUNT);
        let digest = format!("SHA-256={}", STANDARD.encode(digest(&SHA256, &hook.body)));
        let nonce = hex(&self.chance, 16);
        let target = &hook.url[url::Position::BeforePath..];
        let length = hook.body.len();
        let text = format!(
            "(request-target): post {target}\nhost: {host}\ndate: {date}\ncontent-length: {length}\n\
             content-type: application/x-www-form-urlencoded\nx-copernica-id: {account}\ndigest: {digest}\nx-nonce: {nonce}"
        );
        let (selector, signature) = signature(text.as_bytes(), now);
        let signature = format!(
            "keyId=\"{selector}._domainkey.copernica.com\",algorithm=\"rsa-sha256\",headers=\"{SIGNED}\",\
             signature=\"{signature}\""
        );
        for (name, value) in [
            ("date", &date),
            ("digest", &digest),
            ("x-copernica-id", &account),
            ("x-nonce", &nonce),
            ("signature", &signature),
        ] {
            insert(&mut hook.headers, name, value);
        }
    }
}

impl Webhook {
    fn changed_by(mut self, body: &Value) -> Result<Self, Answer> {
        let told = |name: &str| Some(text(&body[name])).filter(|text| !text.is_empty());
        self.handler = told("handler").unwrap_or(self.handler);
        self.trigger = told("trigger").unwrap_or(self.trigger);
        self.database = told("database").or(self.database);
        self.collection = told("collection").or(self.collection);
        if let Some(callers) = body["callers"].as_array() {
            self.callers = callers.iter().map(text).collect();
        }
        let is_trigger = ["create", "update", "delete", "click", "delivery", "open", "bounce", "failure"];
        let is_sound = Url::parse(&self.handler).is_ok() && is_trigger.contains(&self.trigger.as_str());
        if is_sound { Ok(self) } else { Err(refusal("Invalid data provided")) }
    }

    fn wants(&self, event: &Event, database: u64, caller: Caller) -> bool {
        let is_of_database = self.database.as_ref().is_none_or(|wanted| *wanted == database.to_string());
        let collection = event.subprofile.as_ref().map(|subprofile| subprofile.collection.to_string());
        let is_of_kind = self.collection == collection || (self.collection.is_none() && collection.is_some());
        let is_of_caller = self.callers.is_empty() || self.callers.iter().any(|wanted| wanted == caller.name());
        self.trigger == event.kind && is_of_database && is_of_kind && is_of_caller
    }
}

/// The selector of the month, and the signature in base64. This kind of signature is the same each time.
fn signature(text: &[u8], now: Timestamp) -> (&'static str, String) {
    let day = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
    let is_odd = (i32::from(day.year()) * 12 + i32::from(day.month()) - 1) % 2 != 0;
    let [one, two] = KEYS;
    let (selector, der) = if is_odd { two } else { one };
    let signed = KeyPair::from_pkcs8(der).ok().and_then(|key| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
        Some(STANDARD.encode(signature))
    });
    (selector, signed.unwrap_or_default())
}
