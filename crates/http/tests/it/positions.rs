//! Positions handed back after a log was restored: known again, or refused with word of what to do.

use crate::office::Office;
use lockstep_core::ids::BusinessId;
use lockstep_core::position::Position;
use serde_json::{Value, json};

async fn subscribe(office: &Office, start: Value) -> (u16, String) {
    let body = json!({"url": "https://example.com/hook", "startAt": start});
    let answer = office.acme("/v1/business/acme-1/subscription/create", &body).await;
    (answer.status, answer.code().to_owned())
}

async fn cursor(office: &Office, seq: u64) -> Value {
    let business = BusinessId::parse("acme-1").expect("legal");
    let epoch = office.store.head(&business).await.expect("read").epoch;
    json!({"cursor": Position { epoch, seq }.cursor(&business)})
}

async fn create(office: &Office) -> String {
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"email": "a@b.nl"})).await;
    made.body["operationId"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_subscription_starts_at_a_position_of_the_log_as_it_is() {
    let office = Office::open().await;
    create(&office).await;
    create(&office).await;
    let ok = (200, String::new());
    for start in [json!("now"), json!("beginning"), json!({"seq": 1}), json!({"seq": 2}), cursor(&office, 2).await] {
        assert_eq!(subscribe(&office, start.clone()).await, ok, "{start}");
    }
    let lost = (409, "log_restored".to_owned());
    for start in [json!({"seq": 3}), cursor(&office, 3).await] {
        assert_eq!(subscribe(&office, start.clone()).await, lost, "{start}");
    }
    let old = cursor(&office, 1).await;
    office.memory.begin_epoch();
    assert_eq!(subscribe(&office, old).await, lost, "of the log before");
    assert_eq!(subscribe(&office, cursor(&office, 1).await).await, ok, "of the log now");
    assert_eq!(subscribe(&office, json!({"seq": 1})).await, ok, "a bare seq is of the log now");
}

#[tokio::test]
async fn what_is_no_cursor_of_the_business_is_refused() {
    let office = Office::open().await;
    let elsewhere = Position::first(0).cursor(&BusinessId::parse("acme-2").unwrap());
    for text in ["", "7", "cur_7", &elsewhere] {
        assert_eq!(subscribe(&office, json!({"cursor": text})).await, (400, "invalid_id".to_owned()), "{text}");
    }
}

#[tokio::test]
async fn a_replay_from_the_lost_future_is_refused() {
    let office = Office::open().await;
    create(&office).await;
    let made = office
        .acme("/v1/business/acme-1/subscription/create", &json!({"url": "https://example.com/hook", "types": ["task"]}))
        .await;
    let path = format!("/v1/business/acme-1/subscription/replay/{}", made.body["id"].as_str().unwrap());
    let refused = office.acme(&path, &json!({"seq": 2})).await;
    assert_eq!((refused.status, refused.code()), (409, "log_restored"));
    let refused = office.acme(&path, &json!({"seq": 1})).await;
    assert_eq!((refused.status, refused.code()), (404, "not_found"), "there, and not of a type that it wants");
}

#[tokio::test]
async fn a_lost_operation_is_not_taken_for_the_one_that_has_its_seq_now() {
    let office = Office::open().await;
    let before = create(&office).await;
    office.memory.begin_epoch();
    let after = create(&office).await;
    let get = async |id: &str| office.acme(&format!("/v1/business/acme-1/operation/get/{id}"), &json!({})).await.status;
    assert_eq!((get(&before).await, get(&after).await), (200, 200));
    // As if the log had been restored without its second change, and the second had been made anew.
    let business = BusinessId::parse("acme-1").unwrap();
    let lost = lockstep_core::operation::OperationId::of_change(&business, Position::first(2));
    assert_eq!(get(&lost.to_string()).await, 404);
}
