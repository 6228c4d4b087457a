//! Writes of several calls: what one was told is seen by those after it, and a call that only reads begins nothing.

use std::sync::Arc;

use lockstep_connect::{Class, Connector, Write, Written};
use lockstep_core::Fields;
use serde_json::{Value, json};

use crate::platform::{Answer, Platform, world};

const MANIFEST: &str = "version: 1.0.0
definitions: {requester: {type: HttpRequester, url_base: 'https://p.test'}}
streams:
  - type: DeclarativeStream
    name: people
    retriever:
      type: SimpleRetriever
      requester: {$ref: '#/definitions/requester', path: /people}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
";

const SHARING: &str = "version: 1
types:
  person:
    type: contact
    id: id
    fields: {email: mail}
    write:
      create:
        - {get: /numbers, keep: {number: '{{ body.next }}', first: '{{ body.next == 1 }}'}}
        - {post: /welcome, json: {}, if: '{{ first }}'}
        - {post: '/people/{{ number }}', json: {number: '{{ number }}', mail: '{{ object.mail }}'}, id: id}
";

async fn created(platform: &Arc<Platform>) -> Written {
    let connector = Connector::parse(MANIFEST, Some(SHARING), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"));
    let link = connector.open(json!({}), world(platform)).unwrap();
    let write = Write {
        token: "t".to_owned(),
        id: None,
        changed: Value::Null,
        whole: json!({"mail": "a@x.test"}),
        groups: Vec::new(),
        may_create: true,
    };
    link.write("person", &Fields::new(), vec![write]).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_seen_afterwards() {
    for (next, calls) in [(7, vec!["/numbers", "/people/7"]), (1, vec!["/numbers", "/welcome", "/people/1"])] {
        let platform = Platform::new(move |asked| match asked.path.as_str() {
            "/numbers" => Answer::json(&json!({"next": next})),
            _ => Answer::json(&json!({"id": 40 + next})),
        });
        let written = created(&platform).await;
        let id = (40 + next).to_string();
        assert!(matches!(&written, Written::Done { id: told, is_new: true, .. } if *told == id), "{written:?}");
        assert_eq!(platform.calls(), calls);
        let body = platform.asked.lock().unwrap().last().unwrap().body.clone();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"number": next, "mail": "a@x.test"}));
    }
}

#[tokio::test(start_paused = true)]
async fn after_reading_a_create_is_still_made_once_alone() {
    let answers = |status: u16| {
        Platform::new(move |asked| match asked.path.as_str() {
            "/numbers" => Answer::json(&json!({"next": 7})),
            _ => Answer::status(status),
        })
    };
    // It may have taken effect: made again it would be there twice.
    let lost = answers(504);
    let written = created(&lost).await;
    assert!(matches!(&written, Written::Refused(trouble) if trouble.class == Class::Unknown), "{written:?}");
    assert_eq!(lost.calls(), ["/numbers", "/people/7"]);
    // It was refused: nothing is there by half. No handler of the manifest speaks of these statuses.
    let refusals = [
        (422, Class::Permanent),
        (413, Class::Permanent),
        (409, Class::Duplicate),
        (410, Class::Gone),
        (401, Class::Auth),
    ];
    for (status, class) in refusals {
        let refused = answers(status);
        let written = created(&refused).await;
        assert!(matches!(&written, Written::Refused(trouble) if trouble.class == class), "{status}: {written:?}");
        assert_eq!(refused.calls(), ["/numbers", "/people/7"], "{status}");
    }
}
