//! The audit log, as read.

use lockstep_core::ids::{BusinessId, OrganisationName};
use schemars::JsonSchema;
use serde::Serialize;

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// When, RFC 3339.
    pub at: String,
    /// Who: an application's or a token's id, `admin` or `system`.
    pub by: String,
    /// That one's name, where it is still known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_label: Option<String>,
    /// What was done, such as `subscription.create`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The business concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business: Option<BusinessId>,
    /// The organisation concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationName>,
}

/// A page of entries, newest first.
#[derive(Debug, Serialize)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditView>,
    /// What to give as `before` for those before them, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}
