//! One subscription over several businesses: a likeness in each, led by the one that was made.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

async fn subscribed(office: &Office, more: Value) -> Answer {
    let mut body = json!({"url": "https://example.com/hook", "types": ["contact"], "headers": {"x-key": "s3cret"}});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    office.acme("/v1/business/acme-1/subscription/create", &body).await
}

async fn listed(office: &Office, business: &str) -> Vec<Value> {
    let answer = office.acme(&format!("/v1/business/{business}/subscription/list"), &json!({})).await;
    answer.body.as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

#[tokio::test]
async fn a_star_covers_what_the_grant_allows_now_and_later() {
    let office = Office::open().await;
    let made = subscribed(&office, json!({"businesses": "*"})).await;
    let lead = text(&made.body, "id");
    let [there] = listed(&office, "acme-2").await.try_into().expect("one mirror");
    assert_eq!((&there["mirrors"], &there["headers"]), (&json!(lead), &json!({"x-key": "***"})));
    assert_eq!(listed(&office, "acme-1").await[0]["businesses"], "*");
    let globex = office.post("/v1/business/globex/subscription/list", &office.globex.key, "{}").await;
    assert_eq!(globex.body, json!([]), "another organisation's is not covered");
    let body = json!({"organisationName": "Acme", "name": "later", "id": "acme-3"});
    assert_eq!(office.admin("/management/business/create", &body).await.status, 200);
    let [later] = listed(&office, "acme-3").await.try_into().expect("one mirror");
    let lanes = office.store.outlets().await.expect("read");
    let lane = lanes.iter().find(|row| row.business.as_ref().is_some_and(|id| id.as_str() == "acme-3"));
    let own = lane.expect("a row").lanes.iter().find(|(id, _)| id.to_string() == text(&later, "id"));
    assert_eq!(own.map(|(_, cursor)| *cursor), Some(0), "a new business is read from its beginning");
    let grant = json!({"businessAccessRule": {"deniedBusinessIds": ["acme-2"]}});
    office.admin(&format!("/management/auth/update/{}", office.acme.id), &grant).await;
    let left = office.admin("/v1/business/acme-2/subscription/list", &json!({})).await;
    assert_eq!(left.body, json!([]), "what is closed to the owner is covered no more");
}

#[tokio::test]
async fn mirrors_follow_their_lead_and_go_with_it() {
    let office = Office::open().await;
    let made = subscribed(&office, json!({"businesses": ["acme-2"]})).await;
    let lead = text(&made.body, "id");
    let mirror = text(&listed(&office, "acme-2").await[0], "id");
    let path = |call: &str, id: &str| format!("/v1/business/acme-1/subscription/{call}/{id}");
    let changed = json!({"url": "https://example.com/other", "kinds": ["created"], "paused": true});
    assert_eq!(office.acme(&path("update", &lead), &changed).await.status, 200);
    let there = &listed(&office, "acme-2").await[0];
    assert_eq!((&there["id"], &there["state"]), (&json!(mirror), &json!("paused")));
    assert_eq!((&there["url"], &there["kinds"]), (&json!("https://example.com/other"), &json!(["created"])));
    assert_eq!(office.acme(&path("rotate-secret", &lead), &json!({})).await.status, 200);
    for call in ["update", "delete", "rotate-secret"] {
        let refused = office.acme(&format!("/v1/business/acme-2/subscription/{call}/{mirror}"), &json!({})).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_value"), "{call}");
        assert!(refused.message().contains(&lead), "{}", refused.message());
    }
    office.acme(&path("update", &lead), &json!({"businesses": []})).await;
    assert!(listed(&office, "acme-2").await.is_empty());
    office.acme(&path("update", &lead), &json!({"businesses": "*"})).await;
    assert_eq!(listed(&office, "acme-2").await.len(), 1);
    office.acme(&path("delete", &lead), &json!({})).await;
    assert!(listed(&office, "acme-2").await.is_empty());
}

#[tokio::test]
async fn only_businesses_open_to_the_caller_can_be_covered() {
    let office = Office::open().await;
    for more in [json!({"businesses": ["globex"]}), json!({"businesses": ["nowhere"]})] {
        let refused = subscribed(&office, more.clone()).await;
        assert_eq!((refused.status, refused.code()), (404, "business_not_found"), "{more}");
    }
    let place = subscribed(&office, json!({"businesses": "*", "startAt": {"seq": 0}})).await;
    assert_eq!((place.status, place.code()), (400, "invalid_value"));
    assert!(listed(&office, "acme-1").await.is_empty(), "nothing was made");
}
