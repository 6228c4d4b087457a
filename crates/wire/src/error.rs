//! How a refusal looks on the RPC face.

use lockstep_core::error::Rejection;
use serde::Serialize;

/// `{"error": {"code", "message", "pointer"?}}`.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// The refusal.
    pub error: &'a Rejection,
}
