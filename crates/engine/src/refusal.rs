//! Why a use case did not do what was asked, in the one outward form.

use lockstep_core::error::{Code, Rejection};
use lockstep_core::limits;
use lockstep_store::StoreError;

/// A rejection, and how long to wait before asking again where that may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub rejection: Rejection,
    /// Seconds to wait.
    pub retry_after_s: Option<u64>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, retry_after_s: None }
    }
}

impl Refusal {
    /// A refusal with a code and a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Rejection::new(code, message).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let later = |code, message| Self {
            rejection: Rejection::new(code, message),
            retry_after_s: Some(limits::BUSY_RETRY_AFTER_S),
        };
        match error {
            StoreError::Busy(message) => later(Code::Busy, message),
            StoreError::DiskFull(message) => later(Code::DiskFull, format!("nothing was written: {message}")),
            StoreError::Closed => later(Code::ShuttingDown, "the server is stopping: try again in a moment".to_owned()),
            StoreError::Conflict(key) => later(Code::Busy, format!("the {key} has just been changed: try again")),
            StoreError::UnknownBusiness(business) => {
                Self::new(Code::BusinessNotFound, format!("there is no business {business}"))
            }
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::new(
                    Code::StoreFailed,
                    "the store could not do this, and nothing was written: the server's log says why, `lockstep doctor` helps",
                )
            }
        }
    }
}
