//! What the commands tell people: tables, and how far reading has come.

use crate::connector::note;
use crate::printer::say;
use lockstep_connect::{Source, StreamInfo};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// The fields of the configuration, one a line.
pub(crate) fn spec(connector: &str, source: &Source) {
    let spec = source.spec();
    let schema = spec.get("connectionSpecification").cloned().unwrap_or_default();
    let title = schema.get("title").and_then(Value::as_str).unwrap_or(connector);
    say(&format!("{title} is configured with:"));
    fields(&schema, "");
    if let Some(url) = spec.get("documentationUrl").and_then(Value::as_str) {
        say(&format!("\nMore: {url}"));
    }
    say(&format!("\nWrite them into a file, then try: lockstep connector check {connector} --config FILE"));
    refused(source);
}

fn fields(schema: &Value, path: &str) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let whole = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut marks = Vec::new();
        marks.extend(field.get("type").map(kind));
        marks.extend(required.contains(&name.as_str()).then(|| "required".to_owned()));
        marks.extend((field.get("airbyte_secret") == Some(&Value::Bool(true))).then(|| "secret".to_owned()));
        marks.extend(field.get("default").map(|default| format!("default {default}")));
        let about = field.get("description").or_else(|| field.get("title")).and_then(Value::as_str).unwrap_or_default();
        say(&format!("  {whole:<28} {:<34} {}", marks.join(", "), shorten(about)));
        fields(field, &whole);
        for choice in field.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            say(&format!(
                "  {whole} may be: {}",
                choice.get("title").and_then(Value::as_str).unwrap_or("one of these")
            ));
            fields(choice, &whole);
        }
    }
}

fn kind(kind: &Value) -> String {
    match kind {
        Value::String(one) => one.clone(),
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

/// The beginning of a description, without markup.
fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 90;
    let mut is_tag = false;
    let plain: String = text
        .chars()
        .filter(|one| {
            is_tag = (is_tag || *one == '<') && *one != '>';
            !is_tag && *one != '>'
        })
        .collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = plain.chars().take(SHOWN_CHARS).collect();
    if shown.len() < plain.len() {
        shown.push('…');
    }
    shown
}

/// The streams, one a line.
pub(crate) fn streams(streams: &[StreamInfo]) {
    let wide = streams.iter().map(|stream| stream.name.chars().count()).max().unwrap_or(0).max("stream".len());
    say(&format!("{:<wide$}  {:<20}  {:<20}  fields", "stream", "key", "what is new, by"));
    for stream in streams {
        let key: Vec<String> = stream.primary_key.iter().map(|path| path.join(".")).collect();
        let fields = stream.schema.get("properties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
        let cursor = stream.cursor_field.as_deref().unwrap_or("– (all, each time)");
        say(&format!("{:<wide$}  {:<20}  {cursor:<20}  {fields}", stream.name, key.join(", ")));
    }
}

/// What may be a slip of the pen in the manifest.
pub(crate) fn doubts(source: &Source) {
    for doubt in source.doubts() {
        note(&doubt);
    }
}

/// Streams that cannot be read here, after what may be a slip of the pen.
pub(crate) fn refused(source: &Source) {
    doubts(source);
    for refused in source.refused() {
        note(&format!("the stream {} cannot be read: {}", refused.stream, refused.why));
    }
}

/// Records between two showings of the count.
const EVERY: u64 = 500;

/// How far reading has come, in one line of a terminal that is written over.
pub(crate) struct Tally {
    is_shown: bool,
    is_quiet: bool,
    shown_at: u64,
}

impl Tally {
    pub(crate) fn begin(is_quiet: bool) -> Self {
        Self { is_shown: !is_quiet && std::io::stderr().is_terminal(), is_quiet, shown_at: 0 }
    }

    pub(crate) fn stream(&mut self, name: &str) {
        self.shown_at = 0;
        self.show(&format!("{name} …"));
    }

    pub(crate) fn count(&mut self, name: &str, count: u64) {
        if count >= self.shown_at + EVERY || self.shown_at == 0 {
            self.shown_at = count;
            self.show(&format!("{name} … {count} records"));
        }
    }

    pub(crate) fn ended(&self, name: &str, count: u64, is_whole: bool) {
        self.clear();
        if !self.is_quiet {
            note(&format!("{name}: {count} records{}", if is_whole { "" } else { ", not all of it" }));
        }
    }

    /// Takes the line away, so that another can be told.
    pub(crate) fn clear(&self) {
        self.show("");
    }

    pub(crate) fn end(&self) {
        self.clear();
    }

    fn show(&self, line: &str) {
        if self.is_shown {
            // A terminal that has gone needs no progress.
            let mut err = std::io::stderr().lock();
            let _gone = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
        }
    }
}
