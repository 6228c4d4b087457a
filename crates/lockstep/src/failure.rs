//! Why a command failed, as it is told on standard error: `error[code]: sentence`, and where to read more.

use lockstep_core::error::{Code, Rejection};
use lockstep_store::StoreError;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With a code that has a page.
    Coded(Rejection),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Coded(Rejection::new(code, message))
    }

    /// 2 for what the caller said wrongly, 1 for what went wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Coded(Rejection { code: Code::SettingsInvalid, .. }) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coded(rejection) => {
                writeln!(f, "error[{}]: {}", rejection.code, rejection.message)?;
                write!(f, "  more: lockstep explain {}", rejection.code)
            }
            Self::Other(error) => write!(f, "error: {error:#}"),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Coded(rejection)
    }
}

impl From<lockstep_engine::refusal::Refusal> for Failure {
    fn from(refusal: lockstep_engine::refusal::Refusal) -> Self {
        Self::Coded(refusal.rejection)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::InUse(_) => Self::new(Code::DataInUse, text),
            StoreError::Unusable(_) => Self::new(Code::DataUnusable, text),
            StoreError::Corrupt(_) => Self::new(
                Code::StoreCorrupt,
                format!("{text}: nothing was changed; put back a copy of the data folder, or ask `lockstep doctor`"),
            ),
            StoreError::Newer { .. } => Self::new(
                Code::StoreNewer,
                format!("{text}: nothing was changed; start the version that wrote it, or a later one"),
            ),
            StoreError::DiskFull(_) => Self::new(Code::DiskFull, text),
            _ => Self::new(Code::StoreFailed, text),
        }
    }
}
