//! Subscription calls.

use crate::auth::{AuthBody, AuthView, Secret};
use crate::rate::{RateLimitBody, given};
use lockstep_core::change::ChangeKind;
use lockstep_core::delivery::{Attempt, DeadLetter, Parked};
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, SubscriptionId, TokenId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::rate::RateLimit;
use lockstep_core::subscription::{
    Batching, Covers, Format, Ordering, Pause, Payload, PayloadShape, Signing, Subscription, Template, Under,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `"*"` or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<T> {
    /// All there are, later ones too.
    All,
    /// These.
    These(Vec<T>),
}

impl<T: JsonSchema> JsonSchema for Wanted<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Wanted_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({"oneOf": [{"const": "*"}, {"type": "array", "minItems": 1, "items": item}]})
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Wanted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(star) if star == "*" => Ok(Self::All),
            Value::Array(items) => {
                let these = items.into_iter().map(|item| T::deserialize(item).map_err(serde::de::Error::custom));
                Ok(Self::These(these.collect::<Result<_, _>>()?))
            }
            other => {
                Err(serde::de::Error::custom(format!("{other} is neither \"*\" nor an array: give \"*\" for all")))
            }
        }
    }
}

/// Where a subscription begins to read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAtBody {
    /// With what comes after its making.
    Now,
    /// With the oldest change there is.
    Beginning,
    /// After this seq of the log as it is.
    Seq(u64),
    /// After the place that a cursor stands for.
    Cursor(String),
}

/// How many changes go in one request.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchBody {
    /// At most so many; 1 sends each alone.
    pub max_records: usize,
    /// The first waits at most so long for others, in milliseconds.
    pub max_wait_ms: Option<u64>,
}

/// What may be said of a subscription, at its making and later. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = with_aliases)]
pub struct SubscriptionBody {
    /// Where notifications go; read also from `hookUrl`, `target_url` and `targetUrl`.
    #[serde(alias = "hookUrl", alias = "target_url", alias = "targetUrl")]
    pub url: Option<String>,
    /// A name for people.
    pub label: Option<String>,
    /// Businesses covered beside the one in the path, or `"*"`: all that the owner may enter, later ones too. An empty
    /// list is the path's alone.
    pub businesses: Option<Wanted<BusinessId>>,
    /// Types wanted, or `"*"`.
    pub types: Option<Wanted<TypeId>>,
    /// Kinds wanted, or `"*"`: `created`, `updated`, `deleted`, `merged`, `correlated`, `current`, `FIELD.updated`,
    /// `operation.failed`, `operation.completed`, `subscription.failing|paused|ended`.
    pub kinds: Option<Wanted<String>>,
    /// Kinds by the names that form builders use, in the place of `kinds`.
    pub events: Option<Vec<EventName>>,
    /// Fields of which one must have changed in an update, or `"*"`.
    pub fields: Option<Wanted<String>>,
    /// Records wanted, or `"*"`.
    pub record_ids: Option<Wanted<RecordId>>,
    /// Records wanted because a reference of theirs points there, or `"*"`.
    pub under: Option<Wanted<Under>>,
    /// A condition on the record; empty removes it.
    pub condition: Option<String>,
    /// How notifications are written.
    pub format: Option<Format>,
    /// How much they tell.
    pub payload: Option<Payload>,
    /// Whether an envelope's payload stands in a list.
    pub payload_shape: Option<PayloadShape>,
    /// How they are written, in format `template`.
    pub template: Option<Template>,
    /// Headers of the subscriber's own, all of them; an empty object removes them.
    pub headers: Option<BTreeMap<String, Secret>>,
    /// How the hub proves itself to the endpoint; kind `none` removes it.
    pub auth: Option<AuthBody>,
    /// How they are signed.
    pub signing: Option<Signing>,
    /// What holds among the changes of one record.
    pub ordering: Option<Ordering>,
    /// Whether changes go together.
    pub batch: Option<BatchBody>,
    /// At most so many requests a second; null takes the limit away.
    #[serde(default, deserialize_with = "given")]
    pub rate_limit: Option<Option<RateLimitBody>>,
    /// Whether the caller's own changes are left out.
    pub exclude_own: Option<bool>,
    /// Whether nothing is sent.
    pub paused: Option<bool>,
    /// Where reading begins; at its making only.
    pub start_at: Option<StartAtBody>,
}

/// The other names of the address, which the derive leaves out.
fn with_aliases(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    let Some((properties, url)) = properties.and_then(|all| all.get("url").cloned().map(|url| (all, url))) else {
        return;
    };
    for alias in ["hookUrl", "target_url", "targetUrl"] {
        properties.insert(alias.to_owned(), url.clone());
    }
}

/// A kind by another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventName {
    /// `created`.
    Create,
    /// `updated`.
    Update,
    /// `deleted`.
    Delete,
}

impl EventName {
    /// The kind meant.
    #[must_use]
    pub fn kind(self) -> String {
        let kind = match self {
            Self::Create => ChangeKind::Created,
            Self::Update => ChangeKind::Updated,
            Self::Delete => ChangeKind::Deleted,
        };
        kind.as_str().to_owned()
    }
}

/// The answer to a creation; the secret is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCreated {
    /// Its id.
    pub id: SubscriptionId,
    /// The shared secret that signs `v1`.
    pub secret: String,
    /// The public key that verifies `v1a`, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// A subscription, as shown.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    /// Its id.
    pub id: SubscriptionId,
    /// The business whose changes it wants.
    pub business_id: BusinessId,
    /// Businesses covered beside that one, or `"*"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub businesses: Option<Value>,
    /// The subscription that it is the likeness of in this business: change that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirrors: Option<SubscriptionId>,
    /// The token it was made with, where it was one: it is sent what that token may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Where notifications go, keys in it masked.
    pub url: String,
    /// Types wanted; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeSet<TypeId>>,
    /// Kinds wanted; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<String>>,
    /// Fields wanted; any where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeSet<String>>,
    /// Records wanted; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_ids: Option<BTreeSet<RecordId>>,
    /// Records wanted by what they refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under: Option<BTreeSet<Under>>,
    /// Its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How notifications are written.
    pub format: Format,
    /// How much they tell.
    #[serde(skip_serializing_if = "Payload::is_default")]
    pub payload: Payload,
    /// Whether an envelope's payload stands in a list.
    #[serde(skip_serializing_if = "PayloadShape::is_default")]
    pub payload_shape: PayloadShape,
    /// How they are written, in format `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Names of the subscriber's own headers, the values masked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, &'static str>,
    /// How the hub proves itself, without the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthView>,
    /// How they are signed.
    pub signing: Signing,
    /// What holds among the changes of one record.
    #[serde(skip_serializing_if = "Ordering::is_default")]
    pub ordering: Ordering,
    /// How many changes go in one request, where more than one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batching>,
    /// At most so many requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Whether the owner's own changes are left out.
    pub exclude_own: bool,
    /// `active`, `paused` or `ended`.
    pub state: &'static str,
    /// Why it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

impl SubscriptionView {
    /// The view of a subscription.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        let state = match (subscription.is_ended, subscription.paused) {
            (true, _) => "ended",
            (false, Some(_)) => "paused",
            (false, None) => "active",
        };
        Self {
            id: subscription.id,
            business_id: subscription.business.clone(),
            businesses: subscription.covers.as_ref().map(|covers| match covers {
                Covers::All => Value::from("*"),
                Covers::These(these) => these.iter().map(BusinessId::as_str).map(Value::from).collect(),
            }),
            mirrors: subscription.mirrors,
            token_id: subscription.token,
            label: subscription.label.clone(),
            url: masked(&subscription.url),
            types: subscription.types.clone(),
            kinds: subscription.kinds.clone(),
            fields: subscription.fields.clone(),
            record_ids: subscription.record_ids.clone(),
            under: subscription.under.clone(),
            condition: subscription.condition.clone(),
            format: subscription.format,
            payload: subscription.payload,
            payload_shape: subscription.payload_shape,
            template: subscription.template.as_deref().cloned(),
            headers: subscription.headers.keys().map(|name| (name.clone(), "***")).collect(),
            auth: subscription.auth.as_deref().map(AuthView::from),
            signing: subscription.signing,
            ordering: subscription.ordering,
            batch: subscription.batch,
            rate_limit: subscription.per_second.map(RateLimit::per_second),
            exclude_own: subscription.exclude_own,
            state,
            paused: subscription.paused,
            created_at: subscription.created_at.to_string(),
        }
    }
}

/// A URL with its query values masked: keys often stand there.
#[must_use]
pub fn masked(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    });
    format!("{path}?{}", masked.collect::<Vec<_>>().join("&"))
}

/// `POST …/subscription/replay/{id}`: one change by `seq`, a range of them, or what was given up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayBody {
    /// The one change to send once more.
    pub seq: Option<u64>,
    /// The first of a range, by seq.
    pub from: Option<u64>,
    /// The last of a range, by seq; the newest where left out.
    pub to: Option<u64>,
    /// The first of a range, by time.
    pub since: Option<String>,
    /// The end of a range, by time.
    pub until: Option<String>,
    /// Whether only changes that were given up are sent.
    #[serde(default)]
    pub dead_letters: bool,
    /// Of these types, or `"*"`.
    pub types: Option<Wanted<TypeId>>,
    /// Of these kinds, or `"*"`.
    pub kinds: Option<Wanted<ChangeKind>>,
    /// Of these records, or `"*"`.
    pub record_ids: Option<Wanted<RecordId>>,
}

/// The answer to a replay.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The delivery of the one change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
    /// The operation that sends many and counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
}

/// The answer to a test send.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestView {
    /// Whether it would have settled.
    pub delivered: bool,
    /// The answer's status, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, where something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// The body of `POST …/subscription/deliveries/{id}`: which attempts and dead letters are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveriesBody {
    /// Attempts that ended so.
    pub only: Option<AttemptsWanted>,
    /// Attempts of this change; 0 for those of no change.
    pub seq: Option<u64>,
    /// Attempts since a date or instant.
    pub since: Option<String>,
    /// At most so many of each.
    pub limit: Option<usize>,
    /// Dead letters after this seq.
    #[serde(default)]
    pub dead_letters_after: u64,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttemptsWanted {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed,
}

/// `POST …/subscription/deliveries/{id}`: how it stands.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveriesView {
    /// The highest seq below which all is settled, unwanted or parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// The same as a cursor to begin a subscription at: unlike a bare seq, it is known again after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// `open`, or why nothing but probes goes out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The newest attempts first.
    pub attempts: Vec<AttemptView>,
    /// Records that wait for their next try.
    pub parked: Vec<ParkedView>,
    /// Changes given up, oldest first.
    pub dead_letters: Vec<DeadLetterView>,
}

/// One try.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// The delivery, as `webhook-id`.
    pub delivery_id: DeliveryId,
    /// The change; left out for a notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Which try, from 1.
    pub attempt: u32,
    /// When it ended, RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The answer's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            delivery_id: attempt.delivery,
            seq: Some(attempt.seq).filter(|seq| *seq > 0),
            attempt: attempt.number,
            at: attempt.at.to_string(),
            took_ms: attempt.took_ms,
            status: attempt.status,
            failure: attempt.failure,
        }
    }
}

/// A parked record.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParkedView {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: TypeId,
    /// The record.
    pub record_id: RecordId,
    /// The first change not delivered.
    pub seq: u64,
    /// Tries of it so far.
    pub attempts: u32,
    /// When it is tried next, RFC 3339.
    pub next_at: String,
    /// Why the last try failed.
    pub reason: String,
}

impl From<&Parked> for ParkedView {
    fn from(parked: &Parked) -> Self {
        Self {
            ty: parked.ty.clone(),
            record_id: parked.record,
            seq: parked.first_seq,
            attempts: parked.attempt,
            next_at: parked.next_at.to_string(),
            reason: parked.reason.clone(),
        }
    }
}

/// A change given up.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterView {
    /// The change: replay it by this.
    pub seq: u64,
    /// Its record's type.
    #[serde(rename = "type")]
    pub ty: TypeId,
    /// Its record.
    pub record_id: RecordId,
    /// When it was given up, RFC 3339.
    pub at: String,
    /// Tries made.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            seq: letter.seq,
            ty: letter.ty,
            record_id: letter.record,
            at: letter.at.to_string(),
            attempts: letter.attempts,
            reason: letter.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_urls_are_masked() {
        assert_eq!(masked("https://a.nl/hook?key=s3cret&x"), "https://a.nl/hook?key=***&***");
        assert_eq!(masked("https://a.nl/hook"), "https://a.nl/hook");
    }

    #[test]
    fn a_star_or_a_list_says_what_is_wanted() {
        let read = |text: &str| serde_json::from_str::<Wanted<String>>(text);
        assert_eq!(read("\"*\"").unwrap(), Wanted::All);
        assert_eq!(read("[\"a\"]").unwrap(), Wanted::These(vec!["a".to_owned()]));
        assert!(read("\"a\"").unwrap_err().to_string().contains("neither"));
    }
}
