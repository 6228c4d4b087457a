//! Scope (P7), case by case: what the random test of `scope`, and reading beside it, once found, each by its name.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

const RECORDS: &str = "/businesses/acme-1/records/contact";

async fn made(office: &Office, body: &Value) -> String {
    let made = office.rest("POST", RECORDS, &office.acme.key, body).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

async fn acme(office: &Office, method: &str, path: &str, body: &Value) -> Answer {
    let answer = office.rest(method, &format!("{RECORDS}/{path}"), &office.acme.key, body).await;
    assert!(answer.status < 300, "{answer:?}");
    answer
}

#[tokio::test]
async fn who_may_only_write_is_shown_no_values() {
    let office = Office::open().await;
    let blind = office.badge("Acme", "blind", &json!({"abilities": ["write"]})).await;
    let id = made(&office, &json!({"firstName": "Ann"})).await;
    acme(&office, "POST", &format!("{id}/external-ids"), &json!({"value": "17"})).await;
    let read = office.rest("GET", &format!("{RECORDS}/{id}"), &blind.key, &Value::Null).await;
    assert_eq!((read.status, read.code()), (403, "forbidden"));
    for (method, body) in [("PATCH", json!({})), ("PATCH", json!({"city": "Delft"})), ("PUT", json!({}))] {
        let written = office.rest(method, &format!("{RECORDS}/{id}"), &blind.key, &body).await;
        assert_eq!((written.status, &written.body["fields"]), (200, &json!({})), "{method}");
        assert_eq!(written.body["externalIds"], json!([]));
    }
    let other = made(&office, &json!({"firstName": "Bob"})).await;
    let merge = office.rest("POST", &format!("{RECORDS}/{id}/merge"), &blind.key, &json!({"into": other})).await;
    assert_eq!((merge.status, merge.code()), (403, "forbidden"));
    acme(&office, "GET", &id, &Value::Null).await;
}

#[tokio::test]
async fn a_repeated_call_does_not_show_what_has_left_the_callers_sight() {
    let office = Office::open().await;
    let narrow = office.badge("Acme", "narrow", &json!({"conditions": {"contact": "city == 'Delft'"}})).await;
    let id = made(&office, &json!({"city": "Delft"})).await;
    let (bearer, path) = (format!("Bearer {}", narrow.key), format!("/rest/v1{RECORDS}/{id}"));
    let send = async |body: &str, key: &str| {
        office.send("PATCH", &path, &[("authorization", &bearer), ("idempotency-key", key)], body).await
    };
    assert_eq!(send("{}", "same").await.status, 200);
    assert_eq!(send("{\"firstName\": \"Ann\"}", "other").await.status, 200);
    acme(&office, "PATCH", &id, &json!({"city": "Breda", "lastName": "Secret"})).await;
    let again = send("{}", "same").await;
    assert_eq!((again.status, again.code()), (404, "record_not_found"), "{again:?}");
    let mine = send("{\"firstName\": \"Ann\"}", "other").await;
    assert_eq!((mine.status, &mine.body["fields"]), (200, &json!({"city": "Delft", "firstName": "Ann"})), "as it was");
    let update = format!("/management/auth/update/{}", narrow.id);
    let narrower = json!({"conditions": {"contact": "city == 'Gouda'"}});
    assert_eq!(office.admin(&update, &narrower).await.status, 200);
    assert_eq!(send("{\"firstName\": \"Ann\"}", "other").await.status, 404, "under the grant of now");
}

#[tokio::test]
async fn which_record_took_anothers_place_is_told_to_whom_all_are_open() {
    let office = Office::open().await;
    let narrow = office.badge("Acme", "narrow", &json!({"conditions": {"contact": "city == 'Delft'"}})).await;
    let gone = made(&office, &json!({"city": "Delft"})).await;
    let (second, third) =
        (made(&office, &json!({"city": "Breda"})).await, made(&office, &json!({"city": "Gouda"})).await);
    let says = async |key: &str, method: &str, path: String| {
        let body = if method == "PATCH" { json!({}) } else { Value::Null };
        let answer = office.rest(method, &format!("{RECORDS}/{path}"), key, &body).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        [&second, &third].map(|id| answer.body.to_string().contains(id.as_str()))
    };
    acme(&office, "POST", &format!("{gone}/merge"), &json!({"into": second})).await;
    assert_eq!(says(&narrow.key, "PATCH", gone.clone()).await, [false, false]);
    assert_eq!(says(&office.acme.key, "PATCH", gone.clone()).await, [true, false]);
    acme(&office, "POST", &format!("{second}/merge"), &json!({"into": third})).await;
    assert_eq!(says(&narrow.key, "POST", format!("{gone}/unmerge")).await, [false, false]);
    assert_eq!(says(&office.acme.key, "POST", format!("{gone}/unmerge")).await, [true, true]);
}

#[tokio::test]
async fn names_that_came_with_hidden_values_are_told() {
    let office = Office::open().await;
    let narrow = office.badge("Acme", "narrow", &json!({"hiddenFields": {"contact": ["phone"]}})).await;
    let (goes, stays) = (made(&office, &json!({"phone": "+31201234567"})).await, made(&office, &json!({})).await);
    acme(&office, "POST", &format!("{goes}/external-ids"), &json!({"value": "17"})).await;
    acme(&office, "POST", &format!("{goes}/merge"), &json!({"into": stays})).await;
    let feed = office.rest("GET", "/businesses/acme-1/changes?after=3", &narrow.key, &Value::Null).await;
    let told = &feed.body["changes"][0];
    assert_eq!((&told["kind"], &told["recordId"]), (&json!("correlated"), &json!(stays)), "{feed:?}");
    assert_eq!(told["externalIds"][0]["id"], "17");
    assert!(!feed.body.to_string().contains("+3120"), "{feed:?}");
}
