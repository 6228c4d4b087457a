//! Who may do what: every route with no credential, a revoked one, another business's, and one without the ability.

use crate::office::{Answer, Office};
use lockstep_http::router::{PUBLIC, table};
use serde_json::{Value, json};

/// A body that would do for each route, were the caller allowed: the list that is compared with the router's.
fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    let hook = json!({"url": "https://example.com/hook", "types": ["contact"]});
    let correlation = json!({"value": "1"});
    let nothing = json!({});
    let v1 = |end: &'static str, ability: &'static str, body: &Value| (end, ability, body.clone());
    vec![
        v1("/v1/business/{business}/{type}/create", "write", &nothing),
        v1("/v1/business/{business}/{type}/update/{id}", "write", &nothing),
        v1("/v1/business/{business}/{type}/delete/{id}", "write", &nothing),
        v1("/v1/business/{business}/{type}/correlate/{id}", "write", &correlation),
        v1("/v1/business/{business}/{type}/uncorrelate/{id}", "write", &correlation),
        v1("/v1/business/{business}/{type}/merge/{id}", "write", &json!({"into": "rec_00000000000000000000000001"})),
        v1("/v1/business/{business}/{type}/unmerge/{id}", "write", &nothing),
        v1("/v1/business/{business}/{type}/sync-by-id", "read", &nothing),
        v1("/v1/business/{business}/{type}/sync-all", "read", &nothing),
        v1("/v1/business/{business}/{type}/create-many", "write", &nothing),
        v1("/v1/business/{business}/{type}/erase/{id}", "manage", &nothing),
        v1("/v1/business/{business}/{type}/history/{id}", "read", &nothing),
        v1("/v1/business/{business}/{type}/at/{id}", "read", &nothing),
        v1("/v1/business/{business}/{type}/why/{id}", "read", &nothing),
        v1("/v1/business/{business}/{type}/similar/{id}", "read", &nothing),
        v1("/v1/business/{business}/operation/get/{id}", "", &nothing),
        v1("/v1/business/{business}/subscription/create", "subscribe", &hook),
        v1("/v1/business/{business}/subscription/update/{id}", "subscribe", &nothing),
        v1("/v1/business/{business}/subscription/delete/{id}", "subscribe", &nothing),
        v1("/v1/business/{business}/subscription/list", "subscribe", &nothing),
        v1("/v1/business/{business}/subscription/test/{id}", "subscribe", &nothing),
        v1("/v1/business/{business}/subscription/replay/{id}", "subscribe", &json!({"seq": 1})),
        v1("/v1/business/{business}/subscription/rotate-secret/{id}", "subscribe", &nothing),
        v1("/v1/business/{business}/subscription/deliveries/{id}", "subscribe", &nothing),
        v1("/management/business/create", "admin", &json!({"organisationName": "Acme", "name": "x"})),
        v1("/management/business/update/{id}", "admin", &json!({"name": "x"})),
        v1("/management/business/delete/{id}", "admin", &nothing),
        v1("/management/business/list-all", "admin", &nothing),
        v1("/management/auth/create", "admin", &json!({"label": "x", "organisationName": "Acme"})),
        v1("/management/auth/update/{id}", "admin", &nothing),
        v1("/management/auth/delete/{id}", "admin", &nothing),
        v1("/management/auth/list-all", "admin", &nothing),
        v1("/management/backup", "admin", &nothing),
        v1("/management/release", "admin", &nothing),
    ]
}

/// A path with its places filled: a business, a type, and an id of the kind that the route takes.
fn filled(route: &str, business: &str, office: &Known) -> String {
    let id = match route {
        _ if route.contains("/subscription/") => office.subscription.as_str(),
        _ if route.contains("/operation/") => office.operation.as_str(),
        _ if route.starts_with("/management/business") => "globex",
        _ if route.starts_with("/management/auth") => office.application.as_str(),
        _ => office.record.as_str(),
    };
    let path = route.replace("{business}", business).replace("{type}", "contact").replace("{id}", id);
    match route {
        _ if path.ends_with("/sync-by-id") => format!("{path}?id={id}"),
        _ if route.contains("/at/") => format!("{path}?seq=1"),
        _ => path,
    }
}

/// Things of Acme's that another might try to reach.
struct Known {
    record: String,
    operation: String,
    subscription: String,
    application: String,
}

async fn known(office: &Office) -> Known {
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"email": "a@b.nl"})).await;
    let hook = json!({"url": "https://example.com/hook"});
    let subscription = office.acme("/v1/business/acme-1/subscription/create", &hook).await;
    let text = |answer: &Answer, member: &str| answer.body[member].as_str().expect("an id").to_owned();
    Known {
        record: text(&made, "recordId"),
        operation: text(&made, "operationId"),
        subscription: text(&subscription, "id"),
        application: office.acme.id.clone(),
    }
}

#[test]
fn every_route_is_public_by_name_or_tested_here() {
    let tested = bodies();
    for (route, _) in table() {
        let is_tested = tested.iter().any(|(path, ..)| *path == route);
        assert!(PUBLIC.contains(&route) != is_tested, "{route} must stand in PUBLIC or in this test, not in both");
    }
    for (path, ..) in &tested {
        assert!(table().iter().any(|(route, _)| route == path), "{path} is tested but no route");
    }
}

#[tokio::test]
async fn nobody_enters_without_a_credential_or_with_a_revoked_one() {
    let office = Office::open().await;
    let known = known(&office).await;
    let revoked = office.badge("Acme", "gone", &json!({})).await;
    let child = office.token(&revoked.key, &json!({})).await.1;
    assert_eq!(office.admin(&format!("/management/auth/delete/{}", revoked.id), &json!({})).await.status, 200);
    let (id, token) = office.token(&office.acme.key, &json!({})).await;
    let own = office.caller(&office.acme.key);
    lockstep_engine::control::token::revoke(&office.world, &own, "acme-1", &id).await.expect("revoked");
    let expired = office.token(&office.acme.key, &json!({"expiresAt": "2023-11-14T22:13:21Z"})).await.1;
    office.clock.advance(1_000);
    for (route, _, body) in bodies() {
        let path = filled(route, "acme-1", &known);
        let answer = office.send("POST", &path, &[], &body.to_string()).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthenticated"), "{path}");
        assert!(answer.headers.contains_key("www-authenticate"), "{path}");
        for header in [
            ("authorization", format!("Bearer {}", revoked.key)),
            ("api-key", revoked.key.clone()),
            ("api-key", child.clone()),
            ("api-key", token.clone()),
            ("api-key", expired.clone()),
            ("authorization", revoked.basic.clone()),
            ("authorization", "Basic !".to_owned()),
        ] {
            let answer = office.send("POST", &path, &[(header.0, &header.1)], &body.to_string()).await;
            assert_eq!((answer.status, answer.code()), (401, "invalid_credentials"), "{path} {header:?}");
        }
    }
}

#[tokio::test]
async fn another_businesss_credential_is_refused_on_every_route() {
    let office = Office::open().await;
    let known = known(&office).await;
    let denied =
        office.badge("Acme", "denied", &json!({"businessAccessRule": {"deniedBusinessIds": ["acme-1"]}})).await;
    let elsewhere = office
        .badge(
            "Acme",
            "elsewhere",
            &json!({"businessAccessRule": {"deniedBusinessIds": [], "allowedBusinessIds": ["acme-2"]}}),
        )
        .await;
    for (route, ability, body) in bodies() {
        for badge in [&office.globex, &denied, &elsewhere] {
            let path = filled(route, "acme-1", &known);
            let answer = office.post(&path, &badge.key, &body.to_string()).await;
            let expected = if ability == "admin" { (403, "forbidden") } else { (404, "business_not_found") };
            assert_eq!((answer.status, answer.code()), expected, "{path}");
            // An unknown business is refused in the same words, so that nothing is learnt of a foreign one.
            if ability != "admin" {
                let unknown = office.post(&filled(route, "nobody-1", &known), &badge.key, &body.to_string()).await;
                assert_eq!(unknown.message().replace("nobody-1", "acme-1"), answer.message(), "{path}");
            }
        }
        // Things of Acme's asked for through Globex's own business are not there.
        let is_answered = !["admin", "write", "manage"].contains(&ability);
        if is_answered && route.contains("{id}") {
            let path = filled(route, "globex", &known);
            let answer = office.post(&path, &office.globex.key, &body.to_string()).await;
            let code = if route.contains("{type}") { "record_not_found" } else { "not_found" };
            assert_eq!((answer.status, answer.code()), (404, code), "{path}");
        }
    }
}

#[tokio::test]
async fn a_credential_without_the_ability_is_refused() {
    let office = Office::open().await;
    let known = known(&office).await;
    let all = ["read", "query", "write", "subscribe", "files", "manage"];
    for (route, ability, body) in bodies().into_iter().filter(|(_, ability, _)| !ability.is_empty()) {
        let others: Vec<_> = all.iter().filter(|other| **other != ability).collect();
        let badge = office.badge("Acme", &format!("without {route}"), &json!({"abilities": others})).await;
        let path = filled(route, "acme-1", &known);
        let whole = office.badge("Acme", &format!("with {route}"), &json!({"abilities": all})).await;
        let token = office.token(&whole.key, &json!({"abilities": others})).await.1;
        for key in [&badge.key, &token] {
            let answer = office.post(&path, key, &body.to_string()).await;
            assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_type_outside_the_grant_is_refused() {
    let office = Office::open().await;
    let reader = office.badge("Acme", "reader", &json!({"types": {"contact": ["read"]}})).await;
    let call = async |path: &str, body: &Value| {
        office.post(&format!("/v1/business/acme-1/{path}"), &reader.key, &body.to_string()).await
    };
    assert_eq!(call("contact/create", &json!({})).await.status, 403);
    assert_eq!(call("invoice/sync-by-id?id=rec_00000000000000000000000001", &json!({})).await.status, 403);
    assert_eq!(call("contact/sync-by-id?id=rec_00000000000000000000000001", &json!({})).await.status, 202);
    let hook = |types: Value| json!({"url": "https://example.com/", "types": types});
    assert_eq!(call("subscription/create", &hook(json!(["invoice"]))).await.status, 403);
    assert_eq!(call("subscription/create", &hook(json!("*"))).await.status, 200, "all that the grant allows");
}

#[tokio::test]
async fn one_application_does_not_reach_anothers_subscription_or_operation() {
    let office = Office::open().await;
    let known = known(&office).await;
    let neighbour = office.badge("Acme", "neighbour", &json!({})).await;
    for (route, ability, body) in bodies() {
        let is_own_thing = route.contains("{id}") && (ability == "subscribe" || route.contains("operation"));
        if is_own_thing {
            let path = filled(route, "acme-1", &known);
            let answer = office.post(&path, &neighbour.key, &body.to_string()).await;
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
        }
    }
    let listed = office.post("/v1/business/acme-1/subscription/list", &neighbour.key, "{}").await;
    assert_eq!(listed.body, json!([]));
}

#[tokio::test]
async fn hidden_fields_are_not_there_and_conditions_may_not_name_them() {
    let office = Office::open().await;
    let grant = json!({"hiddenFields": {"contact": ["phone"]}, "conditions": {"contact": "city == 'Delft'"}});
    let badge = office.badge("Acme", "narrow", &grant).await;
    let call = async |path: &str, body: Value| {
        office.post(&format!("/v1/business/acme-1/{path}"), &badge.key, &body.to_string()).await
    };
    let hidden = call("contact/create", json!({"phone": "+31201"})).await;
    let absent = call("contact/create", json!({"nonsense": "x"})).await;
    assert_eq!((hidden.status, hidden.code()), (absent.status, absent.code()));
    for condition in ["phone == '+31201'", "fields.phone", "fields['pho' ~ 'ne']", "nonsense"] {
        let body = json!({"url": "https://example.com/", "types": ["contact"], "condition": condition});
        let answer = call("subscription/create", body).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_condition"), "{condition}");
    }
    let body = json!({"url": "https://example.com/", "types": ["contact"], "kinds": ["phone.updated"]});
    assert_eq!(call("subscription/create", body).await.status, 400);
    let body = json!({"url": "https://example.com/", "types": ["contact"], "condition": "city != 'Breda'"});
    assert_eq!(call("subscription/create", body).await.status, 200);
}
