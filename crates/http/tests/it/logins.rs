//! Logins at a platform: sent there, back with a code, ready.

use crate::office::{Answer, Office};
use crate::shop::Shop;
use lockstep_sync::control::account;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOME: &str = "/businesses/acme-1/connections";

/// A connection that waits for somebody to log in.
async fn waiting() -> (Office, Arc<Shop>, String) {
    let shop = Arc::new(Shop::default());
    let office = Office::open_to(Arc::<Shop>::clone(&shop)).await;
    let body = json!({"connector": "market", "label": "<Market>", "config": {"client": "me"}});
    let made = office.rest("POST", HOME, &office.manager.key, &body).await;
    assert_eq!((made.status, &made.body["state"]), (201, &json!("needs-login")), "{made:?}");
    assert!(made.body["reason"].is_string());
    let id = made.body["id"].as_str().expect("an id").to_owned();
    (office, shop, id)
}

async fn authorize(office: &Office, id: &str, body: &Value) -> Answer {
    office.rest("POST", &format!("{HOME}/{id}/authorize"), &office.manager.key, body).await
}

async fn comes_back(office: &Office, brought: &BTreeMap<String, String>) -> Answer {
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(brought).finish();
    office.send("GET", &format!("/oauth/callback?{query}"), &[], "").await
}

async fn state(office: &Office, id: &str) -> Value {
    office.rest("GET", &format!("{HOME}/{id}"), &office.manager.key, &Value::Null).await.body["state"].clone()
}

#[tokio::test]
async fn whoever_logs_in_leaves_a_connection_that_is_ready() {
    let (office, shop, id) = waiting().await;
    let begun = authorize(&office, &id, &Value::Null).await;
    assert_eq!((begun.status, &begun.body["expiresAt"]), (200, &json!("2023-11-14T22:23:20.000Z")));
    let brought = shop.log_in(begun.body["url"].as_str().expect("a URL"));
    office.crew.asked();
    let page = comes_back(&office, &brought).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.as_str().expect("a page").contains("&lt;Market&gt; is connected"), "{page:?}");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(office.crew.asked(), ["reopen"]);
    let view = office.rest("GET", &format!("{HOME}/{id}"), &office.manager.key, &Value::Null).await;
    assert_eq!((&view.body["state"], &view.body["realm"]), (&json!("ready"), &json!("acc-1")));
    assert_eq!(view.body["config"], json!({"client": "me", "token": "•••"}), "what a login brings is not shown");
    let (connection, _) =
        office.world.settings.read(|all| all.sharing.connection(id.parse().expect("an id"))).expect("it");
    assert_eq!(account::opened(&office.world, &connection).expect("sealed")["token"], "right-key");
    let again = comes_back(&office, &brought).await;
    assert_eq!(again.status, 409, "a word is good for one return");
    assert_eq!(state(&office, &id).await, "ready");
    let audit = office.rest("GET", "/businesses/acme-1/audit", &office.manager.key, &Value::Null).await;
    let newest = &audit.body["items"][0];
    assert_eq!((&newest["action"], &newest["by"]), (&json!("connection.login"), &json!(office.manager.id)));
}

#[tokio::test]
async fn words_that_are_strange_old_or_replaced_are_refused_alike() {
    let (office, shop, id) = waiting().await;
    let first = shop.log_in(authorize(&office, &id, &Value::Null).await.body["url"].as_str().expect("a URL"));
    let second = shop.log_in(authorize(&office, &id, &Value::Null).await.body["url"].as_str().expect("a URL"));
    let mut altered = second.clone();
    altered.insert("state".to_owned(), second["state"].replace(char::is_lowercase, "a"));
    let mut texts = Vec::new();
    for brought in [&first, &altered, &BTreeMap::new(), &[("state".to_owned(), "x".to_owned())].into()] {
        let page = comes_back(&office, brought).await;
        assert_eq!(page.status, 409, "{brought:?}");
        texts.push(page.body);
    }
    office.clock.advance(10 * 60_000);
    texts.push(comes_back(&office, &second).await.body);
    assert!(texts.windows(2).all(|two| two[0] == two[1]), "{texts:?}");
    assert_eq!(state(&office, &id).await, "needs-login");
}

#[tokio::test]
async fn what_goes_wrong_is_told_where_the_browser_goes() {
    let (office, shop, id) = waiting().await;
    let redirect = json!({"redirect": "https://app.example/done?x=1"});
    let begun = authorize(&office, &id, &redirect).await;
    let mut brought = shop.log_in(begun.body["url"].as_str().expect("a URL"));
    brought.remove("code");
    brought.insert("error".to_owned(), "access_denied <b>".to_owned());
    let sent = comes_back(&office, &brought).await;
    assert_eq!(sent.status, 303);
    let place = sent.headers["location"].to_str().expect("text");
    assert!(place.starts_with(&format!("https://app.example/done?x=1&connection={id}&ok=false&message=")), "{place}");
    assert!(place.contains("access_denied"), "{place}");
    let begun = authorize(&office, &id, &redirect).await;
    let mut brought = shop.log_in(begun.body["url"].as_str().expect("a URL"));
    let good = brought.clone();
    brought.insert("code".to_owned(), "another".to_owned());
    let place = comes_back(&office, &brought).await.headers["location"].to_str().expect("text").to_owned();
    assert!(place.contains("ok=false"), "{place}");
    assert_eq!(comes_back(&office, &good).await.status, 409, "the word is used up");
    let begun = authorize(&office, &id, &redirect).await;
    let brought = shop.log_in(begun.body["url"].as_str().expect("a URL"));
    let place = comes_back(&office, &brought).await.headers["location"].to_str().expect("text").to_owned();
    assert_eq!(place, format!("https://app.example/done?x=1&connection={id}&ok=true"));
}

#[tokio::test]
async fn a_login_is_refused_where_there_is_none() {
    let (office, _, id) = waiting().await;
    for redirect in ["/done", "javascript:alert(1)", "https://user:word@app.example/"] {
        let refused = authorize(&office, &id, &json!({"redirect": redirect})).await;
        assert_eq!((refused.status, refused.code()), (400, "url_refused"), "{redirect}");
    }
    let body = json!({"connector": "shop", "label": "Shop", "config": {"key": "right-key"}});
    let shop = office.rest("POST", HOME, &office.manager.key, &body).await;
    let refused = authorize(&office, shop.body["id"].as_str().expect("an id"), &Value::Null).await;
    assert_eq!((refused.status, refused.code()), (409, "connection_not_ready"));
    office.rest("POST", &format!("{HOME}/{id}/revoke"), &office.manager.key, &Value::Null).await;
    assert_eq!(authorize(&office, &id, &Value::Null).await.code(), "connection_not_ready");
    let view = office.rest("GET", "/connectors/market", &office.manager.key, &Value::Null).await;
    assert_eq!((&view.body["hasLogin"], &view.body["objects"][0]["isWritable"]), (&json!(true), &json!(false)));
}
