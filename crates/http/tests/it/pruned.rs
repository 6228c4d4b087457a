//! What is asked for below a log's floor.

use crate::office::Office;
use lockstep_core::ids::BusinessId;
use lockstep_store::prune::Prune;
use serde_json::{Value, json};

async fn pruned(until: u64) -> (Office, String, String) {
    let office = Office::open().await;
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"city": "0"})).await;
    let (id, operation) =
        (made.body["recordId"].as_str().expect("an id"), made.body["operationId"].as_str().expect("an id"));
    for number in 1..5 {
        office.acme(&format!("/v1/business/acme-1/contact/update/{id}"), &json!({"city": format!("{number}")})).await;
    }
    let (id, operation) = (id.to_owned(), operation.to_owned());
    let business = BusinessId::parse("acme-1").expect("legal");
    let floor = office.store.prune(Prune { business, until, has_outlets: false }).await.expect("pruned");
    assert_eq!(floor, until);
    (office, id, operation)
}

#[tokio::test]
async fn the_past_below_the_floor_is_gone_and_says_so() {
    let (office, id, operation) = pruned(3).await;
    let at = async |seq: u64| {
        let answer = office.admin(&format!("/v1/business/acme-1/contact/at/{id}?seq={seq}"), &json!({})).await;
        (answer.status, answer.code().to_owned(), answer.body["fields"]["city"].clone())
    };
    assert_eq!(at(3).await, (410, "history_pruned".to_owned(), Value::Null));
    assert_eq!(at(4).await, (200, String::new(), json!("3")));
    let history = office.admin(&format!("/v1/business/acme-1/contact/history/{id}"), &json!({})).await;
    let seqs: Vec<_> =
        history.body["changes"].as_array().expect("a list").iter().map(|change| &change["seq"]).collect();
    assert_eq!(seqs, [5, 4]);
    assert_eq!((&history.body["prunedBelow"], &history.body["next"]), (&json!(4), &Value::Null));
    let first = office.admin(&format!("/v1/business/acme-1/contact/history/{id}?limit=1"), &json!({})).await;
    assert_eq!((&first.body["prunedBelow"], &first.body["next"]), (&Value::Null, &json!(5)), "not come to it yet");
    let read = office.acme(&format!("/v1/business/acme-1/operation/get/{operation}"), &json!({})).await;
    assert_eq!((read.status, read.code()), (410, "history_pruned"));
    let why = office.admin(&format!("/v1/business/acme-1/contact/why/{id}"), &json!({})).await;
    assert_eq!(why.body["fields"]["city"]["seq"], json!(5), "where its values came from stays");
}

#[tokio::test]
async fn nobody_begins_below_the_floor_unasked() {
    let (office, ..) = pruned(3).await;
    let subscribe = async |start: Value| {
        let body = json!({"url": "https://example.com/hook", "startAt": start});
        let answer = office.acme("/v1/business/acme-1/subscription/create", &body).await;
        (answer.status, answer.code().to_owned(), answer.body["id"].as_str().unwrap_or_default().to_owned())
    };
    let gone = (410, "history_pruned".to_owned(), String::new());
    assert_eq!(subscribe(json!({"seq": 2})).await, gone);
    for start in [json!("beginning"), json!("now"), json!({"seq": 3}), json!({"seq": 5})] {
        assert_eq!(subscribe(start.clone()).await.0, 200, "{start}");
    }
    let (.., id) = subscribe(json!("now")).await;
    let replay = async |body: Value| {
        let answer = office.acme(&format!("/v1/business/acme-1/subscription/replay/{id}"), &body).await;
        (answer.status, answer.code().to_owned())
    };
    let gone = (410, "history_pruned".to_owned());
    assert_eq!((replay(json!({"seq": 3})).await, replay(json!({"from": 2})).await), (gone.clone(), gone));
    for body in [json!({"seq": 4}), json!({"from": 4}), json!({"since": "2000-01-01"}), json!({"deadLetters": true})] {
        assert_eq!(replay(body.clone()).await.0, 200, "{body}");
    }
}
