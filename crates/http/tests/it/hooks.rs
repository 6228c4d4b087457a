//! Hooks of platforms at the gate: who is listened to, and what is kept of what they say.

use crate::office::Office;
use crate::shop::Shop;
use lockstep_core::ids::BusinessId;
use lockstep_core::limits::{EXTERNAL_ID_BYTES_MAX, HOOK_BYTES_MAX};
use lockstep_core::work::WorkKind;
use serde_json::{Value, json};
use std::sync::Arc;

const HOME: &str = "/businesses/acme-1";

/// A share of people, and where its hook goes, with the key.
async fn listening() -> (Office, String) {
    let office = Office::open_to(Arc::new(Shop::default())).await;
    let call = async |method: &str, path: &str, body: Value| {
        office.rest(method, &format!("{HOME}{path}"), &office.manager.key, &body).await.body
    };
    let made =
        call("POST", "/connections", json!({"connector": "shop", "label": "Shop", "config": {"key": "right-key"}}))
            .await;
    let body = json!({"connection": made["id"], "object": "person", "direction": "in"});
    call("POST", "/shares", body).await;
    let path = format!("/connections/{}/hooks", made["id"].as_str().expect("an id"));
    let hooks = call("GET", &path, Value::Null).await;
    let url = hooks["hooks"][0]["url"].as_str().expect("a URL").to_owned();
    let path = url.strip_prefix("https://hub.example").expect("ours").to_owned();
    (office, path)
}

/// What is to be looked after.
async fn hints(office: &Office) -> Vec<String> {
    let business = BusinessId::parse("acme-1").expect("an id");
    let rows = office.store.work(&business, WorkKind::Hint, None, None, 100).await.expect("rows");
    rows.into_iter().map(|(key, _)| key.about).collect()
}

#[tokio::test]
async fn nothing_is_read_of_a_call_that_nobody_listens_to() {
    let (office, path) = listening().await;
    let big = "x".repeat(HOOK_BYTES_MAX + 1);
    let connection = path.split('/').nth(2).expect("a connection");
    for (path, status) in [
        (path.clone(), 413),
        (format!("/hook/{connection}/order?key=x"), 404),
        ("/hook/con_00000000000000000000000001/person?key=x".to_owned(), 404),
        ("/hook/nonsense/person?key=x".to_owned(), 404),
    ] {
        assert_eq!(office.send("POST", &path, &[], &big).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_left_out() {
    let (office, path) = listening().await;
    let tell = async |id: &str| office.send("GET", &format!("{path}&id={id}"), &[], "").await.status;
    let longest = "x".repeat(EXTERNAL_ID_BYTES_MAX);
    assert_eq!(tell(&format!("{longest}x")).await, 200);
    assert_eq!(tell("a%00b").await, 200);
    assert!(hints(&office).await.is_empty());
    assert_eq!(tell(&longest).await, 200);
    assert_eq!(hints(&office).await, [longest]);
}

#[tokio::test]
async fn a_closed_business_listens_to_nobody() {
    let (office, path) = listening().await;
    let told = format!("{path}&id=7");
    assert_eq!(office.send("GET", &told, &[], "").await.status, 200);
    assert_eq!(hints(&office).await, ["7"]);
    let closed = office.admin("/management/business/delete/acme-1", &json!({})).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    let told = format!("{path}&id=8");
    assert_eq!(office.send("GET", &told, &[], "").await.status, 404);
    assert_eq!(hints(&office).await, ["7"]);
}
