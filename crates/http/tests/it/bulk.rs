//! Many at once, recognising, merging, and looking back: what the calls answer, and what they refuse.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

const MANY: &str = "/v1/business/acme-1/contact/create-many";

async fn upload(office: &Office, path: &str, key: Option<&str>, lines: &str) -> Answer {
    let bearer = format!("Bearer {}", office.acme.key);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    office.send("POST", path, &headers, lines).await
}

async fn operation(office: &Office, accepted: &Answer, body: Value) -> Value {
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = accepted.body["operationId"].as_str().expect("an id");
    let answer = office.acme(&format!("/v1/business/acme-1/operation/get/{id}"), &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn contact(office: &Office, path: &str, body: Value) -> Answer {
    office.acme(&format!("/v1/business/acme-1/contact/{path}"), &body).await
}

async fn made(office: &Office, path: &str, body: Value) -> String {
    let answer = contact(office, path, body).await;
    answer.body["recordId"].as_str().unwrap_or_else(|| panic!("no record in {answer:?}")).to_owned()
}

async fn past(office: &Office, path: &str) -> Value {
    let answer = office.admin(&format!("/v1/business/acme-1/contact/{path}"), &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn one_bad_line_fails_alone_and_each_outcome_can_be_read() {
    let office = Office::open().await;
    let lines = concat!(
        "{\"email\": \"a@b.nl\"}\n\n",
        "{'email': 'b@b.nl'}\n",
        "{\"emial\": \"c@b.nl\"}\r\n",
        "[1]\n",
        "{\"email\": \"A@B.nl\"}",
    );
    let accepted = upload(&office, &format!("{MANY}?match=email"), None, lines).await;
    let view = operation(&office, &accepted, json!({"outcomes": "all"})).await;
    assert_eq!((&view["state"], &view["lines"], &view["failed"]), (&json!("completed"), &json!(5), &json!(3)));
    assert_eq!((&view["changed"], &view["unchanged"]), (&json!(1), &json!(1)));
    let told = |member: &str| -> Vec<Value> {
        view["outcomes"].as_array().expect("outcomes").iter().map(|outcome| outcome[member].clone()).collect()
    };
    assert_eq!(told("state"), ["changed", "failed", "failed", "failed", "unchanged"].map(Value::from));
    let codes: Vec<_> = told("error").iter().map(|error| error["code"].clone()).collect();
    assert_eq!(codes[1..4], ["invalid_json", "unknown_field", "invalid_body"].map(Value::from));
    assert_eq!(told("recordId")[0], told("recordId")[4]);
    let failed = operation(&office, &accepted, json!({"outcomes": "failed", "limit": 2})).await;
    assert_eq!((failed["outcomes"].as_array().expect("two").len(), &failed["next"]), (2, &json!(3)));
    let rest = operation(&office, &accepted, json!({"outcomes": "failed", "after": 3})).await;
    assert_eq!((rest["outcomes"][0]["line"].clone(), rest.get("next")), (json!(4), None));
}

#[tokio::test]
async fn an_upload_sent_again_under_its_key_has_effect_once_and_other_lines_are_refused() {
    let office = Office::open().await;
    let lines = "{\"code\": \"1\"}\n{\"code\": \"2\"}\n";
    let first = upload(&office, MANY, Some("k"), lines).await;
    let again = upload(&office, MANY, Some("k"), lines).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    let view = operation(&office, &again, json!({})).await;
    assert_eq!((&view["lines"], &view["changed"], view.get("outcomes")), (&json!(2), &json!(2), None));
    for other in ["{\"code\": \"1\"}\n{\"code\": \"3\"}\n", "{\"code\": \"1\"}\n", &format!("{lines}{{}}\n")] {
        let refused = upload(&office, MANY, Some("k"), other).await;
        assert_eq!((refused.status, refused.code()), (409, "idempotency_conflict"), "{other}");
    }
    let elsewhere = upload(&office, &format!("{MANY}?form=ops"), Some("k"), lines).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (409, "idempotency_conflict"));
}

#[tokio::test]
async fn lines_of_form_ops_create_update_and_delete() {
    let office = Office::open().await;
    let lines = concat!(
        "{\"op\": \"create\", \"id\": \"ext:9001\", \"fields\": {\"city\": \"Delft\"}}\n",
        "{\"op\": \"update\", \"id\": \"ext:9001\", \"fields\": {\"city\": \"Breda\"}}\n",
        "{\"op\": \"delete\", \"id\": \"ext:9001\"}\n",
        "{\"op\": \"update\", \"id\": \"ext:9001\", \"fields\": {\"city\": \"Gent\"}}\n",
        "{\"op\": \"upsert\", \"id\": \"1\"}\n",
        "{\"op\": \"delete\"}\n",
        "{\"op\": \"create\", \"id\": \"9001\"}\n",
    );
    let accepted = upload(&office, &format!("{MANY}?form=ops"), None, lines).await;
    let view = operation(&office, &accepted, json!({"outcomes": "all"})).await;
    let outcomes = view["outcomes"].as_array().expect("outcomes");
    let ended: Vec<_> = outcomes.iter().map(|one| (one["state"].clone(), one["error"]["code"].clone())).collect();
    let failed = |code: &str| (json!("failed"), json!(code));
    let changed = || (json!("changed"), Value::Null);
    let expected = [
        changed(),
        changed(),
        changed(),
        failed("record_deleted"),
        failed("invalid_body"),
        failed("invalid_body"),
        failed("invalid_id"),
    ];
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_itself_is_refused_before_a_line_is_read() {
    let office = Office::open().await;
    for (query, code) in [
        ("?form=csv", "invalid_parameter"),
        ("?match=lastName", "unknown_match_group"),
        ("?externalId=1", "invalid_parameter"),
    ] {
        let refused = upload(&office, &format!("{MANY}{query}"), None, "{}\n").await;
        assert_eq!((refused.status, refused.code()), (400, code), "{query}");
    }
    let empty = upload(&office, MANY, None, "").await;
    assert_eq!(operation(&office, &empty, json!({})).await["lines"], 0);
}

#[tokio::test]
async fn a_match_updates_the_one_record_that_agrees() {
    let office = Office::open().await;
    let ann = made(&office, "create", json!({"email": "a@b.nl", "phone": "+31201234567"})).await;
    let again = contact(&office, "create?match=phone&match=email", json!({"email": "A@b.nl", "city": "Delft"})).await;
    assert_eq!(again.body["recordId"], json!(ann));
    let other = made(&office, "create?match=email,phone", json!({"email": "a@b.nl", "phone": "+31207654321"})).await;
    assert_ne!(other, ann);
    let both = contact(&office, "create?match=email", json!({"email": "a@b.nl"})).await;
    let view = operation(&office, &both, json!({})).await;
    assert_eq!((&view["state"], &view["error"]["code"]), (&json!("failed"), &json!("ambiguous_match")));
    let unknown = contact(&office, "create?match=lastName", json!({"lastName": "Vos"})).await;
    assert_eq!((unknown.status, unknown.code()), (400, "unknown_match_group"));
    assert!(unknown.message().contains("email | phone | email,phone"), "{}", unknown.message());
    let too_many = format!("create?{}", ["match=email"; 9].join("&"));
    assert_eq!(contact(&office, &too_many, json!({})).await.code(), "limit_reached");
}

#[tokio::test]
async fn merging_and_unmerging_are_operations_like_any_other() {
    let office = Office::open().await;
    let goes = made(&office, "create?externalId=1", json!({"email": "a@b.nl", "city": "Delft"})).await;
    let stays = made(&office, "create", json!({"email": "a@b.nl"})).await;
    let similar = past(&office, &format!("similar/{stays}")).await;
    assert_eq!(similar, json!({"similar": [{"recordId": goes, "agreesIn": ["email"]}]}));
    let merged = contact(&office, &format!("merge/{goes}"), json!({"into": stays})).await;
    assert_eq!(operation(&office, &merged, json!({})).await["operation"], "merge");
    assert_eq!(past(&office, &format!("similar/{stays}")).await, json!({"similar": []}));
    let gone = past(&office, &format!("at/{goes}?seq=9")).await;
    assert_eq!((&gone["deleted"], &gone["mergedInto"]), (&json!(true), &json!(stays)));
    let again = contact(&office, &format!("merge/{goes}"), json!({"into": stays})).await;
    assert_eq!(operation(&office, &again, json!({})).await["error"]["code"], "record_deleted");
    let back = contact(&office, &format!("unmerge/{goes}"), json!({})).await;
    assert_eq!(operation(&office, &back, json!({})).await["state"], "completed");
    let twice = contact(&office, &format!("unmerge/{goes}"), json!({})).await;
    assert_eq!(operation(&office, &twice, json!({})).await["error"]["code"], "merge_refused");
    assert_eq!(contact(&office, "update/ext:1", json!({"city": "Breda"})).await.body["recordId"], json!(goes));
    for body in [json!({}), json!({"into": 7}), json!({"into": "elsewhere"})] {
        assert_eq!(contact(&office, &format!("merge/{stays}"), body.clone()).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn a_records_past_is_read_back_and_by_who_may_see_all_of_it_as_by_the_administrator() {
    let office = Office::open().await;
    let ann = made(&office, "create?externalId=1", json!({"firstName": "Ann", "city": "Delft"})).await;
    contact(&office, &format!("update/{ann}"), json!({"city": "Breda"})).await;
    contact(&office, &format!("update/{ann}"), json!({"city": null})).await;
    let history = past(&office, &format!("history/{ann}?limit=2")).await;
    let first = &history["changes"][0];
    assert_eq!((&first["seq"], &first["provider"], &history["next"]), (&json!(3), &json!("crm"), &json!(2)));
    assert_eq!(first["changes"], json!({"city": {"old": "Breda", "new": null}}));
    let rest = past(&office, &format!("history/{ann}?before=2")).await;
    assert_eq!((rest["changes"].as_array().expect("changes").len(), rest.get("next")), (1, None));
    let then = past(&office, &format!("at/{ann}?seq=2")).await;
    assert_eq!((&then["fields"], &then["version"]), (&json!({"firstName": "Ann", "city": "Breda"}), &json!(2)));
    let why = past(&office, &format!("why/{ann}")).await;
    assert_eq!((&why["fields"]["firstName"]["seq"], why["fields"].get("city")), (&json!(1), None));
    let early = office.admin(&format!("/v1/business/acme-1/contact/at/{ann}?seq=0"), &json!({})).await;
    assert_eq!((early.status, early.code()), (404, "record_not_found"));
    for path in [format!("at/{ann}"), format!("at/{ann}?seq=x"), format!("history/{ann}?after=1")] {
        let refused = office.admin(&format!("/v1/business/acme-1/contact/{path}"), &json!({})).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_parameter"), "{path}");
    }
    let elsewhere = office.admin(&format!("/v1/business/acme-2/contact/why/{ann}"), &json!({})).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (404, "record_not_found"));
    let own = contact(&office, &format!("history/{ann}"), json!({})).await;
    let admins = past(&office, &format!("history/{ann}")).await;
    assert_eq!((own.status, own.body), (200, admins));
}

#[tokio::test]
async fn a_sync_of_all_says_what_it_may_be_asked() {
    let office = Office::open().await;
    for query in
        ["since=yesterday", "sinceField=created", "since=2026-01-01&sinceField=seen", "since=2026-01-01&limit=1"]
    {
        let refused = contact(&office, &format!("sync-all?{query}"), json!({})).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_parameter"), "{query}");
    }
    let nobody = contact(&office, "sync-all?since=2026-01-01T00:00:00%2B01:00&sinceField=created", json!({})).await;
    let view = operation(&office, &nobody, json!({})).await;
    assert_eq!((&view["state"], &view["matched"]), (&json!("completed"), &json!(0)), "nobody listens");
    let hook = json!({"url": "https://example.com/hook"});
    let subscription = office.acme("/v1/business/acme-1/subscription/create", &hook).await;
    let running = contact(&office, "sync-all", json!({})).await;
    assert_eq!(operation(&office, &running, json!({})).await["state"], "running");
    let id = subscription.body["id"].as_str().expect("an id");
    office.acme(&format!("/v1/business/acme-1/subscription/delete/{id}"), &json!({})).await;
    assert_eq!(operation(&office, &running, json!({})).await["state"], "completed", "who is gone is not waited for");
}

#[tokio::test]
async fn replays_of_many_say_what_they_may_be_asked() {
    let office = Office::open().await;
    made(&office, "create", json!({"city": "Delft"})).await;
    let hook = json!({"url": "https://example.com/hook"});
    let subscription = office.acme("/v1/business/acme-1/subscription/create", &hook).await;
    let id = subscription.body["id"].as_str().expect("an id");
    let path = format!("/v1/business/acme-1/subscription/replay/{id}");
    let range = office.acme(&path, &json!({"from": 1, "types": ["contact"], "kinds": ["created"]})).await;
    assert_eq!(range.status, 200, "{range:?}");
    let view = operation(&office, &Answer { status: 202, ..range }, json!({})).await;
    assert_eq!((&view["operation"], &view["state"]), (&json!("replay"), &json!("running")));
    assert_eq!(office.acme(&path, &json!({"deadLetters": true, "since": "2020-01-01"})).await.status, 200);
    for (body, code) in [
        (json!({}), "invalid_value"),
        (json!({"seq": 1, "from": 1}), "invalid_value"),
        (json!({"since": "yesterday"}), "invalid_value"),
        (json!({"kinds": ["renamed"]}), "invalid_body"),
        (json!({"from": 1, "types": []}), "invalid_value"),
        (json!({"from": 1, "to": 7}), "log_restored"),
        (json!({"seq": 7}), "log_restored"),
    ] {
        let refused = office.acme(&path, &body).await;
        assert_eq!(refused.code(), code, "{body}: {refused:?}");
    }
}
