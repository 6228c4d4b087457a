//! Connections and the connectors that they are made with.

use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_core::ids::{ConnectionId, Provider, ShareId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a new connection is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateConnection {
    /// The connector's name.
    pub connector: String,
    /// The version to stay with; the newest where left out.
    pub version: Option<String>,
    /// A name for people.
    pub label: String,
    /// What the connector asks for, as its `spec` says. Secrets in it are sealed and never shown again.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Under which slug the ids of its objects stand; the connector's own where left out. It is fixed for good.
    pub provider: Option<Provider>,
}

/// What is to change of a connection. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateConnection {
    /// A new name.
    pub label: Option<String>,
    /// Members to change of the configuration, as a JSON merge patch: null takes one away. A secret that is given as it
    /// is shown, `•••`, stays.
    pub config: Option<Map<String, Value>>,
    /// Another version of its connector.
    pub version: Option<String>,
}

/// A connection, as shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub label: String,
    /// The connector's name.
    pub connector: String,
    /// The version that it stays with.
    pub version: String,
    /// The slug under which the ids of its objects stand.
    pub provider: Provider,
    /// The account there, as external ids name it.
    pub realm: String,
    /// What the platform calls the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its configuration; each secret is `•••`.
    pub config: Value,
    /// `ready`, `needs-login` or `revoked`.
    pub state: &'static str,
    /// Since when it is in that state, where it cannot be used, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why somebody must log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The shares that stand on it, as far as the caller may look after them.
    pub shares: Vec<ShareId>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

impl ConnectionView {
    /// The view of a connection with its shares.
    #[must_use]
    pub fn of(connection: &Connection, shares: Vec<ShareId>) -> Self {
        let (state, since, reason) = match &connection.state {
            ConnectionState::Ready => ("ready", None, None),
            ConnectionState::NeedsLogin { since, reason } => ("needs-login", Some(since), Some(reason.clone())),
            ConnectionState::Revoked { since } => ("revoked", Some(since), None),
        };
        Self {
            id: connection.id,
            label: connection.label.clone(),
            connector: connection.connector.clone(),
            version: connection.version.clone(),
            provider: connection.provider.clone(),
            realm: connection.realm.clone(),
            account: connection.account.clone(),
            config: connection.shown.clone(),
            state,
            since: since.map(ToString::to_string),
            reason,
            shares,
            created_at: connection.created_at.to_string(),
        }
    }
}

/// How a trial of a connection went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionChecked {
    /// Whether the platform takes it.
    pub works: bool,
    /// What the platform calls the account, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Somebody is to log in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorizeBody {
    /// Where the browser goes afterwards; `connection`, `ok` and, where it failed, `message` are added to its query.
    pub redirect: Option<String>,
}

/// Where to log in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeView {
    /// The address to open in a browser.
    pub url: String,
    /// Until when it must be back, RFC 3339.
    pub expires_at: String,
}

/// Of which remote object the fields are asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldsAsked {
    /// The remote object, as its connector calls it.
    pub object: String,
    /// What a share of it says beside, where its connector asks for that: such as a database.
    #[serde(default)]
    pub options: Map<String, Value>,
}

/// A field that objects have in an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldView {
    /// Its place, as a mapping names it.
    pub path: String,
    /// What people call it there.
    pub label: String,
    /// Its kind, in the platform's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// The fields that a remote object has in an account.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FieldsView {
    /// In the platform's order; none where its connector cannot tell.
    pub fields: Vec<FieldView>,
}

/// An inbound hook of a connection, for those who set it up at the platform by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookView {
    /// The share that it brings objects to.
    pub share: ShareId,
    /// The remote object.
    pub object: String,
    /// The address to paste. It holds the key, so it is a secret.
    pub url: String,
    /// Whether the platform was told of it by the hub itself.
    pub is_registered: bool,
    /// What to do at the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
}

/// The inbound hooks of a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HooksView {
    /// One a share that takes objects in.
    pub hooks: Vec<HookView>,
}

/// A connector, as listed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorEntry {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is called.
    pub title: String,
    /// Whether the hub brought it along.
    pub is_ready_made: bool,
    /// Why what stands in its folder now is not what is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A connector with what it asks for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorView {
    /// What it is.
    #[serde(flatten)]
    pub entry: ConnectorEntry,
    /// All versions of it that there are.
    pub versions: Vec<String>,
    /// What a connection's configuration must hold, as JSON Schema; secrets are marked `airbyte_secret`.
    pub config: Value,
    /// The platform's own documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    /// Whether somebody logs in at the platform, besides or in place of giving a key.
    pub has_login: bool,
    /// The remote objects that can be shared.
    pub objects: Vec<ObjectView>,
}

/// A remote object of a connector.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// Its name.
    pub object: String,
    /// What people call it.
    pub label: String,
    /// The type that it is mapped to where a share says nothing; where there is none, a share says type and mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Whether it can be written: shares of direction `out` need that.
    pub is_writable: bool,
    /// Whether the platform can tell of its changes by hooks.
    pub has_hooks: bool,
    /// What a share says of it, by name: `title`, `description`, and whether it is `required`.
    pub options: Value,
    /// How it is mapped where a share says nothing.
    pub mapping: Value,
    /// The groups of fields that it is matched by where a share says nothing.
    pub r#match: Vec<Vec<String>>,
}
