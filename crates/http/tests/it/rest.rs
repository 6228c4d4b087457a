//! The REST face: records with their verbs and headers, problems, subscriptions with the habits of form builders.

use crate::office::{ADMIN_KEY, Office};
use serde_json::{Value, json};

const RECORDS: &str = "/businesses/acme-1/records/contact";

#[tokio::test]
async fn a_record_is_made_read_changed_and_deleted_with_proper_verbs() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let made = office.rest("POST", RECORDS, &key, &json!({"firstName": "Ann", "email": "ANN@example.com"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.headers["location"], format!("/rest/v1{RECORDS}/{id}"));
    assert_eq!(made.headers["etag"], "\"1\"");
    assert_eq!(made.body["fields"], json!({"firstName": "Ann", "email": "ann@example.com"}));
    assert!(made.headers["lockstep-operation"].to_str().expect("text").starts_with("op_"));
    let one = format!("{RECORDS}/{id}");
    let read = office.rest("GET", &one, &key, &Value::Null).await;
    assert_eq!((read.status, &read.body), (200, &made.body));
    let patched = office.rest("PATCH", &one, &key, &json!({"firstName": null, "city": "Delft"})).await;
    assert_eq!((patched.status, patched.body["version"].as_u64()), (200, Some(2)));
    assert_eq!(patched.body["fields"], json!({"email": "ann@example.com", "city": "Delft"}));
    let same = office.rest("PATCH", &one, &key, &json!({"city": "Delft"})).await;
    assert_eq!((same.status, same.body["version"].as_u64()), (200, Some(2)), "nothing changed");
    assert_eq!(office.rest("DELETE", &one, &key, &Value::Null).await.status, 204);
    let gone = office.rest("GET", &one, &key, &Value::Null).await;
    assert_eq!((gone.status, gone.code()), (404, "record_not_found"));
    assert_eq!(office.rest("DELETE", &one, &key, &Value::Null).await.status, 204, "it is deleted");
    let late = office.rest("PATCH", &one, &key, &json!({"city": "Breda"})).await;
    assert_eq!((late.status, late.code()), (409, "record_deleted"));
}

#[tokio::test]
async fn problems_are_those_of_rfc_9457_and_lead_to_their_pages() {
    let office = Office::open().await;
    let refused = office.rest("POST", RECORDS, &office.acme.key, &json!({"emial": "x"})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let page = refused.body["type"].as_str().expect("a page").to_owned();
    assert_eq!(page, "/errors/unknown_field");
    assert_eq!((refused.body["status"].as_u64(), refused.body["title"].as_str()), (Some(400), Some("Bad Request")));
    assert_eq!(refused.body["errors"][0]["pointer"], "/emial");
    let shown = office.send("GET", &page, &[], "").await;
    assert!(shown.status == 200 && shown.body.as_str().expect("text").contains("unknown_field"), "{shown:?}");
    let none = office.send("GET", "/errors/nonsense", &[], "").await;
    assert_eq!(none.status, 404);
    for (method, path, status, code) in [
        ("GET", "/nonsense", 404, "unknown_path"),
        ("PUT", "/me", 405, "method_not_allowed"),
        ("GET", "/businesses/acme-1/changes?types=persons", 404, "unknown_type"),
        ("GET", "/businesses/acme-1/changes?limit=0", 400, "invalid_parameter"),
        ("GET", "/businesses/acme-1/changes?colour=red", 400, "invalid_parameter"),
    ] {
        let refused = office.rest(method, path, &office.acme.key, &Value::Null).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{path}");
        assert_eq!(refused.headers["content-type"], "application/problem+json", "{path}");
    }
    let refused = office.send("GET", "/rest/v1/me", &[], "").await;
    assert_eq!((refused.status, refused.code()), (401, "unauthenticated"));
    let refused = office.rest("PUT", "/me", &office.acme.key, &Value::Null).await;
    assert_eq!(refused.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn versions_guard_writes_and_spare_reads() {
    let office = Office::open().await;
    let key = format!("Bearer {}", office.acme.key);
    let made = office.rest("POST", RECORDS, &office.acme.key, &json!({"firstName": "Ann"})).await;
    let one = format!("/rest/v1{RECORDS}/{}", made.body["id"].as_str().expect("an id"));
    let with = async |method: &str, header: (&str, &str), body: &str| {
        office.send(method, &one, &[("authorization", &key), header], body).await
    };
    let unchanged = with("GET", ("if-none-match", "\"1\""), "").await;
    assert_eq!((unchanged.status, &unchanged.body), (304, &json!("")));
    for tags in ["W/\"1\"", "\"7\", \"1\"", "*"] {
        assert_eq!(with("GET", ("if-none-match", tags), "").await.status, 304, "{tags}");
    }
    let stale = with("PATCH", ("if-match", "\"7\""), "{\"city\": \"Delft\"}").await;
    assert_eq!((stale.status, stale.code()), (412, "version_conflict"));
    assert_eq!(with("PATCH", ("if-match", "\"1\""), "{\"city\": \"Delft\"}").await.status, 200);
    assert_eq!(with("GET", ("if-none-match", "\"1\""), "").await.body["version"], 2);
}

#[tokio::test]
async fn a_repeated_key_has_effect_once_and_gives_the_same_answer() {
    let office = Office::open().await;
    let key = format!("Bearer {}", office.acme.key);
    let path = format!("/rest/v1{RECORDS}");
    let send = async |body: &str| {
        office.send("POST", &path, &[("authorization", &key), ("idempotency-key", "k1")], body).await
    };
    let (first, again) = (send("{\"firstName\": \"Ann\"}").await, send("{\"firstName\": \"Ann\"}").await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    let other = send("{\"firstName\": \"Bob\"}").await;
    assert_eq!((other.status, other.code()), (409, "idempotency_conflict"));
}

#[tokio::test]
async fn ids_come_as_lists_where_they_are_asked_for() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let company = office
        .rest("POST", "/businesses/acme-1/records/organization?externalId=c-9", &key, &json!({"name": "Acme"}))
        .await;
    let company_id = company.body["id"].as_str().expect("an id").to_owned();
    let made =
        office.rest("POST", &format!("{RECORDS}?externalId=17"), &key, &json!({"organizationId": company_id})).await;
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let bearer = format!("Bearer {key}");
    let path = format!("/rest/v1{RECORDS}/ext:17");
    let read = office.send("GET", &path, &[("authorization", &bearer), ("external-ids", "true")], "").await;
    let own = |id: &str| json!({"provider": "lockstep", "realm": "acme-1", "id": id});
    let called = |id: &str| json!({"provider": "crm", "realm": "", "id": id});
    assert_eq!(read.body["id"], json!([own(&id), called("17")]));
    assert_eq!(read.body["fields"]["organizationId"], json!([own(&company_id), called("c-9")]));
    for end in ["history", "why", "external-ids"] {
        let answer = office.rest("GET", &format!("{RECORDS}/ext:17/{end}"), &key, &Value::Null).await;
        assert_eq!(answer.status, 200, "{end}: {answer:?}");
    }
    let unknown = office.rest("GET", &format!("{RECORDS}/ext:18/history"), &key, &Value::Null).await;
    assert_eq!((unknown.status, unknown.code()), (404, "record_not_found"));
}

#[tokio::test]
async fn external_ids_are_attached_and_detached() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let made = office.rest("POST", RECORDS, &key, &json!({"firstName": "Ann"})).await;
    let ids = format!("{RECORDS}/{}/external-ids", made.body["id"].as_str().expect("an id"));
    let body = json!({"value": 9001, "source": "OldCrm", "realm": "eu"});
    let attached = office.rest("POST", &ids, &key, &body).await;
    let expected = json!([{"provider": "OldCrm", "realm": "eu", "id": "9001"}]);
    assert_eq!((attached.status, &attached.body["externalIds"]), (200, &expected));
    assert_eq!(office.rest("GET", &ids, &key, &Value::Null).await.body, expected);
    let off = office.rest("DELETE", &format!("{ids}?value=9001&source=OldCrm&realm=eu"), &key, &Value::Null).await;
    assert_eq!((off.status, &off.body["externalIds"]), (200, &json!([])));
}

#[tokio::test]
async fn a_copy_is_a_record_of_its_own_and_a_merge_gives_the_one_that_stays() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let made = office.rest("POST", RECORDS, &key, &json!({"firstName": "Ann", "city": "Delft"})).await;
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let copy = office.rest("POST", &format!("{RECORDS}/{id}/copy"), &key, &json!({"city": null})).await;
    assert_eq!((copy.status, &copy.body["fields"]), (201, &json!({"firstName": "Ann"})));
    let stays = copy.body["id"].as_str().expect("an id").to_owned();
    assert_ne!(stays, id);
    let merged = office.rest("POST", &format!("{RECORDS}/{id}/merge"), &key, &json!({"into": stays})).await;
    assert_eq!((merged.status, merged.body["id"].as_str()), (200, Some(&*stays)));
    assert_eq!(merged.body["fields"], json!({"firstName": "Ann", "city": "Delft"}), "its blanks are filled");
    let gone = office.rest("GET", &format!("{RECORDS}/{id}"), &key, &Value::Null).await;
    assert!(gone.status == 404 && gone.message().contains(&stays), "{gone:?}");
    let back = office.rest("POST", &format!("{RECORDS}/{id}/unmerge"), &key, &Value::Null).await;
    assert_eq!((back.status, &back.body["fields"]), (200, &json!({"firstName": "Ann", "city": "Delft"})));
}

#[tokio::test]
async fn subscriptions_keep_the_habits_of_form_builders() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let all = "/businesses/acme-1/subscriptions";
    for (name, place) in [("hookUrl", 1), ("target_url", 2), ("targetUrl", 3), ("url", 4)] {
        let body = json!({name: "https://example.com/hook", "events": ["create", "delete"], "types": ["contact"]});
        let made = office.rest("POST", all, &key, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().expect("an id").to_owned();
        let one = format!("{all}/{id}");
        assert_eq!(made.headers["location"], format!("/rest/v1{one}"));
        let read = office.rest("GET", &one, &key, &Value::Null).await;
        assert_eq!(read.body["kinds"], json!(["created", "deleted"]), "{place}");
        let changed = office.rest("PATCH", &one, &key, &json!({"events": ["update"]})).await;
        assert_eq!((changed.status, &changed.body["kinds"]), (200, &json!(["updated"])));
        assert_eq!(office.rest("DELETE", &one, &key, &Value::Null).await.status, 204);
        assert_eq!(office.rest("DELETE", &one, &key, &Value::Null).await.status, 404);
    }
    let both = json!({"url": "https://example.com/", "events": ["create"], "kinds": ["created"]});
    let refused = office.rest("POST", all, &key, &both).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_value"));
}

#[tokio::test]
async fn lists_come_in_pages_that_link_to_the_next() {
    let office = Office::open().await;
    let all = "/businesses/acme-1/subscriptions";
    for _ in 0..5 {
        office.rest("POST", all, &office.acme.key, &json!({"url": "https://example.com/hook"})).await;
    }
    let (mut path, mut seen) = (format!("{all}?limit=2"), Vec::new());
    loop {
        let page = office.rest("GET", &path, &office.acme.key, &Value::Null).await;
        seen.extend(page.body["items"].as_array().expect("a list").iter().map(|item| item["id"].clone()));
        let Some(next) = page.body["next"].as_str() else { break };
        assert_eq!(page.headers["link"], format!("<{next}>; rel=\"next\""));
        path = next.strip_prefix("/rest/v1").expect("below the root").to_owned();
    }
    assert_eq!(seen.len(), 5);
    seen.dedup();
    assert_eq!(seen.len(), 5, "each once");
    let businesses = office.rest("GET", "/businesses", &office.acme.key, &Value::Null).await;
    let ids: Vec<_> = businesses.body["items"].as_array().expect("a list").iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["acme-1", "acme-2"]);
    let me = office.rest("GET", "/me", &office.acme.key, &Value::Null).await;
    assert_eq!((me.body["kind"].as_str(), me.body["provider"].as_str()), (Some("application"), Some("crm")));
    let admin = office.rest("GET", "/me", ADMIN_KEY, &Value::Null).await;
    assert_eq!(admin.body["kind"], "admin");
}

#[tokio::test]
async fn the_document_names_every_call_of_this_face_and_resolves() {
    let document = lockstep_http::openapi();
    let paths = document["paths"].as_object().expect("paths");
    for route in lockstep_http::router::table().iter().filter(|route| route.path.starts_with("/rest/")) {
        let method = route.method.as_str().to_ascii_lowercase();
        assert!(paths[route.path].get(&method).is_some(), "{method} {}", route.path);
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
