//! Who did what, as the administrator and a managing application read it.

use crate::office::{ADMIN_KEY, Office};
use lockstep_core::error::Code;
use lockstep_engine::control::{audit, token, within};
use serde_json::json;

async fn actions(office: &Office, key: &str, business: Option<&str>) -> Vec<String> {
    let page = audit::list(&office.world, &office.caller(key), business, None, None).await.expect("a page");
    page.entries
        .into_iter()
        .map(|entry| format!("{} by {}", entry.action, entry.by_label.unwrap_or(entry.by)))
        .collect()
}

#[tokio::test]
async fn every_change_of_settings_is_entered_and_read_by_who_may() {
    let office = Office::open().await;
    let (world, body) = (&office.world, |value| serde_json::from_value(value).expect("a body"));
    let manager =
        office.badge("Acme", "manager", &json!({"abilities": ["read", "write", "subscribe", "manage"]})).await;
    let own = office.caller(&manager.key);
    let app = within::create(world, &own, "acme-1", body(json!({"label": "till"}))).await.expect("made").id.to_string();
    let change = serde_json::from_value(json!({"label": "Till"})).expect("a body");
    within::update(world, &own, "acme-1", &app, change).await.expect("changed");
    within::rotate(world, &own, "acme-1", &app).await.expect("new secrets");
    within::delete(world, &own, "acme-1", &app).await.expect("revoked");
    let kiosk = serde_json::from_value(json!({"label": "kiosk", "abilities": ["write", "subscribe"]})).expect("a body");
    let kiosk = token::create(world, &own, "acme-1", kiosk).await.expect("a token");
    let hook = json!({"url": "https://example.com/hook"}).to_string();
    let hook = office.post("/v1/business/acme-1/subscription/create", &kiosk.api_key, &hook).await;
    let hook = hook.body["id"].as_str().expect("an id").to_owned();
    let made = office.post("/v1/business/acme-1/contact/create", &manager.key, "{}").await;
    let record = made.body["recordId"].as_str().expect("an id").to_owned();
    for path in ["update", "rotate-secret", "replay", "delete"] {
        let path = format!("/v1/business/acme-1/subscription/{path}/{hook}");
        let answer =
            office.post(&path, &kiosk.api_key, if path.contains("replay") { "{\"seq\": 1}" } else { "{}" }).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    office.post(&format!("/v1/business/acme-1/contact/erase/{record}"), &manager.key, "{}").await;
    token::revoke(world, &own, "acme-1", &kiosk.id.to_string()).await.expect("revoked");
    let expected = [
        "token.revoke by manager",
        "record.erase by manager",
        "subscription.delete by kiosk",
        "subscription.replay by kiosk",
        "subscription.rotate-secret by kiosk",
        "subscription.update by kiosk",
        "subscription.create by kiosk",
        "token.create by manager",
        "application.delete by manager",
        "application.rotate by manager",
        "application.update by manager",
        "application.create by manager",
        "business.create by admin",
    ];
    assert_eq!(actions(&office, &manager.key, Some("acme-1")).await, expected);
    assert_eq!(actions(&office, ADMIN_KEY, Some("acme-1")).await, expected);
    assert_eq!(actions(&office, &manager.key, Some("acme-2")).await, ["business.create by admin"]);
    let all = actions(&office, ADMIN_KEY, None).await;
    assert_eq!(all.len(), expected.len() + 2 + 3, "with two businesses and three applications more");

    let refused = async |key: &str, business: Option<&str>| {
        let page = audit::list(world, &office.caller(key), business, None, None).await;
        page.expect_err("not to be read").rejection.code
    };
    assert_eq!(refused(&manager.key, None).await, Code::Forbidden);
    assert_eq!(refused(&office.acme.key, Some("acme-1")).await, Code::Forbidden);
    assert_eq!(refused(&manager.key, Some("globex")).await, Code::BusinessNotFound);
    let page = audit::list(world, &own, Some("acme-1"), None, Some(2)).await.expect("a page");
    let rest = audit::list(world, &own, Some("acme-1"), page.next, None).await.expect("a page");
    assert_eq!((page.entries.len(), rest.entries.len(), rest.next), (2, expected.len() - 2, None));
}
