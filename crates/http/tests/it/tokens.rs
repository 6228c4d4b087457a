//! Tokens: what they may do is what their maker may, less what they leave out, at each use.

use crate::office::{ADMIN_KEY, Answer, Badge, Office};
use lockstep_core::error::Code;
use lockstep_engine::control::{application, subscription, token, within};
use lockstep_engine::principal::digest_of;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::settings::SharedSettings;
use serde_json::{Value, json};

type Outcome<T> = Result<T, Refusal>;

async fn make(office: &Office, key: &str, body: &Value) -> Outcome<(String, String)> {
    let body = serde_json::from_value(body.clone()).expect("a body");
    let made = token::create(&office.world, &office.caller(key), "acme-1", body).await?;
    Ok((made.id.to_string(), made.api_key))
}

/// A token's key.
async fn key(office: &Office, from: &str, more: &Value) -> String {
    office.token(from, more).await.1
}

fn code<T>(outcome: Outcome<T>) -> Option<Code> {
    outcome.err().map(|refused| refused.rejection.code)
}

async fn call(office: &Office, key: &str, path: &str, body: &Value) -> Answer {
    office.post(&format!("/v1/business/{path}"), key, &body.to_string()).await
}

async fn narrow(office: &Office, badge: &Badge, grant: &Value) {
    let changed = office.admin(&format!("/management/auth/update/{}", badge.id), grant).await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[tokio::test]
async fn a_token_does_what_it_was_left_and_no_more() {
    let office = Office::open().await;
    let narrowed = json!({"abilities": ["read", "write"], "types": {"contact": ["write"]}, "hiddenFields": {"contact": ["phone"]}});
    let token = key(&office, &office.acme.key, &narrowed).await;
    assert!(token.starts_with("lst_"));
    let status = async |path: &str, body: Value| call(&office, &token, path, &body).await.status;
    assert_eq!(status("acme-1/contact/create?externalId=1", json!({"city": "Delft"})).await, 202);
    assert_eq!(status("acme-1/contact/create", json!({"phone": "+31201234567"})).await, 400, "hidden");
    assert_eq!(status("acme-1/task/create", json!({})).await, 403, "another type");
    assert_eq!(status("acme-2/contact/create", json!({})).await, 404, "the path's business alone");
    assert_eq!(status("acme-1/subscription/list", json!({})).await, 403, "without the ability");
    assert_eq!(status("acme-1/contact/update/ext:1", json!({"city": "Breda"})).await, 202, "the application's own id");
    let wide = key(&office, &office.acme.key, &json!({"businesses": "*"})).await;
    assert_eq!(call(&office, &wide, "acme-2/contact/create", &json!({})).await.status, 202);
}

#[tokio::test]
async fn a_token_follows_its_applications_grant_at_once() {
    let office = Office::open().await;
    let token = key(&office, &office.acme.key, &json!({"conditions": {"contact": "lastName != 'x'"}})).await;
    let create = json!({"city": "Delft"});
    assert_eq!(call(&office, &token, "acme-1/contact/create", &create).await.status, 202);
    narrow(&office, &office.acme, &json!({"conditions": {"contact": "city == 'Breda'"}})).await;
    let both = |city: &str, name: &str| json!({"city": city, "lastName": name});
    let ended = async |body: Value| {
        let made = call(&office, &token, "acme-1/contact/create", &body).await;
        let path = format!("acme-1/operation/get/{}", made.body["operationId"].as_str().expect("an operation"));
        call(&office, &token, &path, &json!({})).await.body["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(ended(both("Breda", "y")).await, "completed");
    assert_eq!(ended(both("Delft", "y")).await, "failed", "the application's condition");
    assert_eq!(ended(both("Breda", "x")).await, "failed", "the token's own");
    narrow(&office, &office.acme, &json!({"abilities": ["read"]})).await;
    assert_eq!(call(&office, &token, "acme-1/contact/create", &create).await.status, 403);
    narrow(&office, &office.acme, &json!({"businessAccessRule": {"deniedBusinessIds": ["acme-1"]}})).await;
    assert_eq!(call(&office, &token, "acme-1/contact/create", &create).await.status, 404);
}

#[tokio::test]
async fn a_token_ends_when_it_is_revoked_or_expires_and_with_what_it_was_made_from() {
    let office = Office::open().await;
    let status = async |key: &str| call(&office, key, "acme-1/contact/create", &json!({})).await.status;
    let own = office.caller(&office.acme.key);
    let (id, parent) = make(&office, &office.acme.key, &json!({"label": "parent"})).await.expect("a token");
    let child = key(&office, &parent, &json!({})).await;
    let expiring = key(&office, &office.acme.key, &json!({"expiresAt": "2023-11-14T22:14:20Z"})).await;
    for key in [&parent, &child, &expiring] {
        assert_eq!(status(key).await, 202);
    }
    office.clock.advance(60_000);
    assert_eq!(status(&expiring).await, 401, "a minute later");
    token::revoke(&office.world, &own, "acme-1", &id).await.expect("revoked");
    assert_eq!([status(&parent).await, status(&child).await], [401, 401]);
    let states: Vec<_> = token::list(&office.world, &own, "acme-1", None, None).expect("a list").tokens;
    assert_eq!(states.iter().map(|token| token.state).collect::<Vec<_>>(), ["revoked", "revoked", "expired"]);
    let last = key(&office, &office.acme.key, &json!({})).await;
    office.admin(&format!("/management/auth/delete/{}", office.acme.id), &json!({})).await;
    assert_eq!(status(&last).await, 401, "with its application");
}

#[tokio::test]
async fn whoever_reads_the_settings_from_the_beginning_finds_the_same_tokens_living() {
    let office = Office::open().await;
    let own = office.caller(&office.acme.key);
    let (id, parent) = office.token(&office.acme.key, &json!({})).await;
    let child = key(&office, &parent, &json!({})).await;
    let (dead, lost) = office.token(&office.acme.key, &json!({})).await;
    let orphan = key(&office, &lost, &json!({})).await;
    token::revoke(&office.world, &own, "acme-1", &dead).await.expect("revoked");
    // The rows of those that others were made from now come after theirs.
    let label = serde_json::from_value(json!({"label": "renamed"})).expect("a body");
    token::update(&office.world, &own, "acme-1", &id, label).await.expect("renamed");
    let living = async || {
        let fresh = SharedSettings::default();
        fresh.refresh(&*office.store).await.expect("read");
        let now = office.world.clock.now();
        [&parent, &child, &lost, &orphan]
            .map(|key| fresh.read(|settings| settings.by_key(&digest_of(key)).is_some_and(|live| live.is_living(now))))
    };
    assert_eq!(living().await, [true, true, false, false]);
    narrow(&office, &office.acme, &json!({"label": "renamed"})).await;
    assert_eq!(living().await, [true, true, false, false], "its application's row comes last");
}

#[tokio::test]
async fn what_a_token_asks_beyond_its_maker_is_refused_by_name() {
    let office = Office::open().await;
    let grant = json!({
        "abilities": ["read", "write"], "types": {"contact": ["read", "write"]},
        "businessAccessRule": {"deniedBusinessIds": [], "allowedBusinessIds": ["acme-1"]},
        "hiddenFields": {"contact": ["phone"]},
    });
    let badge = office.badge("Acme", "narrow", &grant).await;
    let parent = key(&office, &badge.key, &json!({"expiresAt": "2030-01-01T00:00:00Z", "rateLimit": 5})).await;
    for (more, expected, named) in [
        (json!({"abilities": ["manage"]}), Code::OutsideGrant, "manage"),
        (json!({"types": {"task": ["read"]}}), Code::OutsideGrant, "task"),
        (json!({"businesses": ["acme-2"]}), Code::OutsideGrant, "acme-2"),
        (json!({"businesses": ["globex"]}), Code::OutsideGrant, "globex"),
        (json!({"businesses": ["nowhere"]}), Code::OutsideGrant, "nowhere"),
        (json!({"conditions": {"contact": "phone == '1'"}}), Code::InvalidCondition, "phone"),
        (json!({"hiddenFields": {"contact": ["phone"]}}), Code::UnknownField, "phone"),
        (json!({"expiresAt": "2031-01-01T00:00:00Z"}), Code::OutsideGrant, "2030"),
        (json!({"expiresAt": "2001-01-01T00:00:00Z"}), Code::InvalidValue, "past"),
        (json!({"rateLimit": 6}), Code::OutsideGrant, "5"),
        (json!({"rateLimit": 0}), Code::InvalidValue, "perSecond"),
    ] {
        let mut body = json!({"label": "more"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let refused = make(&office, &parent, &body).await.expect_err("more than its maker has").rejection;
        assert_eq!(refused.code, expected, "{more}: {refused}");
        assert!(refused.message.contains(named), "{more}: {refused}");
    }
    assert_eq!(code(make(&office, ADMIN_KEY, &json!({"label": "x"})).await), Some(Code::Forbidden));
}

#[tokio::test]
async fn what_a_token_makes_is_its_own_and_its_applications() {
    let office = Office::open().await;
    let (_, first) = make(&office, &office.acme.key, &json!({"label": "first"})).await.expect("a token");
    let (_, second) = make(&office, &office.acme.key, &json!({"label": "second"})).await.expect("a token");
    let made = call(&office, &first, "acme-1/contact/create", &json!({"city": "Delft"})).await;
    let operation = format!("acme-1/operation/get/{}", made.body["operationId"].as_str().expect("an operation"));
    let hook = json!({"url": "https://example.com/hook", "rateLimit": {"perSecond": 10}});
    let hook = call(&office, &first, "acme-1/subscription/create", &hook).await;
    let hook = format!("acme-1/subscription/rotate-secret/{}", hook.body["id"].as_str().expect("a subscription"));
    for (key, status, count) in [(&first, 200, 1), (&office.acme.key, 200, 1), (&second, 404, 0)] {
        assert_eq!(call(&office, key, &operation, &json!({})).await.status, status);
        assert_eq!(call(&office, key, &hook, &json!({})).await.status, status);
        let list = call(&office, key, "acme-1/subscription/list", &json!({})).await;
        assert_eq!(list.body.as_array().map(Vec::len), Some(count));
    }
    let own = call(&office, &office.acme.key, "acme-1/contact/create", &json!({})).await;
    let operation = format!("acme-1/operation/get/{}", own.body["operationId"].as_str().expect("an operation"));
    assert_eq!(call(&office, &first, &operation, &json!({})).await.status, 404, "the application's own");
    let listed = subscription::list(&office.world, &office.caller(&first), "acme-1").expect("a list");
    assert_eq!(listed[0].rate_limit.map(|limit| limit.per_second), Some(10));
    assert!(listed[0].token_id.is_some());
}

#[tokio::test]
async fn an_idempotency_key_holds_for_one_credential() {
    let office = Office::open().await;
    let token = key(&office, &office.acme.key, &json!({})).await;
    let create = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "one")];
        office.send("POST", "/v1/business/acme-1/contact/create", &headers, "{}").await.body["recordId"].clone()
    };
    let (own, others) = (create(&office.acme.key).await, create(&token).await);
    assert_ne!(own, others);
    assert_eq!([create(&office.acme.key).await, create(&token).await], [own, others]);
}

async fn apply(office: &Office, key: &str, body: Value) -> Outcome<String> {
    let body = serde_json::from_value(body).expect("a body");
    Ok(within::create(&office.world, &office.caller(key), "acme-1", body).await?.api_key)
}

#[tokio::test]
async fn a_managing_application_keeps_applications_within_its_own_grant() {
    let office = Office::open().await;
    let grant = json!({
        "abilities": ["read", "write", "manage"],
        "businessAccessRule": {"deniedBusinessIds": [], "allowedBusinessIds": ["acme-1"]},
        "conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["phone"]},
    });
    let manager = office.badge("Acme", "manager", &grant).await;
    let made = apply(&office, &manager.key, json!({"label": "till"})).await.expect("within its own");
    assert_eq!(call(&office, &made, "acme-1/contact/create", &json!({"phone": "1"})).await.status, 400, "inherited");
    assert_eq!(call(&office, &made, "acme-2/contact/create", &json!({})).await.status, 404, "the path's business");
    for (body, named) in [
        (json!({"abilities": ["subscribe"]}), "subscribe"),
        (json!({"conditions": {}}), "condition"),
        (json!({"conditions": {"contact": "city == 'Breda'"}}), "condition"),
        (json!({"hiddenFields": {}}), "hidden"),
        (json!({"businessAccessRule": {"deniedBusinessIds": []}}), "businesses"),
    ] {
        let mut body = body;
        body["label"] = json!("more");
        let refused = apply(&office, &manager.key, body).await.expect_err("more than its own").rejection;
        assert_eq!(refused.code, Code::OutsideGrant, "{refused}");
        assert!(refused.message.contains(named), "{refused}");
    }
    assert_eq!(code(apply(&office, &office.acme.key, json!({"label": "x"})).await), Some(Code::Forbidden));
    let world = &office.world;
    let listed = within::list(world, &office.caller(&manager.key), "acme-1", None, None).expect("a list");
    let labels: Vec<_> = listed.applications.iter().map(|one| one.label.clone()).collect();
    assert_eq!(labels, ["manager", "till"], "not those that go beyond it");
    let beyond = within::rotate(world, &office.caller(&manager.key), "acme-1", &office.acme.id).await;
    assert_eq!(code(beyond), Some(Code::NotFound));
    let upward = serde_json::from_value(json!({"abilities": ["read", "query"]})).expect("a body");
    let upward = within::update(world, &office.caller(&manager.key), "acme-1", &manager.id, upward).await;
    assert_eq!(code(upward), Some(Code::OutsideGrant));
    let limit = serde_json::from_value(json!({"rateLimit": null})).expect("a body");
    let limit = within::update(world, &office.caller(&manager.key), "acme-1", &manager.id, limit).await;
    assert_eq!(code(limit), Some(Code::Forbidden));
}

#[tokio::test]
async fn a_token_gives_its_application_no_new_secrets_and_old_ones_stop_at_once() {
    let office = Office::open().await;
    let manager = office.badge("Acme", "manager", &json!({"abilities": ["read", "write", "manage"]})).await;
    let body = serde_json::from_value(json!({"label": "till"})).expect("a body");
    let till = within::create(&office.world, &office.caller(&manager.key), "acme-1", body).await.expect("made");
    let token = key(&office, &manager.key, &json!({"businesses": "*"})).await;
    let by_token = office.caller(&token);
    let own = within::rotate(&office.world, &by_token, "acme-1", &manager.id).await;
    assert_eq!(code(own), Some(Code::Forbidden));
    let id = till.id.to_string();
    let renewed = within::rotate(&office.world, &by_token, "acme-1", &id).await.expect("another's");
    let status = async |key: &str| call(&office, key, "acme-1/contact/create", &json!({})).await.status;
    assert_eq!([status(&till.api_key).await, status(&renewed.api_key).await], [401, 202]);
    within::delete(&office.world, &by_token, "acme-1", &id).await.expect("revoked");
    assert_eq!(status(&renewed.api_key).await, 401);
    let admin = office.caller(ADMIN_KEY);
    let again = application::rotate(&office.world, &admin, &manager.id).await.expect("by the administrator");
    assert_eq!([status(&manager.key).await, status(&again.api_key).await], [401, 202]);
    assert_eq!(status(&token).await, 202, "tokens stay");
}
