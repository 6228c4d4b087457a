//! Shares, their runs and their problems: what can be asked of them, and who may.

use crate::office::{Answer, Office};
use crate::shop::Shop;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::problem::{Problem, Subject};
use lockstep_core::share::Share;
use lockstep_core::work::{WorkKey, WorkPut, WorkRow};
use serde_json::{Value, json};
use std::sync::Arc;

const HOME: &str = "/businesses/acme-1";

async fn shop() -> Office {
    Office::open_to(Arc::new(Shop::default())).await
}

/// A call by whoever may do everything.
async fn call(office: &Office, method: &str, path: &str, body: Value) -> Answer {
    office.rest(method, &format!("{HOME}{path}"), &office.manager.key, &body).await
}

async fn connection(office: &Office) -> String {
    let body = json!({"connector": "shop", "label": "Shop", "config": {"key": "right-key"}});
    let made = call(office, "POST", "/connections", body).await;
    assert_eq!((made.status, &made.body["realm"], &made.body["account"]), (201, &json!("acc-1"), &json!("The shop")));
    made.body["id"].as_str().expect("an id").to_owned()
}

/// A share of people, going in.
async fn share(office: &Office) -> (String, Answer) {
    let connection = connection(office).await;
    let made =
        call(office, "POST", "/shares", json!({"connection": connection, "object": "person", "direction": "in"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.body["id"].as_str().expect("an id").to_owned(), made)
}

fn stored(office: &Office, id: &str) -> Arc<Share> {
    let found = office.world.settings.read(|settings| settings.sharing.share(id.parse().expect("an id")));
    found.expect("a share").0
}

#[tokio::test]
async fn a_share_is_made_of_what_its_connector_says() {
    let office = shop().await;
    let (id, made) = share(&office).await;
    assert_eq!(made.body["label"], "person of Shop");
    assert_eq!((&made.body["type"], &made.body["direction"]), (&json!("contact"), &json!("in")));
    assert_eq!((&made.body["history"], &made.body["onLeave"]), (&json!("none"), &json!("ignore")));
    assert_eq!(made.body["switches"], json!({"pull": true, "hooks": true, "push": true}));
    assert_eq!((&made.body["state"], &made.body["version"]), (&json!("waiting"), &json!(1)));
    assert_eq!(made.body.get("mapping"), None, "the connector's own");
    assert_eq!(office.crew.asked(), ["wake"]);
    assert_eq!(call(&office, "GET", &format!("/shares/{id}"), Value::Null).await.body["id"], json!(id));
    assert_eq!(call(&office, "GET", "/shares", Value::Null).await.body["items"][0]["id"], json!(id));
    let hooks = call(
        &office,
        "GET",
        &format!("/connections/{}/hooks", made.body["connection"].as_str().expect("an id")),
        Value::Null,
    )
    .await;
    let hook = &hooks.body["hooks"][0];
    let url = hook["url"].as_str().expect("a URL");
    let begins = format!("https://hub.example/hook/{}/person?key=", made.body["connection"].as_str().expect("an id"));
    assert!(url.starts_with(&begins), "{url}");
    assert_eq!((&hook["manual"], &hook["isRegistered"]), (&json!("Paste the address under Settings."), &json!(false)));
}

#[tokio::test]
async fn what_cannot_be_shared_is_refused_with_its_place() {
    let office = shop().await;
    let connection = connection(&office).await;
    for (body, status, code, place, said) in [
        (json!({"object": "thing"}), 400, "invalid_value", "/object", "person"),
        (json!({"object": "order"}), 400, "invalid_value", "/options/shop", "Shop"),
        (json!({"object": "order", "options": {"shop": 1, "x": 1}}), 400, "invalid_value", "/options/x", "no option"),
        (
            json!({"object": "order", "options": {"shop": 1}, "direction": "out"}),
            400,
            "invalid_value",
            "/direction",
            "written",
        ),
        (json!({"type": "thing"}), 404, "unknown_type", "/type", "thing"),
        (json!({"mapping": {"mail": "mail"}}), 400, "invalid_mapping", "/mapping/mail", "mail"),
        (
            json!({"mapping": {"email": {"path": "m", "only": "out"}}}),
            400,
            "invalid_mapping",
            "/mapping",
            "way of the share",
        ),
        (json!({"mapping": {"email": {"in": "1 +", "only": "in"}}}), 400, "invalid_mapping", "/mapping/email", "email"),
        (
            json!({"mapping": {"email": {"path": "m", "codek": 1}}}),
            400,
            "invalid_mapping",
            "/mapping/email/codek",
            "codek",
        ),
        (json!({"type": "organization"}), 400, "invalid_mapping", "/mapping/firstName", "connector's own"),
        (json!({"condition": "city ="}), 400, "invalid_condition", "/condition", "compile"),
        (json!({"condition": "town == 'Delft'"}), 400, "invalid_condition", "/condition", "town"),
        (json!({"match": "city"}), 400, "unknown_match_group", "/match", "email"),
        (json!({"schedule": {"cron": "61 * * * *"}}), 400, "invalid_value", "/schedule/cron", "minute"),
        (
            json!({"schedule": {"cron": "* * * * *", "jitterSeconds": 90_000}}),
            400,
            "invalid_value",
            "/schedule/jitterSeconds",
            "86400",
        ),
        (json!({"connection": "con_00000000000000000000000001"}), 404, "not_found", "/connection", "no connection"),
    ] {
        let mut whole = json!({"connection": connection, "object": "person", "direction": "in"});
        for (name, value) in body.as_object().expect("members") {
            whole[name] = value.clone();
        }
        let answer = call(&office, "POST", "/shares", whole).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], place, "{body}: {answer:?}");
        assert!(answer.message().contains(said), "{body}: {}", answer.message());
    }
    assert_eq!(call(&office, "GET", "/shares", Value::Null).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_manifest_alone_is_shared_by_a_type_and_a_mapping_of_ones_own() {
    let office = shop().await;
    office.crew.asked();
    let club = json!({"connector": "club", "label": "Club", "config": {"refresh_token": "x"}});
    let club = call(&office, "POST", "/connections?test=false", club).await;
    let post = async |more: Value| {
        let mut body = json!({"connection": club.body["id"], "object": "people", "direction": "in"});
        for (name, value) in more.as_object().expect("members") {
            body[name] = value.clone();
        }
        call(&office, "POST", "/shares", body).await
    };
    let untyped = post(json!({})).await;
    assert_eq!((untyped.status, &untyped.body["errors"][0]["pointer"]), (400, &json!("/type")));
    assert_eq!(post(json!({"type": "contact"})).await.code(), "invalid_mapping");
    let out = json!({"type": "contact", "mapping": {"email": "mail"}, "direction": "out"});
    assert_eq!(post(out).await.body["errors"][0]["pointer"], "/direction");
    let made = post(json!({"type": "contact", "mapping": {"email": "mail"}, "match": "email"})).await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn one_connection_has_one_share_of_an_object_and_stays_while_it_has() {
    let office = shop().await;
    let (id, made) = share(&office).await;
    let body = json!({"connection": made.body["connection"], "object": "person", "direction": "out"});
    let second = call(&office, "POST", "/shares", body).await;
    assert_eq!((second.status, second.code()), (409, "id_taken"));
    let connection = format!("/connections/{}", made.body["connection"].as_str().expect("an id"));
    assert_eq!(call(&office, "DELETE", &connection, Value::Null).await.code(), "connection_in_use");
    assert_eq!(call(&office, "DELETE", &format!("/shares/{id}"), Value::Null).await.status, 204);
    assert_eq!(office.crew.asked(), ["wake", "forget person", "wake"]);
    assert_eq!(call(&office, "GET", &format!("/shares/{id}"), Value::Null).await.code(), "not_found");
    assert_eq!(call(&office, "DELETE", &connection, Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_change_of_what_a_share_does_raises_its_version() {
    let office = shop().await;
    let (id, _) = share(&office).await;
    let patch = async |body: Value| call(&office, "PATCH", &format!("/shares/{id}"), body).await;
    let renamed =
        patch(json!({"label": "People", "schedule": {"cron": "*/15 * * * *"}, "switches": {"hooks": false}})).await;
    assert_eq!((renamed.status, &renamed.body["version"]), (200, &json!(1)), "{renamed:?}");
    assert_eq!(renamed.body["switches"], json!({"pull": true, "hooks": false, "push": true}));
    assert_eq!(renamed.body["schedule"], json!({"cron": "*/15 * * * *", "jitterSeconds": 0}));
    let mapped = patch(json!({"mapping": {"email": "mail"}, "condition": "city == 'Delft'", "match": ["email"]})).await;
    assert_eq!((mapped.status, &mapped.body["version"]), (200, &json!(2)), "{mapped:?}");
    assert_eq!((&mapped.body["mapping"], &mapped.body["match"]), (&json!({"email": "mail"}), &json!([["email"]])));
    let back = patch(json!({"mapping": null, "condition": "", "match": null, "schedule": null})).await;
    assert_eq!(back.body["version"], 3);
    for member in ["mapping", "condition", "match", "schedule"] {
        assert_eq!(back.body.get(member), None, "{member}");
    }
    assert_eq!(patch(json!({"object": "order"})).await.code(), "invalid_body");
    let paused = call(&office, "POST", &format!("/shares/{id}/pause"), Value::Null).await;
    assert_eq!((paused.status, &paused.body["state"]), (200, &json!("paused")));
    assert!(stored(&office, &id).is_paused);
    let resumed = call(&office, "POST", &format!("/shares/{id}/resume"), Value::Null).await;
    assert_eq!((&resumed.body["state"], &resumed.body["version"]), (&json!("waiting"), &json!(3)));
}

#[tokio::test]
async fn nobody_shares_more_than_they_see() {
    let office = shop().await;
    let (id, made) = share(&office).await;
    let all = json!(["read", "query", "write", "subscribe", "files", "manage"]);
    for (name, grant) in [
        ("cities", json!({"abilities": all, "conditions": {"contact": "city == 'Delft'"}})),
        ("hidden", json!({"abilities": all, "hiddenFields": {"contact": ["phone"]}})),
        ("typed", json!({"abilities": all, "types": {"invoice": ["read", "write"]}})),
    ] {
        let badge = office.badge("Acme", name, &grant).await;
        let ask = async |method: &str, path: &str, body: &Value| {
            office.rest(method, &format!("{HOME}{path}"), &badge.key, body).await
        };
        let body = json!({"connection": made.body["connection"], "object": "person", "direction": "in"});
        assert_eq!(ask("POST", "/shares", &body).await.status, 403, "{name}");
        assert_eq!(ask("GET", "/shares", &Value::Null).await.body["items"], json!([]), "{name}");
        for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/preview"), ("POST", "/run")] {
            let answer = ask(method, &format!("/shares/{id}{path}"), &Value::Null).await;
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{name} {method} {path}");
        }
    }
    let reader = office.badge("Acme", "reader", &json!({"abilities": ["read", "manage"]})).await;
    let body = json!({"connection": made.body["connection"], "object": "person", "direction": "in"});
    let answer = office.rest("POST", &format!("{HOME}/shares"), &reader.key, &body).await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"), "it brings in what it may not write");
}

#[tokio::test]
async fn nobody_decides_where_a_connection_leads_whose_shares_they_do_not_see() {
    let office = shop().await;
    let (_, made) = share(&office).await;
    let home = format!("{HOME}/connections/{}", made.body["connection"].as_str().expect("an id"));
    let all = json!(["read", "query", "write", "subscribe", "files", "manage"]);
    office.crew.asked();
    for (name, grant) in [
        ("typed", json!({"abilities": all, "types": {"invoice": ["read", "write"]}})),
        ("hidden", json!({"abilities": all, "hiddenFields": {"contact": ["phone"]}})),
    ] {
        let badge = office.badge("Acme", name, &grant).await;
        let ask = async |method: &str, path: &str, body: Value| {
            office.rest(method, &format!("{home}{path}"), &badge.key, &body).await
        };
        for (method, path, body) in [
            ("PATCH", "?test=false", json!({"config": {"key": "mine"}})),
            ("PATCH", "", json!({"label": "Mine"})),
            ("POST", "/check", Value::Null),
            ("POST", "/authorize", json!({})),
            ("POST", "/revoke", Value::Null),
            ("DELETE", "", Value::Null),
        ] {
            let answer = ask(method, path, body).await;
            assert_eq!((answer.status, answer.code()), (403, "outside_grant"), "{name} {method} {path}: {answer:?}");
            assert!(!answer.message().contains("contact"), "{answer:?}");
        }
        assert_eq!(ask("GET", "/hooks", Value::Null).await.body, json!({"hooks": []}), "{name}: a hook's key is in it");
        let seen = ask("GET", "", Value::Null).await;
        assert_eq!((seen.status, &seen.body["state"], &seen.body["shares"]), (200, &json!("ready"), &json!([])));
    }
    assert!(office.crew.asked().is_empty());
    let whole = call(&office, "GET", &home[HOME.len()..], Value::Null).await;
    assert_eq!((&whole.body["label"], &whole.body["shares"]), (&json!("Shop"), &json!([made.body["id"]])));
}

#[tokio::test]
async fn credentials_of_another_account_do_not_come_in_under_standing_shares() {
    let office = shop().await;
    let (id, made) = share(&office).await;
    let path = format!("/connections/{}", made.body["connection"].as_str().expect("an id"));
    let patch = async |body: Value| call(&office, "PATCH", &format!("{path}?test=false"), body).await;
    let other = json!({"config": {"key": "key-of-another"}});
    let refused = patch(other.clone()).await;
    assert_eq!((refused.status, refused.code()), (422, "connection_failed"), "{refused:?}");
    assert!(refused.message().contains("acc-2"), "{}", refused.message());
    assert_eq!(patch(json!({"label": "Renamed", "config": {}})).await.status, 200);
    let standing = call(&office, "GET", &path, Value::Null).await;
    assert_eq!((&standing.body["realm"], &standing.body["label"]), (&json!("acc-1"), &json!("Renamed")));
    assert_eq!(call(&office, "DELETE", &format!("/shares/{id}"), Value::Null).await.status, 204);
    assert_eq!(patch(other).await.status, 200, "no ids stand under the account any more");
}

#[tokio::test]
async fn a_preview_shows_both_ways_and_writes_nothing() {
    let office = shop().await;
    let (id, _) = share(&office).await;
    let preview = async |body: Value| call(&office, "POST", &format!("/shares/{id}/preview"), body).await;
    let nothing = preview(Value::Null).await;
    assert_eq!((nothing.status, nothing.code()), (404, "record_not_found"), "there is no record yet");
    let fetched = preview(json!({"remoteId": "7"})).await;
    assert_eq!(fetched.status, 200, "{fetched:?}");
    assert_eq!(fetched.body["object"]["first"], "Annelies");
    let inward = &fetched.body["inward"]["fields"];
    assert_eq!((&inward["email"], &inward["city"]), (&json!("ann@example.com"), &json!("Delft")));
    assert_eq!(fetched.body.get("record"), None, "nobody knows them");
    let record = office
        .acme(
            "/v1/business/acme-1/contact/create?externalId=7",
            &json!({"email": "b@c.nl", "firstName": "Bob", "city": "Breda"}),
        )
        .await;
    let record = record.body["recordId"].as_str().expect("an id").to_owned();
    let newest = preview(Value::Null).await;
    assert_eq!((newest.status, &newest.body["record"]["email"]), (200, &json!("b@c.nl")), "{newest:?}");
    assert_eq!(newest.body["outward"]["object"], json!({"mail": "b@c.nl", "first": "Bob"}));
    assert_eq!(newest.body["outward"]["survives"], true);
    let other = preview(json!({"recordId": record, "mapping": {"city": {"path": "town", "max_length": 3}}})).await;
    assert_eq!(other.body["outward"]["object"], json!({"town": "Bre"}), "{other:?}");
    let sample = preview(json!({"sample": {"id": 9, "mail": "X@Y.nl"}})).await;
    assert_eq!(sample.body["inward"]["fields"], json!({"email": "x@y.nl"}), "{sample:?}");
    for (body, code) in [
        (json!({"remoteId": "7", "recordId": record}), "invalid_value"),
        (json!({"remoteId": "8"}), "record_not_found"),
        (json!({"recordId": "rec_00000000000000000000000099"}), "record_not_found"),
        (json!({"mapping": {"mail": "x"}}), "invalid_mapping"),
    ] {
        assert_eq!(preview(body.clone()).await.code(), code, "{body}");
    }
    assert_eq!(stored(&office, &id).mapping, None);
    let counts = office.store.counts(&stored(&office, &id).business).await.expect("counts");
    assert_eq!(counts.values().map(|count| count.living).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_run_is_begun_once_and_steered_until_it_is_over() {
    let office = shop().await;
    let (id, made) = share(&office).await;
    let run = async |body: Value| call(&office, "POST", &format!("/shares/{id}/run"), body).await;
    assert_eq!(run(json!({"kind": "full"})).await.code(), "run_under_way", "a baseline comes first");
    assert_eq!(run(json!({"only": "rec_1"})).await.code(), "invalid_id");
    office.crew.asked();
    let begun = run(json!({"only": "7"})).await;
    assert_eq!((begun.status, &begun.body["kind"], &begun.body["state"]), (201, &json!("baseline"), &json!("running")));
    assert_eq!(office.crew.asked(), ["run Baseline Some(Object(\"7\"))"]);
    let own = begun.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(run(Value::Null).await.code(), "run_under_way");
    let at = async |path: &str| call(&office, "POST", &format!("/runs/{own}{path}"), Value::Null).await;
    assert_eq!(at("/pause").await.body["state"], "paused");
    assert_eq!(at("/resume").await.body["state"], "running");
    assert_eq!(call(&office, "GET", &format!("/shares/{id}"), Value::Null).await.body["run"]["id"], json!(own));
    let cancelled = call(&office, "POST", &format!("/shares/{id}/cancel"), Value::Null).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")));
    for path in ["/pause", "/resume", "/cancel"] {
        assert_eq!(at(path).await.code(), "run_under_way", "{path}: it is over");
    }
    let second = run(Value::Null).await.body["id"].as_str().expect("an id").to_owned();
    let listed = call(&office, "GET", &format!("/runs?share={id}&limit=1"), Value::Null).await;
    assert_eq!(listed.body["items"][0]["id"], json!(second), "newest first");
    let next =
        office.send("GET", listed.body["next"].as_str().expect("more"), &[("api-key", &office.manager.key)], "").await;
    assert_eq!((&next.body["items"][0]["id"], next.body.get("next")), (&json!(own), None));
    assert_eq!(call(&office, "GET", &format!("/runs/{own}"), Value::Null).await.body["shareVersion"], 1);
    assert_eq!(call(&office, "GET", "/runs/run_00000000000000000000000099", Value::Null).await.code(), "not_found");
    call(
        &office,
        "POST",
        &format!("/connections/{}/revoke", made.body["connection"].as_str().expect("an id")),
        Value::Null,
    )
    .await;
    assert_eq!(run(Value::Null).await.code(), "connection_not_ready");
}

#[tokio::test]
async fn problems_are_listed_by_what_they_are_and_tried_again() {
    let office = shop().await;
    let (id, _) = share(&office).await;
    let share = stored(&office, &id);
    let problem = |remote: &str, code: Code| {
        let subject = Subject::Object(remote.to_owned());
        Problem::of(&share.business, share.id, &subject, Rejection::new(code, "no"), office.world.clock.now())
    };
    let all: Vec<Problem> = (0..5)
        .map(|at| problem(&at.to_string(), if at == 0 { Code::AmbiguousMatch } else { Code::InvalidValue }))
        .collect();
    let row =
        |problem: &Problem| (WorkKey::problem(share.id, problem.id), WorkPut::Row(WorkRow::Problem(problem.clone())));
    office.crew.put(&share, all.iter().map(row).collect()).await;
    office.crew.asked();
    let list = async |query: &str| call(&office, "GET", &format!("/problems{query}"), Value::Null).await;
    let count = |answer: &Answer| answer.body["items"].as_array().map_or(0, Vec::len);
    assert_eq!(count(&list("").await), 5);
    let ambiguous = list(&format!("?share={id}&code=ambiguous_match&side=in")).await;
    assert_eq!((count(&ambiguous), &ambiguous.body["items"][0]["remoteId"]), (1, &json!("0")));
    assert_eq!(count(&list("?side=out").await), 0);
    assert_eq!(list("?code=nonsense").await.code(), "invalid_parameter");
    assert_eq!(list("?side=up").await.code(), "invalid_parameter");
    assert_eq!(list("?cursor=x").await.code(), "invalid_parameter");
    let mut seen = Vec::new();
    let mut page = list("?limit=2").await;
    loop {
        seen.extend(page.body["items"].as_array().expect("a list").iter().map(|item| item["id"].clone()));
        let Some(next) = page.body["next"].as_str().map(str::to_owned) else { break };
        page = office.send("GET", &next, &[("api-key", &office.manager.key)], "").await;
    }
    let mut own: Vec<Value> = all.iter().map(|problem| json!(problem.id)).collect();
    own.sort_by_key(ToString::to_string);
    assert_eq!(seen, own, "each once, in order");
    let one = format!("/problems/{}", all[1].id);
    assert_eq!(call(&office, "GET", &one, Value::Null).await.body["reason"]["code"], "invalid_value");
    assert_eq!(call(&office, "POST", &format!("{one}/replay"), Value::Null).await.status, 200);
    let many = call(&office, "POST", "/problems/replay", json!({"code": "invalid_value"})).await;
    assert_eq!(many.body, json!({"replayed": 4, "hasMore": false}));
    assert_eq!(office.crew.asked(), ["replay 1", "replay 4"]);
    assert_eq!(call(&office, "POST", &format!("{one}/dismiss"), Value::Null).await.status, 200);
    assert_eq!(call(&office, "GET", &one, Value::Null).await.code(), "not_found");
    assert_eq!(count(&list("").await), 4);
}
