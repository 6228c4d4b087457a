//! `/openapi.json`: the REST face as OpenAPI 3.1, made from the route table and the wire types.

use crate::answer::Answer;
use crate::router::{Route, table};
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lockstep_wire::rest::Problem;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    generator.subschema_for::<Problem<'_>>();
    let mut paths: Map<String, Value> = Map::new();
    for Route { method, path, doc, .. } in table() {
        let Some(doc) = doc else { continue };
        let id = operation_id(method.as_str(), path);
        let operation = doc().write(&id, &places(path), &mut generator);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.as_str().to_ascii_lowercase(), operation);
        }
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
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or API token."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "Api-Key"},
                "basic": {"type": "http", "scheme": "basic", "description": "Client id and client secret."},
            },
        },
    })
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
