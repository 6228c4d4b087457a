//! What the pages AZUQUA and INTEGRY ask for and no other test shows.

use crate::office::{ADMIN_KEY, Office};
use serde_json::{Value, json};

#[tokio::test]
async fn records_and_changes_say_when_in_rfc_3339() {
    let office = Office::open().await;
    let path = "/businesses/acme-1/records/contact";
    let made = office.rest("POST", path, &office.acme.key, &json!({"firstName": "Ann"})).await;
    office.clock.advance(1_500);
    let one = format!("{path}/{}", made.body["id"].as_str().expect("an id"));
    let patched = office.rest("PATCH", &one, &office.acme.key, &json!({"city": "Delft"})).await;
    assert_eq!(patched.body["createdAt"], "2023-11-14T22:13:20.000Z");
    assert_eq!(patched.body["updatedAt"], "2023-11-14T22:13:21.500Z");
    let feed = office.rest("GET", "/businesses/acme-1/changes", &office.acme.key, &Value::Null).await;
    assert_eq!(feed.body["changes"][1]["at"], "2023-11-14T22:13:21.500Z");
}

#[tokio::test]
async fn types_are_listed_with_their_shape_and_custom_fields_have_an_id_and_a_name() {
    let office = Office::open().await;
    let all = "/businesses/acme-1/types";
    let venue = json!({"id": "venue", "label": "Stadium"});
    let made = office.rest("POST", all, ADMIN_KEY, &venue).await;
    assert_eq!(made.status, 201, "{made:?}");
    for (ty, field) in [
        ("venue", json!({"id": "seats", "label": "Number of seats", "kind": "integer"})),
        ("contact", json!({"id": "season", "label": "Season ticket", "kind": "string", "editable": false})),
    ] {
        let made = office.rest("POST", &format!("{all}/{ty}/fields"), ADMIN_KEY, &field).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let listed = office.rest("GET", all, &office.acme.key, &Value::Null).await;
    let own = listed.body["items"].as_array().expect("a list").iter().find(|ty| ty["id"] == "venue");
    let own = own.expect("its own type among them");
    assert_eq!((&own["label"], &own["custom"]), (&json!("Stadium"), &json!(true)));
    assert_eq!(own["fields"][0]["label"], "Number of seats");
    let fields = office.rest("GET", &format!("{all}/contact/fields"), &office.acme.key, &Value::Null).await;
    let fields = fields.body["items"].as_array().expect("a list");
    let custom: Vec<_> = fields.iter().filter(|field| field["custom"] == true).collect();
    assert_eq!(custom.len(), 1, "the ready-made ones are told apart");
    assert_eq!((&custom[0]["id"], &custom[0]["label"]), (&json!("season"), &json!("Season ticket")));
    assert_eq!((&custom[0]["editable"], &custom[0]["kind"]), (&json!(false), &json!("string")));
    let elsewhere = office.rest("GET", "/businesses/acme-2/types/venue", &office.acme.key, &Value::Null).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (404, "unknown_type"), "each business has its own");
}

#[tokio::test]
async fn whoever_may_subscribe_makes_changes_and_removes_a_subscription_to_one_resource() {
    let office = Office::open().await;
    let narrow = office.badge("Acme", "narrow", &json!({"types": {"task": ["read"], "project": ["read"]}})).await;
    let named = json!({"name": "proj1"});
    let project = office.rest("POST", "/businesses/acme-1/records/project", &office.acme.key, &named).await;
    let project = project.body["id"].as_str().expect("an id").to_owned();
    let all = "/businesses/acme-1/subscriptions";
    let under = json!([{"field": "projectId", "id": project}]);
    let body = json!({"url": "https://example.com/hook", "types": ["task"], "events": ["create"], "under": under});
    let made = office.rest("POST", all, &narrow.key, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.headers["content-type"], "application/json");
    let one = format!("{all}/{}", made.body["id"].as_str().expect("an id of its own"));
    let changed = office.rest("PATCH", &one, &narrow.key, &json!({"events": ["create", "update", "delete"]})).await;
    assert_eq!(changed.body["kinds"], json!(["created", "deleted", "updated"]));
    assert_eq!(changed.body["under"][0]["id"], json!(project));
    assert_eq!(office.rest("DELETE", &one, &narrow.key, &Value::Null).await.status, 204);
    assert_eq!(office.rest("DELETE", &one, &narrow.key, &Value::Null).await.status, 404, "it says that it is gone");
    let beyond = json!({"url": "https://example.com/hook", "types": ["contact"]});
    assert_eq!(office.rest("POST", all, &narrow.key, &beyond).await.status, 403, "a type that it may not read");
}
