//! The log: where it goes and in which form. docs/LOGGING.md says what is in it.

use crate::command_line::LogFormat;
use crate::failure::Failure;
use lockstep_core::error::Code;
use lockstep_engine::SPANS;
use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Begins logging to standard error, and giving spans to a tracer where there is one.
pub(crate) fn begin(filter: &str, format: LogFormat, tracer: Option<SdkTracer>) -> Result<(), Failure> {
    let invalid = |error: &dyn std::fmt::Display| {
        Failure::new(Code::SettingsInvalid, format!("the log filter {filter:?} cannot be read: {error}"))
    };
    let spans_off = format!("{SPANS}=off").parse().map_err(|error| invalid(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| invalid(&error))?.add_directive(spans_off);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let spans = tracer.map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        layer.with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
    });
    // A second call in one process keeps the first log.
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    Ok(())
}
