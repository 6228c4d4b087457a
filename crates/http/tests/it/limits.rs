//! Rate limits at the gate: what a limited credential is told, and when it may go on.

use crate::office::{ADMIN_KEY, Answer, Office};
use lockstep_core::rate::RateLimit;
use serde_json::json;

async fn list(office: &Office, key: &str) -> Answer {
    office.post("/v1/business/acme-1/subscription/list", key, "{}").await
}

fn told(answer: &Answer) -> (u16, &str, &str) {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (answer.status, header("ratelimit"), header("retry-after"))
}

#[tokio::test]
async fn a_limited_credential_is_told_how_it_stands_and_when_to_come_again() {
    let office = Office::open().await;
    let badge = office.badge("Acme", "eager", &json!({"rateLimit": {"perSecond": 1, "burst": 2}})).await;
    assert_eq!(told(&list(&office, &badge.key).await), (200, "\"default\";r=1;t=1", ""));
    assert_eq!(told(&list(&office, &badge.key).await), (200, "\"default\";r=0;t=2", ""));
    let early = list(&office, &badge.key).await;
    assert_eq!((told(&early), early.code()), ((429, "\"default\";r=0;t=1", "1"), "rate_limited"));
    assert_eq!(early.headers["ratelimit-policy"], "\"default\";q=2;w=2");
    let unknown = office.post("/v1/nowhere", &badge.key, "{}").await;
    assert_eq!(unknown.status, 404, "only routes are counted");
    office.clock.advance(1_000);
    assert_eq!(told(&list(&office, &badge.key).await).0, 200);
    assert_eq!(told(&list(&office, &badge.key).await).0, 429);
    let wider = json!({"rateLimit": 100});
    office.admin(&format!("/management/auth/update/{}", badge.id), &wider).await;
    assert_eq!(told(&list(&office, &badge.key).await), (200, "\"default\";r=99;t=1", ""), "at once");
    office.admin(&format!("/management/auth/update/{}", badge.id), &json!({"rateLimit": null})).await;
    assert_eq!(told(&list(&office, &badge.key).await), (200, "", ""));
}

#[tokio::test]
async fn a_token_draws_from_its_own_bucket_and_its_applications() {
    let office = Office::open().await;
    let badge = office.badge("Acme", "eager", &json!({"rateLimit": 3})).await;
    let narrow = office.token(&badge.key, &json!({"rateLimit": 1})).await.1;
    let wide = office.token(&badge.key, &json!({})).await.1;
    assert_eq!(told(&list(&office, &narrow).await), (200, "\"default\";r=0;t=1", ""));
    for _ in 0..3 {
        assert_eq!(list(&office, &narrow).await.status, 429, "its own is empty, and nothing is taken from the other");
    }
    assert_eq!(told(&list(&office, &wide).await), (200, "\"default\";r=1;t=1", ""));
    assert_eq!([list(&office, &badge.key).await.status, list(&office, &wide).await.status], [200, 429]);
}

#[tokio::test]
async fn the_servers_limit_holds_for_whoever_has_none_but_the_administrator() {
    let office = Office::open_with(Some(RateLimit::per_second(2))).await;
    let own = office.badge("Acme", "own", &json!({"rateLimit": 5})).await;
    let status = async |key: &str| list(&office, key).await.status;
    let acme = &office.acme.key;
    assert_eq!([status(acme).await, status(acme).await, status(acme).await], [200, 200, 429]);
    for _ in 0..5 {
        assert_eq!([status(&own.key).await, status(ADMIN_KEY).await], [200, 200]);
    }
    assert_eq!([status(&own.key).await, status(&office.globex.key).await], [429, 404], "each has a bucket of its own");
    assert_eq!(status("nobody's").await, 401);
}
