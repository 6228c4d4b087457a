//! The one outward error: a code, a sentence that names the value and the way out, and where in the input it sits.
//!
//! Rejections are values, not failures: rules return them, the engine passes them on, and only `http` turns a
//! code into a status. Every code has a page in `docs/ERRORS`, which `lockstep explain CODE` shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// What went wrong, as a word that never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as written on the wire and in `docs/ERRORS`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

// The first group refuses a request, the second ends an operation, the third is the server's own trouble,
// the fourth stops a start.
// codes:begin
codes! {
    /// The body is not JSON.
    InvalidJson => "invalid_json",
    /// The body is JSON-like text with single quotes.
    SingleQuotes => "single_quotes",
    /// The body is JSON of another shape than this call takes.
    InvalidBody => "invalid_body",
    /// The body is over its limit.
    BodyTooLarge => "body_too_large",
    /// The type has no such field.
    UnknownField => "unknown_field",
    /// A value does not fit its field's kind.
    InvalidValue => "invalid_value",
    /// An id that cannot be one.
    InvalidId => "invalid_id",
    /// A query parameter that is missing, unknown or malformed.
    InvalidParameter => "invalid_parameter",
    /// A header that cannot be read.
    InvalidHeader => "invalid_header",
    /// The business has no such type.
    UnknownType => "unknown_type",
    /// No such path.
    UnknownPath => "unknown_path",
    /// The path exists with another verb.
    MethodNotAllowed => "method_not_allowed",
    /// No credentials were sent.
    Unauthenticated => "unauthenticated",
    /// The credentials are wrong or revoked.
    InvalidCredentials => "invalid_credentials",
    /// The credentials are good, and do not allow this.
    Forbidden => "forbidden",
    /// No business of this id that the caller may use.
    BusinessNotFound => "business_not_found",
    /// No such subscription, application or operation.
    NotFound => "not_found",
    /// A URL that Lockstep will not call.
    UrlRefused => "url_refused",
    /// A condition that does not compile, or names what it may not.
    InvalidCondition => "invalid_condition",
    /// A group of match fields that the type does not declare.
    UnknownMatchGroup => "unknown_match_group",
    /// A template that does not compile, or has a part it may not have.
    InvalidTemplate => "invalid_template",
    /// A provider slug already in use in the organisation.
    ProviderTaken => "provider_taken",
    /// An id already in use.
    IdTaken => "id_taken",
    /// The same idempotency key came with another request.
    IdempotencyConflict => "idempotency_conflict",
    /// The credential calls more often than it may.
    RateLimited => "rate_limited",
    /// A limit on how many there may be.
    LimitReached => "limit_reached",
    /// A position that the log does not have: it was restored from a backup.
    LogRestored => "log_restored",
    /// A position, or a state of the past, that is kept no more.
    HistoryPruned => "history_pruned",
    /// A field that only the administrator's key writes.
    FieldNotEditable => "field_not_editable",
    /// What records hold stands against the change of a field or type.
    FieldInUse => "field_in_use",
    /// The query would look through too many records without an index.
    IndexNeeded => "index_needed",
    /// The index that this needs is still being built.
    IndexBuilding => "index_building",
    /// The subscription has ended and cannot do this.
    SubscriptionEnded => "subscription_ended",
    /// A mapping that does not fit its type, or does not read.
    InvalidMapping => "invalid_mapping",
    /// The platform did not take the configuration, or did not answer.
    ConnectionFailed => "connection_failed",
    /// The connection cannot be used as it stands: somebody must log in, or it was revoked.
    ConnectionNotReady => "connection_not_ready",
    /// Shares stand on the connection.
    ConnectionInUse => "connection_in_use",
    /// The share has a run already, or is in no state for this.
    RunUnderWay => "run_under_way",

    /// No such record, or none the caller may see.
    RecordNotFound => "record_not_found",
    /// The record is a tombstone.
    RecordDeleted => "record_deleted",
    /// `If-Match` names another version than the record has.
    VersionConflict => "version_conflict",
    /// Another record holds this external id.
    ExternalIdTaken => "external_id_taken",
    /// The record has no such external id.
    ExternalIdUnknown => "external_id_unknown",
    /// More than one record matches, or the one that does is another of the caller's.
    AmbiguousMatch => "ambiguous_match",
    /// The record that matches is another object of the same account already.
    RemoteDuplicate => "remote_duplicate",
    /// A platform may or may not have done what was asked.
    RemoteInDoubt => "remote_in_doubt",
    /// A platform refused an object or record.
    RemoteRefused => "remote_refused",
    /// A platform did not answer, or asked to wait.
    RemoteUnavailable => "remote_unavailable",
    /// A record refers to one that the platform does not know yet.
    ReferenceMissing => "reference_missing",
    /// The records cannot be merged, or were not.
    MergeRefused => "merge_refused",
    /// The record would lack a value that it must have.
    FieldRequired => "field_required",
    /// Another record has the value of a field in which no two may be equal.
    ValueTaken => "value_taken",
    /// The write would put the record outside what the caller may see.
    OutsideGrant => "outside_grant",
    /// The record would grow over its limit.
    RecordTooLarge => "record_too_large",

    /// More work waits than may; try again.
    Busy => "busy",
    /// The disk has no room for another commit.
    DiskFull => "disk_full",
    /// The server is stopping.
    ShuttingDown => "shutting_down",
    /// The store could not do its work.
    StoreFailed => "store_failed",
    /// A bug.
    Internal => "internal",

    /// Another process serves this data folder.
    DataInUse => "data_in_use",
    /// The data folder cannot be made or written.
    DataUnusable => "data_unusable",
    /// The store's file is damaged.
    StoreCorrupt => "store_corrupt",
    /// The store was written by a later version.
    StoreNewer => "store_newer",
    /// The sealing key is not the one this store was sealed with.
    SealingKeyWrong => "sealing_key_wrong",
    /// The sealing key cannot be read as one.
    SealingKeyInvalid => "sealing_key_invalid",
    /// A backup that cannot be used.
    BackupUnusable => "backup_unusable",
    /// The address to listen on is taken or not ours.
    ListenFailed => "listen_failed",
    /// A setting that cannot be read.
    SettingsInvalid => "settings_invalid",
    /// A connector's files that cannot be used.
    ConnectorInvalid => "connector_invalid",
    /// A platform that could not be read through a connector.
    ConnectorFailed => "connector_failed",
}
// codes:end

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: what a rule, a check or a control call says instead of doing the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The code.
    pub code: Code,
    /// One sentence for a person: the value at fault and what to do.
    pub message: String,
    /// RFC 6901 pointer into the body, where the fault has a place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Rejection {
    /// A rejection without a place in the body.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None }
    }

    /// The same, said of one member of the body.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same, said of one top-level field of the body.
    #[must_use]
    pub fn at_field(self, field: &str) -> Self {
        let escaped = field.replace('~', "~0").replace('/', "~1");
        self.at(format!("/{escaped}"))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}

/// Shows a value inside an error text: quoted, cut at 80 characters, control characters escaped.
#[must_use]
pub fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(80).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_snake_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
    }

    #[test]
    fn pointers_escape_what_json_pointer_reserves() {
        let rejection = Rejection::new(Code::UnknownField, "x").at_field("a/b~c");
        assert_eq!(rejection.pointer.as_deref(), Some("/a~1b~0c"));
    }
}
