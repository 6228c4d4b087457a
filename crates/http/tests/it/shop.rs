//! A platform that takes one key: its connector is the folder beside this file.

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_egress::{Request, Response, SendError, Transport};
use serde_json::{Value, json};

/// The way to the shop.
pub(crate) struct Shop;

fn answer(path: &str) -> (u16, Value) {
    let ann = json!({"id": "7", "mail": "Ann@Example.com", "first": "Annelies", "place": {"city": "Delft"}});
    match path {
        "/me" => (200, json!({"account": "acc-1", "name": "The shop"})),
        "/people/7" => (200, ann),
        "/people" | "/items" | "/things" => (200, json!([ann])),
        _ => (404, json!({"error": "there is no such thing"})),
    }
}

#[async_trait]
impl Transport for Shop {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let is_known = request.headers.get("x-api-key").is_some_and(|key| key == "right-key");
        let (status, body) = if is_known { answer(request.url.path()) } else { (401, json!({"error": "no"})) };
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().expect("a value"));
        let status = http::StatusCode::from_u16(status).expect("a status");
        Ok(Response { status, headers, body: Bytes::from(body.to_string()), is_cut: false })
    }
}
