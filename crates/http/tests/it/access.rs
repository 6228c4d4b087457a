//! Who may do what: every route with no credential, a revoked one, another business's, and one without the ability.

use crate::office::{Answer, Office};
use lockstep_http::router::{PUBLIC, table};
use serde_json::{Value, json};

/// A call of a route.
struct Call {
    method: &'static str,
    path: &'static str,
    /// What the caller needs; `admin` for the administrator's key alone, nothing where any credential will do.
    ability: &'static str,
    body: Value,
}

/// A body that would do for each route, were the caller allowed: the list that is compared with the router's.
fn calls() -> Vec<Call> {
    let mut calls = rpc_calls();
    calls.extend(rest_calls());
    calls.extend(sharing_calls());
    calls
}

fn rpc_calls() -> Vec<Call> {
    let hook = json!({"url": "https://example.com/hook", "types": ["contact"]});
    let correlation = json!({"value": "1"});
    let nothing = json!({});
    let v1 = |path, ability, body: &Value| Call { method: "POST", path, ability, body: body.clone() };
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

fn rest_calls() -> Vec<Call> {
    let hook = json!({"url": "https://example.com/hook", "types": ["contact"]});
    let correlation = json!({"value": "1"});
    let nothing = json!({});
    let rest = |method, path, ability, body: &Value| Call { method, path, ability, body: body.clone() };
    vec![
        rest("GET", "/rest/v1/me", "", &nothing),
        rest("GET", "/rest/v1/businesses", "", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/records/{type}", "write", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}/{id}", "read", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/records/{type}/{id}", "write", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/records/{type}/{id}", "write", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/records/{type}/{id}/copy", "write", &nothing),
        rest(
            "POST",
            "/rest/v1/businesses/{business}/records/{type}/{id}/merge",
            "write",
            &json!({"into": "rec_00000000000000000000000001"}),
        ),
        rest("POST", "/rest/v1/businesses/{business}/records/{type}/{id}/unmerge", "write", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/records/{type}/{id}/erase", "manage", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}/{id}/similar", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}/{id}/external-ids", "read", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/records/{type}/{id}/external-ids", "write", &correlation),
        rest("DELETE", "/rest/v1/businesses/{business}/records/{type}/{id}/external-ids", "write", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}/{id}/history", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}/{id}/why", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/tokens", "", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/tokens", "", &json!({"label": "x"})),
        rest("GET", "/rest/v1/businesses/{business}/tokens/{id}", "", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/tokens/{id}", "", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/tokens/{id}", "", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/applications", "manage", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/applications", "manage", &json!({"label": "x"})),
        rest("GET", "/rest/v1/businesses/{business}/applications/{id}", "manage", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/applications/{id}", "manage", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/applications/{id}", "manage", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/applications/{id}/rotate", "manage", &nothing),
        rest("PUT", "/rest/v1/businesses/{business}/records/{type}/{id}", "write", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/operations/{id}/rollback", "write", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/audit", "manage", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/types", "", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/types", "manage", &json!({"id": "venue"})),
        rest("GET", "/rest/v1/businesses/{business}/types/{type}", "", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/types/{type}", "manage", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/types/{type}", "manage", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/types/{type}/fields", "", &nothing),
        rest(
            "POST",
            "/rest/v1/businesses/{business}/types/{type}/fields",
            "manage",
            &json!({"id": "size", "kind": "string"}),
        ),
        rest("GET", "/rest/v1/businesses/{business}/types/{type}/fields/{field}", "", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/types/{type}/fields/{field}", "manage", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/types/{type}/fields/{field}", "manage", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/records/{type}", "query", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/samples/{type}", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/resources/{type}", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/changes", "read", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/operations/{id}", "", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/subscriptions", "subscribe", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/subscriptions", "subscribe", &hook),
        rest("GET", "/rest/v1/businesses/{business}/subscriptions/{id}", "subscribe", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/subscriptions/{id}", "subscribe", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/subscriptions/{id}", "subscribe", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/subscriptions/{id}/test", "subscribe", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/subscriptions/{id}/deliveries", "subscribe", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/subscriptions/{id}/replay", "subscribe", &json!({"seq": 1})),
        rest("POST", "/rest/v1/businesses/{business}/subscriptions/{id}/rotate-secret", "subscribe", &nothing),
    ]
}

fn sharing_calls() -> Vec<Call> {
    let nothing = json!({});
    let account = json!({"connector": "generic-rest", "label": "x"});
    let share = json!({"connection": "con_00000000000000000000000001", "object": "contact", "direction": "in"});
    let rest = |method, path, body: &Value| Call { method, path, ability: "manage", body: body.clone() };
    vec![
        Call { ability: "", ..rest("GET", "/rest/v1/connectors", &nothing) },
        Call { ability: "", ..rest("GET", "/rest/v1/connectors/{name}", &nothing) },
        rest("GET", "/rest/v1/businesses/{business}/connections", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/connections", &account),
        rest("GET", "/rest/v1/businesses/{business}/connections/{id}", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/connections/{id}", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/connections/{id}", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/connections/{id}/check", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/connections/{id}/authorize", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/connections/{id}/revoke", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/connections/{id}/fields", &json!({"object": "item"})),
        rest("GET", "/rest/v1/businesses/{business}/connections/{id}/hooks", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/shares", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares", &share),
        rest("GET", "/rest/v1/businesses/{business}/shares/{id}", &nothing),
        rest("PATCH", "/rest/v1/businesses/{business}/shares/{id}", &nothing),
        rest("DELETE", "/rest/v1/businesses/{business}/shares/{id}", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares/{id}/preview", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares/{id}/run", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares/{id}/pause", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares/{id}/resume", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/shares/{id}/cancel", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/runs", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/runs/{id}", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/runs/{id}/pause", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/runs/{id}/resume", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/runs/{id}/cancel", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/problems", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/problems/replay", &nothing),
        rest("GET", "/rest/v1/businesses/{business}/problems/{id}", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/problems/{id}/replay", &nothing),
        rest("POST", "/rest/v1/businesses/{business}/problems/{id}/dismiss", &nothing),
    ]
}

impl Call {
    fn is_of_a_business(&self) -> bool {
        self.path.contains("{business}") || self.ability == "admin"
    }
}

/// A path with its places filled: a business, a type, and an id of the kind that the route takes.
fn filled((method, route): (&str, &str), business: &str, office: &Known) -> String {
    let id = match route {
        _ if route.contains("/subscription") => office.subscription.as_str(),
        _ if route.contains("/operation") => office.operation.as_str(),
        _ if route.starts_with("/management/business") => "globex",
        _ if route.contains("/tokens") => office.token.as_str(),
        _ if route.contains("/applications") || route.starts_with("/management/auth") => office.application.as_str(),
        _ => office.record.as_str(),
    };
    let path = route
        .replace("{business}", business)
        .replace("{type}", "contact")
        .replace("{field}", "city")
        .replace("{name}", "blueconic")
        .replace("{id}", id);
    match route {
        _ if path.ends_with("/sync-by-id") => format!("{path}?id={id}"),
        _ if path.ends_with("/external-ids") && method == "DELETE" => format!("{path}?value=1"),
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
    token: String,
}

async fn known(office: &Office) -> Known {
    let made = office.acme("/v1/business/acme-1/contact/create", &json!({"email": "a@b.nl"})).await;
    let hook = json!({"url": "https://example.com/hook"});
    let subscription = office.acme("/v1/business/acme-1/subscription/create", &hook).await;
    let tokens = "/businesses/acme-1/tokens";
    let token = office.rest("POST", tokens, &office.acme.key, &json!({"label": "narrow"})).await;
    let text = |answer: &Answer, member: &str| answer.body[member].as_str().expect("an id").to_owned();
    Known {
        record: text(&made, "recordId"),
        operation: text(&made, "operationId"),
        subscription: text(&subscription, "id"),
        application: office.acme.id.clone(),
        token: text(&token, "id"),
    }
}

#[test]
fn every_route_is_public_by_name_or_tested_here() {
    let tested = calls();
    for route in table() {
        let is_tested = tested.iter().any(|call| call.path == route.path && call.method == route.method.as_str());
        let name = format!("{} {}", route.method, route.path);
        assert!(PUBLIC.contains(&route.path) != is_tested, "{name} must stand in PUBLIC or in this test, not in both");
    }
    for call in &tested {
        let is_route = table().iter().any(|route| route.path == call.path && call.method == route.method.as_str());
        assert!(is_route, "{} {} is tested but no route", call.method, call.path);
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
    for Call { method, path: route, body, .. } in calls() {
        let path = filled((method, route), "acme-1", &known);
        let answer = office.send(method, &path, &[], &body.to_string()).await;
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
            let answer = office.send(method, &path, &[(header.0, &header.1)], &body.to_string()).await;
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
    let abroad = office.token(&office.acme.key, &json!({"businesses": ["acme-2"]})).await.1;
    for Call { method, path: route, ability, body } in calls().into_iter().filter(|call| call.is_of_a_business()) {
        for key in [&office.globex.key, &denied.key, &elsewhere.key, &abroad] {
            let path = filled((method, route), "acme-1", &known);
            let answer = office.call(method, &path, key, &body).await;
            let expected = if ability == "admin" { (403, "forbidden") } else { (404, "business_not_found") };
            assert_eq!((answer.status, answer.code()), expected, "{path}");
            // An unknown business is refused in the same words, so that nothing is learnt of a foreign one.
            if ability != "admin" {
                let unknown = office.call(method, &filled((method, route), "nobody-1", &known), key, &body).await;
                assert_eq!(unknown.message().replace("nobody-1", "acme-1"), answer.message(), "{path}");
            }
        }
        // Things of Acme's asked for through Globex's own business are not there.
        let is_answered = !["admin", "write", "manage"].contains(&ability);
        if is_answered && route.contains("{id}") {
            let path = filled((method, route), "globex", &known);
            let answer = office.call(method, &path, &office.globex.key, &body).await;
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
    for Call { method, path: route, ability, body } in calls().into_iter().filter(|call| !call.ability.is_empty()) {
        let others: Vec<_> = all.iter().filter(|other| **other != ability).collect();
        let name = format!("{method} {}", route.replace("businesses", "b"));
        let badge = office.badge("Acme", &name, &json!({"abilities": others})).await;
        let path = filled((method, route), "acme-1", &known);
        let whole = office.badge("Acme", &format!("W {name}"), &json!({"abilities": all})).await;
        let token = office.token(&whole.key, &json!({"abilities": others})).await.1;
        for key in [&badge.key, &token] {
            let answer = office.call(method, &path, key, &body).await;
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
    for Call { method, path: route, ability, body } in calls() {
        let is_own_thing = route.contains("{id}") && (ability == "subscribe" || route.contains("/operation"));
        if is_own_thing {
            let path = filled((method, route), "acme-1", &known);
            let answer = office.call(method, &path, &neighbour.key, &body).await;
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
