//! A subscription: an application's wish to be told, with its scope, and the endpoint it names.

use crate::auth::Auth;
use crate::clock::Timestamp;
use crate::error::{Code, Rejection};
use crate::ids::{ApplicationId, BusinessId, RecordId, SubscriptionId, TokenId, TypeId};
use lockstep_expr::Templates;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a notification is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Standard Webhooks.
    #[default]
    Standard,
    /// The Data API's envelope (S0).
    Envelope,
    /// The bare record (S1, Zapier).
    Fields,
    /// Type, id, business and seq.
    Thin,
    /// The record in a list under its type's collection key (S4).
    Collection,
    /// A GET whose query names the record, without a body (S3).
    Get,
    /// A CloudEvent, all of it in the body.
    CloudEvents,
    /// A CloudEvent whose attributes are headers.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
    /// As the subscriber's own template says.
    Template,
}

impl Format {
    /// Every format, in the order of the docs.
    pub const ALL: [(&'static str, Self); 9] = [
        ("standard", Self::Standard),
        ("envelope", Self::Envelope),
        ("fields", Self::Fields),
        ("thin", Self::Thin),
        ("collection", Self::Collection),
        ("get", Self::Get),
        ("cloudevents", Self::CloudEvents),
        ("cloudevents-binary", Self::CloudEventsBinary),
        ("template", Self::Template),
    ];

    /// The format as written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Whether one request of it can tell several changes.
    #[must_use]
    pub const fn holds_many(self) -> bool {
        matches!(self, Self::Standard | Self::Collection | Self::CloudEvents)
    }

    /// Whether it can tell less than the whole record.
    #[must_use]
    pub const fn has_levels(self) -> bool {
        matches!(self, Self::Standard | Self::CloudEvents | Self::CloudEventsBinary)
    }
}

/// How much of a record is told, by formats that have a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The record, and what changed.
    #[default]
    Full,
    /// What changed.
    Changes,
    /// Which record.
    Id,
}

impl Payload {
    /// Whether it is what is told where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether an envelope holds its record bare or in a list of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadShape {
    /// Bare.
    #[default]
    Object,
    /// In a list.
    Array,
}

impl PayloadShape {
    /// Whether it is what is sent where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A record under which others stand: those whose reference field points there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// The reference field.
    pub field: String,
    /// Where it points.
    pub id: RecordId,
}

/// How many changes go in one request, and how long they are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Batching {
    /// At most so many.
    pub max_records: usize,
    /// The first waits at most so long for others, in milliseconds.
    pub max_wait_ms: u64,
}

/// What holds among the changes of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// Each arrives, one after the other.
    #[default]
    Record,
    /// A newer one takes the place of one that still waits.
    Latest,
    /// Each arrives, whenever it may.
    None,
}

impl Ordering {
    /// Whether it is what holds where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How notifications are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// `v1`: HMAC-SHA256 with the shared secret.
    #[default]
    Hmac,
    /// `v1a`: Ed25519; the subscriber holds the public key alone.
    Ed25519,
    /// Both.
    Both,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// The owner asked for it.
    Asked,
    /// The endpoint was down for days.
    EndpointDown,
}

/// A secret that signs, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The sealed 32 bytes.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops signing, where it has been replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A letter as its subscriber writes it: Jinja templates for its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The address, at the same scheme, host and port as the subscription's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The method; `POST` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Template {
    /// The name under which a header's template is compiled.
    #[must_use]
    pub fn header_part(name: &str) -> String {
        format!("header {name}")
    }

    /// Compiles every part: `url`, `method`, `body`, and each header as [`Template::header_part`] names it.
    ///
    /// # Errors
    /// `invalid_template`, naming the part and its line.
    pub fn compile(&self) -> Result<Templates, Rejection> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, text)| (Self::header_part(name), text.as_str())).collect();
        let own = [("url", self.url.as_deref()), ("method", self.method.as_deref()), ("body", Some(&*self.body))];
        let own = own.into_iter().filter_map(|(part, text)| Some((part, text?)));
        let all = own.chain(headers.iter().map(|(part, text)| (part.as_str(), *text)));
        Templates::compile(all).map_err(|error| {
            let pointer = match error.part.strip_prefix("header ") {
                Some(name) => format!("/template/headers/{}", name.replace('~', "~0").replace('/', "~1")),
                None => format!("/template/{}", error.part),
            };
            Rejection::new(Code::InvalidTemplate, error.to_string()).at(pointer)
        })
    }
}

/// The businesses that a subscription covers beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Covers {
    /// All that its owner may enter, later ones too.
    All,
    /// These.
    These(BTreeSet<BusinessId>),
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The business whose changes it wants.
    pub business: BusinessId,
    /// The businesses it covers, where that is more than its own: it has a mirror in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
    /// The subscription that it is the likeness of in this business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrors: Option<SubscriptionId>,
    /// Whose it is; none for the administrator's.
    pub application: Option<ApplicationId>,
    /// The token it was made with, where it was one: it is sent what that token may see, for as long as it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// A name for people.
    pub label: String,
    /// Where notifications go.
    pub url: String,
    /// Types wanted; all where none are named.
    pub types: Option<BTreeSet<TypeId>>,
    /// Kinds wanted; all where none are named.
    pub kinds: Option<BTreeSet<String>>,
    /// For updates, fields of which one must have changed; any where none are named.
    pub fields: Option<BTreeSet<String>>,
    /// Records wanted; all where none are named.
    pub record_ids: Option<BTreeSet<RecordId>>,
    /// Records wanted by what they refer to, beside those named; all where neither is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<BTreeSet<Under>>,
    /// A condition on the record.
    pub condition: Option<String>,
    /// How it is written.
    pub format: Format,
    /// How much it tells.
    #[serde(default, skip_serializing_if = "Payload::is_default")]
    pub payload: Payload,
    /// The shape of an envelope's payload.
    #[serde(default, skip_serializing_if = "PayloadShape::is_default")]
    pub payload_shape: PayloadShape,
    /// How its letters are written, in format `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Box<Template>>,
    /// Headers of the subscriber's own, by name in lower case; the values sealed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How it proves itself to the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Box<Auth>>,
    /// How it is signed.
    pub signing: Signing,
    /// What holds among the changes of one record.
    #[serde(default, skip_serializing_if = "Ordering::is_default")]
    pub ordering: Ordering,
    /// Whether changes go together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batching>,
    /// At most so many requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// Whether the owner's own changes are left out.
    pub exclude_own: bool,
    /// The secrets, newest first; older ones sign until they expire.
    pub secrets: Vec<SealedSecret>,
    /// Why nothing is sent, if nothing is.
    pub paused: Option<Pause>,
    /// Whether the endpoint said 410: it is not called again.
    pub is_ended: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Subscription {
    /// Whether deliveries go out.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.paused.is_none() && !self.is_ended
    }

    /// Whether it wants certain records alone.
    #[must_use]
    pub const fn names_records(&self) -> bool {
        self.record_ids.is_some() || self.under.is_some()
    }

    /// Whether a kind is asked for: by name, or because none are named.
    #[must_use]
    pub fn takes_kind(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }

    /// Whether a kind is asked for by name.
    #[must_use]
    pub fn lists_kind(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_some_and(|kinds| kinds.contains(kind))
    }
}

/// Where a new subscription's reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartAt {
    /// At the head of the commit that makes it.
    #[default]
    Now,
    /// With the oldest change there is.
    Beginning,
    /// After this seq.
    After(u64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain() -> serde_json::Value {
        json!({
            "id": SubscriptionId(1), "business": "a1", "application": null, "label": "", "url": "https://a.example/",
            "types": null, "kinds": null, "fields": null, "record_ids": null, "condition": null, "format": "standard",
            "signing": "hmac", "exclude_own": false, "secrets": [], "paused": null, "is_ended": false, "created_at": 0
        })
    }

    #[test]
    fn a_subscription_stored_before_there_were_templates_and_credentials_reads_and_writes_as_it_was() {
        let old: Subscription = serde_json::from_value(plain()).unwrap();
        assert_eq!(serde_json::to_value(&old).unwrap(), plain());
    }

    #[test]
    fn a_subscription_with_everything_comes_back_whole() {
        let mut all = plain();
        all["under"] = json!([{"field": "projectId", "id": RecordId(2)}]);
        all["payload"] = json!("id");
        all["payload_shape"] = json!("array");
        all["ordering"] = json!("latest");
        all["batch"] = json!({"maxRecords": 50, "maxWaitMs": 1000});
        all["template"] = json!({"url": "u", "method": "PUT", "headers": {"x-a": "b"}, "body": "c"});
        all["headers"] = json!({"x-shop": "sealed"});
        for auth in [
            json!({"kind": "basic", "username": "u", "password": "s"}),
            json!({"kind": "bearer", "token": "s"}),
            json!({"kind": "api-key", "place": "query", "name": "key", "value": "s"}),
            json!({"kind": "oauth2", "token_url": "t", "client_id": "c", "client_secret": "s", "client_auth": "body"}),
            json!({"kind": "mtls", "certificate": "c", "key": "s"}),
        ] {
            all["auth"] = auth;
            let mut read: Subscription = serde_json::from_value(all.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), all);
            let auth = read.auth.as_mut().unwrap();
            assert_eq!(auth.sealed(), "s");
            auth.sealed_mut().push('t');
            assert_eq!(auth.sealed(), "st");
        }
    }

    #[test]
    fn every_format_is_written_as_it_is_named() {
        for (name, format) in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), json!(name));
            assert_eq!(format.as_str(), name);
        }
    }

    #[test]
    fn a_template_that_does_not_compile_names_its_part_and_line() {
        let template = Template {
            body: "x".to_owned(),
            headers: [("x-a".to_owned(), "\n{{".to_owned())].into(),
            ..Template::default()
        };
        let refused = template.compile().unwrap_err();
        assert_eq!((refused.code, refused.pointer.as_deref()), (Code::InvalidTemplate, Some("/template/headers/x-a")));
        assert!(
            refused.message.starts_with("the template of header x-a: ") && refused.message.contains("line 2"),
            "{refused}"
        );
    }
}
