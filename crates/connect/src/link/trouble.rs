//! Why a call about one object came to nothing, in the terms in which one decides what to do next.

use std::time::Duration;

use lockstep_egress::SendError;
use lockstep_expr::ExprError;

use crate::failure::Failure;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct Trouble {
    /// What it means for whoever asked.
    pub class: Class,
    /// The sentence.
    pub failure: Failure,
    /// How long the platform asks to wait.
    pub after: Option<Duration>,
}

/// What a failed call means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing was done, or asking again is harmless.
    Retry,
    /// It may have taken effect.
    Unknown,
    /// This object cannot be written as it is.
    Permanent,
    /// There is no such object any more.
    Gone,
    /// There is one like it already.
    Duplicate,
    /// Several are meant.
    Ambiguous,
    /// The credentials are not taken.
    Auth,
    /// The platform as a whole does not answer; asking again later is harmless.
    Down,
}

impl Class {
    /// The word for it in files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
            Self::Gone => "gone",
            Self::Duplicate => "duplicate",
            Self::Ambiguous => "ambiguous",
            Self::Auth => "auth",
            Self::Down => "down",
        }
    }
}

impl Trouble {
    pub(crate) const fn new(class: Class, failure: Failure) -> Self {
        Self { class, failure, after: None }
    }

    /// The connector says nothing of it, or says it wrongly.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, Failure::system(message))
    }

    /// What a request without an answer means; `is_harmless` is whether it may be made again.
    pub(crate) fn unsent(error: &SendError, is_harmless: bool) -> Self {
        let class = match error {
            SendError::AddressRefused { .. } => {
                return Self::new(Class::Auth, Failure::config(error.to_string()));
            }
            SendError::Dns { .. } | SendError::Connect { .. } | SendError::Tls { .. } => Class::Down,
            SendError::Timeout { .. } | SendError::Broken { .. } if is_harmless => Class::Down,
            SendError::Timeout { .. } | SendError::Broken { .. } => Class::Unknown,
        };
        Self::new(class, Failure::transient(error.to_string()))
    }
}

impl From<Failure> for Trouble {
    /// A failure before anything was sent.
    fn from(failure: Failure) -> Self {
        let class = match failure.kind {
            lockstep_manifest::FailureType::Config => Class::Auth,
            lockstep_manifest::FailureType::System => Class::Permanent,
            lockstep_manifest::FailureType::Transient => Class::Down,
        };
        Self::new(class, failure)
    }
}

impl From<ExprError> for Trouble {
    fn from(error: ExprError) -> Self {
        Self::system(error.to_string())
    }
}
