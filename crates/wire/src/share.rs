//! Shares: a connection's remote object and a type, with what goes which way.

use crate::rate::given;
use crate::run::RunView;
use lockstep_core::Fields;
use lockstep_core::error::Rejection;
use lockstep_core::ids::{ConnectionId, RecordId, ShareId, TypeId};
use lockstep_core::share::{Direction, History, OnLeave, Schedule, Share, Switches};
use lockstep_core::work::Progress;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Groups of match fields: `"email"`, `["email", "phone"]` for alternatives, or a list of lists, whose fields must all
/// be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchBody(pub Vec<Vec<String>>);

impl JsonSchema for MatchBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MatchGroups".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = || serde_json::json!({"type": "string"});
        let list = serde_json::json!({"type": "array", "items": text()});
        let group = serde_json::json!({"oneOf": [text(), list]});
        json_schema!({"oneOf": [text(), {"type": "array", "items": group}]})
    }
}

impl<'de> Deserialize<'de> for MatchBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Group {
            One(String),
            Several(Vec<String>),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Groups(Vec<Group>),
        }
        let wants =
            |_| serde::de::Error::custom("match is \"email\", [\"email\", \"phone\"] or [[\"a\", \"b\"], [\"c\"]]");
        let split = |text: String| text.split(',').map(|field| field.trim().to_owned()).collect();
        Ok(Self(match Form::deserialize(deserializer).map_err(wants)? {
            Form::One(text) => vec![split(text)],
            Form::Groups(groups) => groups
                .into_iter()
                .map(|group| match group {
                    Group::One(text) => split(text),
                    Group::Several(fields) => fields,
                })
                .collect(),
        }))
    }
}

/// What a new share is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateShare {
    /// The connection.
    pub connection: ConnectionId,
    /// The remote object, as the connector names it.
    pub object: String,
    /// Which way, seen from the hub.
    pub direction: Direction,
    /// A name for people; made of the object and the connection's where left out.
    pub label: Option<String>,
    /// The type; the connector's own where left out.
    pub r#type: Option<TypeId>,
    /// What the connector asks to know of the object.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Whether it begins paused.
    #[serde(default)]
    pub paused: bool,
    /// The rest.
    #[serde(flatten)]
    pub said: ShareSaid,
}

/// What is to change of a share. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateShare {
    /// A new name.
    pub label: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub said: ShareSaid,
}

/// What a share says of how it works.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareSaid {
    /// Fields there and here, as docs/CONNECTORS.md writes a mapping; null takes the connector's own.
    #[serde(default, deserialize_with = "given")]
    pub mapping: Option<Option<Value>>,
    /// Which records: those for which this expression is true; null or "" takes all.
    #[serde(default, deserialize_with = "given")]
    pub condition: Option<Option<String>>,
    /// What becomes of the other side when a record leaves the condition.
    pub on_leave: Option<OnLeave>,
    /// Whether what was there before is brought over.
    pub history: Option<History>,
    /// By what a record is recognised; null takes the connector's own.
    #[serde(default, deserialize_with = "given")]
    pub r#match: Option<Option<MatchBody>>,
    /// When it pulls by itself; null ends that.
    #[serde(default, deserialize_with = "given")]
    pub schedule: Option<Option<Schedule>>,
    /// What is on; what is left out stays.
    pub switches: Option<SwitchesBody>,
}

/// What is on; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchesBody {
    /// Pulls by schedule.
    pub pull: Option<bool>,
    /// Inbound hooks.
    pub hooks: Option<bool>,
    /// Pushes of changes as they come.
    pub push: Option<bool>,
}

/// A share, as shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareView {
    /// Its id.
    pub id: ShareId,
    /// Its name.
    pub label: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The remote object.
    pub object: String,
    /// What the connector was told of the object.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub options: Fields,
    /// The type.
    pub r#type: TypeId,
    /// Which way, seen from the hub.
    pub direction: Direction,
    /// Its own mapping; the connector's holds where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Value>,
    /// Which records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What becomes of the other side when a record leaves the condition.
    pub on_leave: OnLeave,
    /// Whether what was there before is brought over.
    pub history: History,
    /// Its own match groups; the connector's hold where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#match: Option<Vec<Vec<String>>>,
    /// When it pulls by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What is on.
    pub switches: Switches,
    /// `paused`, `waiting` (nothing was begun), `matching`, `writing` (its baseline goes on), `live` or `failing`.
    pub state: &'static str,
    /// How it fails, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<FailingView>,
    /// The run that is under way or paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
    /// Raised with each change of what it does.
    pub version: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
}

/// How a share fails.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingView {
    /// Since when, RFC 3339.
    pub since: String,
    /// How often in a row.
    pub streak: u32,
    /// When it is tried again, RFC 3339.
    pub next_at: String,
    /// Why.
    pub reason: String,
}

impl ShareView {
    /// The view of a share, with how far it has come.
    #[must_use]
    pub fn of(share: &Share, progress: Option<&Progress>, run: Option<RunView>) -> Self {
        let failing = progress.and_then(|progress| progress.failing.as_ref());
        let state = match progress {
            _ if share.is_paused => "paused",
            None => "waiting",
            Some(progress) if progress.failing.is_some() => "failing",
            Some(progress) if progress.is_live => "live",
            Some(progress) if progress.is_matched => "writing",
            Some(_) => "matching",
        };
        Self {
            id: share.id,
            label: share.label.clone(),
            connection: share.connection,
            object: share.object.clone(),
            options: share.options.clone(),
            r#type: share.ty.clone(),
            direction: share.direction,
            mapping: share.mapping.clone(),
            condition: share.condition.clone(),
            on_leave: share.on_leave,
            history: share.history,
            r#match: share.matching.clone(),
            schedule: share.schedule.clone(),
            switches: share.switches,
            state,
            failing: failing.map(|failing| FailingView {
                since: failing.since.to_string(),
                streak: failing.streak,
                next_at: failing.next_at.to_string(),
                reason: failing.reason.clone(),
            }),
            run,
            version: share.version,
            created_at: share.created_at.to_string(),
            updated_at: share.updated_at.to_string(),
        }
    }
}

/// On what a mapping is to be shown.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewBody {
    /// A record.
    pub record_id: Option<RecordId>,
    /// A remote object, by its id there.
    pub remote_id: Option<String>,
    /// An object as the platform writes it.
    pub sample: Option<Value>,
    /// The mapping to show in place of the share's.
    pub mapping: Option<Value>,
}

/// A mapping at work. Nothing was written.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    /// The record as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Fields>,
    /// The remote object as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// What the object says, in the hub's terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inward: Option<InwardView>,
    /// How the record would look there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outward: Option<OutwardView>,
}

/// What an object says, in the hub's terms.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InwardView {
    /// Values by field; null is cleared, absent is not said.
    pub fields: Fields,
    /// Remote objects that it refers to, by field: the object and its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, (String, String)>,
    /// Values that do not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Rejection>,
}

/// How a record would look at the platform.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutwardView {
    /// The tree of values as it would be written whole.
    pub object: Value,
    /// By key of the mapping, what differs from the remote object, where one is shown: what would be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// Whether reading it back would give the same.
    pub survives: bool,
    /// Values that the platform cannot hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Rejection>,
    /// Fields whose record is not known there yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn match_groups_are_read_in_each_spelling() {
        let read = |value: Value| serde_json::from_value::<MatchBody>(value).map(|groups| groups.0);
        assert_eq!(read(json!("email")).unwrap(), [["email"]]);
        assert_eq!(read(json!("given_name, family_name")).unwrap(), [["given_name", "family_name"]]);
        assert_eq!(read(json!(["email", ["a", "b"]])).unwrap(), [vec!["email"], vec!["a", "b"]]);
        assert!(read(json!(7)).unwrap_err().to_string().contains("match is"));
    }

    #[test]
    fn a_member_that_is_left_out_is_no_null_and_a_strange_one_is_refused() {
        let read = |value: Value| serde_json::from_value::<UpdateShare>(value);
        assert_eq!(read(json!({})).unwrap().said.schedule, None);
        assert_eq!(read(json!({"schedule": null})).unwrap().said.schedule, Some(None));
        assert!(read(json!({"schedul": null})).unwrap_err().to_string().contains("schedul"));
    }
}
