//! What the commands print for programs: the lines of Airbyte's protocol, or plain records.

use crate::connector::note;
use crate::connector::tell::Tally;
use crate::world::SystemClock;
use lockstep_connect::{Check, Event, FailureType, Source, StreamInfo};
use lockstep_core::clock::Clock as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// A record a line
    Jsonl,
    /// Messages of Airbyte's protocol, one a line
    Airbyte,
}

/// A value over several lines.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

pub(crate) fn spec_line(source: &Source) -> String {
    json!({"type": "SPEC", "spec": source.spec()}).to_string()
}

pub(crate) fn check_json(outcome: &Check) -> Value {
    match outcome {
        Check::Works => json!({"status": "SUCCEEDED"}),
        Check::Fails(why) => json!({"status": "FAILED", "message": why}),
    }
}

pub(crate) fn check_line(outcome: &Check) -> String {
    json!({"type": "CONNECTION_STATUS", "connectionStatus": check_json(outcome)}).to_string()
}

/// The streams as the protocol's catalog.
pub(crate) fn catalog(streams: &[StreamInfo]) -> Value {
    let entry = |stream: &StreamInfo| {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), stream.name.as_str().into());
        entry.insert("json_schema".to_owned(), stream.schema.as_ref().clone());
        let modes: &[&str] =
            if stream.cursor_field.is_some() { &["full_refresh", "incremental"] } else { &["full_refresh"] };
        entry.insert("supported_sync_modes".to_owned(), json!(modes));
        if let Some(field) = &stream.cursor_field {
            entry.insert("source_defined_cursor".to_owned(), true.into());
            entry.insert("default_cursor_field".to_owned(), json!([field]));
        }
        if !stream.primary_key.is_empty() {
            entry.insert("source_defined_primary_key".to_owned(), json!(stream.primary_key));
        }
        entry.insert("is_resumable".to_owned(), stream.cursor_field.is_some().into());
        Value::Object(entry)
    };
    json!({"streams": streams.iter().map(entry).collect::<Vec<_>>()})
}

/// The configuration that should be kept from now on.
pub(crate) fn config_line(config: &Value) -> String {
    json!({"type": "CONTROL", "control": {
        "type": "CONNECTOR_CONFIG", "emitted_at": now(), "connectorConfig": {"config": config},
    }})
    .to_string()
}

pub(crate) fn catalog_line(streams: &[StreamInfo]) -> String {
    json!({"type": "CATALOG", "catalog": catalog(streams)}).to_string()
}

/// Prints what happens while streams are read.
pub(crate) struct Output {
    format: Format,
    out: std::io::BufWriter<std::io::Stdout>,
    counts: BTreeMap<String, u64>,
    /// Records since the stream's last state: what the protocol has each state say.
    since_state: BTreeMap<String, u64>,
    states: BTreeMap<String, Value>,
    tally: Tally,
    written: std::io::Result<()>,
}

#[derive(Serialize)]
struct RecordLine<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    record: RecordBody<'r>,
}

#[derive(Serialize)]
struct RecordBody<'r> {
    stream: &'r str,
    data: &'r Value,
    emitted_at: i64,
}

/// What is said in place of a configuration, which holds secrets.
pub(crate) const KEPT_UNTOLD: &str = "the configuration should be kept in a new form, for instance with a refresh token \
    that replaces a spent one; --format airbyte prints it";

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

impl Output {
    /// Begins; progress is told on standard error, where that is a terminal. `states` are those to read on from.
    pub(crate) fn begin(format: Format, is_quiet: bool, states: BTreeMap<String, Value>) -> Self {
        Self {
            format,
            out: std::io::BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout()),
            counts: BTreeMap::new(),
            since_state: BTreeMap::new(),
            states,
            tally: Tally::begin(is_quiet || format == Format::Airbyte),
            written: Ok(()),
        }
    }

    /// Prints an event. False where it could not be written, after which nothing more is taken. A state counts from
    /// when it has been written, and with it the records before it.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        let written = match event {
            Event::Began { stream } => {
                self.tally.stream(stream);
                self.status(stream, "STARTED")
            }
            Event::Ended { stream, is_whole } => {
                let status = if *is_whole { "COMPLETE" } else { "INCOMPLETE" };
                let count = self.counts.get(stream.as_ref()).copied().unwrap_or(0);
                self.tally.ended(stream, count, *is_whole);
                self.status(stream, status)
            }
            Event::Records { stream, records, .. } => self.records(stream, records),
            Event::State { stream, state } => {
                let count = self.since_state.remove(stream.as_ref()).unwrap_or(0);
                #[expect(clippy::cast_precision_loss, reason = "the protocol counts in floats")]
                let line = json!({"type": "STATE", "state": {
                    "type": "STREAM",
                    "stream": {"stream_descriptor": {"name": stream.as_ref()}, "stream_state": state},
                    "sourceStats": {"recordCount": count as f64},
                }});
                self.line(&line).map(|()| {
                    self.states.insert(stream.to_string(), state.clone());
                })
            }
            Event::Problem { stream, part, failure, is_gap } => {
                let place = if part.is_empty() { String::new() } else { format!(" ({part})") };
                if self.format != Format::Airbyte {
                    self.tally.clear();
                    note(&format!("{stream}{place}: {failure}"));
                }
                let line = if *is_gap {
                    let error = json!({
                        "message": format!("{stream}{place}: {failure}"),
                        "internal_message": failure.message,
                        "failure_type": failure_type(failure.kind),
                        "stream_descriptor": {"name": stream.as_ref()},
                    });
                    json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": now(), "error": error}})
                } else {
                    json!({"type": "LOG", "log": {"level": "WARN", "message": format!("{stream}{place}: {failure}")}})
                };
                self.line(&line)
            }
        };
        self.written = written;
        self.written.is_ok()
    }

    fn records(&mut self, stream: &str, records: &[std::sync::Arc<Value>]) -> std::io::Result<()> {
        let count = self.counts.entry(stream.to_owned()).or_default();
        *count += records.len() as u64;
        *self.since_state.entry(stream.to_owned()).or_default() += records.len() as u64;
        self.tally.count(stream, *count);
        let emitted_at = SystemClock.now().0;
        for data in records {
            match self.format {
                Format::Airbyte => {
                    let line = RecordLine { kind: "RECORD", record: RecordBody { stream, data, emitted_at } };
                    serde_json::to_writer(&mut self.out, &line)?;
                }
                Format::Text | Format::Json | Format::Jsonl => serde_json::to_writer(&mut self.out, data.as_ref())?,
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn status(&mut self, stream: &str, status: &str) -> std::io::Result<()> {
        let status = json!({"stream_descriptor": {"name": stream}, "status": status});
        self.line(
            &json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": now(), "stream_status": status}}),
        )
    }

    /// A message of the protocol; other formats have none. What was gathered goes out with it.
    fn line(&mut self, message: &Value) -> std::io::Result<()> {
        if self.format == Format::Airbyte {
            writeln!(self.out, "{message}")?;
        }
        self.out.flush()
    }

    /// Tells the configuration that should be kept from now on. False where nobody reads any more.
    pub(crate) fn config(&mut self, config: &Value) -> bool {
        if self.format != Format::Airbyte {
            self.tally.clear();
            note(KEPT_UNTOLD);
            return true;
        }
        writeln!(self.out, "{}", config_line(config)).and_then(|()| self.out.flush()).is_ok()
    }

    /// Ends; gives the last state of each stream, and whether all was written.
    pub(crate) fn end(mut self) -> (BTreeMap<String, Value>, std::io::Result<()>) {
        self.tally.end();
        let written = self.written.and_then(|()| self.out.flush());
        // What could not be written is not tried again when the buffer is dropped.
        let _unwritten = self.out.into_parts();
        (self.states, written)
    }
}

#[expect(clippy::cast_precision_loss, reason = "the protocol has its times in floats")]
fn now() -> f64 {
    SystemClock.now().0 as f64
}

const fn failure_type(kind: FailureType) -> &'static str {
    match kind {
        FailureType::Config => "config_error",
        FailureType::System => "system_error",
        FailureType::Transient => "transient_error",
    }
}
