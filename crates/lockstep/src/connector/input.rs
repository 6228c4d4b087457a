//! What the commands are given: a folder or the name of a ready-made connector, a configuration, a catalog, states.

use crate::command_line::ReadArgs;
use crate::connector::builtin;
use crate::failure::Failure;
use lockstep_connect::{Ask, BadManifest, Files, Sharing, Source};
use lockstep_core::error::Code;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The connector in a folder, or the ready-made one of that name.
pub(crate) fn source(connector: &str) -> Result<Source, Failure> {
    let folder = Path::new(connector);
    let (manifest, files): (String, Arc<dyn Files>) = match folder.join("manifest.yaml") {
        path if path.is_file() => (text(&path)?, Arc::new(Folder(folder.to_owned()))),
        path => match builtin::load(connector) {
            Some(manifest) => (manifest.to_owned(), Arc::new(())),
            None => {
                let known = builtin::names().join(", ");
                let text =
                    format!("there is no {}; give a folder with a manifest.yaml, or one of {known}", path.display());
                return Err(Failure::new(Code::SettingsInvalid, text));
            }
        },
    };
    let beside = files.load("lockstep.yaml");
    let source = Source::parse(&manifest, files).map_err(|bad| told(connector, "manifest.yaml", &bad))?;
    if let Some(sharing) = beside {
        Sharing::parse(&sharing, &manifest).map_err(|bad| told(connector, "lockstep.yaml", &BadManifest(bad)))?;
    }
    Ok(source)
}

fn told(connector: &str, file: &str, bad: &BadManifest) -> Failure {
    let many = if bad.0.len() == 1 { "a problem" } else { "problems" };
    Failure::new(Code::ConnectorInvalid, format!("{connector}/{file} has {many}:\n{bad}"))
}

/// The files of a folder, and nothing above it.
struct Folder(PathBuf);

impl Files for Folder {
    fn load(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        let is_within = path.components().all(|part| matches!(part, Component::Normal(_)));
        if is_within { std::fs::read_to_string(self.0.join(path)).ok() } else { None }
    }
}

/// The folder's own path, where the connector is one.
pub(crate) fn folder(connector: &str) -> PathBuf {
    PathBuf::from(connector)
}

/// A configuration: a file, or `-` for standard input; without one, an empty one.
pub(crate) fn config(path: Option<&Path>) -> Result<Value, Failure> {
    let Some(path) = path else { return Ok(json!({})) };
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| Failure::Other(error.into()))?;
        return parse(&text, path);
    }
    parse(&text(path)?, path)
}

/// Which streams are read, and from where.
pub(crate) fn ask(args: &ReadArgs) -> Result<Ask, Failure> {
    let states =
        args.state.as_deref().map(|path| states(&parse(&text(path)?, path)?, path)).transpose()?.unwrap_or_default();
    let state = |name: &str| states.get(name).cloned().unwrap_or_default();
    let streams = if let Some(path) = &args.catalog {
        let catalog = parse(&text(path)?, path)?;
        Some(
            listed(&catalog, path)?
                .into_iter()
                .map(|(name, is_whole)| {
                    let state = if is_whole { Value::Null } else { state(&name) };
                    (name, state)
                })
                .collect(),
        )
    } else if args.streams.is_empty() {
        None
    } else {
        Some(args.streams.iter().map(|name| (name.clone(), state(name))).collect())
    };
    Ok(Ask { streams, states, is_by_page: false })
}

/// The streams of a catalog, configured or as `discover` prints it, and whether each is to be read whole.
fn listed(catalog: &Value, path: &Path) -> Result<Vec<(String, bool)>, Failure> {
    let odd = |what: &str| {
        let text = format!(
            "{} {what}; give a configured catalog, such as {{\"streams\": [{{\"stream\": {{\"name\": …}}}}]}}",
            path.display()
        );
        Failure::new(Code::SettingsInvalid, text)
    };
    let streams = catalog.get("streams").or_else(|| catalog.pointer("/catalog/streams")).and_then(Value::as_array);
    let entry = |entry: &Value| {
        let name = entry.pointer("/stream/name").or_else(|| entry.get("name")).and_then(Value::as_str);
        let is_whole = entry.get("sync_mode").and_then(Value::as_str) == Some("full_refresh");
        Ok((name.ok_or_else(|| odd("has a stream without a name"))?.to_owned(), is_whole))
    };
    streams.ok_or_else(|| odd("has no list `streams`"))?.iter().map(entry).collect()
}

/// States as the protocol has them (a list of messages) or by name.
fn states(value: &Value, path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let odd = || {
        let text = format!("{} should hold a list of STATE messages of streams, or states by stream", path.display());
        Failure::new(Code::SettingsInvalid, text)
    };
    let message = |item: &Value| {
        let stream = item.get("stream").or_else(|| item.pointer("/state/stream"))?;
        let name = stream.pointer("/stream_descriptor/name")?.as_str()?;
        Some((name.to_owned(), stream.get("stream_state").cloned().unwrap_or_default()))
    };
    match value {
        Value::Array(items) => items.iter().map(|item| message(item).ok_or_else(odd)).collect(),
        Value::Object(fields) if fields.values().all(|state| state.is_object() || state.is_null()) => {
            Ok(fields.clone().into_iter().collect())
        }
        _ => Err(odd()),
    }
}

/// Writes the states so that they can be given again. The file is replaced at once: whoever is interrupted has the old
/// states or the new ones.
pub(crate) fn save_state(path: &Path, states: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let messages: Vec<Value> = states
        .iter()
        .map(|(name, state)| json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}))
        .collect();
    let text = serde_json::to_string_pretty(&messages).map_err(|error| Failure::Other(error.into()))?;
    let unwritten = |error| Failure::Other(anyhow::Error::new(error).context(format!("writing {}", path.display())));
    let beside = path.with_added_extension("new");
    std::fs::write(&beside, text + "\n").and_then(|()| std::fs::rename(&beside, path)).map_err(unwritten)
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Code::SettingsInvalid, format!("{} cannot be read: {error}", path.display())))
}

fn parse(text: &str, path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(Code::SettingsInvalid, format!("{} is no JSON: {error}", path.display())))
}
