//! Proofs of hooks, one by one: what fits is taken, and what is altered, missing or another's is not.

use crate::platform::{Answer, Platform, world};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, Method};
use lockstep_connect::{Class, Connector, Hint, HookCall, HookRefused};
use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const MANIFEST: &str = "version: 1.0.0
definitions: {requester: {type: HttpRequester, url_base: 'https://a.test'}}
streams: []
spec: {type: Spec, connection_specification: {}}
";

const BODY: &str = r#"{"id": "7", "name": "Kim"}"#;

fn connector(verify: &str) -> Connector {
    let text = format!(
        "version: 1\ntypes:\n  contact:\n    type: contact\n    id: id\n    fields: {{firstName: name}}\n    hooks:\n      \
         verbs: POST\n      decoder: json\n      id: '{{{{ item.id }}}}'\n      object: '{{{{ item }}}}'\n      verify: {verify}\n"
    );
    Connector::parse(MANIFEST, Some(&text), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"))
}

fn call(headers: &[(&str, &str)]) -> HookCall {
    let headers = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    HookCall {
        method: Method::POST,
        target: "/hook/con_1/contact".to_owned(),
        path_rest: String::new(),
        query: String::new(),
        headers: headers.collect::<HeaderMap>(),
        body: BODY.into(),
        secret: "the-key".to_owned(),
        config: json!({"webhook_secret": "other-key"}),
        keys: BTreeMap::new(),
        now: Timestamp(1_740_823_323_000),
    }
}

fn taken(connector: &Connector, call: &HookCall) -> Result<Vec<Hint>, HookRefused> {
    connector.hook("contact", &Fields::new(), call)
}

#[track_caller]
fn check(verify: &str, good: &HookCall, bad: &[HookCall]) {
    let connector = connector(verify);
    let hints = taken(&connector, good).unwrap();
    assert_eq!((hints.len(), hints[0].id.as_str()), (1, "7"), "{verify}");
    assert_eq!(hints[0].object.as_ref().unwrap().tree["name"], "Kim");
    for call in bad {
        let refused = taken(&connector, call);
        assert!(matches!(refused, Err(HookRefused::Unproven(_))), "{verify}: {refused:?}");
        assert!(!refused.unwrap_err().to_string().contains("the-key"));
    }
}

#[test]
fn a_key_is_proved_in_path_header_and_basic() {
    let path = |rest: &str| HookCall { path_rest: rest.to_owned(), ..call(&[]) };
    check("{kind: path}", &path("in/the-key"), &[path("in/the-kez"), path(""), path("the-key/in")]);
    let header = |value: &str| call(&[("x-hub", value)]);
    check("{kind: header, name: X-Hub}", &header("the-key"), &[header("the-ke"), header(""), call(&[])]);
    let own = "{kind: header, name: X-Hub, secret: '{{ config.webhook_secret }}'}";
    check(own, &header("other-key"), &[header("the-key")]);
    let basic = |pair: &str| call(&[("authorization", &format!("Basic {}", STANDARD.encode(pair)))]);
    check("{kind: basic}", &basic("anyone:the-key"), &[basic("the-key:"), basic("a:b"), call(&[])]);
    check("{kind: basic, secret: 'hub:{{ secret }}'}", &basic("hub:the-key"), &[basic("anyone:the-key")]);
}

#[test]
fn an_hmac_covers_the_body_or_what_is_said() {
    let signed = |algorithm, text: &str| hmac::sign(&hmac::Key::new(algorithm, b"the-key"), text.as_bytes());
    let hex = |tag: &hmac::Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let tag = signed(hmac::HMAC_SHA256, BODY);
    let header = |value: &str| call(&[("x-signature", value)]);
    let good = header(&format!("sha256={}", hex(&tag)));
    let altered = HookCall { body: BODY.replace("Kim", "Tim").into(), ..good.clone() };
    let other = HookCall { secret: "another".to_owned(), ..good.clone() };
    let bad = [altered, other, header(&hex(&tag)), header("sha256="), header("sha256=zz"), call(&[])];
    check("{kind: hmac, name: X-Signature, prefix: 'sha256='}", &good, &bad);

    let tag = signed(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &format!("1740823323.{BODY}"));
    let call = |at: &str| call(&[("x-signature", STANDARD.encode(tag.as_ref()).as_str()), ("x-time", at)]);
    let verify = "{kind: hmac, name: X-Signature, algorithm: sha1, encoding: base64, signed: \"{{ headers['x-time'] }}.{{ text }}\"}";
    check(verify, &call("1740823323"), &[call("1740823324")]);
}

#[test]
fn several_proofs_must_all_hold_and_none_is_given_away_by_an_empty_secret() {
    let verify = "[{kind: key}, {kind: header, name: X-Hub, secret: two}]";
    let both = HookCall { query: "a=b&key=the-key".to_owned(), ..call(&[("x-hub", "two")]) };
    let one = HookCall { query: String::new(), ..both.clone() };
    let two = HookCall { query: "key=the-key".to_owned(), ..call(&[]) };
    check(verify, &both, &[one, two]);
    let nobody = HookCall { secret: String::new(), query: "key=".to_owned(), ..call(&[]) };
    assert!(matches!(taken(&connector("{kind: key}"), &nobody), Err(HookRefused::Unproven(_))));
}

const REGISTER: &str = "version: 1
types:
  contact:
    type: contact
    id: id
    fields: {firstName: name}
    hooks:
      verbs: POST
      decoder: json
      id: '{{ item.id }}'
      register:
        each: [create, update, delete]
        create: {post: /webhooks, json: {url: '{{ url }}', trigger: '{{ each }}'}, id: id}
        check: {get: '/webhooks/{{ id }}', holds: '{{ body.id }}'}
        delete: {delete: '/webhooks/{{ id }}'}
";

#[tokio::test(start_paused = true)]
async fn hooks_that_were_made_before_one_fails_are_known_and_not_made_again() {
    let is_full = Arc::new(AtomicBool::new(true));
    let full = Arc::clone(&is_full);
    let platform = Platform::new(move |asked| match asked.method.as_str() {
        "POST" if asked.body.contains("update") && full.load(Ordering::SeqCst) => Answer::status(400),
        "POST" => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            Answer::json(&json!({"id": body["trigger"]}))
        }
        _ => Answer::json(&json!({"id": "there"})),
    });
    let made = || platform.asked.lock().unwrap().iter().filter(|asked| asked.method == "POST").count();
    let connector = Connector::parse(MANIFEST, Some(REGISTER), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"));
    let link = connector.open(json!({}), world(&platform)).unwrap();
    let (none, url) = (Fields::new(), "https://hub.test/hook");
    let first = link.hooks_keep("contact", &none, url, "the-key", &Value::Null).await;
    assert_eq!(first.trouble.unwrap().class, Class::Permanent);
    assert_eq!((first.known["hooks"].clone(), made()), (json!([{"each": "create", "id": "create"}]), 2));

    is_full.store(false, Ordering::SeqCst);
    let second = link.hooks_keep("contact", &none, url, "the-key", &first.known).await;
    assert_eq!((second.trouble.clone(), made()), (None, 4), "the two that are missing");
    assert_eq!(second.known["hooks"].as_array().unwrap().len(), 3);
    assert_eq!(link.hooks_keep("contact", &none, url, "the-key", &second.known).await, second);

    is_full.store(true, Ordering::SeqCst);
    let moved = link.hooks_keep("contact", &none, "https://other.test/hook", "the-key", &second.known).await;
    assert!(moved.trouble.is_some());
    let taken_back = platform.asked.lock().unwrap().iter().filter(|asked| asked.method == "DELETE").count();
    assert_eq!((taken_back, &moved.known["hooks"]), (3, &first.known["hooks"]));
}
