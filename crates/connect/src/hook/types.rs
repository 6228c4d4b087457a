//! What a platform calls us with, and what it says.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method};
use lockstep_core::clock::Timestamp;
use lockstep_expr::ExprError;
use serde_json::Value;

use crate::link::Object;

/// A call of a platform, as it came.
#[derive(Debug, Clone)]
pub struct HookCall {
    /// The verb.
    pub method: Method,
    /// Path and query as they were called, which signatures cover.
    pub target: String,
    /// What follows the hook's own path, without a leading slash; often empty.
    pub path_rest: String,
    /// The query, without the mark.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The connection's own key, which hooks must prove to know.
    pub secret: String,
    /// The connection's configuration: some verifiers need more of it.
    pub config: Value,
    /// Public keys by their names, as far as they were fetched.
    pub keys: BTreeMap<String, String>,
    /// The present time: signed dates must be near it.
    pub now: Timestamp,
}

/// That an object may be other than it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// Its id.
    pub id: String,
    /// Whether the hook says that it is no more.
    pub is_gone: bool,
    /// The object, where hooks carry it whole.
    pub object: Option<Object>,
}

/// Why a hook is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookRefused {
    /// The connector takes no hooks of this object.
    #[error("the connector takes no hooks of {0}")]
    NotTaken(String),
    /// The verb is another.
    #[error("this hook is called with {0}")]
    Verb(String),
    /// It does not prove that it comes from the platform.
    #[error("the call does not prove where it comes from: {0}")]
    Unproven(String),
    /// The public key of this name is needed: fetch it with `Link::hook_key`, put it among the keys, and ask again.
    #[error("the signature is made with the key {0}, which is not known yet")]
    NeedsKey(String),
    /// It cannot be read.
    #[error("the call cannot be read: {0}")]
    Unread(String),
}

impl From<ExprError> for HookRefused {
    fn from(error: ExprError) -> Self {
        Self::Unread(error.to_string())
    }
}
