//! The log: where it goes and in which form. docs/LOGGING.md says what is in it.

use crate::command_line::LogFormat;
use crate::failure::Failure;
use lockstep_core::error::Code;
use tracing_subscriber::EnvFilter;

/// Begins logging to standard error.
pub(crate) fn begin(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::new(Code::SettingsInvalid, format!("the log filter {filter:?} cannot be read: {error}"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process keeps the first log.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
