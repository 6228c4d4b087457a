//! `/openapi.json`: the REST face as OpenAPI 3.1, made from the route table and the wire types.

use super::doc::Shapes;
use crate::answer::Answer;
use crate::router::{Route, table};
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lockstep_wire::rest::Problem;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = |path: &'static str| {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = path.into();
            settings.meta_schema = None;
        })
    };
    let mut shapes = Shapes {
        of_bodies: settings(OF_BODIES).into_generator(),
        of_answers: settings(OF_ALL).for_serialize().into_generator(),
    };
    shapes.of_answers.subschema_for::<Problem<'_>>();
    let mut paths: Map<String, Value> = Map::new();
    for Route { method, path, doc, .. } in table() {
        let Some(doc) = doc else { continue };
        let id = operation_id(method.as_str(), path);
        let operation = doc().write(&id, &places(path), &mut shapes);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let mut schemas = shapes.of_answers.take_definitions(true);
    let of_bodies = shapes.of_bodies.take_definitions(true);
    let mut names = BTreeMap::new();
    for (name, schema) in &of_bodies {
        let differs = schemas.get(name).is_some_and(|other| at_one_place(other) != at_one_place(schema));
        names.insert(name.clone(), if differs { format!("{name}Body") } else { name.clone() });
    }
    let mut paths = Value::Object(paths);
    lead(&mut paths, &names);
    for (name, mut schema) in of_bodies {
        lead(&mut schema, &names);
        let name = names.get(&name).cloned().unwrap_or(name);
        schemas.entry(name).or_insert(schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lockstep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Records, their changes, and who is told of them. Errors are problems of RFC 9457; each \
                            `code` has a page at `/errors/{code}`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or API token."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "Api-Key"},
                "basic": {"type": "http", "scheme": "basic", "description": "Client id and client secret."},
            },
        },
    })
}

/// Where shapes stand, and where those of bodies stand until they have found their names there.
const OF_ALL: &str = "/components/schemas";
const OF_BODIES: &str = "/components/bodies";

/// A shape as text, whichever of both places it refers to.
fn at_one_place(schema: &Value) -> String {
    schema.to_string().replace(OF_BODIES, OF_ALL)
}

/// Makes what refers to the shape of a body refer to where it stands in the end.
fn lead(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            let name = text.strip_prefix('#').and_then(|text| text.strip_prefix(OF_BODIES)?.strip_prefix('/'));
            if let Some(name) = name.and_then(|name| names.get(name)) {
                *text = format!("#{OF_ALL}/{name}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lead(item, names)),
        Value::Object(members) => members.values_mut().for_each(|member| lead(member, names)),
        _ => {}
    }
}

/// `GET /rest/v1/businesses/{business}/types/{type}` → `get_businesses_business_types_type`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.strip_prefix(super::ROOT).unwrap_or(path);
    let words = path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", method.to_ascii_lowercase(), words.join("_"))
}

fn places(path: &str) -> Vec<&str> {
    let inner = path.split('{').skip(1);
    inner.filter_map(|rest| rest.split('}').next()).collect()
}

/// Serves it. It is the same for everybody and holds nothing of anyone's.
pub(crate) async fn serve() -> Answer {
    let body = document().to_string();
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], body).into_response())
}
