//! How the records of a stream look: said by the manifest, by a file beside it, or by the platform.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{
    DeclarativeStream, DynamicSchemaLoader, Filter, Many, SchemaLoader, SchemaTypeIdentifier, TargetType, Text,
};
use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::failure::Failure;
use crate::files::Files;
use crate::read::StreamReader;
use crate::select::transform_fields;
use crate::{dpath, tree};

/// The schema, as far as it is known without asking the platform.
pub(crate) fn of(
    said: &DeclarativeStream,
    account: &Account,
    files: &Arc<dyn Files>,
) -> Result<Option<Arc<Value>>, Failure> {
    let Some(Many(loaders)) = &said.schema_loader else { return Ok(beside(files, &said.name).map(Arc::new)) };
    match loaders.as_slice() {
        [SchemaLoader::Inline(inline)] => {
            Ok(Some(inline.schema.as_ref().map_or_else(|| Arc::new(empty()), |json| Arc::clone(&json.0))))
        }
        [SchemaLoader::JsonFile(file)] => {
            load(file.file_path.as_ref(), &said.name, account, files).map(|schema| Some(Arc::new(schema)))
        }
        _ => Ok(None),
    }
}

/// The schema, with the platform asked where only that knows.
pub(crate) async fn ask(
    said: &DeclarativeStream,
    account: &Arc<Account>,
    files: &Arc<dyn Files>,
) -> Result<Arc<Value>, Failure> {
    if let Some(known) = of(said, account, files)? {
        return Ok(known);
    }
    let loaders = said.schema_loader.as_ref().map(|loaders| loaders.0.as_slice()).unwrap_or_default();
    let mut all = Vec::new();
    for loader in loaders {
        all.push(match loader {
            SchemaLoader::Inline(inline) => inline.schema.as_ref().map_or_else(empty, |json| json.0.as_ref().clone()),
            SchemaLoader::JsonFile(file) => load(file.file_path.as_ref(), &said.name, account, files)?,
            SchemaLoader::Dynamic(dynamic) => asked(dynamic, account, files).await?,
        });
    }
    Ok(Arc::new(match all.as_slice() {
        [] => empty(),
        [one] => one.clone(),
        several => joined(several),
    }))
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// Several schemas as one; what the first says of a field holds.
fn joined(all: &[Value]) -> Value {
    let mut properties = Map::new();
    for schema in all {
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.entry(name.as_str()).or_insert_with(|| property.clone());
        }
    }
    json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": ["null", "object"], "properties": properties})
}

/// The file that is there by convention.
fn beside(files: &Arc<dyn Files>, name: &str) -> Option<Value> {
    let text = files.load(&format!("schemas/{name}.json"))?;
    serde_json::from_str(&text).ok()
}

fn load(path: Option<&Text>, name: &str, account: &Account, files: &Arc<dyn Files>) -> Result<Value, Failure> {
    let path = path.map(|path| path.text(&account.scope())).transpose()?.filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| format!("schemas/{name}.json"));
    // Paths begin with the Python package, which is the folder itself here.
    let plain = path.trim_start_matches("./");
    let within = plain.split_once('/').map(|(_, within)| within);
    let text = files.load(plain).or_else(|| within.and_then(|within| files.load(within)));
    let Some(text) = text else { return Ok(empty()) };
    let schema: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::system(format!("the schema {plain} is no JSON: {error}")))?;
    let mut left = NODES_MAX;
    Ok(resolved(&schema, &schema, files, (0, &mut left)))
}

/// Deepest chain of references between schemas, and most values after all are followed: one that refers to itself in
/// two places would double with each turn. Beyond, a reference stands for anything.
const REFERENCES_MAX: usize = 32;
const NODES_MAX: usize = 100_000;

/// References within a schema, and to files of the folder `schemas/shared`, replaced by what they refer to.
fn resolved(value: &Value, whole: &Value, files: &Arc<dyn Files>, (depth, left): (usize, &mut usize)) -> Value {
    *left = left.saturating_sub(1);
    match value {
        Value::Object(fields) if fields.contains_key("$ref") && (depth >= REFERENCES_MAX || *left == 0) => empty(),
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str).and_then(|reference| {
                let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
                let other = (!file.is_empty()).then(|| {
                    let shared = files
                        .load(&format!("schemas/shared/{file}"))
                        .or_else(|| files.load(&format!("schemas/{file}")));
                    shared.and_then(|text| serde_json::from_str::<Value>(&text).ok())
                });
                let root = match other {
                    Some(found) => found?,
                    None => whole.clone(),
                };
                let found = root.pointer(pointer)?.clone();
                Some(resolved(&found, &root, files, (depth + 1, left)))
            });
            target.unwrap_or_else(|| {
                let fields = fields.iter().filter(|(name, _)| *name != "definitions");
                let mut inner = |value| resolved(value, whole, files, (depth, left));
                Value::Object(fields.map(|(name, value)| (name.clone(), inner(value))).collect())
            })
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, whole, files, (depth, left))).collect(),
        other => other.clone(),
    }
}

/// A schema made of what the platform answers about its fields.
async fn asked(said: &DynamicSchemaLoader, account: &Arc<Account>, files: &Arc<dyn Files>) -> Result<Value, Failure> {
    let reader = StreamReader::of_retriever(account, files, "dynamic_properties", &said.retriever)?;
    let cursor = Mutex::new(reader.cursor(&Value::Null)?);
    let first = reader.records(&cursor).next().await.transpose()?;
    let scope = account.scope();
    let identifier = &said.schema_type_identifier;
    let fields = match &first {
        Some((record, _)) => {
            found(record, &identifier.schema_pointer, &scope)?.and_then(Value::as_array).cloned().unwrap_or_default()
        }
        None => Vec::new(),
    };
    let mut properties = Map::new();
    for field in &fields {
        let name = found(field, &identifier.key_pointer, &scope)?.and_then(Value::as_str);
        let name =
            name.ok_or_else(|| Failure::system("a field of the platform's schema has no name at `key_pointer`"))?;
        properties.insert(name.to_owned(), kind(identifier, field, &scope)?);
    }
    if let Some(Filter::RecordFilter(filter)) = &said.schema_filter
        && let Some(condition) = &filter.condition
    {
        let mut kept = Map::new();
        for (name, property) in properties {
            let one = Value::Object(Map::from_iter([(name.clone(), property.clone())]));
            if condition.is_true(&scope.with("record", one))? {
                kept.insert(name, property);
            }
        }
        properties = kept;
    }
    let properties = transform_fields(&said.schema_transformations, Value::Object(properties), &scope)?;
    Ok(
        json!({"$schema": "https://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": true, "properties": properties}),
    )
}

fn found<'v>(value: &'v Value, path: &[Text], scope: &Scope) -> Result<Option<&'v Value>, Failure> {
    Ok(dpath::get(value, &tree::path(path, scope)?))
}

fn kind(said: &SchemaTypeIdentifier, field: &Value, scope: &Scope) -> Result<Value, Failure> {
    let default = Value::String("string".to_owned());
    let own = if said.type_pointer.is_empty() {
        &default
    } else {
        found(field, &said.type_pointer, scope)?.unwrap_or(&default)
    };
    let names: Vec<String> = match own {
        Value::Array(names) => names.iter().map(crate::python::text).collect(),
        one => vec![crate::python::text(one)],
    };
    for map in &said.types_mapping {
        let seen = scope.with("raw_schema", field.clone());
        let holds = map.condition.as_ref().map_or(Ok(true), |condition| condition.is_true(&seen))?;
        if holds && map.current_type.0 == names {
            return target(&map.target_type);
        }
    }
    target(&TargetType::Named(names))
}

fn target(said: &TargetType) -> Result<Value, Failure> {
    match said {
        TargetType::Named(names) => match names.as_slice() {
            [one] => named(one),
            [one, other] => Ok(json!({"oneOf": [named(one)?, named(other)?]})),
            other => Err(Failure::system(format!("a field has the types {other:?}; one or two are expected"))),
        },
        TargetType::Complex(said) => {
            let mut kind = named(&said.field_type)?;
            if let (Some(items), Some(fields)) = (&said.items, kind.as_object_mut()) {
                fields.insert("items".to_owned(), target(items)?);
            }
            Ok(kind)
        }
    }
}

fn named(name: &str) -> Result<Value, Failure> {
    let plain = |name: &str| json!({"type": ["null", name]});
    let text = |format: &str, kind: Option<&str>| {
        let mut schema = json!({"type": ["null", "string"], "format": format});
        if let (Some(kind), Some(fields)) = (kind, schema.as_object_mut()) {
            fields.insert("airbyte_type".to_owned(), kind.into());
        }
        schema
    };
    Ok(match name {
        "string" | "boolean" | "integer" | "number" | "array" | "object" => plain(name),
        "date" => text("date", None),
        "timestamp_without_timezone" => text("date-time", Some("timestamp_without_timezone")),
        "timestamp_with_timezone" => text("date-time", None),
        "time_without_timezone" => text("time", Some("time_without_timezone")),
        "time_with_timezone" => text("time", Some("time_with_timezone")),
        other => {
            return Err(Failure::system(format!(
                "the type {other:?} of a field is not known; map it in `types_mapping`"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_refers_to_itself_twice_does_not_unfold_without_end() {
        let node =
            json!({"properties": {"left": {"$ref": "#/definitions/node"}, "right": {"$ref": "#/definitions/node"}}});
        let schema = json!({"definitions": {"node": node}, "properties": {"root": {"$ref": "#/definitions/node"}}});
        let files: Arc<dyn Files> = Arc::new(());
        let found = resolved(&schema, &schema, &files, (0, &mut NODES_MAX.clone()));
        assert_eq!(found.pointer("/properties/root/properties/left/properties/left").map(Value::is_object), Some(true));
        assert!(found.to_string().len() < 100 * NODES_MAX);
    }
}
