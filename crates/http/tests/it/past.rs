//! A record's past, as an application that sees only a part of the type is told of it.

use crate::office::{Answer, Badge, Office};
use serde_json::{Value, json};

/// A contact that comes to Delft, changes there, and leaves; its phone is hidden.
async fn told() -> (Office, Badge, String) {
    let office = Office::open().await;
    let grant = json!({"conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["phone"]}});
    let reader = office.badge("Acme", "reader", &grant).await;
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"city": "Breda", "lastName": "A"})).await;
    let id = made.body["recordId"].as_str().expect("an id").to_owned();
    for patch in [
        json!({"city": "Delft", "email": "a@b.nl"}),
        json!({"phone": "+31201234567"}),
        json!({"lastName": "B"}),
        json!({"city": "Gouda"}),
        json!({"lastName": "C"}),
    ] {
        office.acme(&format!("/v1/business/acme-1/contact/update/{id}"), &patch).await;
    }
    (office, reader, id)
}

async fn ask(office: &Office, reader: &Badge, path: &str) -> Answer {
    office.post(&format!("/v1/business/acme-1/contact/{path}"), &reader.key, "{}").await
}

#[tokio::test]
async fn history_tells_entering_and_leaving_and_nothing_of_what_is_hidden() {
    let (office, reader, id) = told().await;
    let answer = ask(&office, &reader, &format!("history/{id}")).await;
    let changes = answer.body["changes"].as_array().expect("changes").clone();
    let short: Vec<_> = changes
        .iter()
        .map(|change| json!([change["seq"], change["kind"], change["reason"], change["changes"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!([5, "deleted", "left-scope", {}]),
            json!([4, "updated", null, {"lastName": {"old": "A", "new": "B"}}]),
            json!([2, "created", "entered-scope", {
                "city": {"old": null, "new": "Delft"}, "email": {"old": null, "new": "a@b.nl"},
                "lastName": {"old": null, "new": "A"},
            }]),
        ]
    );
    assert!(changes[0].get("by").is_none() && changes[0].get("operationId").is_none(), "{:?}", changes[0]);
    let text = answer.body.to_string();
    assert!(!["Gouda", "Breda", "phone", "+31"].iter().any(|word| text.contains(word)), "{text}");
    let page = ask(&office, &reader, &format!("history/{id}?limit=1")).await;
    assert_eq!((page.body["changes"][0]["seq"].clone(), page.body["next"].clone()), (json!(5), json!(5)));
    let page = ask(&office, &reader, &format!("history/{id}?limit=1&before=4")).await;
    assert_eq!((page.body["changes"][0]["seq"].clone(), page.body["next"].clone()), (json!(2), json!(2)));
}

#[tokio::test]
async fn a_state_is_seen_that_was_within_reach_then() {
    let (office, reader, id) = told().await;
    for (seq, status) in [(1, 404), (2, 200), (3, 200), (4, 200), (5, 404), (6, 404)] {
        let answer = ask(&office, &reader, &format!("at/{id}?seq={seq}")).await;
        assert_eq!(answer.status, status, "{seq}");
        assert!(!answer.body.to_string().contains("phone"), "{answer:?}");
    }
    let there = ask(&office, &reader, &format!("at/{id}?seq=3")).await;
    assert_eq!(there.body["fields"], json!({"city": "Delft", "email": "a@b.nl", "lastName": "A"}));
}

#[tokio::test]
async fn a_record_out_of_reach_is_missing_in_the_words_of_one_that_is_not_there() {
    let (office, reader, _) = told().await;
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"city": "Breda", "email": "a@b.nl"})).await;
    let hidden = made.body["recordId"].as_str().expect("an id").to_owned();
    let absent = "rec_00000000000000000000000001";
    for path in ["history/{id}", "at/{id}?seq=7", "at/{id}?seq=1", "why/{id}", "similar/{id}"] {
        let answer = async |id: &str| ask(&office, &reader, &path.replace("{id}", id)).await;
        let (one, other) = (answer(&hidden).await, answer(absent).await);
        assert_eq!((one.status, one.code()), (404, "record_not_found"), "{path}");
        assert_eq!(one.message().replace(&hidden, absent), other.message(), "{path}");
    }
}

#[tokio::test]
async fn why_and_similar_show_only_what_may_be_seen() {
    let (office, reader, id) = told().await;
    office.acme(&format!("/v1/business/acme-1/contact/update/{id}"), &json!({"city": "Delft"})).await;
    let make = async |body: Value| {
        let made = office.acme("/v1/business/acme-1/contact/create", &body).await;
        made.body["recordId"].as_str().expect("an id").to_owned()
    };
    let near = make(json!({"city": "Delft", "email": "a@b.nl"})).await;
    make(json!({"city": "Breda", "email": "a@b.nl"})).await;
    make(json!({"city": "Delft", "phone": "+31201234567"})).await;
    let why = ask(&office, &reader, &format!("why/{id}")).await;
    let fields: Vec<_> = why.body["fields"].as_object().expect("fields").keys().cloned().collect();
    assert_eq!(fields, ["city", "email", "lastName"]);
    let similar = ask(&office, &reader, &format!("similar/{id}")).await;
    let found: Vec<_> =
        similar.body["similar"].as_array().expect("a list").iter().map(|one| one["recordId"].clone()).collect();
    assert_eq!(found, [json!(near)], "{similar:?}");
}

#[tokio::test]
async fn an_erasure_takes_the_ability_to_manage() {
    let (office, reader, id) = told().await;
    let manager = office.badge("Acme", "manager", &json!({"abilities": ["write", "manage"]})).await;
    assert_eq!(ask(&office, &reader, &format!("erase/{id}")).await.status, 403);
    assert_eq!(ask(&office, &manager, &format!("erase/{id}")).await.status, 202);
}
