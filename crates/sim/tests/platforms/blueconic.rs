//! BlueConic: the samples of A.1, and its checklist.

use crate::golden::assert_like;
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::blueconic::{BlueConic, ENTRIES_MAX, WebhookConnection};
use lockstep_sim::platforms::{Answer, Call, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z.
const NOW: Timestamp = Timestamp(1_740_823_323_000);

struct World {
    platform: BlueConic,
    token: String,
    now: Timestamp,
}

impl World {
    fn new(mut platform: BlueConic) -> Self {
        let answer = platform.answer(&token_call("client_credentials"), NOW);
        let token = answer.value()["access_token"].as_str().unwrap().to_owned();
        Self { platform, token, now: NOW }
    }

    fn call(&mut self, call: Call) -> Answer {
        let call = call.with("authorization", &format!("Bearer {}", self.token));
        self.platform.answer(&call, self.now)
    }

    fn get(&mut self, target: &str) -> Answer {
        self.call(Call::new(Method::GET, &format!("/rest/v2/{target}")))
    }

    fn put(&mut self, body: &Value) -> Value {
        let answer = self.call(Call::new(Method::PUT, "/rest/v2/profiles").with_json(body));
        assert_eq!(answer.status, 200);
        answer.value()
    }
}

fn token_call(grant: &str) -> Call {
    let form = [("grant_type", grant), ("client_id", "hub"), ("client_secret", "s3")];
    Call::new(Method::POST, "/rest/v2/oauth/token").with_form(&form)
}

fn kim() -> Value {
    json!({
        "identifier": "row-1", "strategy": "UPSERT",
        "matching": [[{"id": "email", "value": "kim@club.test"}], [{"id": "member_no", "value": "M7"}]],
        "properties": [
            {"id": "email", "values": ["kim@club.test"], "strategy": "SET"},
            {"id": "interests", "values": ["rowing"], "strategy": "ADD"},
        ],
        "triggerOnPropertyChange": false,
    })
}

#[test]
fn a_token_is_given_as_in_the_sample() {
    let mut platform = BlueConic::new(1);
    let answer = platform.answer(&token_call("client_credentials"), NOW);
    assert_eq!(answer.status, 200);
    assert_like(&answer.value(), &json!({"access_token": "…", "token_type": "Bearer", "expires_in": 3600}));
    let form = [("grant_type", "client_credentials"), ("client_id", "hub"), ("client_secret", "no")];
    let answer = platform.answer(&Call::new(Method::POST, "/rest/v2/oauth/token").with_form(&form), NOW);
    assert_eq!(answer.status, 401);
    assert_like(&answer.value(), &json!({"error": "invalid_client", "error_description": "…"}));
    let answer = platform.answer(&token_call("password"), NOW);
    assert_eq!((answer.status.as_u16(), &answer.value()["error"]), (400, &json!("unsupported_grant_type")));
}

#[test]
fn profiles_are_written_and_read_as_in_the_samples() {
    let mut world = World::new(BlueConic::new(1));
    let other = world.put(&json!([{"strategy": "UPSERT", "properties": []}]))[0]["profileId"].clone();
    let written = world.put(&json!([kim(), {"identifier": "row-2", "profileId": other, "strategy": "DELETE"}]));
    assert_like(
        &written,
        &json!([
            {"identifier": "row-1", "profileId": "…", "state": "CREATED"},
            {"identifier": "row-2", "profileId": other, "state": "DELETED"},
        ]),
    );
    let id = written[0]["profileId"].as_str().unwrap();
    let found = world.get("profiles?property=email&value=kim%40club.test");
    let sample =
        json!({"profiles": [{"id": id}], "itemsPerPage": 5, "startIndex": 0, "totalPages": 1, "totalResults": 1});
    assert_eq!((found.status.as_u16(), found.value()), (200, sample));
    assert_eq!(world.get("profiles?property=city&value=Delft").status, 501);
    let shown = world.get(&format!("profiles/{id}?properties=email,interests"));
    assert_eq!(shown.status, 200);
    assert_like(
        &shown.value(),
        &json!({
            "id": id, "creationDate": "2025-03-01T10:02:03.000Z", "consentedObjectives": [], "refusedObjectives": [],
            "permissions": {"level": "PERSONAL"},
            "properties": [
                {"id": "email", "values": ["kim@club.test"]}, {"id": "interests", "values": ["rowing"]},
                {"id": "lastmodifieddate", "values": ["1740823323000"]},
            ],
        }),
    );
}

#[test]
fn a_segment_is_exported_page_by_page_as_in_the_sample() {
    let mut world = World::new(BlueConic::new(1).with_people(3, NOW));
    let first = world.get("segments/allmembers/profiles?count=2&cursor=*");
    assert!(first.is_chunked);
    let body = first.value();
    let mut names: Vec<&String> = body.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["cursor", "itemsPerPage", "links", "nextCursor", "profiles", "totalPages", "totalResults"]);
    assert_eq!(
        [&body["itemsPerPage"], &body["totalPages"], &body["totalResults"], &body["cursor"]],
        [2, 2, 3].map(Value::from).iter().chain([&json!("*")]).collect::<Vec<_>>()[..]
    );
    assert_eq!(body["profiles"].as_array().unwrap().len(), 2);
    let next = body["nextCursor"].as_str().unwrap();
    let last = world.get(&format!("segments/allmembers/profiles?count=2&cursor={next}")).value();
    assert_eq!(last["profiles"].as_array().unwrap().len(), 1);
    assert!(last.get("nextCursor").is_none());
    assert_eq!(world.get("segments/allmembers/profiles?cursor=made-up").status, 400);
    assert_eq!(world.get("segments/nobody/profiles").status, 404);
}

#[test]
fn more_than_a_thousand_entries_are_413_and_the_first_thousand_are_written() {
    let mut world = World::new(BlueConic::new(1));
    let entries: Vec<Value> = (0..=ENTRIES_MAX)
        .map(|at| json!({"identifier": at.to_string(), "strategy": "UPSERT", "properties": [{"id": "visits", "values": ["1"]}]}))
        .collect();
    let answer = world.call(Call::new(Method::PUT, "/rest/v2/profiles").with_json(&Value::from(entries)));
    assert_eq!(answer.status, 413);
    assert_eq!(answer.value().as_array().unwrap().len(), ENTRIES_MAX);
    assert_eq!(world.platform.profiles().len(), ENTRIES_MAX);
}

#[test]
fn a_token_ends_after_an_hour_and_a_refresh_token_with_its_use() {
    let mut world = World::new(BlueConic::new(1));
    assert_eq!(world.get("segments").status, 200);
    world.now = NOW.plus_ms(3_600_000);
    assert_eq!(world.get("segments").status, 401);

    let authorize =
        "/rest/v2/oauth/authorize?response_type=code&client_id=hub&redirect_uri=https%3A%2F%2Fhub.test%2Fback&state=s";
    let back = world.platform.answer(&Call::new(Method::GET, authorize), NOW);
    assert!(
        back.header("location").contains("error=invalid_request"),
        "PKCE is mandatory: {}",
        back.header("location")
    );
    let back = world
        .platform
        .answer(&Call::new(Method::GET, &format!("{authorize}&code_challenge=v1&code_challenge_method=PLAIN")), NOW);
    let back = url::Url::parse(back.header("location")).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "hub"),
        ("client_secret", "s3"),
        ("code", &code),
        ("redirect_uri", "https://hub.test/back"),
        ("code_verifier", "v1"),
    ];
    let answer = world.platform.answer(&Call::new(Method::POST, "/rest/v2/oauth/token").with_form(&form), NOW);
    let refresh = answer.value()["refresh_token"].as_str().unwrap().to_owned();
    form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", "hub"),
        ("client_secret", "s3"),
        ("refresh_token", &refresh),
    ];
    let again = Call::new(Method::POST, "/rest/v2/oauth/token").with_form(&form);
    assert_eq!(world.platform.answer(&again, NOW).status, 200);
    assert_eq!(world.platform.answer(&again, NOW).status, 400);
}

#[test]
fn strategies_and_states_are_those_of_the_table() {
    let mut world = World::new(BlueConic::new(1));
    let by_email = json!([[{"id": "email", "value": "kim@club.test"}]]);
    let state = |world: &mut World, entry: Value| world.put(&json!([entry]))[0]["state"].clone();
    assert_eq!(
        state(&mut world, json!({"matching": by_email, "properties": []})),
        "NOTFOUND",
        "the default never inserts"
    );
    assert_eq!(state(&mut world, kim()), "CREATED");
    assert_eq!(state(&mut world, kim()), "UNCHANGED");
    for (strategy, values, expected) in [
        ("SET_IF_EMPTY", vec!["chess"], vec!["rowing"]),
        ("ADD", vec!["chess", "rowing"], vec!["rowing", "chess"]),
        ("REMOVE", vec!["rowing"], vec!["chess"]),
        ("SET", vec!["sailing"], vec!["sailing"]),
    ] {
        world.put(&json!([{"matching": by_email, "properties": [{"id": "interests", "values": values, "strategy": strategy}]}]));
        let profile = world.platform.profiles().values().next().unwrap();
        assert_eq!(profile.values("interests"), expected, "{strategy}");
    }
    for _ in 0..2 {
        world.put(
            &json!([{"matching": by_email, "properties": [{"id": "visits", "values": ["2"], "strategy": "SUM"}]}]),
        );
    }
    assert_eq!(world.platform.profiles().values().next().unwrap().values("visits"), ["4"]);
    let scalar = json!({"matching": by_email, "properties": [{"id": "city", "values": "Delft"}]});
    assert_eq!(state(&mut world, scalar), "SKIPPED", "values are lists of texts");
    let by_city = json!({"matching": [[{"id": "city", "value": "Delft"}]], "properties": []});
    assert_eq!(state(&mut world, by_city), "SKIPPED", "only identifiers match");
    let answer = world.call(
        Call::new(Method::PUT, "/rest/v2/profiles?objectiveIds=mail")
            .with_json(&json!([{"matching": by_email, "properties": []}])),
    );
    assert_eq!(answer.value()[0]["state"], "CONSENT_MISMATCH");
}

#[test]
fn profiles_that_come_to_share_an_identifier_become_one() {
    let mut world = World::new(BlueConic::new(1).with_people(2, NOW));
    let ids: Vec<String> = world.platform.profiles().values().map(|profile| profile.id.clone()).collect();
    let email = world.platform.profiles()[&ids[0]].values("email");
    let written = world.put(&json!([{"profileId": ids[1], "properties": [{"id": "email", "values": email}]}]));
    let kept = written[0]["profileId"].as_str().unwrap();
    assert_eq!(world.platform.profiles().len(), 1);
    let gone = ids.iter().find(|id| *id != kept).unwrap();
    assert_eq!(world.get(&format!("profiles/{gone}")).status, 404);
    let shown = world.get("segments/allmembers/profiles?cursor=*&expand=profiles.profile.replace").value();
    assert_eq!(shown["profiles"][0]["replaces"], json!([gone]));
}

#[test]
fn an_export_is_refined_and_tracked() {
    let mut world = World::new(BlueConic::new(1).with_people(10, NOW));
    let count = |world: &mut World, query: &str| {
        let answer = world.get(&format!("segments/allmembers/profiles?cursor=*&{query}"));
        assert_eq!(answer.status, 200, "{query}");
        answer.value()["totalResults"].clone()
    };
    let refined = |filter: Value| {
        let filter: String = form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
        format!("refinement={filter}")
    };
    let since = NOW.plus_ms(-3000).0;
    let newer = refined(json!({"property": "lastmodifieddate", "operator": "IN_RANGE", "fromValue": since}));
    assert_eq!(count(&mut world, &newer), 4);
    let both = json!({"operator": "AND", "filters": [
        {"property": "email", "operator": "NOT_IS_EMPTY"},
        {"property": "member_no", "operator": "CONTAINS_ANY", "values": ["M1", "M2"]},
    ]});
    assert_eq!(count(&mut world, &refined(both)), 2);
    assert_eq!(world.get("segments/allmembers/profiles?cursor=*&refinement=%7B%7D").status, 400);

    let one = world.platform.profiles().keys().next().unwrap().clone();
    world.now = NOW.plus_ms(1000);
    world.platform.visit(&one, "city", &["Gouda"], world.now);
    let query = "trackProperties=city&trackPropertiesModifiedSince=2025-03-01T10:02:03.500Z";
    assert_eq!(count(&mut world, query), 1);
    assert_eq!(count(&mut world, "audienceId=a&trackProperties=city&count=100"), 10);
    assert_eq!(count(&mut world, "audienceId=a&trackProperties=city&count=100"), 0);
}

#[test]
fn a_webhook_is_filled_from_its_template_and_a_quiet_write_sends_none() {
    let mut platform = BlueConic::new(1);
    platform.add_segment(
        "rowers",
        "Rowers",
        json!({"property": "interests", "operator": "CONTAINS_ANY", "values": ["rowing"]}),
    );
    let by_get = WebhookConnection {
        name: "id only".to_owned(),
        triggers: vec!["email".to_owned()],
        segment: None,
        method: Method::GET,
        url: "https://hub.example/in/bc1?id={{profileId}}&key=abc".to_owned(),
        body: None,
        secret: None,
    };
    let by_post = WebhookConnection {
        name: "full".to_owned(),
        triggers: vec!["email".to_owned()],
        segment: Some("rowers".to_owned()),
        method: Method::POST,
        url: "https://hub.example/in/bc1".to_owned(),
        body: Some("{\"id\":\"{{profileId}}\",\"email\":\"{{email}}\"}".to_owned()),
        secret: Some(("x-secret", "abc".to_owned())),
    };
    platform.connect_webhook(by_get);
    platform.connect_webhook(by_post);
    let mut world = World::new(platform);
    let id = world.put(&json!([kim()]))[0]["profileId"].as_str().unwrap().to_owned();
    assert_eq!(world.platform.take_hooks(NOW).len(), 0, "triggerOnPropertyChange was false");
    let loud = json!([{"profileId": id, "properties": [{"id": "email", "values": ["k\"@club.test"]}]}]);
    world.put(&loud);
    let hooks = world.platform.take_hooks(NOW);
    assert_eq!(hooks[0].url.as_str(), format!("https://hub.example/in/bc1?id={id}&key=abc"));
    assert_eq!((hooks[0].method.clone(), hooks[0].body.len()), (Method::GET, 0));
    assert_eq!(serde_json::from_slice::<Value>(&hooks[1].body).unwrap(), json!({"id": id, "email": "k\"@club.test"}));
    assert_eq!(hooks[1].headers["x-secret"], "abc");
    world.put(&json!([{"profileId": id, "properties": [{"id": "interests", "values": []}]}]));
    world.platform.visit(&id, "email", &["kim@club.test"], NOW);
    assert_eq!(world.platform.take_hooks(NOW).len(), 1, "no longer in the segment");
    world.platform.test_webhook("full", &id);
    assert_eq!(world.platform.take_hooks(NOW).len(), 1);
}

#[test]
fn properties_are_registered_but_those_of_plugins_are_not_touched() {
    let mut world = World::new(BlueConic::new(1));
    let made =
        world.call(Call::new(Method::PUT, "/rest/v2/profileProperties/shoe_size").with_json(&json!({"name": "Shoes"})));
    assert_eq!((made.status.as_u16(), &made.value()["name"]), (200, &json!("Shoes")));
    let plugin = Call::new(Method::PUT, "/rest/v2/profileProperties/lastmodifieddate").with_json(&json!({}));
    assert_eq!(world.call(plugin).status, 400);
    let page = world.get("profileProperties?count=3&startIndex=3").value();
    assert_eq!((page["profileProperties"].as_array().unwrap().len(), &page["startIndex"]), (3, &json!(3)));
    assert_eq!(world.call(Call::new(Method::DELETE, "/rest/v2/profileProperties/shoe_size")).status, 204);
    assert_eq!(world.get("profileProperties/shoe_size").status, 404);
}
