//! Why something could not be read, and whose matter it is.

use std::fmt::Display;

use lockstep_expr::ExprError;
use lockstep_manifest::FailureType;

/// Why a slice, a stream or a check failed: one sentence with the way out. Secrets are taken out before it is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose matter it is.
    pub kind: FailureType,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// The configuration is wrong, or no longer right.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self { kind: FailureType::Config, message: message.into() }
    }

    /// The connector is wrong, or does not fit what the platform answers.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self { kind: FailureType::System, message: message.into() }
    }

    /// It may pass.
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self { kind: FailureType::Transient, message: message.into() }
    }

    /// The same, with what was being done in front.
    pub(crate) fn while_at(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl From<ExprError> for Failure {
    fn from(error: ExprError) -> Self {
        Self::system(error.to_string())
    }
}
