//! Copernica: the samples of A.2, and its checklist.

use crate::golden::assert_like;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::{Answer, Call, Hook, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z, 11:02:03 in Amsterdam.
const NOW: Timestamp = Timestamp(1_740_823_323_000);
const API: &str = "https://api.copernica.com";

struct World {
    platform: Copernica,
    jwt: String,
    now: Timestamp,
}

impl World {
    fn new(mut platform: Copernica) -> Self {
        let answer = platform.answer(&exchange(Copernica::TOKEN), NOW);
        let jwt = String::from_utf8(answer.body.to_vec()).unwrap();
        Self { platform, jwt, now: NOW }
    }

    fn v4(&mut self, method: Method, target: &str, body: Option<&Value>) -> Answer {
        let call =
            Call::new(method, &format!("{API}/v4/{target}")).with("authorization", &format!("Bearer {}", self.jwt));
        let call = body.map_or(call.clone(), |body| call.with_json(body));
        self.platform.answer(&call, self.now)
    }

    fn v3(&mut self, method: Method, target: &str, body: Option<&Value>) -> Answer {
        let mark = if target.contains('?') { '&' } else { '?' };
        let call = Call::new(method, &format!("{API}/v3/{target}{mark}access_token={}", Copernica::TOKEN));
        let call = body.map_or(call.clone(), |body| call.with_json(body));
        self.platform.answer(&call, self.now)
    }

    fn kim(&mut self) -> String {
        let body = json!({"fields": {"email": "kim@club.test"}, "interests": {"rowing": 1}});
        self.v4(Method::POST, "database/12/profiles", Some(&body)).header("x-created").to_owned()
    }
}

fn exchange(token: &str) -> Call {
    Call::new(Method::POST, "https://authenticate.copernica.com").with_form(&[("access_token", token)])
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.value()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn both_ways_to_prove_who_calls_work_and_a_jwt_lives_a_day() {
    let mut world = World::new(Copernica::new(1));
    let sample = json!({"id": "34", "name": "dev", "description": "…", "company": "…"});
    assert_eq!(world.jwt.split('.').count(), 3);
    assert_like(&world.v3(Method::GET, "identity", None).value(), &sample);
    assert_like(&world.v4(Method::GET, "identity", None).value(), &sample);
    let jwt = Call::new(Method::GET, &format!("/v3/identity?access_token={}", world.jwt));
    assert_eq!(refused(&world.platform.answer(&jwt, NOW)), (400, "Invalid access token".to_owned()));
    assert_eq!(refused(&world.platform.answer(&exchange("nobody"), NOW)), (400, "Invalid access token".to_owned()));
    world.now = NOW.plus_ms(24 * 3_600_000);
    assert_eq!(refused(&world.v4(Method::GET, "identity", None)), (400, "Invalid access token".to_owned()));
}

#[test]
fn profiles_are_made_changed_and_found_as_in_the_samples() {
    let mut world = World::new(Copernica::new(1));
    let body = json!({"fields": {"email": "kim@club.test"}, "interests": {"rowing": 1}});
    let made = world.v4(Method::POST, "database/12/profiles", Some(&body));
    assert_eq!((made.status.as_u16(), made.header("x-created"), made.body.len()), (201, "501", 0));
    assert_eq!(made.header("x-location"), "https://api.copernica.com/v4/profile/501");

    let upsert = "database/12/profiles?fields[]=email%3D%3Dkim%40club.test&create=1";
    let body = json!({"fields": {"city": "Delft"}, "interests": ["rowing"]});
    let matched = world.v4(Method::PUT, upsert, Some(&body));
    assert_eq!((matched.status.as_u16(), matched.body.len(), matched.header("x-created")), (204, 0, ""));
    let other = "database/12/profiles?fields[]=email%3D%3Dlee%40club.test&create=1";
    let created = world.v4(Method::PUT, other, Some(&json!({"fields": {"email": "lee@club.test"}})));
    assert_eq!((created.status.as_u16(), created.header("x-created")), (201, "502"));
    world.v4(Method::DELETE, "profile/502", None);

    let query = "limit=2&orderby=modified&fields[]=modified%3E%3D2025-03-01&dataonly=1&total=false";
    let found = world.v4(Method::GET, &format!("database/12/profiles?{query}"), None);
    let mut body = found.value();
    body["data"][0]["fields"].as_object_mut().unwrap().retain(|_, value| value != "");
    let profile = json!({
        "ID": "501", "fields": {"email": "kim@club.test", "city": "Delft"}, "interests": ["rowing"],
        "modified": "2025-03-01 11:02:03",
    });
    assert_eq!((found.status.as_u16(), body), (200, json!({"start": 0, "limit": 2, "count": 1, "data": [profile]})));
}

#[test]
fn interests_are_switched_by_post_and_replaced_by_put_as_in_the_samples() {
    let mut world = World::new(Copernica::new(1));
    let id = world.kim();
    let has = |world: &World| world.platform.profiles()[&501].interests.iter().cloned().collect::<Vec<_>>();
    let target = format!("profile/{id}/interests");
    world.v4(Method::POST, &target, Some(&json!({"rowing": 0, "football": 1})));
    assert_eq!(has(&world), ["football"]);
    world.v4(Method::POST, &target, Some(&json!(["chess"])));
    assert_eq!(has(&world), ["chess", "football"]);
    world.v4(Method::PUT, &target, Some(&json!({"football": 1})));
    assert_eq!(has(&world), ["football"]);
}

#[test]
fn a_removed_profile_is_still_there_and_empty_as_in_the_samples() {
    let mut world = World::new(Copernica::new(1));
    let id = world.kim();
    let gone = world.v4(Method::DELETE, &format!("profile/{id}"), None);
    assert_eq!((gone.status.as_u16(), gone.header("x-deleted")), (204, "profile 501"));
    let again = world.v4(Method::DELETE, &format!("profile/{id}"), None);
    assert_eq!(again.value(), json!({"error": {"message": "This profile has already been removed"}}));
    assert_eq!(again.status, 400);
    let shown = world.v4(Method::GET, &format!("profile/{id}"), None);
    assert_eq!((shown.status.as_u16(), &shown.value()["fields"]["email"]), (200, &json!("")));
    assert_eq!((&shown.value()["ID"], &shown.value()["removed"]), (&json!("501"), &json!("2025-03-01 11:02:03")));
    assert_eq!(world.v4(Method::GET, "database/12/profiles", None).value()["total"], 0);
}

#[test]
fn earlier_versions_answer_writes_otherwise() {
    let mut world = World::new(Copernica::new(1));
    let body = json!({"fields": {"email": "kim@club.test"}});
    assert_eq!(world.v3(Method::POST, "database/12/profiles", Some(&body)).status, 201);
    let upsert = "database/Members/profiles?fields%5B%5D=email%3D%3Dkim%40club.test&create=1";
    assert_eq!(world.v3(Method::PUT, upsert, Some(&json!({"fields": {"CITY": "Gent"}}))).status, 200);
    assert_eq!(world.platform.profiles()[&501].fields["city"], "Gent", "names match whatever their capitals");
    let none = "database/12/profiles?fields[]=email%3D%3Dnobody&create=1";
    let made = world.v3(Method::PUT, none, Some(&json!({"fields": {}})));
    assert_eq!((made.status.as_u16(), made.header("location")), (303, "https://api.copernica.com/v3/profile/502"));
    assert_eq!(world.v3(Method::DELETE, "profile/501", None).status, 200);
    let form = Call::new(Method::POST, &format!("/v2/database/12/profiles?access_token={}", Copernica::TOKEN))
        .with_form(&[("fields[email]", "kim@club.test"), ("interests[]", "rowing")]);
    let answer = world.platform.answer(&form, NOW);
    assert_eq!((answer.status.as_u16(), answer.header("x-created")), (201, "503"));
    assert!(world.platform.profiles()[&503].interests.contains("rowing"));
}

#[test]
fn errors_are_400_with_the_recorded_texts() {
    let mut world = World::new(Copernica::new(1));
    let id = world.kim();
    for (method, target, body, text) in [
        (Method::GET, "nonsense", None, "Invalid method"),
        (Method::GET, "profile/9", None, "No entity with supplied ID"),
        (Method::GET, "database/9/profiles", None, "No database with supplied ID"),
        (Method::GET, "collection/9/fields", None, "No collection with given ID"),
        (Method::GET, "subprofile/9", None, "No subprofile with supplied ID"),
        (Method::PUT, "database/12/profiles", Some(json!({})), "Invalid data provided"),
        (Method::POST, "database/12/profiles", Some(json!({})), "Failed to create profile"),
    ] {
        assert_eq!(refused(&world.v4(method, target, body.as_ref())), (400, text.to_owned()), "{target}");
    }
    assert_eq!(world.v4(Method::GET, &format!("profile/{id}/and/more"), None).status, 400);
    assert_eq!(world.v4(Method::GET, "identity/and/more", None).status, 200, "superfluous parts are ignored");
    let page = world.platform.unavailable();
    assert_eq!((page.status.as_u16(), page.header("content-type")), (503, "text/html"));
}

#[test]
fn profiles_are_paged_with_texts_as_ids_and_addresses_may_repeat() {
    let mut world = World::new(Copernica::new(1).with_people(250, NOW));
    world.kim();
    world.kim();
    let page = world.v4(Method::GET, "database/12/profiles?start=200", None).value();
    assert_eq!((&page["limit"], &page["count"], &page["total"]), (&json!(100), &json!(52), &json!(252)));
    assert!(page["data"][0]["ID"].is_string());
    let rest = world.v4(Method::GET, "database/12/profiles?limit=5000&fields[]=id%3E700", None).value();
    assert_eq!(rest["limit"], 1000);
    assert!(rest["data"].as_array().unwrap().iter().all(|it| it["ID"].as_str().unwrap().parse::<u64>().unwrap() > 700));
    let both = world.v4(Method::GET, "database/12/profileids?fields[]=email%3D%3Dkim%40club.test", None).value();
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[test]
fn a_write_may_be_carried_out_later() {
    let mut world = World::new(Copernica::new(1));
    world.kim();
    let target = "database/12/profiles?fields[]=email%3D%3Dkim%40club.test&async=1";
    assert_eq!(world.v4(Method::PUT, target, Some(&json!({"fields": {"city": "Delft"}}))).status, 204);
    assert_eq!(world.platform.profiles()[&501].fields["city"], "");
    world.now = NOW.plus_ms(5000);
    world.v4(Method::GET, "identity", None);
    assert_eq!(world.platform.profiles()[&501].fields["city"], "Delft");
}

#[test]
fn an_import_runs_later_and_tells_how_it_went() {
    let mut world = World::new(Copernica::new(1));
    world.kim();
    let body = json!({
        "database": 12, "name": "club", "action": "update or add", "keyFields": ["email"],
        "source": [{"email": "kim@club.test", "city": "Delft"}, {"email": "lee@club.test", "city": "Gent"}],
    });
    let made = world.v4(Method::POST, "imports", Some(&body));
    let import = made.header("x-created").to_owned();
    let status = |world: &mut World| {
        let shown = world.v4(Method::GET, &format!("import/{import}"), None).value();
        (shown["status"].clone(), shown["processedlines"].clone())
    };
    assert_eq!(status(&mut world), (json!("running"), json!("0")));
    world.now = NOW.plus_ms(10_000);
    assert_eq!(status(&mut world), (json!("finished"), json!("2")));
    assert_eq!(world.platform.profiles().len(), 2);
    assert_eq!(world.platform.profiles()[&501].fields["city"], "Delft");
}

#[test]
fn subprofiles_belong_to_a_profile() {
    let mut world = World::new(Copernica::new(1));
    let id = world.kim();
    let target = format!("profile/{id}/subprofiles/orders");
    let made = world.v4(Method::POST, &target, Some(&json!({"number": "O1", "total": "3.50"})));
    let sub = made.header("x-created").to_owned();
    assert_eq!(made.header("x-location"), format!("https://api.copernica.com/v4/subprofile/{sub}"));
    world.v4(Method::PUT, &format!("subprofile/{sub}/fields"), Some(&json!({"total": "4.00"})));
    let page = world.v4(Method::GET, &target, None).value();
    assert_eq!((&page["total"], &page["data"][0]["fields"]["total"]), (&json!(1), &json!("4.00")));
    let upsert = format!("{target}?fields[]=number%3D%3DO2&create=1");
    assert_eq!(world.v4(Method::PUT, &upsert, Some(&json!({"number": "O2"}))).status, 201);
    assert_eq!(world.v4(Method::PUT, &upsert, Some(&json!({"total": "9"}))).status, 204);
}

fn register(world: &mut World, body: &Value) {
    assert_eq!(world.v4(Method::POST, "webhooks", Some(body)).status, 201);
}

/// Checks a hook's signature with the key in the DNS record that it names, as a receiver does.
fn check_signature(hook: &Hook) {
    let text = |name: &str| hook.headers[name].to_str().unwrap().to_owned();
    let signature = text("signature");
    let part =
        |name: &str| signature.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let names = part("headers");
    let lines = names.split(' ').map(|name| {
        let value = match name {
            "(request-target)" => format!("post {}", hook.url.path()),
            "host" => hook.url.host_str().unwrap().to_owned(),
            "content-length" => hook.body.len().to_string(),
            name => text(name),
        };
        format!("{name}: {value}")
    });
    let signed = lines.collect::<Vec<_>>().join("\n");
    let record = Copernica::dns_record(part("keyId").split('.').next().unwrap()).unwrap();
    let spki = STANDARD.decode(record.split("p=").nth(1).unwrap()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki);
    key.verify(signed.as_bytes(), &STANDARD.decode(part("signature")).unwrap()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hook.body);
    assert_eq!(text("digest"), format!("SHA-256={}", STANDARD.encode(digest)));
}

#[test]
fn a_webhook_is_the_form_of_the_sample_signed() {
    let mut world = World::new(Copernica::new(1));
    world.kim();
    world.platform.validate_host("hub.example");
    register(&mut world, &json!({"handler": "https://hub.example/in/cop1", "trigger": "update"}));
    world.v4(Method::PUT, "profile/501/fields", Some(&json!({"city": "Delft"})));
    let hooks = world.platform.take_hooks(NOW);
    let fields: Vec<(String, String)> = form_urlencoded::parse(&hooks[0].body).into_owned().collect();
    let expected = [
        ("type", "update"),
        ("timestamp", "2025-03-01 11:02:03"),
        ("time", "1740823323"),
        ("profile", "501"),
        ("database", "12"),
        ("created", "2025-03-01 11:02:03"),
        ("modified", "2025-03-01 11:02:03"),
        ("parameters[city]", "Delft"),
        ("fields[email]", "kim@club.test"),
        ("fields[city]", "Delft"),
        ("interests[]", "rowing"),
    ];
    let shown: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let shown: Vec<(&str, &str)> = shown.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    assert_eq!(shown, expected);
    let head = &hooks[0].headers;
    assert_eq!((hooks[0].method.as_str(), hooks[0].url.as_str()), ("POST", "https://hub.example/in/cop1"));
    assert_eq!(head["x-copernica-id"], "account-34");
    assert_eq!(head["content-type"], "application/x-www-form-urlencoded");
    let signature = head["signature"].to_str().unwrap();
    assert!(
        signature.starts_with("keyId=\"one._domainkey.copernica.com\",algorithm=\"rsa-sha256\",headers=\""),
        "{signature}"
    );
    check_signature(&hooks[0]);
    world.now = NOW.plus_ms(31 * 86_400_000);
    world.platform.edit(501, &json!({"city": "Gent"}), world.now);
    let later = world.platform.take_hooks(world.now);
    assert!(later[0].headers["signature"].to_str().unwrap().contains("two._domainkey"), "the key changes every month");
    check_signature(&later[0]);
}

#[test]
fn a_webhook_is_only_for_its_trigger_its_callers_and_a_proved_host() {
    let mut world = World::new(Copernica::new(1));
    world.kim();
    register(&mut world, &json!({"handler": "https://hub.example/in", "trigger": "update", "callers": ["publisher"]}));
    world.platform.edit(501, &json!({"city": "Delft"}), NOW);
    assert_eq!(world.platform.take_hooks(NOW).len(), 0, "the host was not proved");
    world.platform.validate_host("hub.example");
    world.v4(Method::PUT, "profile/501/fields", Some(&json!({"city": "Gent"})));
    assert_eq!(world.platform.take_hooks(NOW).len(), 0, "rest is not among the callers");
    world.platform.edit(501, &json!({"city": "Delft"}), NOW);
    assert_eq!(world.platform.take_hooks(NOW).len(), 1);
    register(&mut world, &json!({"handler": "https://hub.example/in", "trigger": "delete"}));
    world.v4(Method::DELETE, "profile/501", None);
    let hooks = world.platform.take_hooks(NOW);
    assert_eq!((hooks.len(), hooks[0].field("fields[email]").as_deref()), (1, Some("kim@club.test")));
}
