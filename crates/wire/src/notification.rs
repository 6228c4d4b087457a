//! Notifications: the bodies that endpoints receive, one shape for each format.

use crate::operation::{ExternalIdView, OperationView};
use lockstep_core::Fields;
use lockstep_core::delivery::About;
use lockstep_core::ids::{
    BusinessId, ConnectionId, OrganisationName, Provider, RecordId, ShareId, SubscriptionId, TypeId,
};
use lockstep_core::operation::OperationId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Format `standard`: the body that Standard Webhooks recommends.
#[derive(Debug, Serialize)]
pub struct Standard<'a, T: Serialize> {
    /// Such as `contact.updated`.
    #[serde(rename = "type")]
    pub event: &'a str,
    /// When it happened, RFC 3339.
    pub timestamp: &'a str,
    /// What happened.
    pub data: T,
}

/// The data of a change, in format `standard`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeData<'a> {
    /// The business.
    pub business_id: &'a BusinessId,
    /// The change's position in the business's log; left out for a `current`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The record after it.
    pub record: RecordView<'a>,
    /// Old and new values of what changed, for an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes<'a>>,
    /// Why it is told as another kind than it was: `left-scope`, `entered-scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The record that took its place, where it was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// Whether the record's values were erased: what was kept of it is to go too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginView<'a>>,
    /// Whether it is sent once more on request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// The sync that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
}

/// A record, as told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordView<'a> {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: &'a TypeId,
    /// Its id.
    pub id: RecordId,
    /// Its version; left out where only the id is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What it is called elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ids: Option<Vec<ExternalIdView<'a>>>,
    /// Its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a Fields>,
}

/// `{"email": {"old": …, "new": …}}`, written from the old values and the record.
#[derive(Debug)]
pub struct Changes<'a> {
    /// The values before of what changed; where there was no record before, none: all of it is new.
    pub old: Option<&'a Fields>,
    /// The record after.
    pub new: &'a Fields,
}

impl JsonSchema for Changes<'_> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Changes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Old and new value of each field, null where there is none.",
            "additionalProperties": {"type": "object", "required": ["old", "new"], "properties": {"old": {}, "new": {}}},
        })
    }
}

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Pair<'a> {
            old: &'a Value,
            new: &'a Value,
        }
        let names = self.old.unwrap_or(self.new);
        let mut map = serializer.serialize_map(Some(names.len()))?;
        for field in names.keys() {
            let old = self.old.and_then(|old| old.get(field)).unwrap_or(&Value::Null);
            let new = self.new.get(field).unwrap_or(&Value::Null);
            map.serialize_entry(field, &Pair { old, new })?;
        }
        map.end()
    }
}

/// Who made a change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginView<'a> {
    /// `application` or `admin`.
    pub by: &'static str,
    /// The application's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a Provider>,
    /// The operation.
    pub operation_id: OperationId,
}

/// The data of an operation's notice, in format `standard`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationData<'a> {
    /// The business.
    pub business_id: &'a BusinessId,
    /// The operation.
    #[serde(flatten)]
    pub operation: &'a OperationView,
}

/// The data of a warning, in format `standard`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarningData<'a> {
    /// The business.
    pub business_id: &'a BusinessId,
    /// The subscription it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<SubscriptionId>,
    /// The connection it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// The share it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_id: Option<ShareId>,
    /// What happened and what to do.
    pub message: &'a str,
}

impl<'a> WarningData<'a> {
    /// Word of something in a business.
    #[must_use]
    pub const fn of(business_id: &'a BusinessId, about: About, message: &'a str) -> Self {
        let blank = Self { business_id, subscription_id: None, connection_id: None, share_id: None, message };
        match about {
            About::Subscription(id) => Self { subscription_id: Some(id), ..blank },
            About::Connection(id) => Self { connection_id: Some(id), ..blank },
            About::Share(id) => Self { share_id: Some(id), ..blank },
        }
    }
}

/// Format `envelope`: the Data API's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a, T: Serialize> {
    /// The type.
    pub domain_component_name: &'a str,
    /// `Created`, `Updated`, `Current`, `Deleted`.
    pub state: &'a str,
    /// The record.
    pub payload: T,
}

/// A record in an envelope.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopePayload<'a> {
    /// The organisation.
    pub organisation_name: &'a OrganisationName,
    /// The business.
    pub business_id: &'a BusinessId,
    /// The record.
    pub id: RecordId,
    /// What the subscriber calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId<'a>>,
    /// The record that took its place, where it was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// Its values.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a Fields>,
}

/// `{"source", "value"}`.
#[derive(Debug, Serialize)]
pub struct CorrelationId<'a> {
    /// Who calls it so.
    pub source: &'a Provider,
    /// The id there.
    pub value: &'a str,
}

/// Format `fields`: the bare record.
#[derive(Debug, Serialize)]
pub struct Bare<'a> {
    /// The record.
    pub id: RecordId,
    /// Its values.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a Fields>,
}

/// Format `collection`: `{"people": [{…}]}`, records of one type under its name for many.
#[derive(Debug)]
pub struct Collection<'a, T> {
    /// The name for many.
    pub key: &'a str,
    /// One of each.
    pub members: &'a [T],
}

impl<T: Serialize> Serialize for Collection<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.key, self.members)?;
        map.end()
    }
}

/// A record in a collection.
#[derive(Debug)]
pub struct Member<'a> {
    /// The record.
    pub id: RecordId,
    /// Its values, where they may be told.
    pub fields: Option<&'a Fields>,
    /// Whether it is gone, which a collection tells as a status.
    pub is_archived: bool,
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        for (field, value) in self.fields.into_iter().flatten() {
            if !(self.is_archived && field == "status") {
                map.serialize_entry(field, value)?;
            }
        }
        if self.is_archived {
            map.serialize_entry("status", "ARCHIVED")?;
        }
        map.end()
    }
}

/// Format `cloudevents`: an event as CloudEvents 1.0 has it, in the JSON of its structured mode. In binary mode all
/// but the data stands in headers.
#[derive(Debug, Serialize)]
pub struct CloudEvent<'a, T: Serialize> {
    /// `1.0`.
    pub specversion: &'a str,
    /// The same on every attempt: with `source` it tells a repeated event.
    pub id: String,
    /// The business, as a path of this API.
    pub source: String,
    /// Such as `lockstep.contact.updated`.
    #[serde(rename = "type")]
    pub event: String,
    /// The record, or whatever it is about.
    pub subject: String,
    /// When it happened, RFC 3339.
    pub time: String,
    /// What the data is.
    pub datacontenttype: &'a str,
    /// What format `standard` says in its data.
    pub data: T,
}

/// Format `thin`: what happened to which record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Thin<'a> {
    /// Such as `contact.updated`.
    #[serde(rename = "type")]
    pub event: &'a str,
    /// The record, or whatever it is about.
    pub id: &'a str,
    /// The business.
    pub business_id: &'a BusinessId,
    /// The change's position; 0 where it is no change.
    pub seq: u64,
}
