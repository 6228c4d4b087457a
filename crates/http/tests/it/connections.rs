//! Connections: what they answer, what they never answer, and what becomes of their credentials.

use crate::office::Office;
use crate::shop::Shop;
use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_engine::control::hold;
use lockstep_engine::seal::sealed_in_connection;
use lockstep_store::settings::{Audit, Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::{Commit, Work};
use lockstep_sync::control::account;
use serde_json::{Value, json};
use std::sync::Arc;

const HOME: &str = "/businesses/acme-1/connections";

fn body(key: &str) -> Value {
    json!({
        "connector": "generic-rest", "label": "Shop",
        "config": {"base_url": "https://shop.example", "path": "/items", "auth": {"type": "key_header", "key": key}},
    })
}

async fn shop() -> Office {
    Office::open_to(Arc::new(Shop::default())).await
}

async fn made(office: &Office) -> String {
    let made = office.rest("POST", HOME, &office.manager.key, &body("right-key")).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["id"].as_str().expect("an id").to_owned()
}

fn stored(office: &Office, id: &str) -> Connection {
    let found = office.world.settings.read(|settings| settings.sharing.connection(id.parse().expect("an id")));
    (*found.expect("a connection").0).clone()
}

#[tokio::test]
async fn a_connection_is_tried_and_its_secrets_are_never_shown() {
    let office = shop().await;
    let key = &office.manager.key;
    let refused = office.rest("POST", HOME, key, &body("wrong-key")).await;
    assert_eq!((refused.status, refused.code()), (422, "connection_failed"));
    assert!(!refused.message().contains("wrong-key"), "{}", refused.message());
    assert_eq!(office.rest("POST", &format!("{HOME}?test=false"), key, &body("wrong-key")).await.status, 201);
    let made = office.rest("POST", HOME, key, &body("right-key")).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["state"], "ready");
    assert_eq!(made.body["realm"], "shop.example");
    assert_eq!(made.body["provider"], "generic-rest");
    let shown =
        json!({"base_url": "https://shop.example", "path": "/items", "auth": {"type": "key_header", "key": "•••"}});
    assert_eq!(made.body["config"], shown);
    let place = made.headers["location"].to_str().expect("text");
    let read = office.send("GET", place, &[("api-key", key)], "").await;
    assert_eq!(read.body["id"], made.body["id"]);
    let listed = office.rest("GET", &format!("{HOME}?limit=1"), key, &Value::Null).await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
    let next = listed.body["next"].as_str().expect("a second page");
    let second = office.send("GET", next, &[("api-key", key)], "").await;
    assert_eq!((&second.body["items"][0]["id"], second.body.get("next")), (&made.body["id"], None));
    for answer in [&made, &read, &listed, &second] {
        assert!(!answer.body.to_string().contains("right-key"), "{answer:?}");
    }
    let connection = stored(&office, made.body["id"].as_str().expect("an id"));
    assert!(!serde_json::to_string(&connection).expect("JSON").contains("right-key"), "sealed at rest");
}

#[tokio::test]
async fn what_does_not_fit_the_connector_is_refused_by_name() {
    let office = shop().await;
    let post = async |body: Value| office.rest("POST", HOME, &office.manager.key, &body).await;
    let mut lacking = body("right-key");
    lacking["config"].as_object_mut().expect("members").remove("path");
    let refused = post(lacking).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_value"));
    assert!(refused.message().contains("path"), "{}", refused.message());
    assert_eq!(refused.body["errors"][0]["pointer"], "/config");
    let masked = post(body("•••")).await;
    assert_eq!((masked.status, &masked.body["errors"][0]["pointer"]), (400, &json!("/config/auth/key")));
    let unknown = post(json!({"connector": "nothing", "label": "x"})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
    assert!(unknown.message().contains("blueconic"), "{}", unknown.message());
    let mut taken = body("right-key");
    taken["provider"] = "crm".into();
    assert_eq!(post(taken).await.code(), "provider_taken", "an application's");
    let mut strange = body("right-key");
    strange["realms"] = "x".into();
    assert_eq!(post(strange).await.code(), "invalid_body");
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let office = shop().await;
    let id = made(&office).await;
    let key = &office.manager.key;
    let patch = async |body: Value| office.rest("PATCH", &format!("{HOME}/{id}"), key, &body).await;
    let before = stored(&office, &id);
    let renamed = patch(json!({"label": "The shop"})).await;
    assert_eq!((renamed.status, &renamed.body["label"]), (200, &json!("The shop")));
    assert_eq!(stored(&office, &id).config, before.config);
    assert!(office.crew.asked().is_empty(), "nothing to open anew");
    let kept = patch(json!({"config": {"path": "/things", "auth": {"key": "•••"}}})).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(office.crew.asked(), ["reopen"]);
    let config = account::opened(&office.world, &stored(&office, &id)).expect("sealed");
    assert_eq!((&config["auth"]["key"], &config["path"]), (&json!("right-key"), &json!("/things")));
    let moved = patch(json!({"config": {"base_url": "https://elsewhere.example"}})).await;
    assert_eq!(
        (moved.status, &moved.body["errors"][0]["pointer"]),
        (400, &json!("/config/auth/key")),
        "a secret stays"
    );
    let wrong = patch(json!({"config": {"auth": {"key": "another"}}})).await;
    assert_eq!((wrong.status, wrong.code()), (422, "connection_failed"));
    let config = account::opened(&office.world, &stored(&office, &id)).expect("sealed");
    assert_eq!(config["auth"]["key"], "right-key", "what stood still stands");
    assert_eq!(patch(json!({"version": "7"})).await.code(), "not_found");
}

#[tokio::test]
async fn a_check_tells_how_it_went_and_makes_ready_what_works() {
    let office = shop().await;
    let key = &office.manager.key;
    let made = office.rest("POST", &format!("{HOME}?test=false"), key, &body("wrong-key")).await;
    let path = format!("{HOME}/{}", made.body["id"].as_str().expect("an id"));
    let check = async || office.rest("POST", &format!("{path}/check"), key, &Value::Null).await;
    let checked = check().await;
    assert_eq!((checked.status, &checked.body["works"]), (200, &json!(false)));
    assert!(checked.body["message"].is_string());
    let patch = json!({"config": {"auth": {"key": "right-key"}}});
    assert_eq!(office.rest("PATCH", &format!("{path}?test=false"), key, &patch).await.status, 200);
    assert_eq!(check().await.body, json!({"works": true}));
}

#[tokio::test]
async fn a_business_has_an_account_once_and_its_slug_is_no_applications() {
    let office = shop().await;
    let key = &office.manager.key;
    let id = made(&office).await;
    let again = office.rest("POST", HOME, key, &body("right-key")).await;
    assert_eq!((again.status, again.code(), again.message().contains(&id)), (409, "id_taken", true), "{again:?}");
    let mut apart = body("right-key");
    apart["provider"] = "shop-two".into();
    assert_eq!(office.rest("POST", HOME, key, &apart).await.status, 201);
    let elsewhere = office.rest("POST", "/businesses/acme-2/connections", key, &body("right-key")).await;
    assert_eq!(elsewhere.status, 201, "another business has its own");
    let application = json!({"label": "x", "provider": "shop-two"});
    let taken = office.rest("POST", "/businesses/acme-1/applications", key, &application).await;
    assert_eq!((taken.status, taken.code()), (409, "provider_taken"));
}

#[tokio::test]
async fn a_token_that_is_spent_is_replaced_before_it_is_needed() {
    let shop = Arc::new(Shop::default());
    let office = Office::open_to(Arc::<Shop>::clone(&shop)).await;
    shop.grant("one");
    let body = json!({"connector": "club", "label": "Club", "config": {"refresh_token": "one"}});
    let made = office.rest("POST", HOME, &office.manager.key, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let token = || account::opened(&office.world, &stored(&office, &id)).expect("sealed")["refresh_token"].clone();
    assert_eq!(token(), "one+");
    let check = async || {
        office.clock.advance(5_000);
        let checked = office.rest("POST", &format!("{HOME}/{id}/check"), &office.manager.key, &Value::Null).await;
        assert_eq!(checked.body["works"], true, "{checked:?}");
    };
    check().await;
    assert_eq!(token(), "one++", "kept by the link itself");
    let patch = async |config: Value| {
        office.clock.advance(5_000);
        let body = json!({"config": config});
        let patched = office.rest("PATCH", &format!("{HOME}/{id}"), &office.manager.key, &body).await;
        assert_eq!(patched.status, 200, "{patched:?}");
        patched
    };
    let patched = patch(json!({"page": 2})).await;
    assert_eq!((token(), &patched.body["config"]["page"]), (json!("one+++"), &json!(2)));
    check().await;
    shop.grant("two");
    patch(json!({"refresh_token": "two"})).await;
    assert_eq!(token(), "two+", "what was given anew, and is spent");
    check().await;
    office.clock.advance(5_000);
    let strange = json!({"config": {"refresh_token": "x"}});
    let refused = office.rest("PATCH", &format!("{HOME}/{id}"), &office.manager.key, &strange).await;
    assert_eq!(refused.code(), "connection_failed");
    assert_eq!(token(), "two++", "what stood still stands");
}

#[tokio::test]
async fn lost_credentials_are_told_and_found_again() {
    let office = shop().await;
    let id = made(&office).await;
    let now = office.world.clock.now();
    let state = ConnectionState::NeedsLogin { since: now, reason: "the key was withdrawn".to_owned() };
    let lost = Connection { state, ..stored(&office, &id) };
    let audit = Audit::of(now, "system", "connection.needs-login", lost.id).within(&lost.business);
    let key = SettingKey::new(SettingKind::Connection, lost.id);
    let put = Put { key, value: Some(Setting::Connection(Box::new(lost))), expect: Expect::Anything };
    let work = Work::Control(Box::new(Control { puts: vec![put], ..Control::of(audit) }));
    office.store.commit(Commit { id: None, work }).await.expect("a commit");
    office.world.settings.refresh(office.store.as_ref()).await.expect("settings");
    let read = office.rest("GET", &format!("{HOME}/{id}"), &office.manager.key, &Value::Null).await;
    assert_eq!((&read.body["state"], &read.body["reason"]), (&json!("needs-login"), &json!("the key was withdrawn")));
    let checked = office.rest("POST", &format!("{HOME}/{id}/check"), &office.manager.key, &Value::Null).await;
    assert_eq!(checked.body["works"], true);
    assert!(stored(&office, &id).is_ready(), "it does work");
}

#[tokio::test]
async fn a_held_hub_calls_no_platform() {
    let office = shop().await;
    let id = made(&office).await;
    let key = &office.manager.key;
    let control = hold::of_restore(office.world.clock.now(), "2023-11-14");
    let work = Work::Control(Box::new(control));
    office.store.commit(Commit { id: None, work }).await.expect("a commit");
    office.world.settings.refresh(office.store.as_ref()).await.expect("settings");
    let mut other = body("right-key");
    other["provider"] = "other".into();
    for (method, path, body) in [
        ("POST", HOME.to_owned(), other.clone()),
        ("POST", format!("{HOME}/{id}/check"), Value::Null),
        ("PATCH", format!("{HOME}/{id}"), json!({"config": {"path": "/things"}})),
    ] {
        let refused = office.rest(method, &path, key, &body).await;
        assert_eq!((refused.status, refused.code()), (503, "busy"), "{method} {path}");
        assert!(refused.message().contains("lockstep release"), "{}", refused.message());
    }
    assert_eq!(office.rest("POST", &format!("{HOME}?test=false"), key, &other).await.status, 201);
    let released = office.admin("/management/release", &json!({})).await;
    assert_eq!(released.body["released"], true);
    assert_eq!(office.rest("POST", &format!("{HOME}/{id}/check"), key, &Value::Null).await.body["works"], true);
}

#[tokio::test]
async fn a_revoked_connection_has_no_credentials_until_it_is_given_new_ones() {
    let office = shop().await;
    let id = made(&office).await;
    let key = &office.manager.key;
    let call = async |method: &str, path: &str, body: &Value| {
        office.rest(method, &format!("{HOME}/{id}{path}"), key, body).await
    };
    assert_eq!(sealed_in_connection(&mut stored(&office, &id)).len(), 2, "lockstep rekey finds them");
    let hook = account::hook_key(&office.world, &stored(&office, &id)).expect("a key");
    assert!(hook.len() >= 40, "{hook}");
    assert_eq!(call("GET", "/hooks", &Value::Null).await.body, json!({"hooks": []}));
    let revoked = call("POST", "/revoke", &Value::Null).await;
    assert_eq!((revoked.status, &revoked.body["state"], &revoked.body["config"]), (200, &json!("revoked"), &json!({})));
    assert_eq!(office.crew.asked(), ["unhook", "reopen"]);
    assert!(sealed_in_connection(&mut stored(&office, &id)).is_empty());
    for (method, path) in [("POST", "/check"), ("GET", "/hooks")] {
        let refused = call(method, path, &Value::Null).await;
        assert_eq!((refused.status, refused.code()), (409, "connection_not_ready"), "{path}");
    }
    let given = call("PATCH", "", &json!({"config": body("right-key")["config"]})).await;
    assert_eq!((given.status, &given.body["state"]), (200, &json!("ready")));
    let anew = account::hook_key(&office.world, &stored(&office, &id)).expect("a key");
    assert_ne!(anew, hook);
    assert_eq!(call("DELETE", "", &Value::Null).await.status, 204);
    assert_eq!(call("GET", "", &Value::Null).await.code(), "not_found");
}

#[tokio::test]
async fn another_businesss_connection_is_unknown_and_each_change_is_in_the_audit() {
    let office = shop().await;
    let id = made(&office).await;
    let key = &office.manager.key;
    for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/check"), ("POST", "/revoke")] {
        let path = format!("/businesses/acme-2/connections/{id}{path}");
        let answer = office.rest(method, &path, key, &Value::Null).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{method} {path}");
    }
    assert_eq!(office.rest("GET", "/businesses/acme-2/connections", key, &Value::Null).await.body["items"], json!([]));
    office.rest("PATCH", &format!("{HOME}/{id}"), key, &json!({"label": "New"})).await;
    office.rest("POST", &format!("{HOME}/{id}/revoke"), key, &Value::Null).await;
    office.rest("DELETE", &format!("{HOME}/{id}"), key, &Value::Null).await;
    let audit = office.rest("GET", "/businesses/acme-1/audit", key, &Value::Null).await;
    let entries = audit.body["items"].as_array().expect("entries").iter();
    let own: Vec<&str> =
        entries.filter(|entry| entry["subject"] == json!(id)).filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(own, ["connection.delete", "connection.revoke", "connection.update", "connection.create"]);
}

#[tokio::test]
async fn connectors_say_what_they_ask_for() {
    let office = shop().await;
    let key = &office.acme.key;
    let listed = office.rest("GET", "/connectors", key, &Value::Null).await;
    let items = listed.body["items"].as_array().expect("a list");
    let blueconic = items.iter().find(|item| item["name"] == "blueconic").expect("blueconic");
    assert_eq!((&blueconic["version"], &blueconic["isReadyMade"]), (&json!("1"), &json!(true)));
    let one = office.rest("GET", "/connectors/generic-rest?version=1", key, &Value::Null).await;
    assert_eq!(one.body["config"]["required"], json!(["base_url", "path", "auth"]));
    assert_eq!(one.body["versions"], json!(["1"]));
    assert_eq!(office.rest("GET", "/connectors/nothing", key, &Value::Null).await.code(), "not_found");
    assert_eq!(office.rest("GET", "/connectors/blueconic?version=2", key, &Value::Null).await.code(), "not_found");
}
