//! The connectors of two applications that nobody here wrote, against what those were seen to answer. `just accept` runs
//! the applications themselves; this holds the connectors to what was learnt of them, without their 0.7 GB.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use lockstep_connect::{Class, Connector, Hint, HookCall, HookRefused, Link, Write, Written};
use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use lockstep_core::schema::Schema;
use serde_json::{Value, json};

use crate::peer::root;
use crate::platform::{Answer, Asked, Platform, world};

const PAGE_500: &str = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n";

fn connector(name: &str) -> Connector {
    let file = |file: &str| fs::read_to_string(root().join("connectors").join(name).join(file)).unwrap();
    let found = Connector::parse(&file("manifest.yaml"), Some(&file("lockstep.yaml")), Arc::new(()));
    found.unwrap_or_else(|bad| panic!("{bad}"))
}

fn directus(platform: &Arc<Platform>) -> (Connector, Link) {
    let connector = connector("directus");
    let config = json!({"base_url": "https://cms.test", "token": "static-token", "collection": "people"});
    let link = connector.open(config, world(platform)).unwrap();
    (connector, link)
}

fn tryton(platform: &Arc<Platform>) -> (Connector, Link) {
    let connector = connector("tryton");
    let link =
        connector.open(json!({"base_url": "https://erp.test/main", "key": "rest-key"}), world(platform)).unwrap();
    (connector, link)
}

/// Writes a record as a share would: what it says of it is what changes, where its id is known.
async fn write((connector, link): &(Connector, Link), object: &str, id: Option<&str>, record: Value) -> Written {
    let remote = connector.object(object).unwrap();
    let mapping = remote.mapping.compile(Schema::ready_made().shape(&remote.ty).unwrap()).unwrap();
    let Value::Object(record) = record else { panic!("{record} is no record") };
    let wanted = mapping.outward(&record, &BTreeMap::new()).values;
    let is_said = |key: &String| record.contains_key(key) || key.starts_with('@') && record.contains_key("lastName");
    let said: Vec<String> = wanted.keys().filter(|key| is_said(key)).cloned().collect();
    let write = Write {
        token: "t".to_owned(),
        id: id.map(str::to_owned),
        changed: mapping.object(&wanted, Some(&said)),
        whole: mapping.object(&wanted, None),
        groups: mapping.group(&["email".to_owned()], &wanted).into_iter().collect(),
        may_create: id.is_none(),
    };
    link.write(object, &Fields::new(), vec![write]).await.remove(0)
}

/// The bodies of the calls of a verb, without what they leave out: orders about no record.
fn bodies(platform: &Arc<Platform>, method: &str) -> Vec<Value> {
    let asked = platform.asked.lock().unwrap();
    let bodies = asked.iter().filter(|asked| asked.method == method);
    bodies
        .map(|asked| {
            let mut body: Value = serde_json::from_str(&asked.body).unwrap();
            if let Some(Value::Array(orders)) = body.get_mut("contact_mechanisms") {
                orders.retain(|order| order[1] != json!([]));
            }
            body
        })
        .collect()
}

fn party(id: u64, email: &str) -> Value {
    let at = json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 22, "hour": 15, "minute": 50, "second": 27,
        "microsecond": 334_153});
    json!({"id": id, "__name__": "party.party", "name": "Zoë Ångström", "email": email, "phone": "+31 20 123 4567",
        "mobile": "", "website": "", "create_date": at, "write_date": at})
}

#[tokio::test(start_paused = true)]
async fn a_party_is_looked_up_in_base64_and_made_with_what_it_is_reached_by() {
    let platform = Platform::new(|asked| match asked.method.as_str() {
        "GET" => Answer::json(&json!([party(7, "zoeXa@x.test")])),
        _ => Answer::json(&party(8, "zoe_a@x.test")),
    });
    let tryton = tryton(&platform);
    let record = json!({"email": "zoe_a@x.test", "firstName": "Zoë", "lastName": "Ångström"});
    let written = write(&tryton, "party", None, record).await;
    // `_` is any letter to `ilike`, so another one came; it is not who was looked for.
    assert!(matches!(&written, Written::Done { id, is_new: true, .. } if id == "8"), "{written:?}");
    let filter = r#"[["contact_mechanisms","where",[["type","=","email"],["value","ilike","zoe_a@x.test"]]]]"#;
    let told: Vec<String> =
        platform.asked.lock().unwrap().iter().map(|asked| asked.parameter("d").to_owned()).collect();
    let scope = json!({"d": told[0]}).as_object().unwrap().clone();
    assert_eq!(lockstep_expr::Expr::compile("d|base64decode").unwrap().eval(&scope), Ok(json!(filter)));
    let expected = json!({
        "name": "Zoë Ångström",
        "contact_mechanisms": [["create", [{"type": "email", "value": "zoe_a@x.test"}]]],
    });
    assert_eq!(bodies(&platform, "POST"), [expected]);
}

#[tokio::test(start_paused = true)]
async fn what_a_party_is_reached_by_is_changed_where_it_stands() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/main/rest/model/party.contact_mechanism" => Answer::json(&json!([
            {"id": 11, "type": "email"}, {"id": 12, "type": "email"}, {"id": 13, "type": "phone"},
        ])),
        _ => Answer::json(&party(8, "new@x.test")),
    });
    let tryton = tryton(&platform);
    let record = json!({"email": "new@x.test", "phone": null, "website": "https://x.test"});
    let written = write(&tryton, "party", Some("8"), record).await;
    assert!(matches!(&written, Written::Done { id, is_new: false, .. } if id == "8"), "{written:?}");
    let expected = json!({"contact_mechanisms": [
        ["write", [11], {"value": "new@x.test"}],
        ["delete", [13]],
        ["create", [{"type": "website", "value": "https://x.test"}]],
    ]});
    assert_eq!(bodies(&platform, "PUT"), [expected]);
}

#[tokio::test(start_paused = true)]
async fn what_tryton_refuses_is_told_from_what_it_could_not_do_now() {
    let answers = |answer: fn() -> Answer| {
        Platform::new(move |asked| if asked.method == "PUT" { answer() } else { Answer::json(&json!([])) })
    };
    let page = |text: &str| Answer { status: 500, headers: Vec::new(), body: format!("{PAGE_500}{text}").into_bytes() };
    let record = json!({"email": "a@x.test", "lastName": "A"});
    let refused = |written: Written| match written {
        Written::Refused(trouble) => (trouble.class, trouble.failure.message),
        done => panic!("{done:?}"),
    };
    let no_field = answers(|| Answer {
        status: 500,
        headers: Vec::new(),
        body: format!("{PAGE_500}<p>&#39;nofield&#39;</p>").into_bytes(),
    });
    let (class, _) = refused(write(&tryton(&no_field), "party", Some("8"), record.clone()).await);
    assert_eq!((class, bodies(&no_field, "PUT").len()), (Class::Permanent, 1), "asking again is of no use");
    let no_phone = answers(|| Answer {
        status: 400,
        headers: vec![("content-type", "application/json".to_owned())],
        body: br#"{"status":400,"message":"The phone number \"+99912345\" for party \"A\" is not valid."}"#.to_vec(),
    });
    let (class, message) = refused(write(&tryton(&no_phone), "party", Some("8"), record.clone()).await);
    assert!(class == Class::Permanent && message.contains("The phone number"), "{message}");
    // It may have taken effect, and done again it adds again: that is for whoever looks at it.
    let cut = answers(|| Answer::status(504));
    let (class, _) = refused(write(&tryton(&cut), "party", Some("8"), record.clone()).await);
    assert_eq!((class, bodies(&cut, "PUT").len()), (Class::Unknown, 1));
    let mut is_first = true;
    let busy = Platform::new(move |asked| match asked.method.as_str() {
        "PUT" if std::mem::take(&mut is_first) => page("<p>database is locked</p>"),
        "PUT" => Answer::json(&party(8, "a@x.test")),
        _ => Answer::json(&json!([])),
    });
    let written = write(&tryton(&busy), "party", Some("8"), record).await;
    assert!(matches!(written, Written::Done { .. }) && bodies(&busy, "PUT").len() == 2, "{written:?}");
}

const FLOW: &str = "3e47793b-dea9-4b0d-adb1-16a85d5a9fa0";
const URL: &str = "https://hub.test/hook/con_1/item?key=k";

fn flows(asked: &Asked, operation: u16, there: &Value) -> Answer {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/flows") => Answer::json(&json!({"data": there})),
        ("POST", "/flows") => Answer::json(&json!({"data": {"id": FLOW}})),
        ("POST", "/operations") if operation == 200 => Answer::json(&json!({"data": {"id": "a88c"}})),
        ("POST", "/operations") => Answer::status(operation),
        (_, path) if path == format!("/flows/{FLOW}") => Answer::json(&json!({"data": {"id": FLOW}})),
        (method, path) => panic!("{method} {path}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_is_made_with_its_operation_and_then_switched_on() {
    let platform = Platform::new(|asked| flows(asked, 200, &json!([])));
    let (_, link) = directus(&platform);
    let kept = link.hooks_keep("item", &Fields::new(), URL, "k", &Value::Null).await;
    assert_eq!(kept.trouble, None);
    let known = kept.known;
    let made = bodies(&platform, "POST");
    assert_eq!((&made[0]["status"], &made[0]["options"]["collections"]), (&json!("inactive"), &json!(["people"])));
    let options = json!({"method": "POST", "url": URL, "headers": [], "body": "{{$trigger}}"});
    assert_eq!((&made[1]["flow"], &made[1]["options"]), (&json!(FLOW), &options));
    assert_eq!(bodies(&platform, "PATCH"), [json!({"operation": "a88c", "status": "active"})]);

    // It is known, then found: it is not made again.
    let there = json!([{"id": FLOW, "status": "active", "operation": {"options": {"url": URL}}}]);
    let platform = Platform::new(move |asked| flows(asked, 200, &there));
    let (_, link) = directus(&platform);
    let again = link.hooks_keep("item", &Fields::new(), URL, "k", &known).await;
    assert_eq!((again.known, bodies(&platform, "POST").len()), (known.clone(), 0));
    link.hooks_unregister("item", &Fields::new(), &known).await.unwrap();
    assert_eq!(platform.calls().last().unwrap(), &format!("/flows/{FLOW}"));
}

#[tokio::test(start_paused = true)]
async fn half_a_flow_is_taken_back() {
    let platform = Platform::new(|asked| flows(asked, 400, &json!([])));
    let (_, link) = directus(&platform);
    let refused = link.hooks_keep("item", &Fields::new(), URL, "k", &Value::Null).await;
    assert_eq!(refused.trouble.map(|trouble| trouble.class), Some(Class::Permanent));
    let last = platform.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!((last.method.as_str(), last.path), ("DELETE", format!("/flows/{FLOW}")));
}

#[tokio::test(start_paused = true)]
async fn a_flow_tells_of_new_changed_and_deleted_items() {
    let platform = Platform::new(|_| Answer::json(&json!({"data": []})));
    let (connector, link) = directus(&platform);
    let call = |query: &str, body: Value| HookCall {
        method: Method::POST,
        target: "/hook/con_1/item".to_owned(),
        path_rest: String::new(),
        query: query.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_string()),
        secret: "k".to_owned(),
        config: json!({"collection": "people"}),
        keys: BTreeMap::new(),
        now: Timestamp(0),
    };
    let hints = |body: Value| {
        let hints = connector.hook("item", &Fields::new(), &call("key=k", body)).unwrap();
        hints.into_iter().map(|Hint { id, is_gone, .. }| (id, is_gone)).collect::<Vec<_>>()
    };
    let told = |event: &str, name: &str, keys: Value| json!({"event": format!("people.items.{event}"), "collection": "people", "payload": {"city": "Ede"}, name: keys});
    let one = |id: &str, is_gone| (id.to_owned(), is_gone);
    assert_eq!(hints(told("create", "key", json!(1))), [one("1", false)]);
    assert_eq!(hints(told("create", "key", json!("b1f0-uuid"))), [one("b1f0-uuid", false)]);
    assert_eq!(hints(told("update", "keys", json!(["1", 2]))), [one("1", false), one("2", false)]);
    assert_eq!(hints(told("delete", "keys", json!(["3"]))), [one("3", true)]);
    assert_eq!(hints(json!({"event": "pets.items.create", "collection": "pets", "key": 1})), []);
    let forged = connector.hook("item", &Fields::new(), &call("key=x", told("create", "key", json!(1))));
    assert!(matches!(forged, Err(HookRefused::Unproven(_))), "{forged:?}");
    // One that is no more is an empty list, where asking for it by its id would be refused.
    assert_eq!(link.fetch("item", &Fields::new(), "3").await.unwrap(), None);
}
