//! The change feed: pages, filters, places, what leaves a reader's sight, and streams.

use crate::office::Office;
use serde_json::{Value, json};

const CHANGES: &str = "/businesses/acme-1/changes";
const RECORDS: &str = "/businesses/acme-1/records/contact";

async fn made(office: &Office, body: &Value) -> String {
    let made = office.rest("POST", RECORDS, &office.acme.key, body).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

async fn page(office: &Office, key: &str, query: &str) -> Value {
    let answer = office.rest("GET", &format!("{CHANGES}?{query}"), key, &Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn kinds(page: &Value) -> Vec<&str> {
    let changes = page["changes"].as_array().expect("a list");
    changes.iter().map(|change| change["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn a_reader_goes_on_where_it_stood_and_sees_what_changed() {
    let office = Office::open().await;
    let id = made(&office, &json!({"firstName": "Ann", "city": "Delft"})).await;
    office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &json!({"city": "Breda"})).await;
    let first = page(&office, &office.acme.key, "limit=1").await;
    assert_eq!(kinds(&first), ["created"]);
    assert_eq!(first["changes"][0]["fields"], json!({"firstName": "Ann", "city": "Delft"}));
    let after = first["after"].as_str().expect("a cursor");
    let second = page(&office, &office.acme.key, &format!("after={after}")).await;
    let change = &second["changes"][0];
    assert_eq!((change["seq"].as_u64(), change["kind"].as_str()), (Some(2), Some("updated")));
    assert_eq!(change["changes"], json!({"city": {"old": "Delft", "new": "Breda"}}));
    assert_eq!(change["kinds"], json!(["updated", "city.updated"]));
    office.rest("DELETE", &format!("{RECORDS}/{id}"), &office.acme.key, &Value::Null).await;
    let third = page(&office, &office.acme.key, "after=2").await;
    assert_eq!(kinds(&third), ["deleted"]);
    assert!(third["changes"][0].get("fields").is_none());
    assert_eq!((third["seq"].as_u64(), third["head"].as_u64()), (Some(3), Some(3)));
}

#[tokio::test]
async fn filters_leave_out_and_the_place_moves_on_all_the_same() {
    let office = Office::open().await;
    let id = made(&office, &json!({"firstName": "Ann"})).await;
    for body in [json!({"city": "Delft"}), json!({"firstName": "Anne"}), json!({"city": "Breda", "jobTitle": "x"})] {
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &body).await;
    }
    let key = &office.acme.key;
    let seqs = |page: &Value| -> Vec<u64> {
        page["changes"].as_array().expect("a list").iter().filter_map(|change| change["seq"].as_u64()).collect()
    };
    assert_eq!(seqs(&page(&office, key, "kinds=city.updated").await), [2, 4]);
    assert_eq!(seqs(&page(&office, key, "kinds=created,firstName.updated").await), [1, 3]);
    assert_eq!(seqs(&page(&office, key, "fields=jobTitle").await), [1, 4], "a creation is no update");
    assert_eq!(seqs(&page(&office, key, "fields=jobTitle&kinds=updated").await), [4]);
    let none = page(&office, key, "types=invoice").await;
    assert_eq!((seqs(&none), none["seq"].as_u64()), (vec![], Some(4)), "examined, not matched");
    for (query, code) in [
        ("kinds=nonsense", "invalid_parameter"),
        ("fields=nonsense", "invalid_parameter"),
        ("after=nonsense", "invalid_parameter"),
        ("payload=all", "invalid_parameter"),
        ("wait=999", "invalid_parameter"),
        ("after=99", "log_restored"),
    ] {
        let refused = office.rest("GET", &format!("{CHANGES}?{query}"), key, &Value::Null).await;
        assert_eq!(refused.code(), code, "{query}");
    }
}

#[tokio::test]
async fn what_leaves_a_readers_sight_is_told_and_nothing_else_of_it() {
    let office = Office::open().await;
    let grant = json!({"conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["phone"]}});
    let narrow = office.badge("Acme", "narrow", &grant).await;
    let id = made(&office, &json!({"firstName": "Ann", "city": "Delft", "phone": "+31201234567"})).await;
    for body in [json!({"phone": "+31207654321"}), json!({"city": "Breda"}), json!({"firstName": "Anne"})] {
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &body).await;
    }
    let seen = page(&office, &narrow.key, "").await;
    assert_eq!(kinds(&seen), ["created", "deleted"]);
    assert_eq!(seen["changes"][0]["fields"], json!({"firstName": "Ann", "city": "Delft"}));
    assert_eq!(seen["changes"][1]["reason"], "left-scope");
    assert!(!seen.to_string().contains("Breda") && !seen.to_string().contains("+3120"), "{seen}");
    office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &json!({"city": "Delft"})).await;
    let back = page(&office, &narrow.key, "after=4").await;
    assert_eq!((kinds(&back), back["changes"][0]["reason"].as_str()), (vec!["created"], Some("entered-scope")));
}
