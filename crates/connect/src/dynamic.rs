//! Streams made from templates: one for each thing that the platform, the configuration or the manifest lists.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use lockstep_expr::interpolation::{Bound, Scope};
use lockstep_manifest::{
    ComponentMapping, ComponentsResolver, DynamicDeclarativeStream, Stream, StreamConfig, ValueType, parse_stream,
    parse_yaml,
};
use serde_json::{Map, Value};

use crate::account::Account;
use crate::failure::Failure;
use crate::files::Files;
use crate::read::StreamReader;
use crate::slice::Slice;
use crate::{dpath, python, tree};

/// Most streams made from one template.
const STREAMS_MAX: usize = 10_000;

/// The streams of a template.
pub(crate) async fn streams(
    said: &DynamicDeclarativeStream,
    account: &Arc<Account>,
    files: &Arc<dyn Files>,
) -> Result<Vec<Stream>, Failure> {
    let template = said.stream_template.0.to_json();
    let line = said.stream_template.0.line;
    let (mapping, found) = match &said.components_resolver {
        ComponentsResolver::Http(resolver) => {
            let reader = StreamReader::of_retriever(account, files, &said.name, &resolver.retriever)?;
            let cursor = Mutex::new(reader.cursor(&Value::Null)?);
            let mut records = reader.records(&cursor);
            let mut found = Vec::new();
            while let Some(record) = records.next().await {
                let (record, slice) = record?;
                found.push((Arc::unwrap_or_clone(record), slice));
                if found.len() > STREAMS_MAX {
                    return Err(Failure::system(format!(
                        "a template would make over {STREAMS_MAX} streams; narrow what is listed"
                    )));
                }
            }
            (&resolver.components_mapping, found)
        }
        ComponentsResolver::Config(resolver) => {
            let values = configured(&resolver.stream_config.0, account)?;
            (&resolver.components_mapping, values.into_iter().map(|value| (value, Slice::whole())).collect())
        }
        ComponentsResolver::Parametrized(resolver) => {
            let listed = resolver.stream_parameters.list_of_parameters_for_stream.iter();
            (&resolver.components_mapping, listed.map(|json| (json.0.as_ref().clone(), Slice::whole())).collect())
        }
    };
    let reads_text = !matches!(said.components_resolver, ComponentsResolver::Http(_));
    let template = Arc::new(template);
    let mut streams = Vec::new();
    for (values, slice) in found {
        let scope = account.scope().with("components_values", values).with("stream_slice", slice.bound());
        let scope = scope.with("stream_template_config", Bound::from(Arc::clone(&template)));
        let filled = filled(&template, mapping, &scope, reads_text)?;
        let stream = parse_stream(&filled, line, said.use_parent_parameters);
        streams.push(stream.map_err(|problem| Failure::system(format!("a stream made from a template: {problem}")))?);
    }
    Ok(streams)
}

/// The template with its places filled in.
fn filled(template: &Value, mapping: &[ComponentMapping], scope: &Scope, reads_text: bool) -> Result<Value, Failure> {
    let mut stream = template.clone();
    for place in mapping {
        if !place.condition.as_ref().map_or(Ok(true), |condition| condition.is_true(scope))? {
            continue;
        }
        let value = match place.value_type {
            Some(ValueType::String) => Value::String(place.value.text(scope)?),
            _ => match place.value.value(scope)? {
                Value::String(text) if reads_text => parse_yaml(&text).unwrap_or(Value::String(text)),
                value => value,
            },
        };
        let path = tree::path(&place.field_path, scope)?;
        let is_there = dpath::get(&stream, &path).is_some();
        if is_there || path.iter().any(|part| part == "*") || (place.create_or_update && python::is_true(&value)) {
            put(&mut stream, &path, &value);
        }
    }
    Ok(stream)
}

/// Puts a value at every place that the path matches.
fn put(stream: &mut Value, path: &[String], value: &Value) {
    let Some(at) = path.iter().position(|part| part == "*") else {
        dpath::set(stream, path, value.clone());
        return;
    };
    let (before, after) = path.split_at(at);
    let Some(inner) = dpath::get_mut(stream, before) else { return };
    let after = after.get(1..).unwrap_or_default();
    match inner {
        Value::Object(fields) => fields.values_mut().for_each(|inner| put(inner, after, value)),
        Value::Array(items) => items.iter_mut().for_each(|inner| put(inner, after, value)),
        _ => {}
    }
}

/// The entries of lists in the configuration; of several lists, all combinations.
fn configured(said: &[StreamConfig], account: &Account) -> Result<Vec<Value>, Failure> {
    let mut combined: Vec<Map<String, Value>> = vec![Map::new()];
    for (index, list) in said.iter().enumerate() {
        let path = tree::path(&list.configs_pointer, &account.scope())?;
        let mut entries = match dpath::get(&account.config, &path) {
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        entries.extend(list.default_values.iter().map(|json| json.0.as_ref().clone()));
        if combined.len().saturating_mul(entries.len()) > STREAMS_MAX {
            return Err(Failure::config(format!("the configuration asks for over {STREAMS_MAX} streams; list fewer")));
        }
        let with = |known: &Map<String, Value>, (at, entry): (usize, &Value)| {
            let mut both = known.clone();
            match entry {
                Value::Object(fields) => both.extend(fields.clone()),
                other => {
                    both.insert(format!("source_config_{index}"), Value::Array(vec![at.into(), other.clone()]));
                }
            }
            both
        };
        combined =
            combined.iter().flat_map(|known| entries.iter().enumerate().map(move |entry| with(known, entry))).collect();
    }
    Ok(combined.into_iter().map(Value::Object).collect())
}
