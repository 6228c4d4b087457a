//! Hooks of the doubles, asked for, sent, proved and read by the ready-made connectors.

use super::linked::{Linked, activecampaign, blueconic, copernica, rest};
use http::Method;
use http::header::{CONTENT_LENGTH, HOST};
use lockstep_connect::{Class, Hint, HookCall, HookRefused};
use lockstep_sim::platforms::activecampaign::Origin;
use lockstep_sim::platforms::blueconic::WebhookConnection;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::{Hook, Platform};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const URL: &str = "https://hub.example/hook/con_1/contact?key=s3cret-key";

/// A hook as it comes in here.
fn call<P: Platform>(linked: &Linked<P>, hook: &Hook) -> HookCall {
    let mut headers = hook.headers.clone();
    headers.insert(HOST, hook.url.host_str().unwrap().parse().unwrap());
    headers.insert(CONTENT_LENGTH, hook.body.len().into());
    HookCall {
        method: hook.method.clone(),
        target: hook.url[url::Position::BeforePath..].to_owned(),
        path_rest: String::new(),
        query: hook.url.query().unwrap_or_default().to_owned(),
        headers,
        body: hook.body.clone(),
        secret: "s3cret-key".to_owned(),
        config: linked.config.clone(),
        keys: BTreeMap::new(),
        now: linked.clock.now(),
    }
}

fn taken<P: Platform>(linked: &Linked<P>, call: &HookCall) -> Result<Vec<Hint>, HookRefused> {
    linked.connector.hook(linked.object, &linked.options, call)
}

async fn register<P: Platform>(linked: &Linked<P>, url: &str, known: &Value) -> Value {
    let hooks = linked.link.hooks_keep(linked.object, &linked.options, url, "s3cret-key", known).await;
    assert_eq!(hooks.trouble, None);
    hooks.known
}

#[tokio::test(start_paused = true)]
async fn activecampaign_tells_who_changed_and_not_of_us() {
    let linked = activecampaign(3);
    let known = register(&linked, URL, &Value::Null).await;
    assert!(!known.to_string().contains("s3cret"), "{known}");
    assert_eq!(register(&linked, URL, &known).await, known, "asked for again, it is the same");
    let posts = || linked.site.seen().iter().filter(|seen| seen.what == "POST /api/3/webhooks").count();
    assert_eq!(posts(), 1);

    // Our own write tells nothing; a user's tells who.
    let write =
        linked.write_of("a", Some("88"), &json!({"email": "person1@club.test", "city": "Gouda"}), Some(&["city"]));
    linked.done(write).await;
    assert_eq!(linked.site.take_hooks().len(), 0);
    linked.site.look(|it| it.edit(89, &json!({"firstName": "Bo"}), Origin::Admin, linked.clock.now()));
    let hooks = linked.site.take_hooks();
    let mut one = call(&linked, &hooks[0]);
    let hint = Hint { id: "89".to_owned(), is_gone: false, object: None };
    assert_eq!(taken(&linked, &one), Ok(vec![hint]));
    assert_eq!(linked.shown("89").await["firstName"], "Bo");

    one.query = "key=s3cret-kez".to_owned();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))));
    one.query = String::new();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))));
    one.query = "key=s3cret-key".to_owned();
    one.body = "type=update".into();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unread(_))));
    one.body = r#"{"contact": {"id": "7"}}"#.into();
    one.headers.insert("content-type", "application/json".parse().unwrap());
    assert_eq!(taken(&linked, &one).unwrap()[0].id, "7");
    one.method = Method::GET;
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Verb(_))));

    // It forgets the hook after a 410, and upkeep makes it anew; then the URL moves, and then it is taken back.
    linked.site.look(|it| it.edit(89, &json!({"firstName": "Ann"}), Origin::Admin, linked.clock.now()));
    let hooks = linked.site.take_hooks();
    linked.site.look(|it| it.hook_answered(&hooks[0], Some(410)));
    let again = register(&linked, URL, &known).await;
    assert_ne!(again, known);
    assert_eq!(register(&linked, URL, &again).await, again);
    let moved = register(&linked, "https://other.example/hook?key=s3cret-key", &again).await;
    linked.site.look(|it| it.edit(89, &json!({"firstName": "Cas"}), Origin::Admin, linked.clock.now()));
    let hosts: Vec<String> =
        linked.site.take_hooks().iter().map(|hook| hook.url.host_str().unwrap().to_owned()).collect();
    assert_eq!(hosts, ["other.example"]);
    linked.link.hooks_unregister(linked.object, &linked.options, &moved).await.unwrap();
    linked.link.hooks_unregister(linked.object, &linked.options, &moved).await.unwrap();
    linked.site.look(|it| it.edit(89, &json!({"firstName": "Dee"}), Origin::Admin, linked.clock.now()));
    assert_eq!(linked.site.take_hooks().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn copernica_signs_what_it_tells() {
    let linked = copernica("v4", 3);
    linked.site.look(|platform| platform.validate_host("hub.example"));
    let known = register(&linked, URL, &Value::Null).await;
    assert_eq!(known["hooks"].as_array().unwrap().len(), 3);
    let write =
        linked.write_of("a", Some("501"), &json!({"email": "person1@club.test", "city": "Gouda"}), Some(&["city"]));
    linked.done(write).await;
    assert_eq!(linked.site.take_hooks().len(), 0, "our own write");

    linked.site.look(|platform| platform.edit(502, &json!({"city": "Gouda"}), linked.clock.now()));
    let hooks = linked.site.take_hooks();
    let mut one = call(&linked, &hooks[0]);
    let Err(HookRefused::NeedsKey(name)) = taken(&linked, &one) else { panic!("it is not asked for") };
    let selector = name.strip_suffix("._domainkey.copernica.com").unwrap();
    one.keys.insert(name.clone(), Copernica::dns_record(selector).unwrap());
    let hints = taken(&linked, &one).unwrap();
    let [hint] = hints.as_slice() else { panic!("{hints:?}") };
    let object = hint.object.as_ref().unwrap();
    assert_eq!((hint.id.as_str(), hint.is_gone, object.version.is_some()), ("502", false, true));
    assert_eq!(linked.mapping.shown(&object.tree), linked.mapping.shown(&linked.fetch("502").await.unwrap().tree));

    let good = one.clone();
    one.body = String::from_utf8(good.body.to_vec()).unwrap().replace("Gouda", "Bouda").into();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "an altered body");
    let mut one = good.clone();
    one.target = one.target.replace("contact", "other");
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "another address");
    let mut one = good.clone();
    one.keys.insert(name.clone(), Copernica::dns_record(if selector == "one" { "two" } else { "one" }).unwrap());
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "another key");
    let mut one = good.clone();
    one.now = one.now.plus_ms(3_600_000);
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "an old one");
    let mut one = good.clone();
    let signature = one.headers["signature"].to_str().unwrap().replace("copernica.com", "evil.com");
    one.headers.insert("signature", signature.parse().unwrap());
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "somebody else's key is not even fetched");
    let mut one = good.clone();
    one.headers.remove("signature");
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "unsigned");
    let mut one = good.clone();
    one.query = "key=other".to_owned();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unproven(_))), "another connection's");

    linked.site.look(|platform| platform.remove_by_user(502, linked.clock.now()));
    let hooks = linked.site.take_hooks();
    let one = HookCall { keys: good.keys.clone(), ..call(&linked, &hooks[0]) };
    let gone = Hint { id: "502".to_owned(), is_gone: true, object: None };
    assert_eq!(taken(&linked, &one), Ok(vec![gone]));

    assert_eq!(register(&linked, URL, &known).await, known);
    let id = known["hooks"][1]["id"].as_str().unwrap().to_owned();
    let mut first = known.clone();
    first["hooks"] = json!([known["hooks"][1]]);
    linked.link.hooks_unregister(linked.object, &linked.options, &first).await.unwrap();
    let again = register(&linked, URL, &known).await;
    assert_ne!(again["hooks"][1]["id"], id.as_str());
    assert_eq!(again["hooks"][0], known["hooks"][0]);
}

#[tokio::test(start_paused = true)]
async fn blueconic_names_who_changed_and_is_set_up_by_people() {
    let linked = blueconic(3);
    let id = linked.site.look(|platform| {
        platform.connect_webhook(WebhookConnection::of_hub(URL));
        platform.profiles().keys().next().unwrap().clone()
    });
    let hooks = linked.link.hooks_keep("profile", &linked.options, URL, "", &Value::Null).await;
    let trouble = hooks.trouble.unwrap();
    assert_eq!(hooks.known, Value::Null);
    assert_eq!(trouble.class, Class::Permanent);
    assert!(trouble.failure.message.contains("Webhook connection"), "{trouble}");

    let write = linked.write_of("a", Some(&id), &json!({"email": "a@hub.test", "city": "Gouda"}), Some(&["city"]));
    linked.done(write).await;
    assert_eq!(linked.site.take_hooks().len(), 0, "our own write");
    linked.site.look(|platform| platform.visit(&id, "city", &["Delft"], linked.clock.now()));
    let hooks = linked.site.take_hooks();
    let hint = Hint { id: id.clone(), is_gone: false, object: None };
    assert_eq!(taken(&linked, &call(&linked, &hooks[0])), Ok(vec![hint]));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(linked.shown(&id).await["city"], "Delft");
}

#[tokio::test(start_paused = true)]
async fn any_rest_platform_tells_who_changed_and_who_is_gone() {
    let linked = rest(2);
    let body = json!({"event": "updated", "item": {"id": 2, "email": "a@b.test"}});
    let mut one = HookCall {
        method: Method::POST,
        target: "/hook/con_1/item?key=s3cret-key".to_owned(),
        path_rest: String::new(),
        query: "key=s3cret-key".to_owned(),
        headers: http::HeaderMap::new(),
        body: body.to_string().into(),
        secret: "s3cret-key".to_owned(),
        config: linked.config.clone(),
        keys: BTreeMap::new(),
        now: linked.clock.now(),
    };
    assert_eq!(taken(&linked, &one).unwrap()[0].id, "2");
    one.body = json!({"event": "deleted", "item": {"id": 2}}).to_string().into();
    assert!(taken(&linked, &one).unwrap()[0].is_gone);
    one.body = json!([{"id": 1}, {"id": 2}]).to_string().into();
    let ids: Vec<String> = taken(&linked, &one).unwrap().into_iter().map(|hint| hint.id).collect();
    assert_eq!(ids, ["1", "2"]);
    // A URL with an id in it is enough.
    one.method = Method::GET;
    one.body = bytes::Bytes::new();
    one.query = "key=s3cret-key&id=7".to_owned();
    assert_eq!(taken(&linked, &one).unwrap()[0].id, "7");
    one.body = "{".into();
    assert!(matches!(taken(&linked, &one), Err(HookRefused::Unread(_))));
    let known = linked.connector.hook("shoe", &linked.options, &one);
    assert_eq!(known, Err(HookRefused::NotTaken("shoe".to_owned())));
}
