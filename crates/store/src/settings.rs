//! Settings: businesses and their types, applications, subscriptions, and the names they have taken.
//!
//! One table of keyed rows, each with the version at which it last changed, so a reader that knows a version
//! reads only what is newer. A [`Control`] changes any of them in one commit with its audit entry; each put says
//! what it believes of the row it replaces, so two callers cannot both win.

use lockstep_core::application::{Application, Business, Token};
use lockstep_core::clock::Timestamp;
use lockstep_core::connection::Connection;
use lockstep_core::delivery::Notice;
use lockstep_core::ids::{ApplicationId, BusinessId, ConnectionId, OrganisationName, ShareId, SubscriptionId, TypeId};
use lockstep_core::operation::Operation;
use lockstep_core::scan::Scan;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::share::Share;
use lockstep_core::subscription::{StartAt, Subscription};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingKey {
    /// What kind of thing it is.
    pub kind: SettingKind,
    /// Which one.
    pub id: String,
}

impl SettingKey {
    /// The key of one thing of a kind.
    pub fn new(kind: SettingKind, id: impl fmt::Display) -> Self {
        Self { kind, id: id.to_string() }
    }
}

impl SettingKey {
    /// The key of what a business says of a type.
    #[must_use]
    pub fn of_type(business: &BusinessId, ty: &TypeId) -> Self {
        Self::new(SettingKind::Type, format!("{business}/{ty}"))
    }

    /// The business and type that the key of a type names.
    #[must_use]
    pub fn as_type(&self) -> Option<(BusinessId, TypeId)> {
        let (business, ty) = self.id.split_once('/').filter(|_| self.kind == SettingKind::Type)?;
        Some((BusinessId::parse(business).ok()?, TypeId::parse(ty).ok()?))
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}

/// Kinds of setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SettingKind {
    /// A business.
    Business,
    /// An application.
    Application,
    /// A subscription.
    Subscription,
    /// A provider slug taken in an organisation.
    Provider,
    /// The check value that tells a wrong sealing key.
    Sealing,
    /// Whether nothing may leave.
    Hold,
    /// A token.
    Token,
    /// What a business says of a type; its id is `BUSINESS/TYPE`.
    Type,
    /// A connection.
    Connection,
    /// A share.
    Share,
}

impl SettingKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Business,
        Self::Application,
        Self::Subscription,
        Self::Provider,
        Self::Sealing,
        Self::Hold,
        Self::Token,
        Self::Type,
        Self::Connection,
        Self::Share,
    ];

    /// The kind as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Application => "application",
            Self::Subscription => "subscription",
            Self::Provider => "provider",
            Self::Sealing => "sealing",
            Self::Hold => "hold",
            Self::Token => "token",
            Self::Type => "type",
            Self::Connection => "connection",
            Self::Share => "share",
        }
    }
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// A business.
    Business(Business),
    /// An application.
    Application(Application),
    /// A subscription.
    Subscription(Subscription),
    /// Who has taken a provider slug.
    Provider(ApplicationId),
    /// The sealed check value.
    Sealing(String),
    /// Nothing may leave.
    Hold(Hold),
    /// A token.
    Token(Token),
    /// What a business says of a type.
    Type(TypeDefinition),
    /// A connection.
    Connection(Box<Connection>),
    /// A share.
    Share(Box<Share>),
}

/// Why nothing may leave: no delivery, no probe, no test. Writes are taken as ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// What brought it about.
    pub reason: String,
}

/// A setting as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingRow {
    /// Which.
    pub key: SettingKey,
    /// When it last changed, as a version of all settings together.
    pub version: u64,
    /// Its value; none where it was removed.
    pub value: Option<Setting>,
}

/// Settings newer than a version.
#[derive(Clone, Debug, Default)]
pub struct SettingsPage {
    /// Rows in order of version.
    pub rows: Vec<SettingRow>,
    /// The version at which all settings stand.
    pub version: u64,
}

/// What a put believes of the row it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// That there is none, or a removed one.
    Absent,
    /// That it has not changed since this version.
    Version(u64),
}

/// One setting to write.
#[derive(Clone, Debug)]
pub struct Put {
    /// Which.
    pub key: SettingKey,
    /// Its value; none removes it.
    pub value: Option<Setting>,
    /// What must hold of the row as it stands.
    pub expect: Expect,
}

/// A change of settings: all of it or none.
#[derive(Clone, Debug)]
pub struct Control {
    /// Settings to write.
    pub puts: Vec<Put>,
    /// Lanes to open, with where they begin.
    pub lanes: Vec<(BusinessId, SubscriptionId, StartAt)>,
    /// Subscriptions whose work rows go.
    pub dropped: Vec<Dropped>,
    /// Subscriptions that have fallen too far behind: what they owe is let go, and they go on at the head.
    pub lapsed: Vec<Dropped>,
    /// Shares that are no more: their work rows go.
    pub ended_shares: Vec<(BusinessId, ShareId)>,
    /// Connections that are no more: what was known of their objects goes.
    pub ended_connections: Vec<(BusinessId, ConnectionId)>,
    /// Scans to begin, with the operations they are of.
    pub scans: Vec<(Operation, Scan)>,
    /// Notices to send.
    pub notices: Vec<Notice>,
    /// Who did what.
    pub audit: Audit,
}

impl Control {
    /// One with nothing in it but who did what.
    #[must_use]
    pub const fn of(audit: Audit) -> Self {
        Self {
            puts: Vec::new(),
            lanes: Vec::new(),
            dropped: Vec::new(),
            lapsed: Vec::new(),
            ended_shares: Vec::new(),
            ended_connections: Vec::new(),
            scans: Vec::new(),
            notices: Vec::new(),
            audit,
        }
    }
}

/// A subscription whose work rows go: cursors, parked records, dead letters, notices, scans, how its endpoint is.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// Its business.
    pub business: BusinessId,
    /// Which.
    pub subscription: SubscriptionId,
    /// Whom to tell of operations that end because it was the last they waited for.
    pub tell: Vec<SubscriptionId>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Who: an application's or a token's id, `admin` or `system`.
    pub by: String,
    /// What was done, such as `subscription.create`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The business concerned, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<BusinessId>,
    /// The organisation concerned, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationName>,
}

impl Audit {
    /// An entry that concerns no business in particular.
    pub fn of(at: Timestamp, by: impl Into<String>, action: &str, subject: impl fmt::Display) -> Self {
        let (action, subject) = (action.to_owned(), subject.to_string());
        Self { at, by: by.into(), action, subject, business: None, organisation: None }
    }

    /// The same, concerning a business.
    #[must_use]
    pub fn within(mut self, business: &BusinessId) -> Self {
        self.business = Some(business.clone());
        self
    }
}
