//! Wrong input: each gets a clear error that names the value and the way out, and leaves nothing behind.

use crate::office::{ADMIN_KEY, Office};
use lockstep_core::ids::BusinessId;
use serde_json::{Value, json};

const CREATE: &str = "/v1/business/acme-1/contact/create";

async fn head(office: &Office) -> u64 {
    let business = BusinessId::parse("acme-1").expect("an id");
    office.store.changes(&business, 0, 1).await.expect("a page").head
}

#[tokio::test]
async fn bodies_that_cannot_be_records_are_refused_whole() {
    let office = Office::open().await;
    let table: Vec<(&str, u16, &str, &str)> = vec![
        ("{\"email\": ", 400, "invalid_json", "not JSON"),
        ("{'email': 'j.doe@example.com', 'opt-in': true}", 400, "single_quotes", "double"),
        ("[{\"email\": \"a@b.nl\"}]", 400, "invalid_body", "an array"),
        ("\"text\"", 400, "invalid_body", "a string"),
        ("{\"emial\": \"a@b.nl\"}", 400, "unknown_field", "did you mean email?"),
        ("{\"id\": \"1\"}", 400, "unknown_field", "id"),
        ("{\"email\": \"nobody\"}", 400, "invalid_value", "ann@example.com"),
        ("{\"birthDate\": \"soon\"}", 400, "invalid_value", "YYYY-MM-DD"),
        ("{\"opt-in\": \"perhaps\"}", 400, "invalid_value", "true or false"),
        ("{\"organizationId\": \"42\"}", 400, "invalid_value", "rec_"),
        ("{\"status\": \"GONE\"}", 400, "invalid_value", "ACTIVE"),
        ("{\"tags\": [{}]}", 400, "invalid_value", "tags"),
        ("{\"custom\": []}", 400, "invalid_value", "object"),
    ];
    for (body, status, code, hint) in table {
        let answer = office.post(CREATE, &office.acme.key, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {answer:?}");
        assert!(answer.message().contains(hint), "{body}: {}", answer.message());
    }
    let large = json!({"notes": "x".repeat(1024 * 1024)}).to_string();
    let answer = office.post(CREATE, &office.acme.key, &large).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    assert_eq!(head(&office).await, 0, "nothing was written");
}

#[tokio::test]
async fn a_fault_says_where_it_is() {
    let office = Office::open().await;
    let answer = office.acme(CREATE, &json!({"email": "a@b.nl", "birthDate": "2025-02-30"})).await;
    assert_eq!(answer.body["error"]["pointer"], "/birthDate");
    assert!(answer.message().contains("2025-02-30"));
}

#[tokio::test]
async fn paths_ids_and_parameters_are_checked() {
    let office = Office::open().await;
    let table = [
        ("/v1/business/acme-1/contacts/create", 404, "unknown_type", "did you mean contact?"),
        ("/v1/business/acme-1/contact/destroy", 404, "unknown_path", "destroy"),
        ("/v2/nothing", 404, "unknown_path", "/v2/nothing"),
        ("/v1/business/no%20such/contact/create", 404, "business_not_found", "no such"),
        ("/v1/business/acme-1/contact/update/42", 400, "invalid_id", "ext:VALUE"),
        ("/v1/business/acme-1/contact/update/sub_00000000000000000000000001", 400, "invalid_id", "rec_"),
        ("/v1/business/acme-1/contact/update/ext:", 400, "invalid_id", "empty"),
        ("/v1/business/acme-1/contact/sync-by-id", 400, "invalid_parameter", "id"),
        ("/v1/business/acme-1/contact/create?externalid=1", 400, "invalid_parameter", "externalId"),
        ("/v1/business/acme-1/contact/correlate/ext:1?force=maybe", 400, "invalid_body", "value"),
        ("/v1/business/acme-1/contact/update/ext:%ff", 400, "invalid_id", "UTF-8"),
        ("/v1/business/acme-1/contact/create?externalId=%ff", 400, "invalid_parameter", "UTF-8"),
        ("/v1/business/acme-1/operation/get/42", 400, "invalid_id", "op_"),
        ("/v1/business/acme-1/operation/get/op_00000000000000000000000001", 404, "not_found", "30 days"),
        ("/v1/business/acme-1/subscription/update/sub_00000000000000000000000001", 404, "not_found", "sub_"),
    ];
    for (path, status, code, hint) in table {
        let answer = office.acme(path, &json!({})).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}: {answer:?}");
        assert!(answer.message().contains(hint), "{path}: {}", answer.message());
    }
    let answer = office.send("GET", CREATE, &[], "").await;
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"));
    assert_eq!(answer.headers["allow"], "POST");
    let answer = office.send("POST", "/metrics", &[], "").await;
    assert_eq!(
        (answer.status, answer.code(), &answer.headers["allow"]),
        (405, "method_not_allowed", &"GET,HEAD".parse().expect("a value"))
    );
}

#[tokio::test]
async fn headers_are_checked() {
    let office = Office::open().await;
    let key = format!("Bearer {}", office.acme.key);
    let long = "k".repeat(256);
    for (name, value) in [("if-match", "abc"), ("idempotency-key", ""), ("idempotency-key", &long)] {
        let answer = office.send("POST", CREATE, &[("authorization", &key), (name, value)], "{}").await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_header"), "{name}: {value}");
    }
    assert_eq!(head(&office).await, 0);
}

#[tokio::test]
async fn subscriptions_that_ask_for_what_cannot_be_are_refused() {
    let office = Office::open().await;
    let table: Vec<(Value, &str)> = vec![
        (json!({}), "invalid_value"),
        (json!({"url": "http://127.0.0.1/hook"}), "url_refused"),
        (json!({"url": "http://169.254.169.254/latest/meta-data"}), "url_refused"),
        (json!({"url": "http://[::ffff:10.0.0.1]/"}), "url_refused"),
        (json!({"url": "http://0x7f000001/"}), "url_refused"),
        (json!({"url": "http://localhost:8080/"}), "url_refused"),
        (json!({"url": "ftp://example.com/"}), "url_refused"),
        (json!({"url": "https://user:secret@example.com/"}), "url_refused"),
        (json!({"url": "not a url"}), "url_refused"),
        (json!({"url": "https://example.com/", "types": ["contacts"]}), "unknown_type"),
        (json!({"url": "https://example.com/", "types": []}), "invalid_value"),
        (json!({"url": "https://example.com/", "types": "contact"}), "invalid_body"),
        (json!({"url": "https://example.com/", "kinds": ["create"]}), "invalid_value"),
        (json!({"url": "https://example.com/", "fields": ["nonsense"]}), "unknown_field"),
        (json!({"url": "https://example.com/", "recordIds": ["42"]}), "invalid_body"),
        (json!({"url": "https://example.com/", "startAt": 5}), "invalid_body"),
        (json!({"url": "https://example.com/", "condition": "city =="}), "invalid_condition"),
        (json!({"url": "https://example.com/", "condition": "nonsense == 1"}), "invalid_condition"),
        (json!({"url": "https://example.com/", "format": "soap"}), "invalid_body"),
        (json!({"url": "https://example.com/", "format": "envelope", "payload": "id"}), "invalid_value"),
        (json!({"url": "https://example.com/", "format": "get", "payload": "changes"}), "invalid_value"),
        (json!({"url": "https://example.com/", "payload": "some"}), "invalid_body"),
        (json!({"url": "https://example.com/", "payloadShape": "array"}), "invalid_value"),
        (json!({"url": "https://example.com/", "ordering": "some"}), "invalid_body"),
        (json!({"url": "https://example.com/", "batch": {"maxRecords": 501}}), "invalid_value"),
        (json!({"url": "https://example.com/", "batch": {"maxRecords": 0}}), "invalid_value"),
        (json!({"url": "https://example.com/", "batch": {"maxRecords": 5, "maxWaitMs": 60_001}}), "invalid_value"),
        (json!({"url": "https://example.com/", "batch": {"maxRecords": 5}, "format": "envelope"}), "invalid_value"),
        (json!({"url": "https://example.com/", "under": []}), "invalid_value"),
        (json!({"url": "https://example.com/", "under": [{"field": "projectId"}]}), "invalid_body"),
        (json!({"url": "https://example.com/", "under": [{"field": "projectId", "id": "42"}]}), "invalid_body"),
        (
            json!({"url": "https://example.com/", "types": ["contact"], "under": [{"field": "projectId", "id": "rec_00000000000000000000000001"}]}),
            "unknown_field",
        ),
        (
            json!({"url": "https://example.com/", "under": [{"field": "city", "id": "rec_00000000000000000000000001"}]}),
            "unknown_field",
        ),
        (json!({"url": "https://example.com/", "hook": true}), "invalid_body"),
        (json!({"url": "https://example.com/", "label": "x".repeat(300)}), "invalid_value"),
    ];
    for (body, code) in table {
        let answer = office.acme("/v1/business/acme-1/subscription/create", &body).await;
        assert_eq!((answer.status >= 400, answer.code()), (true, code), "{body}: {answer:?}");
    }
    let listed = office.acme("/v1/business/acme-1/subscription/list", &json!({})).await;
    assert_eq!(listed.body, json!([]), "nothing was made");
}

#[tokio::test]
async fn management_refuses_what_does_not_fit() {
    let office = Office::open().await;
    let auth = |more: Value| {
        let mut body = json!({"label": "X", "organisationName": "Acme"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let table: Vec<(&str, Value, u16, &str)> = vec![
        ("/management/business/create", json!({"name": "x"}), 400, "invalid_body"),
        (
            "/management/business/create",
            json!({"organisationName": "Acme", "name": "x", "id": "acme-1"}),
            409,
            "id_taken",
        ),
        (
            "/management/business/create",
            json!({"organisationName": "Acme", "name": "x", "id": "a b"}),
            400,
            "invalid_body",
        ),
        ("/management/business/create", json!({"organisationName": "Acme", "name": "  "}), 400, "invalid_value"),
        ("/management/business/update/nobody", json!({"name": "x"}), 404, "business_not_found"),
        ("/management/auth/create", auth(json!({"label": "crm"})), 409, "provider_taken"),
        ("/management/auth/create", auth(json!({"label": "***"})), 400, "invalid_value"),
        ("/management/auth/create", auth(json!({"abilities": ["fly"]})), 400, "invalid_body"),
        ("/management/auth/create", auth(json!({"nonsense": 1})), 400, "invalid_body"),
        ("/management/auth/create", auth(json!({"types": {"contacts": ["read"]}})), 404, "unknown_type"),
        ("/management/auth/create", auth(json!({"conditions": {"contact": "=="}})), 400, "invalid_condition"),
        ("/management/auth/create", auth(json!({"conditions": {"contact": "nonsense"}})), 400, "invalid_condition"),
        ("/management/auth/create", auth(json!({"hiddenFields": {"contact": ["nonsense"]}})), 400, "unknown_field"),
        ("/management/auth/update/app_00000000000000000000000009", json!({}), 404, "not_found"),
    ];
    for (path, body, status, code) in table {
        let answer = office.post(path, ADMIN_KEY, &body.to_string()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {answer:?}");
    }
}
