//! Platform X: A.5 as a golden test, and the ways in which a signature is refused.
//!
//! The calls are signed by this file's own few lines, so that neither the double nor the connector is its own judge.

use crate::golden::assert_like;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::platform_x::PlatformX;
use lockstep_sim::platforms::{Answer, Call, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z.
const NOW: Timestamp = Timestamp(1_740_823_323_000);

/// What goes into the header of a call.
#[derive(Clone)]
struct Signing {
    consumer_key: &'static str,
    consumer_secret: &'static str,
    token: &'static str,
    token_secret: &'static str,
    method: &'static str,
    timestamp: i64,
    nonce: String,
}

fn signing(nonce: u32) -> Signing {
    Signing {
        consumer_key: "hub",
        consumer_secret: "c&s=1",
        token: "tok-1",
        token_secret: "t+s/1",
        method: "HMAC-SHA1",
        timestamp: NOW.0 / 1000,
        nonce: format!("n{nonce}"),
    }
}

fn escape(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

impl Signing {
    /// The call with its header; `form` is what its body tells, where that is a form.
    fn sign(&self, call: Call, form: &[(&str, &str)]) -> Call {
        let timestamp = self.timestamp.to_string();
        let own = [
            ("oauth_consumer_key", self.consumer_key),
            ("oauth_token", self.token),
            ("oauth_signature_method", self.method),
            ("oauth_timestamp", &timestamp),
            ("oauth_nonce", &self.nonce),
            ("oauth_version", "1.0"),
        ];
        let query: Vec<(String, String)> = call.url.query_pairs().into_owned().collect();
        let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = query.chain(form.iter().copied()).chain(own);
        let mut all: Vec<String> = all.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        all.sort();
        let address = format!("https://platform.test{}", call.url.path());
        let base = format!("{}&{}&{}", call.method, escape(&address), escape(&all.join("&")));
        let key = format!("{}&{}", escape(self.consumer_secret), escape(self.token_secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, base.as_bytes()));
        let parts = own.into_iter().chain([("oauth_signature", signature.as_str())]);
        let parts: Vec<String> = parts.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        call.with("authorization", &format!("OAuth {}", parts.join(", ")))
    }
}

struct World {
    platform: PlatformX,
    nonce: u32,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self { platform: PlatformX::new(), nonce: 0, now: NOW }
    }

    /// A signed call, a millisecond after the last.
    fn call(&mut self, method: Method, target: &str, body: Option<&Value>) -> Answer {
        self.nonce += 1;
        self.now = self.now.plus_ms(1);
        let call = Call::new(method, target);
        let call = body.map_or(call.clone(), |body| call.with_json(body));
        self.platform.answer(&signing(self.nonce).sign(call, &[]), self.now)
    }

    fn get(&mut self, target: &str) -> Value {
        let answer = self.call(Method::GET, target, None);
        assert_eq!(answer.status, 200, "{target}");
        answer.value()
    }

    fn post(&mut self, target: &str, body: &Value) -> Answer {
        self.call(Method::POST, target, Some(body))
    }
}

fn kim() -> Value {
    json!({"email": "kim@club.test", "first_name": "Kim", "interests": ["rowing"]})
}

#[test]
fn a_contact_is_looked_up_made_and_changed_as_in_the_sample() {
    let mut world = World::new();
    assert_eq!(world.get("/contacts?email=kim%40club.test"), json!([]));
    let made = world.post("/contacts", &kim());
    assert_eq!((made.status.as_u16(), made.value()), (201, json!({"id": 1})));
    let twice = world.post("/contacts", &json!({"email": "KIM@club.test"}));
    assert_eq!(twice.status, 409, "there is no upsert");
    let changed = world.post("/contacts/1", &json!({"city": "Delft", "first_name": null}));
    assert_eq!((changed.status.as_u16(), changed.value()), (200, json!({"id": 1})));
    let sample = json!({
        "id": 1, "email": "kim@club.test", "first_name": null, "last_name": null, "phone": null, "city": "Delft",
        "interests": ["rowing"], "created_at": "…", "updated_at": "…",
    });
    assert_like(&world.get("/contacts?email=Kim@Club.test"), &json!([sample]));
    assert_like(&world.get("/contacts/1"), &sample);
    for (method, target, body, status) in [
        (Method::GET, "/contacts/2", None, 404),
        (Method::POST, "/contacts/2", Some(json!({"city": "Gent"})), 404),
        (Method::POST, "/contacts", Some(json!({"first_name": "Lee"})), 400),
        (Method::POST, "/contacts", Some(json!({"email": "lee@club.test", "firstName": "Lee"})), 400),
        (Method::PUT, "/contacts/1", Some(kim()), 404),
        (Method::DELETE, "/contacts/1", None, 404),
    ] {
        assert_eq!(world.call(method.clone(), target, body.as_ref()).status, status, "{method} {target}");
    }
    assert!(world.platform.take_hooks(NOW).is_empty());
}

#[test]
fn an_address_that_another_contact_has_cannot_be_taken_over() {
    let mut world = World::new();
    world.post("/contacts", &kim());
    world.post("/contacts", &json!({"email": "lee@club.test"}));
    assert_eq!(world.post("/contacts/2", &json!({"email": "kim@club.test"})).status, 409);
    assert_eq!(world.post("/contacts/2", &json!({"email": "lee@club.test"})).status, 200);
    assert_eq!(world.post("/contacts/1", &json!({"email": "kit@club.test"})).status, 200);
    assert_eq!(world.post("/contacts/2", &json!({"email": "kim@club.test"})).status, 200, "it is free now");
}

#[test]
fn contacts_are_listed_by_time_of_change_a_hundred_a_page() {
    let mut world = World::new();
    world.platform = PlatformX::new().with_people(250, 1, NOW);
    let page = |world: &mut World, target: &str| -> Vec<u64> {
        let listed = world.get(target);
        listed.as_array().unwrap().iter().map(|contact| contact["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(page(&mut world, "/contacts"), (1..=100).collect::<Vec<u64>>());
    assert_eq!(page(&mut world, "/contacts?page=3"), (201..=250).collect::<Vec<u64>>());
    assert!(page(&mut world, "/contacts?page=4").is_empty());
    assert_eq!(world.post("/contacts/7", &json!({"phone": "+31612345678"})).status, 200);
    assert_eq!(page(&mut world, "/contacts?since=2025-03-01T10:02:02Z"), [249, 250, 7], "at or after, and 7 is newest");
    assert_eq!(world.call(Method::GET, "/contacts?since=lately", None).status, 400);
}

#[test]
fn a_form_is_signed_with_its_fields_and_json_is_not() {
    let mut platform = PlatformX::new();
    let form = [("email", "zoë+x@club.test"), ("first_name", "Zoë & co"), ("interests[]", "chess")];
    let call = Call::new(Method::POST, "/contacts").with_form(&form);
    assert_eq!(platform.answer(&signing(1).sign(call.clone(), &[]), NOW).status, 401, "the form is not signed");
    assert_eq!(platform.answer(&signing(2).sign(call, &form), NOW).status, 201);
    let made = platform.contacts().values().next().unwrap();
    assert_eq!((made.email(), made.interests.as_slice()), ("zoë+x@club.test", ["chess".to_owned()].as_slice()));
    let signed = signing(3).sign(Call::new(Method::POST, "/contacts/1").with_json(&json!({"city": "Gent"})), &[]);
    let other = signed.with_json(&json!({"city": "Lyon"}));
    assert_eq!(platform.answer(&other, NOW).status, 200, "a body in JSON is not covered by the signature");
}

/// The word in which a refusal says what is wrong.
fn problem(answer: &Answer) -> String {
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("OAuth "), "{:?}", answer.headers);
    answer.value()["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_replayed_nonce_is_refused() {
    let mut platform = PlatformX::new();
    let call = signing(1).sign(Call::new(Method::GET, "/contacts"), &[]);
    assert_eq!(platform.answer(&call, NOW).status, 200);
    assert_eq!(problem(&platform.answer(&call, NOW)), "nonce_used");
    let later = Signing { timestamp: NOW.0 / 1000 + 200, ..signing(1) };
    let later = later.sign(Call::new(Method::GET, "/contacts"), &[]);
    assert_eq!(problem(&platform.answer(&later, NOW.plus_ms(200_000))), "nonce_used", "with another time as well");
}

#[test]
fn a_call_that_was_refused_leaves_its_nonce_unused() {
    let mut platform = PlatformX::new();
    let wrong = Signing { token_secret: "other", ..signing(1) }.sign(Call::new(Method::GET, "/contacts"), &[]);
    assert_eq!(problem(&platform.answer(&wrong, NOW)), "signature_invalid");
    let right = signing(1).sign(Call::new(Method::GET, "/contacts"), &[]);
    assert_eq!(platform.answer(&right, NOW).status, 200);
}

#[test]
fn an_old_timestamp_is_refused() {
    let mut platform = PlatformX::new();
    let mut at = |nonce: u32, seconds: i64| {
        let signing = Signing { timestamp: NOW.0 / 1000 + seconds, ..signing(nonce) };
        platform.answer(&signing.sign(Call::new(Method::GET, "/contacts"), &[]), NOW)
    };
    assert_eq!(problem(&at(1, -301)), "timestamp_refused");
    assert_eq!(problem(&at(2, 301)), "timestamp_refused");
    assert_eq!(at(3, -300).status, 200);
    assert_eq!(at(4, 200).status, 200);
    assert_eq!(problem(&at(5, -101)), "timestamp_refused", "older than the newest by more than five minutes");
    assert_eq!(at(6, -100).status, 200);
}

#[test]
fn what_was_signed_is_what_has_to_arrive() {
    let mut platform = PlatformX::new();
    let get = |nonce: u32| signing(nonce).sign(Call::new(Method::GET, "/contacts?email=kim%40club.test"), &[]);
    let mut query = get(1);
    query.url.set_query(Some("email=lee%40club.test"));
    let mut more = get(2);
    more.url.set_query(Some("email=kim%40club.test&page=2"));
    let mut path = get(3);
    path.url.set_path("/contacts/1");
    let mut host = get(4);
    host.url.set_host(Some("other.test")).unwrap();
    let mut verb = get(5);
    verb.method = Method::POST;
    for altered in [query, more, path, host, verb] {
        assert_eq!(problem(&platform.answer(&altered, NOW)), "signature_invalid", "{}", altered.url);
    }
    assert_eq!(platform.answer(&get(6), NOW).status, 200);
}

#[test]
fn every_part_of_the_credentials_counts() {
    let mut platform = PlatformX::new();
    for (wrong, word) in [
        (Signing { consumer_key: "somebody", ..signing(1) }, "consumer_key_unknown"),
        (Signing { consumer_secret: "c", ..signing(2) }, "signature_invalid"),
        (Signing { token: "tok-2", ..signing(3) }, "token_rejected"),
        (Signing { token_secret: "t", ..signing(4) }, "signature_invalid"),
        (Signing { method: "PLAINTEXT", ..signing(5) }, "signature_method_rejected"),
    ] {
        let call = wrong.sign(Call::new(Method::GET, "/contacts"), &[]);
        assert_eq!(problem(&platform.answer(&call, NOW)), word);
    }
    let bare = Call::new(Method::GET, "/contacts");
    assert_eq!(problem(&platform.answer(&bare, NOW)), "parameter_rejected");
    let basic = bare.with("authorization", "Basic aHViOnM=");
    assert_eq!(problem(&platform.answer(&basic, NOW)), "parameter_rejected");
}

#[test]
fn a_write_is_told_with_whether_it_changed_anything() {
    let mut world = World::new();
    world.post("/contacts", &kim());
    world.post("/contacts/1", &json!({"first_name": "Kim"}));
    world.post("/contacts/1", &json!({"first_name": "Kit"}));
    world.post("/contacts/1", &json!({"email": "no address"}));
    let told: Vec<(&str, bool, bool)> =
        world.platform.writes().iter().map(|write| (write.id.as_str(), write.did_change, write.is_new)).collect();
    assert_eq!(told, [("1", true, true), ("1", false, false), ("1", true, false)]);
}

#[test]
fn what_users_do_is_no_write_from_the_outside() {
    let mut platform = PlatformX::new();
    let id = platform.add(&kim(), NOW);
    assert!(platform.edit(id, &json!({"city": "Gent"}), NOW.plus_ms(5)));
    assert_eq!(platform.contacts()[&id].updated_at, NOW.plus_ms(5));
    assert!(platform.remove(id) && !platform.remove(id));
    assert!(platform.writes().is_empty());
}
