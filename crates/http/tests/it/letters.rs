//! Formats, templates, headers and proofs of a subscription: what is taken, what is refused, what is shown.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

async fn create(office: &Office, more: &Value) -> Answer {
    let mut body = json!({"url": "https://example.com/hook"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    office.acme("/v1/business/acme-1/subscription/create", &body).await
}

#[tokio::test]
async fn letters_that_cannot_be_written_are_refused_when_they_are_saved() {
    let office = Office::open().await;
    let template = |parts: Value| json!({"format": "template", "template": parts});
    let table: Vec<(Value, &str, &str)> = vec![
        (json!({"format": "template"}), "invalid_template", "/template"),
        (template(json!({"url": "x"})), "invalid_body", ""),
        (template(json!({"body": "{{ a"})), "invalid_template", "/template/body"),
        (template(json!({"body": "", "url": "{% set a = 1 %}"})), "invalid_template", "/template/url"),
        (template(json!({"body": "", "headers": {"x-a": "{{ a|no }}"}})), "invalid_template", "/template/headers/x-a"),
        (template(json!({"body": "x".repeat(20_000)})), "invalid_template", "/template/body"),
        (template(json!({"body": "", "headers": {"webhook-id": "x"}})), "invalid_template", "/template/headers"),
        (template(json!({"body": "", "headers": {"a b": "x"}})), "invalid_template", "/template/headers"),
        (json!({"headers": {"Host": "x"}}), "invalid_value", "/headers"),
        (json!({"headers": {"Transfer-Encoding": "x"}}), "invalid_value", "/headers"),
        (json!({"headers": {"Content-Length": "1"}}), "invalid_value", "/headers"),
        (json!({"headers": {"Content-Type": "text/plain"}}), "invalid_value", "/headers"),
        (json!({"headers": {"ce-id": "x"}}), "invalid_value", "/headers"),
        (json!({"headers": {"Webhook-Signature": "x"}}), "invalid_value", "/headers"),
        (json!({"headers": {"x-a": "one\r\nx-b: two"}}), "invalid_value", "/headers"),
        (json!({"headers": {"x-a": "zoë"}}), "invalid_value", "/headers"),
        (json!({"headers": {"x-a\r\n": "one"}}), "invalid_value", "/headers"),
        (json!({"headers": {"x-a": "one", "X-A": "two"}}), "invalid_value", "/headers"),
        (json!({"headers": {"x-a": "x".repeat(5_000)}}), "limit_reached", "/headers"),
        (json!({"auth": {"kind": "digest"}}), "invalid_body", ""),
        (json!({"auth": {"kind": "bearer"}}), "invalid_body", ""),
        (json!({"auth": {"kind": "bearer", "token": "a\nb"}}), "invalid_value", "/auth/token"),
        (json!({"auth": {"kind": "basic", "username": "a:b", "password": "c"}}), "invalid_value", "/auth/username"),
        (
            json!({"auth": {"kind": "api-key", "in": "header", "name": "host", "value": "c"}}),
            "invalid_value",
            "/auth/name",
        ),
        (
            json!({"auth": {"kind": "oauth2", "tokenUrl": "http://10.0.0.1/", "clientId": "a", "clientSecret": "b"}}),
            "url_refused",
            "/auth/tokenUrl",
        ),
        (json!({"auth": {"kind": "mtls", "certificate": "none", "key": "none"}}), "invalid_value", "/auth/certificate"),
        (
            json!({"auth": {"kind": "bearer", "token": "a"}, "headers": {"Authorization": "b"}}),
            "invalid_value",
            "/headers",
        ),
        (
            json!({"auth": {"kind": "api-key", "in": "header", "name": "X-Key", "value": "a"}, "headers": {"x-key": "b"}}),
            "invalid_value",
            "/headers",
        ),
    ];
    for (body, code, pointer) in table {
        let answer = create(&office, &body).await;
        let found = answer.body["error"]["pointer"].as_str().unwrap_or_default();
        assert_eq!((answer.code(), found), (code, pointer), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn secrets_of_a_subscription_are_never_shown_again() {
    let office = Office::open().await;
    for (auth, shown) in [
        (
            json!({"kind": "basic", "username": "hub", "password": "s3cret"}),
            json!({"kind": "basic", "username": "hub"}),
        ),
        (json!({"kind": "bearer", "token": "s3cret"}), json!({"kind": "bearer"})),
        (
            json!({"kind": "api-key", "in": "query", "name": "key", "value": "s3cret"}),
            json!({"kind": "api-key", "in": "query", "name": "key"}),
        ),
        (
            json!({"kind": "oauth2", "tokenUrl": "https://example.com/token?a=s3cret", "clientId": "hub", "clientSecret": "s3cret", "scope": "a b"}),
            json!({"kind": "oauth2", "tokenUrl": "https://example.com/token?a=***", "clientId": "hub", "scope": "a b", "clientAuth": "basic"}),
        ),
    ] {
        let made = create(&office, &json!({"auth": auth, "headers": {"X-Shop": "s3cret"}})).await;
        assert_eq!(made.status, 200, "{made:?}");
        let listed = office.acme("/v1/business/acme-1/subscription/list", &json!({})).await;
        let one = listed.body.as_array().expect("a list").last().expect("one").clone();
        assert_eq!((&one["auth"], &one["headers"]), (&shown, &json!({"x-shop": "***"})));
        assert!(!listed.body.to_string().contains("s3cret"), "{listed:?}");
        let stored = format!("{:?}", office.store.settings(0, 100).await.expect("settings"));
        assert!(!stored.contains("password: \"s3cret") && !stored.contains("\"x-shop\": \"s3cret"), "{stored}");
    }
}

#[tokio::test]
async fn order_and_batches_are_shown_where_they_are_not_the_usual_ones() {
    let office = Office::open().await;
    let made = create(&office, &json!({"ordering": "latest", "batch": {"maxRecords": 50}})).await;
    let path = format!("/v1/business/acme-1/subscription/update/{}", made.body["id"].as_str().expect("an id"));
    let shown = office.acme(&path, &json!({"label": "x"})).await.body;
    let batch = json!({"maxRecords": 50, "maxWaitMs": 1_000});
    assert_eq!((&shown["ordering"], &shown["batch"]), (&json!("latest"), &batch));
    let refused = office.acme(&path, &json!({"format": "thin"})).await;
    assert_eq!((refused.code(), &refused.body["error"]["pointer"]), ("invalid_value", &json!("/batch")));
    let usual = office.acme(&path, &json!({"ordering": "record", "batch": {"maxRecords": 1}})).await.body;
    assert_eq!((usual.get("ordering"), usual.get("batch")), (None, None));
}

#[tokio::test]
async fn headers_and_proofs_are_replaced_and_removed() {
    let office = Office::open().await;
    let made = create(&office, &json!({"auth": {"kind": "bearer", "token": "t"}, "headers": {"x-a": "1"}})).await;
    let path = format!("/v1/business/acme-1/subscription/update/{}", made.body["id"].as_str().expect("an id"));
    let kept = office.acme(&path, &json!({"label": "x"})).await.body;
    assert_eq!((&kept["auth"]["kind"], &kept["headers"]), (&json!("bearer"), &json!({"x-a": "***"})));
    let replaced = office.acme(&path, &json!({"headers": {"x-b": "2"}})).await.body;
    assert_eq!(replaced["headers"], json!({"x-b": "***"}));
    let removed = office.acme(&path, &json!({"headers": {}, "auth": {"kind": "none"}})).await.body;
    assert_eq!((removed.get("auth"), removed.get("headers")), (None, None));
}
