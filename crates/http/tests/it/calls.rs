//! What the calls answer when all is well, and how failed operations are told.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

fn text(answer: &Answer, member: &str) -> String {
    answer.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {answer:?}")).to_owned()
}

async fn operation(office: &Office, accepted: &Answer) -> Value {
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let path = format!("/v1/business/acme-1/operation/get/{}", text(accepted, "operationId"));
    let answer = office.acme(&path, &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn the_operations_of_the_data_api_answer_202_and_can_be_read() {
    let office = Office::open().await;
    let call = async |path: &str, body: Value| office.acme(&format!("/v1/business/acme-1/contact/{path}"), &body).await;
    let created = call("create?externalId=42", json!({"email": "Ann@Example.com"})).await;
    let id = text(&created, "recordId");
    assert_eq!(operation(&office, &created).await["state"], "completed");
    let updated = call(&format!("update/{id}"), json!({"firstName": "Ann"})).await;
    let view = operation(&office, &updated).await;
    assert_eq!((view["operation"].clone(), view["version"].clone()), (json!("update"), json!(2)));
    assert_eq!(view["recordId"], json!(id));
    let again = call("update/ext:42", json!({"firstName": "Ann"})).await;
    assert_eq!(operation(&office, &again).await["state"], "unchanged");
    let correlated = call(&format!("correlate/{id}"), json!({"value": 9001, "source": "OldCrm"})).await;
    assert_eq!(operation(&office, &correlated).await["version"], 3);
    let uncorrelated = call(&format!("uncorrelate/{id}"), json!({"value": "9001", "source": "OldCrm"})).await;
    assert_eq!(operation(&office, &uncorrelated).await["version"], 4);
    let synced = call(&format!("sync-by-id?id={id}"), json!({})).await;
    let view = operation(&office, &synced).await;
    assert_eq!((view["matched"].clone(), view["state"].clone()), (json!(0), json!("completed")), "nobody listens");
    let deleted = call(&format!("delete/{id}"), json!({})).await;
    assert_eq!(operation(&office, &deleted).await["state"], "completed");
}

#[tokio::test]
async fn what_depends_on_state_ends_the_operation_as_failed() {
    let office = Office::open().await;
    let call = async |path: &str, body: Value| office.acme(&format!("/v1/business/acme-1/contact/{path}"), &body).await;
    let nobody = call("update/rec_00000000000000000000000001", json!({"firstName": "A"})).await;
    assert_eq!(operation(&office, &nobody).await["error"]["code"], "record_not_found");
    let id = text(&call("create?externalId=1", json!({})).await, "recordId");
    let other = text(&call("create", json!({})).await, "recordId");
    let taken = call(&format!("correlate/{other}"), json!({"value": "1"})).await;
    assert_eq!(operation(&office, &taken).await["error"]["code"], "external_id_taken");
    let moved = call(&format!("correlate/{other}?force=true"), json!({"value": "1"})).await;
    assert_eq!(operation(&office, &moved).await["state"], "completed");
    let unknown = call(&format!("uncorrelate/{id}"), json!({"value": "1"})).await;
    assert_eq!(operation(&office, &unknown).await["error"]["code"], "external_id_unknown");
    let key = format!("Bearer {}", office.acme.key);
    let path = format!("/v1/business/acme-1/contact/update/{id}");
    let stale = office.send("POST", &path, &[("authorization", &key), ("if-match", "\"7\"")], "{\"city\":\"X\"}").await;
    assert_eq!(operation(&office, &stale).await["error"]["code"], "version_conflict");
    call(&format!("delete/{id}"), json!({})).await;
    let dead = call(&format!("update/{id}"), json!({"city": "X"})).await;
    assert_eq!(operation(&office, &dead).await["error"]["code"], "record_deleted");
}

#[tokio::test]
async fn an_idempotency_key_answers_the_same_and_another_request_is_refused() {
    let office = Office::open().await;
    let send = async |path: &str, key: &str, body: &str| {
        let headers = [("api-key", office.acme.key.as_str()), ("idempotency-key", key)];
        office.send("POST", path, &headers, body).await
    };
    let path = "/v1/business/acme-1/contact/create";
    let first = send(path, "k1", "{\"city\":\"A\"}").await;
    assert_eq!(send(path, "k1", "{\"city\":\"A\"}").await.body, first.body);
    assert_eq!(
        send("/business/acme-1/contact/create", "k1", "{\"city\":\"A\"}").await.body,
        first.body,
        "the alias is the same path"
    );
    let other = send(path, "k1", "{\"city\":\"B\"}").await;
    assert_eq!((other.status, other.code()), (409, "idempotency_conflict"));
    assert_ne!(send(path, "k2", "{\"city\":\"A\"}").await.body, first.body);
    let elsewhere = send("/v1/business/acme-2/contact/create", "k1", "{\"city\":\"B\"}").await;
    assert_eq!(elsewhere.status, 202, "a key holds for one business");
}

#[tokio::test]
async fn credentials_come_in_three_ways_and_content_types_do_not_matter() {
    let office = Office::open().await;
    let bearer = format!("Bearer {}", office.acme.key);
    for header in [
        ("authorization", bearer.as_str()),
        ("api-key", office.acme.key.as_str()),
        ("authorization", office.acme.basic.as_str()),
    ] {
        for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
            let headers = [header, ("content-type", kind)];
            let answer = office.send("POST", "/business/acme-1/contact/create", &headers, "{\"city\":\"A\"}").await;
            assert_eq!(answer.status, 202, "{header:?} {kind}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn subscriptions_are_made_shown_changed_rotated_and_dropped() {
    let office = Office::open().await;
    let call =
        async |end: &str, body: Value| office.acme(&format!("/v1/business/acme-1/subscription/{end}"), &body).await;
    let wish = json!({
        "url": "https://example.com/hook?key=s3cret", "types": ["contact"], "kinds": ["created", "email.updated", "operation.failed"],
        "condition": "city == 'Delft'", "format": "envelope", "signing": "both", "excludeOwn": true, "label": "mine",
    });
    let made = call("create", wish).await;
    assert_eq!(made.status, 200, "{made:?}");
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    assert!(secret.starts_with("whsec_") && text(&made, "publicKey").starts_with("whpk_"));
    let listed = call("list", json!({})).await.body;
    insta::assert_json_snapshot!(listed, @r#"
    [
      {
        "businessId": "acme-1",
        "condition": "city == 'Delft'",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "excludeOwn": true,
        "format": "envelope",
        "id": "sub_00000000000000000000000007",
        "kinds": [
          "created",
          "email.updated",
          "operation.failed"
        ],
        "label": "mine",
        "signing": "both",
        "state": "active",
        "types": [
          "contact"
        ],
        "url": "https://example.com/hook?key=***"
      }
    ]
    "#);
    let paused = call(&format!("update/{id}"), json!({"paused": true, "condition": "", "types": "*"})).await;
    assert_eq!(
        (paused.body["state"].clone(), paused.body.get("condition").cloned(), paused.body.get("types").cloned()),
        (json!("paused"), None, None)
    );
    let rotated = call(&format!("rotate-secret/{id}"), json!({})).await;
    assert_ne!(text(&rotated, "secret"), secret);
    assert_eq!(call(&format!("delete/{id}"), json!({})).await.status, 200);
    assert_eq!(call(&format!("delete/{id}"), json!({})).await.status, 404);
    assert_eq!(call("list", json!({})).await.body, json!([]));
}

#[tokio::test]
async fn management_makes_lists_changes_and_revokes() {
    let office = Office::open().await;
    let made = office.admin("/management/business/create", &json!({"organisationName": "Acme", "name": "Third"})).await;
    let business = text(&made, "id");
    assert_eq!(
        office.admin(&format!("/management/business/update/{business}"), &json!({"name": "3rd"})).await.status,
        200
    );
    let listed = office.admin("/management/business/list-all", &json!({})).await.body;
    assert!(listed.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "3rd")), "{listed}");
    office.acme("/v1/business/acme-1/contact/create", &json!({})).await;
    let listed = office.admin("/management/business/list-all", &json!({})).await.body;
    assert_eq!(listed[0]["records"], json!({"contact": 1}), "{listed}");
    assert_eq!(office.admin(&format!("/management/business/delete/{business}"), &json!({})).await.status, 200);
    let gone = office.acme(&format!("/v1/business/{business}/contact/create"), &json!({})).await;
    assert_eq!(gone.code(), "business_not_found");

    let path = format!("/management/auth/update/{}", office.acme.id);
    let narrowed = office
        .admin(&path, &json!({"abilities": ["read"], "businessAccessRule": {"deniedBusinessIds": ["acme-2"]}}))
        .await;
    assert_eq!(narrowed.status, 200, "{narrowed:?}");
    assert_eq!(office.acme("/v1/business/acme-1/contact/create", &json!({})).await.code(), "forbidden");
    assert_eq!(office.acme("/v1/business/acme-2/contact/create", &json!({})).await.code(), "business_not_found");
    let listed = office.admin("/management/auth/list-all", &json!({})).await.body.to_string();
    assert!(!listed.contains("lsk_") && !listed.contains("igest"), "no secret is ever listed: {listed}");
}

#[tokio::test]
async fn signs_of_life_need_no_credential_and_name_nobody() {
    let office = Office::open().await;
    assert_eq!(office.send("GET", "/healthz", &[], "").await.status, 200);
    let metrics = office.send("GET", "/metrics", &[], "").await;
    let text = metrics.body.as_str().expect("text");
    assert!(text.contains("lockstep_writer_queued_commands") && text.contains("lockstep_oldest_undelivered"), "{text}");
    assert!(!text.contains("acme"), "{text}");
}
